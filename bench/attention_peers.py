#!/usr/bin/env python3
"""PyTorch's own kernels on the attention of decode under a shared prefix, in the shapes that a store has of ours.

  bench/attention_peers.py --hydrajob build/cuda/hydrajob --config configs/attention-one-gpu.yaml
                           --store bench/results/attention-h200.h5 --csv bench/peers/attention-h200.csv

Measures the configuration with hydrajob first, so that both are of one job on one GPU; without --hydrajob the store is taken
as it is. Then, for each shape that the store has in mode hydragen, every way of bench/torch_attention.py, checked against
float64. The CSV, a row a shape, is written anew after each. Needs PyTorch, a GPU, and what the analysis package needs.

Exit codes: 0 done, 1 a shape without a way that shares, 2 usage, 3 a store; hydrajob's own where that failed.
"""

import argparse
import csv
import datetime
import pathlib
import shlex
import subprocess
import sys
from dataclasses import asdict, dataclass

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "analysis"))

from hydrajob_analysis import StoreError, load  # noqa: E402

EXIT_OK, EXIT_NO_WAY, EXIT_USAGE, EXIT_STORE = 0, 1, 2, 3  # argparse exits 2 for a wrong command line
HEADER = """\
PyTorch's own kernels on the attention of decode under a shared prefix, by bench/attention_peers.py: microseconds, median
of {iterations}, each a CUDA graph launched after 256 MB of other data were read; checked against float64. flash is
FlashAttention-2, cudnn is cuDNN.

A+B   the prefix by A for all sequences, heads of a group packed into rows; each sequence's own tokens by B; merged by one
      compiled kernel
A|B   the same, both parts on streams of their own
A     nothing shared: a copy of the prefix for every sequence
best  the fastest of them, and best_us its time; where a way has no time, PyTorch refused it, it was wrong, or the copies
      are larger than 20 GB"""


@dataclass(frozen=True)
class Shape:
    n_heads: int
    n_kv_heads: int
    head_dim: int
    batch: int  # sequences
    prefix: int  # tokens that all share
    suffix: int  # tokens of each

    @property
    def group(self):
        return self.n_heads // self.n_kv_heads


def shapes_of(store):
    """Those of attention under one prefix in mode hydragen, bf16, one rank, cold caches, in the order of the store."""
    wanted = {"param.workload": "attention", "param.mode": "hydragen", "param.dtype": "bf16", "param.tensor_parallel": 1,
              "param.l2": "cold", "status": "ok"}
    runs = store.runs
    if not set(wanted) <= set(runs):
        return []
    for column, value in wanted.items():
        runs = runs[runs[column] == value]
    runs = runs[runs["param.prefix"].fillna(0) > 0]
    runs = runs[runs["param.suffix"] > 0]
    names = [name for name in Shape.__dataclass_fields__]
    return list(dict.fromkeys(Shape(*(int(run[f"param.{name}"]) for name in names)) for run in runs.to_dict("records")))


def machine_of(store):
    """GPU and driver that the store's runs had; StoreError where they had several, or none."""
    told = store.environments.loc[store.runs["environment"].unique()]
    ranks = [[environment.get(f"env.ranks.device.{key}") for key in ("gpu", "driver")]
             for environment in told.to_dict("records")]
    machines = {(gpu[0], driver[0]) for gpu, driver in ranks if isinstance(gpu, list) and isinstance(driver, list)}
    if len(machines) != 1 or not all(isinstance(gpu, list) for gpu, _ in ranks):
        raise StoreError(f"{store.paths[0]}: expected runs of one kind of GPU, found {sorted(machines) or 'none'}")
    return dict(zip(("gpu", "driver"), machines.pop()))


def row_of(provenance, shape, found):
    """The CSV's row: `found` has the microseconds of each way."""
    best = min(found, key=found.get, default="")
    times = {name: f"{time:.2f}" for name, time in found.items()}
    return {**provenance, "dtype": "bf16", **asdict(shape), "best": best, "best_us": times.get(best, ""), **times}


def write_csv(path, rows, iterations):
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with open(path, "w", encoding="utf-8", newline="") as file:
        for line in HEADER.format(iterations=iterations).splitlines():
            file.write(f"# {line}".rstrip() + "\n")
        writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def measure_ours(options):
    command = [*shlex.split(options.hydrajob), options.config, "--store", options.store]
    code = subprocess.run([str(word) for word in command]).returncode
    if code != 0:
        sys.exit(code)


def measure_theirs(options, machine, shapes):
    # Only here: PyTorch takes some of the GPU's memory, which ours may need.
    import torch
    import torch_attention

    gpu = torch.cuda.get_device_name()
    if gpu != machine["gpu"]:
        raise StoreError(f"{options.store}: its runs are of {machine['gpu']}, this is {gpu}")
    provenance = {**machine, "torch": torch.__version__, "cudnn_version": torch.backends.cudnn.version(),
                  "date": datetime.date.today().isoformat()}
    rows = []
    for shape in shapes:
        found = torch_attention.measure(shape, options.iterations)
        rows.append(row_of(provenance, shape, found))
        write_csv(options.csv, rows, options.iterations)
        print(shape, ", ".join(f"{name} {time:.1f}" for name, time in found.items()), file=sys.stderr, flush=True)
        torch.cuda.empty_cache()  # of shapes that differ in size, little fits into each other's place
    return rows


def shares(row):
    return any(row.get(name) for name in row if "+" in name or "|" in name)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=pathlib.Path, required=True)
    parser.add_argument("--csv", type=pathlib.Path, required=True)
    parser.add_argument("--hydrajob", metavar="COMMAND", help="as in 'mpirun -np 1 build/cuda/hydrajob'")
    parser.add_argument("--config", type=pathlib.Path)
    parser.add_argument("--iterations", type=int, default=50)
    options = parser.parse_args(arguments)
    if bool(options.hydrajob) != bool(options.config):
        parser.error("--hydrajob and --config go together")
    if options.hydrajob:
        measure_ours(options)
    try:
        store = load(options.store)
        shapes = shapes_of(store)
        if not shapes:
            raise StoreError(f"{options.store}: no attention in mode hydragen, bf16, cold, under one prefix")
        rows = measure_theirs(options, machine_of(store), shapes)
    except StoreError as error:
        print(f"attention_peers.py: {error}", file=sys.stderr)
        return EXIT_STORE
    missing = [row for row in rows if not shares(row)]
    for row in missing:
        print(f"attention_peers.py: no way that shares: {row}", file=sys.stderr)
    return EXIT_NO_WAY if missing else EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
