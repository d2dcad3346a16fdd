"""Writes stores as docs/store.md describes them, with h5py and by hand, for the tests of the analysis."""

import json
import tempfile
import unittest
import warnings
from pathlib import Path

import h5py
import numpy as np

INT_MISSING = np.iinfo(np.int64).min
TEXTS = ("run_id", "text", "status", "param.tree")  # also where all of them are missing
SECONDS = ("median", "ci_lo", "ci_hi", "min", "max", "p99")

DEFAULTS = {
    "attempt": 1, "status": "ok", "reason": "", "convergence": "", "experiment": "test", "group": 0, "first_rank": 0,
    "config": 0, "environment": 0,
}
RUN_S = 60  # what a run took, where a test says nothing else: one after another


class StoreTest(unittest.TestCase):
    """A folder of its own for each test; a warning is an error."""

    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.enterContext(warnings.catch_warnings())
        warnings.simplefilter("error")

    def store(self, runs, name="store.h5", **others):
        return write_store(self.folder / name, runs, **others)


def generate_run(mode, batch, prefix, decode_s=None, half_width=0.0, **others):
    """A run of the workload generate; decode_s is the median of the sum of 9 decode steps (new_tokens 10)."""
    run = {"param.workload": "generate", "param.mode": mode, "param.batch": batch, "param.prefix": prefix,
           "param.tree": None, "param.suffix": 0, "param.new_tokens": 10, "param.model": "tiny",
           "param.dtype": "f32", "param.device": "cpu", "param.tensor_parallel": 1, "param.warmup": 1}
    if decode_s is not None:
        run.update(_phase("decode", decode_s, half_width), **_phase("decode_step", decode_s / 9, half_width))
        run.update({"decode_tokens_per_s": batch * 9 / decode_s, "roofline_fraction": 0.5, "converged": 1.0})
    return {**run, **others}


def attention_run(mode, batch, prefix, suffix, seconds=None, half_width=0.0, **others):
    run = {"param.workload": "attention", "param.mode": mode, "param.batch": batch, "param.prefix": prefix,
           "param.tree": None, "param.suffix": suffix, "param.n_heads": 32, "param.n_kv_heads": 32, "param.head_dim": 128,
           "param.dtype": "bf16", "param.device": "cpu", "param.tensor_parallel": 1, "param.l2": "cold"}
    if seconds is not None:
        run.update(_phase("attention", seconds, half_width))
        run.update({"roofline_fraction": 0.8, "converged": 1.0})
    return {**run, **others}


def needles_run(mode, questions, prefix, seconds=None, half_width=0.0, accuracy=None, **others):
    """A run of the workload needles; seconds is the median of a whole iteration."""
    run = {"param.workload": "needles", "param.mode": mode, "param.questions": questions, "param.prefix": prefix,
           "param.suffix": 20, "param.needles": 256, "param.new_tokens": 10, "param.model": "tiny", "param.dtype": "f32",
           "param.device": "cpu", "param.tensor_parallel": 1}
    if seconds is not None:
        run.update(_phase("total", seconds, half_width), **_phase("decode_step", seconds / 12, half_width))
        run.update({"roofline_fraction": 0.7, "converged": 1.0, "accuracy": accuracy})
    return {**run, **others}


def _phase(name, median, half_width):
    phase = {f"{name}.median": median, f"{name}.min": 0.9 * median, f"{name}.max": 1.2 * median,
             f"{name}.p99": 1.1 * median, f"{name}.n": 10.0}
    if half_width:
        phase.update({f"{name}.ci_lo": median * (1 - half_width), f"{name}.ci_hi": median * (1 + half_width)})
    return phase


CONDITIONS = {"sm_clock_mhz": "MHz", "throttle_reasons": "1", "power_w": "W"}


def samples_of(run, phase, values, ranks=1, warmup=False, **condition):
    """Rows of one run: values[i] is step i of iteration 0; rank r takes (1 + r) times as long. `condition`: lists with
    what the device told at each step."""
    return [{"phase": phase, "run": run, "rank": rank, "iteration": 0, "step": step, "warmup": int(warmup),
             "value": value * (1 + rank), **{name: told[step] for name, told in condition.items()}}
            for rank in range(ranks) for step, value in enumerate(values)]


def write_store(path, runs, samples=(), configs=("experiment: test\n",), environments=({"host": "node1"},),
                version=1, file_format="hydrajob-store"):
    with h5py.File(path, "w") as file:
        file.attrs["format"] = file_format
        file.attrs["schema_version"] = np.int64(version)
        file.attrs["hydrajob_version"] = "0.1.0"
        file.attrs["created_utc"] = "2025-01-01T00:00:00Z"
        _write_runs(file.create_group("runs"), runs)
        _write_samples(file.create_group("samples"), samples)
        for name, texts in (("configs", configs), ("environments", [json.dumps(e) for e in environments])):
            _write_column(file.create_group(name), "text", list(texts), name, "1")
    return path


def _write_runs(group, runs):
    rows = [{"run": i, "run_id": f"{i:032x}", **DEFAULTS, **_times(i), **run} for i, run in enumerate(runs)]
    columns = list(dict.fromkeys(name for row in rows for name in row)) or ["run", "run_id", *DEFAULTS, *_times(0)]
    for name in columns:
        values = [row.get(name) for row in rows]
        _write_column(group, name, values, f"what {name} is", _unit(name))
    scale = group["run"]
    scale.make_scale("run")
    for name in columns:
        if name != "run":
            group[name].dims[0].attach_scale(scale)


def _times(i):
    return {"started_unix_s": 1.7e9 + RUN_S * i, "finished_unix_s": 1.7e9 + RUN_S * (i + 1)}


def _unit(name):
    if name == "decode_tokens_per_s":
        return "1/s"
    return "s" if name.endswith("_s") or name.rpartition(".")[2] in SECONDS else "1"


def _write_samples(group, samples):
    for phase in dict.fromkeys(sample["phase"] for sample in samples):
        own = [sample for sample in samples if sample["phase"] == phase]
        phase_group = group.create_group(phase)
        for name in ("value", "run", "rank", "iteration", "step", "warmup"):
            _write_column(phase_group, name, [sample[name] for sample in own], name, "s" if name == "value" else "1")
        for name, unit in CONDITIONS.items():
            if any(sample.get(name) is not None for sample in own):
                _write_column(phase_group, name, [sample.get(name) for sample in own], name, unit)


def _write_column(group, name, values, long_name, unit):
    """One typed dataset; None becomes the value that its `missing_value` names."""
    present = [value for value in values if value is not None]
    if any(isinstance(value, str) for value in present) or not present and name in TEXTS:
        encoded = [(value or "").encode() for value in values]
        dtype = h5py.string_dtype("utf-8", max([1, *map(len, encoded)]))
        data, missing = np.array(encoded, dtype=dtype), np.array(b"", dtype=dtype)
    elif all(isinstance(value, int) for value in present):
        data = np.array([INT_MISSING if value is None else value for value in values], dtype=np.int64)
        missing = np.int64(INT_MISSING)
    else:
        data = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
        missing = np.float64(np.nan)
    dataset = group.create_dataset(name, data=data, dtype=data.dtype)
    dataset.attrs["units"] = unit
    dataset.attrs["long_name"] = long_name
    if name.startswith("param.") or name in CONDITIONS and len(present) < len(values):
        dataset.attrs["missing_value"] = missing
