"""Where the numbers of a table come from: the machine, its ceilings, the code, the command."""

import re
import textwrap

import pandas as pd
from hydrajob_analysis import numbers
from hydrajob_analysis.summaries import condition_line

WIDTH = 120  # of the page's lines


def gpu_of(store, run):
    return _of_first_rank(store.environments.loc[run["environment"]], "env.ranks.device.gpu")


def _of_first_rank(environment, key):
    """Ranks are alike in what is asked here; None where the environment does not say."""
    values = environment.get(key)
    return values[0] if isinstance(values, list) else None


def provenance(source, runs):
    """A paragraph for each environment of the table's runs, and the command of each in lines of their own."""
    lines = []
    for index in dict.fromkeys(run["environment"] for run in runs):
        own = [run for run in runs if run["environment"] == index]
        environment = source.store.environments.loc[index]
        told = [*_machine(environment), *_ceilings(own), *_code(environment)]
        lines += [wrapped(f"{'; '.join(told)}."), "", f"    {_command(environment)}", ""]
    condition = condition_line(source.store)
    return [*lines, *([wrapped(f"All of the store: {condition}."), ""] if condition else [])]


def _machine(environment):
    """Device, driver and libraries, as far as the environment names them."""
    device = "env.ranks.device."
    ranks = environment.get("env.ranks.host")
    count = numbers.count(len(ranks), "rank") if isinstance(ranks, list) else ""
    processor = _of_first_rank(environment, device + "gpu")
    if processor is None:
        threads = _of_first_rank(environment, "env.ranks.threads")
        return [f"{_of_first_rank(environment, device + 'cpu_model')}, {count} of {threads} threads"]
    facts = [("driver", "driver"), ("power limit", "power_limit"), ("CUDA", "cuda"), ("cuBLAS", "cublas")]
    values = [(name, _of_first_rank(environment, device + key)) for name, key in facts]
    return [", ".join([processor, *(f"{name} {value}" for name, value in values if value), count])]


def _ceilings(runs):
    """What this machine was measured to reach when these runs were; a store that was continued may have several."""
    pairs = dict.fromkeys((run["param.dtype"], run["ceiling.matmul_flops_per_s"], run["ceiling.memory_bytes_per_s"])
                          for run in runs if pd.notna(run.get("ceiling.matmul_flops_per_s")))
    return [f"ceilings measured in the same job: {dtype} products {numbers.significant(flops / 1e12, digits=3)} TFLOP/s, copies "
            f"{numbers.significant(rate / 1e9, digits=3)} GB/s read and written" for dtype, flops, rate in pairs]


def _command(environment):
    """Absolute paths by their last part: the folders of the machine that ran it say nothing to a reader."""
    return re.sub(r"(?<![^\s=])/(?:\S*/)?(?=\S)", "", environment["env.command"])


def _code(environment):
    # Where environments of one store differ in what they tell, pandas has NaN.
    told = environment.get("env.hydrajob.commit")
    commit = told[:12] if isinstance(told, str) and told else "unknown"
    differs = environment.get("env.hydrajob.changed")
    changed = " with changes" if pd.notna(differs) and differs else ""
    return [f"hydrajob {environment['env.hydrajob.version']}, commit {commit}{changed}"]


def wrapped(text):
    return textwrap.fill(text, WIDTH, break_long_words=False, break_on_hyphens=False)
