#!/usr/bin/python3
"""Fits what runs reach of a machine's ceilings: `efficiency` of a configs/machines file (docs/scale.md).

    bench/fit_machine.py STORE [STORE…]

Takes every decode step and prefill of tensor_parallel 1 that the stores have, and every operation of attention alone, counts
its parts' FLOPs and bytes from the shapes on its own (and checks that their roofline is the one that the store holds), and
finds the five figures of a model's runs, and the two of attention alone, with the least sum of squared
log(predicted / measured). Prints them, and each cell's error."""
import math
import pathlib
import re
import sys

import h5py
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Name, the range it is looked for in, where the search begins, and the unit of that: steps of all are alike then.
PARAMETERS = [("products", 0.2, 1, 0.8, 1), ("attention", 0.1, 1, 0.6, 1), ("memory", 0.5, 1, 0.9, 1),
              ("layer_s", 0, 1e-3, 2, 1e-5), ("attention_s", 0, 1e-3, 2, 1e-5)]
OPERATION = [("operation", 0.1, 1, 0.6, 1), ("operation_s", 0, 1e-3, 2, 1e-5)]


class Model:
    def __init__(self, name):
        text = (ROOT / f"configs/models/{name}.yaml").read_text()
        fields = dict(re.findall(r"^(\w+): *([^\s#]+)", text, re.MULTILINE))
        number = lambda key, otherwise=None: int(fields.get(key, otherwise))
        self.layers, self.hidden, self.heads = number("n_layers"), number("hidden"), number("n_heads")
        self.kv_heads = number("n_kv_heads", self.heads)
        self.head_dim = number("head_dim", self.hidden // self.heads)
        self.intermediate, self.vocab = number("intermediate"), number("vocab")

    @property
    def weights(self):
        """Of all layers' projections."""
        attention = self.hidden * (2 * self.heads + 2 * self.kv_heads) * self.head_dim
        return self.layers * (attention + 3 * self.hidden * self.intermediate)


class Cell:
    """A phase of a run: its parts as (FLOPs, bytes, whether of attention), and its measured seconds."""

    def __init__(self, run, phase, seconds, roofline_s):
        self.run, self.phase, self.seconds, self.roofline_s = run, phase, seconds, roofline_s
        m, batch, prefix = Model(run["model"]), run["batch"], run["prefix"]
        kv = m.layers * 2 * m.kv_heads * m.head_dim * 2  # bytes of a token
        self.layers, self.attends = m.layers, run["mode"] != "noattention"
        shared = run["mode"] == "hydragen"
        if phase == "decode_step":
            own = run["new_tokens"] / 2
            rows, self.passes, logits = batch, 1, batch
            seen = batch * (prefix + own)
            read = (prefix if shared else batch * prefix) + batch * own
            copied = 0
        else:
            rows, logits = prefix, 1
            self.passes = math.ceil(prefix / run["prefill_chunk"])
            seen = prefix * (prefix + 1) / 2
            read = prefix + run["prefill_chunk"] * self.passes * (self.passes - 1) / 2
            copied = batch * prefix if run["mode"] == "noshared" else 0
        drawn = batch * m.vocab * (5 if run["temperature"] > 0 else 1)
        self.parts = [(2 * rows * m.weights, self.passes * m.weights * 2, False),
                      (2 * logits * m.hidden * m.vocab, m.hidden * m.vocab * 2 + logits * m.vocab * 4, False),
                      (drawn, batch * m.vocab * 4, False)]
        if self.attends:
            self.parts.append((4 * seen * m.layers * m.heads * m.head_dim, (read + rows) * kv, True))
            self.parts.append((0, 2 * copied * kv, False))

    def predict(self, parameters):
        products, attention, memory, layer_s, attention_s = parameters
        flops_per_s, bytes_per_s = self.run["flops_per_s"], self.run["bytes_per_s"]
        parts = sum(max(flops / flops_per_s / (attention if attends else products), moved / bytes_per_s / memory)
                    for flops, moved, attends in self.parts)
        return parts + self.passes * self.layers * (layer_s + attention_s * self.attends)

    def check(self):
        _check(self, self.predict((1, 1, 1, 0, 0)))

    def __str__(self):
        r = self.run
        return f"{r['model']:24} {self.phase:11} {r['mode']:11} {r['batch']:5} {r['prefix']:6}"


class Operation:
    """Attention alone, and its measured seconds."""

    def __init__(self, run, seconds, roofline_s):
        self.run, self.seconds, self.roofline_s = run, seconds, roofline_s
        batch, prefix, suffix, dim = (run[name] for name in ("batch", "prefix", "suffix", "head_dim"))
        read = (prefix if run["mode"] == "hydragen" else batch * prefix) + batch * suffix
        self.flops = 4 * batch * (prefix + suffix) * run["n_heads"] * dim
        self.moved = read * 2 * run["n_kv_heads"] * dim * 2 + 2 * batch * run["n_heads"] * dim * 2

    def predict(self, parameters):
        reached, added_s = parameters
        return max(self.flops / self.run["flops_per_s"] / reached, self.moved / self.run["bytes_per_s"]) + added_s

    def check(self):
        _check(self, self.predict((1, 0)))

    def __str__(self):
        r = self.run
        heads = f"{r['n_heads']} / {r['n_kv_heads']} heads, {r['suffix']} own"
        return f"{heads:24} {'attention':11} {r['mode']:11} {r['batch']:5} {r['prefix']:6}"


def _check(cell, ours):
    if abs(ours / cell.roofline_s - 1) > 1e-6:
        sys.exit(f"{cell}: the roofline is {ours:.6g} s here and {cell.roofline_s:.6g} s in the store")


def operations_of(path):
    """In bf16, of the modes that tell on their own what they read."""
    with h5py.File(path) as file:
        runs = file["runs"]
        text = lambda name, i: runs[name][i].decode()
        for i in range(len(runs["run_id"])):
            if text("status", i) != "ok" or text("param.workload", i) != "attention" or text("param.dtype", i) != "bf16":
                continue
            if text("param.mode", i) not in ("hydragen", "noshared"):
                continue
            run = {key: int(runs[f"param.{key}"][i])
                   for key in ("batch", "prefix", "suffix", "n_heads", "n_kv_heads", "head_dim")}
            run.update(mode=text("param.mode", i), flops_per_s=runs["ceiling.matmul_flops_per_s"][i],
                       bytes_per_s=runs["ceiling.memory_bytes_per_s"][i])
            yield Operation(run, runs["attention.median"][i], runs["roofline.attention_s"][i])


def cells_of(path):
    """One prefill a model and length: that of the run which measures nothing else, where there is one."""
    with h5py.File(path) as file:
        runs = file["runs"]
        text = lambda name, i: runs[name][i].decode()
        for i in range(len(runs["run_id"])):
            if text("status", i) != "ok" or runs["param.tensor_parallel"][i] != 1:
                continue
            if text("param.workload", i) != "generate":
                continue
            run = {key: int(runs[f"param.{key}"][i]) for key in ("batch", "prefix", "new_tokens", "prefill_chunk")}
            run.update(model=text("param.model", i), mode=text("param.mode", i), temperature=runs["param.temperature"][i],
                       flops_per_s=runs["ceiling.matmul_flops_per_s"][i], bytes_per_s=runs["ceiling.memory_bytes_per_s"][i])
            if run["new_tokens"] > 1:
                step = runs["decode.median"][i] / (run["new_tokens"] - 1)
                yield Cell(run, "decode_step", step, runs["roofline.decode_step_s"][i])
            else:
                yield Cell(run, "prefill", runs["prefill.median"][i], runs["roofline.prefill_s"][i])


def fit(cells, parameters=PARAMETERS):
    """Gauss-Newton with halved steps, inside the ranges."""
    scale = np.array([p[4] for p in parameters])
    low, high = (np.array([p[k] for p in parameters]) / scale for k in (1, 2))
    errors = lambda x: np.array([math.log(cell.predict(x * scale) / cell.seconds) for cell in cells])
    x = np.array([p[3] for p in parameters])
    for _ in range(100):
        now = errors(x)
        slopes = np.array([(errors(x + 1e-4 * e) - now) / 1e-4 for e in np.eye(len(x))]).T
        step = -np.linalg.lstsq(slopes, now, rcond=None)[0]
        while np.abs(step).max() > 1e-9:
            there = np.clip(x + step, low, high)
            if (errors(there) ** 2).sum() < (now ** 2).sum():
                break
            step = step / 2
        else:
            return x * scale
        x = there
    return x * scale


def main():
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    kinds = [(PARAMETERS, [cell for path in sys.argv[1:] for cell in cells_of(path)]),
             (OPERATION, [cell for path in sys.argv[1:] for cell in operations_of(path)])]
    found = []
    for parameters, cells in kinds:
        for cell in cells:
            cell.check()
        found.append(fit(cells, parameters) if cells else [])
    named = [f"{p[0]}: {value:.3g}" for (parameters, _), values in zip(kinds, found) for p, value in zip(parameters, values)]
    print("efficiency: {" + ", ".join(named) + "}\n")
    print(f"{'of':24} {'phase':11} {'mode':11} batch prefix    measured   roofline  predicted   error")
    for (_, cells), values in zip(kinds, found):
        for cell in cells:
            predicted = cell.predict(values)
            print(f"{cell}  {1e3 * cell.seconds:7.3f} ms {1e3 * cell.roofline_s:7.3f} ms {1e3 * predicted:7.3f} ms"
                  f"  {100 * (predicted / cell.seconds - 1):+5.1f} %")


if __name__ == "__main__":
    main()
