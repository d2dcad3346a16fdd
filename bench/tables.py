#!/usr/bin/python3
"""The tables of docs/performance.md, from the stores and the printed results under bench/results/.

  bench/tables.py [PAGE]           writes what stands between the page's markers
  bench/tables.py --check [PAGE]   writes nothing; says what differs

A marker names the kind of table (TABLES below), its store, and where it has them other people's figures and the runs to
show; paths are relative to the source tree:

  <!-- table: decode bench/results/e2e-h200.h5 bench/peers/hydragen-h200.csv model=codellama-7b-instruct -->
  <!-- end -->

What a program of bench/ printed comes with the command that printed it:

  <!-- table: printed bench/results/all-reduce-two-h200.txt mpirun -np 2 build/cuda/bench/all_reduce -->
  <!-- end -->
"""

import argparse
import difflib
import pathlib
import re
import sys
from dataclasses import dataclass, field

import pandas as pd

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "analysis"), str(ROOT / "bench")]

from hydrajob_analysis import StoreError, load, numbers  # noqa: E402
from hydrajob_analysis.cells import make_sections  # noqa: E402
from hydrajob_analysis.schema import mode_rank  # noqa: E402
from hydrajob_analysis.tables import Table  # noqa: E402
from table_provenance import gpu_of, provenance, wrapped  # noqa: E402

EXIT_OK, EXIT_DIFFERS, EXIT_USAGE, EXIT_STORE = 0, 1, 2, 3  # argparse exits 2 for a wrong command line
BLOCK = re.compile(r"(?m)^<!-- table: (?P<words>.*?) -->\n(?P<body>(?:(?!<!-- ).*\n)*?)<!-- end -->$")
MARKER = re.compile(r"(?m)^<!-- table:.*")
ELEMENT_BYTES = {"f32": 4, "bf16": 2, "f16": 2}


class PageError(Exception):
    """What the page asks for cannot be made."""


# --- what a table is made of ---


@dataclass
class Source:
    """What a marker names. `runs`: the newest of each cell that the marker's conditions hold for, in a table's order;
    `peers`: the CSV's rows, or nothing. `notes` gathers what stands below the table."""

    store: object
    runs: list
    peers: pd.DataFrame = None
    notes: list = field(default_factory=list)

    def where(self, condition):
        return [run for run in self.runs if condition(run)]

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)


def read_source(words):
    stores = [word for word in words if word.endswith(".h5")]
    peers = [word for word in words if word.endswith(".csv")]
    conditions = [word.split("=", 1) for word in words if "=" in word]
    if len(stores) != 1 or len(peers) > 1 or len(words) != 1 + len(peers) + len(conditions):
        raise PageError(f"'{' '.join(words)}': expected one store, at most one .csv file, and conditions name=value")
    store = load(ROOT / stores[0])
    latest = [run for section in make_sections(store.runs) for run in section.cells["run"]]
    runs = [run for run in store.runs.loc[latest].to_dict("records")
            if all(str(run.get(f"param.{name}")) == value for name, value in conditions)]
    if any(pd.isna(run["param.prefix"]) for run in runs):
        raise PageError(f"{stores[0]}: shared tokens as a tree have no column here")
    return Source(store, sorted(runs, key=_order), read_peers(ROOT / peers[0]) if peers else None)


def read_peers(path):
    try:
        return pd.read_csv(path, comment="#")
    except OSError as error:
        raise PageError(f"{path}: {error.strerror}") from error


def _order(run):
    """Models by size (7b before 13b), modes as in the report, then numbers; one rank before several."""
    model = [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", str(run.get("param.model")))]
    heads = [run.get(f"param.{name}") for name in ("n_heads", "n_kv_heads")]
    sizes = [batch_of(run), *(run[f"param.{name}"] for name in ("prefix", "suffix", "tensor_parallel"))]
    attention = run["param.workload"] == "attention"
    mode = mode_rank(run["param.mode"])
    return (model, *map(str, heads), *sizes, mode) if attention else (model, mode, *sizes)


def batch_of(run):
    """Sequences at once: each question is one."""
    return run["param.questions"] if run["param.workload"] == "needles" else run["param.batch"]


def peer_of(source, run, same):
    """The peer's row for this run: the same GPU and the same parameters `same`; None where there is none."""
    if source.peers is None:
        return None
    rows = source.peers[source.peers["gpu"] == gpu_of(source.store, run)]
    for name in same:
        rows = rows[rows[name] == run[f"param.{name}"]]
    if len(rows) > 1:
        raise PageError(f"the peer has {len(rows)} rows of one run: {rows.to_dict('records')}")
    return None if rows.empty else rows.iloc[0]


DECODE_KEY = ("model", "dtype", "tensor_parallel", "mode", "batch", "prefix", "suffix", "new_tokens")
PREFILL_KEY = DECODE_KEY[:-1]
ATTENTION_KEY = ("n_heads", "n_kv_heads", "head_dim", "dtype", "batch", "prefix", "suffix")


def architecture(model):
    """The whole numbers of a model's file: its shapes."""
    bare = ROOT / "configs" / "models" / f"{model}.yaml"
    path = bare if bare.exists() else pathlib.Path(model)
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise PageError(f"{path}: {error.strerror}") from error
    pairs = (line.split("#")[0].partition(":") for line in lines)
    return {name: int(value) for name, _, value in pairs if value.strip().isdigit()}


def weights_multiplied(model):
    """Elements of the weights that each row of a step is multiplied with: all projections and the head."""
    a = architecture(model)
    heads = a["n_heads"] * a.get("head_dim", a["hidden"] // a["n_heads"])
    kv_heads = heads // a["n_heads"] * a.get("n_kv_heads", a["n_heads"])
    layer = a["hidden"] * (heads + 2 * kv_heads) + heads * a["hidden"] + 3 * a["hidden"] * a["intermediate"]
    return a["n_layers"] * layer + a["hidden"] * a["vocab"]


# --- the tables ---


def decode_table(source):
    """The decode step of every run that has one: beside the peer, and beside the roofline."""
    columns = ["model", "mode", "batch", "prefix", "step ms", "95 % interval", "n", "original ms", "original / ours",
               "roofline ms", "of roofline", "tokens/s"]
    runs = source.where(lambda run: run["param.workload"] == "generate" and run["param.new_tokens"] > 1)
    return Table("", columns, [_decode_row(source, run) for run in runs], left=frozenset(["model", "mode"])), runs


def _decode_row(source, run):
    place = [run["param.model"], run["param.mode"], f"{run['param.batch']:.0f}", f"{run['param.prefix']:.0f}"]
    if run["status"] != "ok":
        return [*place, _why_missing(source, run), *[""] * 7]
    steps = run["param.new_tokens"] - 1
    step = run["decode.median"] / steps
    peer = peer_of(source, run, DECODE_KEY)
    return [*place, *_milliseconds(source, run, "decode", steps), *_beside(peer, "step_ms", 1e3 * step),
            numbers.significant(1e3 * run["roofline.decode_step_s"]),
            numbers.percent(run["roofline.decode_step_s"] / step), numbers.significant(run["decode_tokens_per_s"])]


def parallel_table(source):
    """The decode step of every run on several GPUs: beside the same run on one, the peer, and the roofline."""
    columns = ["model", "mode", "batch", "prefix", "GPUs", "step ms", "95 % interval", "n", "one GPU ms", "× one GPU",
               "original ms", "original / ours", "roofline ms", "of roofline", "tokens/s"]
    runs = source.where(lambda run: run["param.workload"] == "generate" and run["param.new_tokens"] > 1
                        and run["param.tensor_parallel"] > 1)
    return Table("", columns, [_parallel_row(source, run) for run in runs], left=frozenset(["model", "mode"])), runs


def _parallel_row(source, run):
    decode = _decode_row(source, run)
    place, times, others = decode[:4], decode[4:7], decode[7:]
    return [*place, f"{run['param.tensor_parallel']:.0f}", *times, *_beside_one_gpu(source, run), *others]


def _beside_one_gpu(source, run):
    """One GPU's step, and how many times as fast these are."""
    one = _median_at(source, run, "decode", "tensor_parallel", 1)
    if run["status"] != "ok" or one is None:
        return ["", ""]
    return [numbers.significant(1e3 * one / (run["param.new_tokens"] - 1)), numbers.ratio(one / run["decode.median"])]


def products_table(source):
    """noattention's step beside what its products alone would take at the ceilings measured in the same job."""
    columns = ["model", "batch", "step ms", "95 % interval", "n", "products ms", "step / products", "weights ms",
               "step / weights"]
    runs = source.where(lambda run: run["param.mode"] == "noattention" and run["param.workload"] == "generate"
                        and run["param.new_tokens"] > 1 and run["status"] == "ok")
    return Table("", columns, [_products_row(source, run) for run in runs], left=frozenset(["model"])), runs


def _products_row(source, run):
    if run["param.tensor_parallel"] != 1:
        raise PageError("products: the weights are those of one rank: tensor_parallel is not 1")
    weights = weights_multiplied(run["param.model"])
    products_s = 2 * run["param.batch"] * weights / run["ceiling.matmul_flops_per_s"]
    weights_s = weights * ELEMENT_BYTES[run["param.dtype"]] / run["ceiling.memory_bytes_per_s"]
    steps = run["param.new_tokens"] - 1
    step_s = run["decode.median"] / steps
    return [run["param.model"], f"{run['param.batch']:.0f}", *_milliseconds(source, run, "decode", steps),
            numbers.significant(1e3 * products_s), numbers.significant(step_s / products_s),
            numbers.significant(1e3 * weights_s), numbers.significant(step_s / weights_s)]


def prefill_table(source):
    """Runs of one new token: their FLOPs are those of the prefill."""
    columns = ["model", "prompt", "ms", "95 % interval", "n", "TFLOP", "of matrix ceiling", "of roofline", "original ms",
               "original / ours"]
    runs = source.where(lambda run: run["param.workload"] == "generate" and run["param.new_tokens"] == 1)
    return Table("", columns, [_prefill_row(source, run) for run in runs], left=frozenset(["model"])), runs


def _prefill_row(source, run):
    place = [run["param.model"], f"{run['param.prefix']:,.0f}"]
    if run["status"] != "ok":
        return [*place, _why_missing(source, run), *[""] * 7]
    median = run["prefill.median"]
    peer = peer_of(source, run, PREFILL_KEY)
    return [*place, *_milliseconds(source, run, "prefill", 1), numbers.significant(run["flops"] / 1e12),
            numbers.percent(run["flops"] / median / run["ceiling.matmul_flops_per_s"]),
            numbers.percent(run["roofline.prefill_s"] / median), *_beside(peer, "prefill_ms", 1e3 * median)]


def between_table(source):
    """What a sweep takes besides the phases that are measured, in the order of the runs."""
    columns = ["model", "mode", "batch", "prefix", "new tokens", "since the last run ms", "the run s", "phases s", "load ms",
               "besides ms"]
    runs = sorted(source.where(lambda run: run["param.workload"] == "generate" and run["status"] == "ok"),
                  key=lambda run: run["started_unix_s"])
    return Table("", columns, [_between_row(source, run) for run in runs], left=frozenset(["model", "mode"])), runs


def _between_row(source, run):
    every = source.store.runs
    before = every[(every["group"] == run["group"]) & (every["started_unix_s"] < run["started_unix_s"])]
    samples = source.store.samples
    own = samples[(samples["run"] == run["run"]) & (samples["rank"] == 0)]
    phases = own[own["phase"].isin(["prefill", "decode_step"])]["value"].sum()
    loading = own[own["phase"] == "load"]["value"].sum()
    since = numbers.significant(1e3 * (run["started_unix_s"] - before["finished_unix_s"].max()), digits=2)
    place = [run["param.model"], run["param.mode"],
             *(f"{run[f'param.{name}']:.0f}" for name in ("batch", "prefix", "new_tokens"))]
    return [*place, "" if before.empty else since, f"{run['wall_s']:.3f}", f"{phases:.3f}",
            numbers.significant(1e3 * loading, digits=2),
            numbers.significant(1e3 * (run["wall_s"] - phases - loading), digits=2)]


def attention_table(source):
    """The attention workload, as in the report."""
    columns = ["heads / KV heads", "batch", "prefix", "suffix", "mode", "µs", "95 % interval", "n", "× noshared",
               "of roofline"]
    runs = source.where(lambda run: run["param.workload"] == "attention")
    cells = {cell["run"]: cell for section in make_sections(source.store.runs) if section.workload == "attention"
             for cell in section.cells.to_dict("records")}
    rows = [_attention_row(source, run, cells[run["run"]]) for run in runs]
    return Table("", columns, rows, left=frozenset(["heads / KV heads", "mode"])), runs


def _attention_place(run):
    sizes = [f"{run[f'param.{name}']:.0f}" for name in ("batch", "prefix", "suffix")]
    return [f"{run['param.n_heads']} / {run['param.n_kv_heads']}", *sizes]


def _attention_row(source, run, cell):
    place = [*_attention_place(run), run["param.mode"]]
    if run["status"] != "ok":
        return [*place, _why_missing(source, run), *[""] * 4]
    return [*place, numbers.significant(cell["value"]), numbers.interval(cell["lo"], cell["hi"], cell["value"]),
            f"{cell['n']:.0f}", numbers.ratio(cell["speedup"]), numbers.percent(cell["roofline"])]


def attention_peers_table(source):
    """Shared attention beside the fastest that PyTorch's own kernels were put together to, and beside the roofline."""
    columns = ["heads / KV heads", "batch", "prefix", "suffix", "µs", "95 % interval", "n", "PyTorch µs", "PyTorch / ours",
               "floor µs", "of roofline"]
    runs = source.where(lambda run: run["param.workload"] == "attention" and run["param.mode"] == "hydragen")
    rows = [_attention_peers_row(source, run) for run in runs]
    return Table("", columns, rows, left=frozenset(["heads / KV heads"])), runs


def _attention_peers_row(source, run):
    if run["status"] != "ok":
        return [*_attention_place(run), _why_missing(source, run), *[""] * 6]
    floor, median = run["roofline.attention_s"], run["attention.median"]
    return [*_attention_place(run), *_times(source, run, "attention", 1e6),
            *_beside(peer_of(source, run, ATTENTION_KEY), "best_us", 1e6 * median), numbers.significant(1e6 * floor),
            numbers.percent(floor / median)]


def attention_auto_table(source):
    """`auto` beside the modes that it chooses between."""
    columns = ["heads / KV heads", "batch", "prefix", "suffix", "auto µs", "95 % interval", "n", "hydragen µs", "noshared µs",
               "auto / better"]
    runs = source.where(lambda run: run["param.workload"] == "attention" and run["param.mode"] == "auto")
    rows = [_attention_auto_row(source, run) for run in runs]
    return Table("", columns, rows, left=frozenset(["heads / KV heads"])), runs


def _attention_auto_row(source, run):
    if run["status"] != "ok":
        return [*_attention_place(run), _why_missing(source, run), *[""] * 5]
    others = [_median_at(source, run, "attention", "mode", mode) for mode in ("hydragen", "noshared")]
    known = [median for median in others if median is not None]
    return [*_attention_place(run), *_times(source, run, "attention", 1e6),
            *("" if median is None else numbers.significant(1e6 * median) for median in others),
            f"{run['attention.median'] / min(known):.3f}" if known else ""]


def _median_at(source, run, phase, name, value):
    """That of the run which differs from this one in its parameter `name` alone, where it has that value; None where it was
    not measured."""
    same = [key for key in run if key == "machine" or key.startswith("param.") and key != f"param.{name}"]
    alike = [other for other in source.runs if other[f"param.{name}"] == value and other["status"] == "ok"
             and all(other[key] == run[key] or pd.isna(other[key]) and pd.isna(run[key]) for key in same)]
    return alike[0][f"{phase}.median"] if alike else None


def needles_table(source):
    """Time to answer all questions about a document that is in the cache, beside the same without attention."""
    columns = ["model", "mode", "questions", "document", "answered ms", "n", "questions read ms", "step ms",
               "questions/s", "of noattention"]
    runs = source.where(lambda run: run["param.workload"] == "needles")
    return Table("", columns, [_needles_row(source, run) for run in runs], left=frozenset(["model", "mode"])), runs


def _needles_row(source, run):
    place = [run["param.model"], run["param.mode"], f"{run['param.questions']:.0f}", f"{run['param.prefix']:,.0f}"]
    if run["status"] != "ok":
        return [*place, _why_missing(source, run), *[""] * 5]
    answered, _, n = _milliseconds(source, run, "total", 1)
    ceiling = _median_at(source, run, "total", "mode", "noattention")
    return [*place, answered, n, numbers.significant(1e3 * run["unique_prefill.median"]),
            numbers.significant(1e3 * run["decode_step.median"]), numbers.significant(run["questions_per_s"]),
            "" if ceiling is None else numbers.percent(ceiling / run["total.median"])]


TABLES = {"decode": decode_table, "parallel": parallel_table, "products": products_table, "prefill": prefill_table,
          "between": between_table, "attention": attention_table, "attention-peers": attention_peers_table,
          "attention-auto": attention_auto_table, "needles": needles_table}
PRINTED = "printed"  # the one kind that is made from no store


def _milliseconds(source, run, phase, parts):
    """Of one of the `parts` of a phase, as _times."""
    return _times(source, run, phase, 1e3 / parts)


def _times(source, run, phase, unit):
    """Median, its interval, and of how many; unit: of a second."""
    median, low, high = (unit * run.get(f"{phase}.{name}", float("nan")) for name in ("median", "ci_lo", "ci_hi"))
    between = numbers.interval(low, high, median)
    if not between:
        source.note("No interval: fewer than 6 iterations.")
    return [numbers.significant(median), between, f"{run[f'{phase}.n']:.0f}"]


def _beside(peer, column, ours):
    """The peer's time, and how many times ours it is: both in the column's unit."""
    if peer is None or pd.isna(peer[column]):
        return ["", ""]
    return [numbers.significant(peer[column]), f"{peer[column] / ours:.2f}"]


def _why_missing(source, run):
    status = run["status"].replace("_", " ")
    source.note(f"{status[0].upper()}{status[1:]}, {run['param.mode']}, batch {batch_of(run):.0f}, prefix "
                f"{run['param.prefix']}: {run['reason']}.")
    return status


# --- what a program printed ---


def _printed_lines(path):
    try:
        lines = path.read_text(encoding="utf-8").rstrip().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PageError(f"{path}: {getattr(error, 'strerror', None) or 'is no text'}") from error
    if not lines:
        raise PageError(f"{path}: is empty")
    return lines


def printed_text(words):
    """The command and what it printed, word for word; a table in it begins behind an empty line, as Markdown wants it."""
    if len(words) < 2:
        raise PageError(f"'{' '.join(words)}': expected the file that was printed, and the command that printed it")
    name, *command = words
    lines = []
    for line in _printed_lines(ROOT / name):
        if line.startswith("|") and lines and lines[-1] and not lines[-1].startswith("|"):
            lines.append("")
        lines.append(line)
    return "\n".join(["", f"    {' '.join(command)}", "", *lines, "", ""])


# --- the page ---


def block_text(words):
    kind, *names = words
    if kind == PRINTED:
        return printed_text(names)
    if kind not in TABLES:
        raise PageError(f"no table '{kind}', expected one of {', '.join([*TABLES, PRINTED])}")
    source = read_source(names)
    table, runs = TABLES[kind](source)
    if not runs:
        raise PageError(f"{' '.join(words)}: no such runs in the store")
    notes = [line for note in source.notes for line in ("", wrapped(note))]
    return "\n".join(["", *provenance(source, runs), *table.markdown_lines(), *notes, "", ""])


def filled(text):
    """The page with every table as its store says. Throws PageError, StoreError."""
    if len(BLOCK.findall(text)) != len(MARKER.findall(text)):
        raise PageError("a marker '<!-- table: … -->' without its '<!-- end -->', both alone in a line")
    return BLOCK.sub(lambda block: f"<!-- table: {block['words']} -->\n{block_text(block['words'].split())}<!-- end -->",
                     text)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
                                     epilog="Exit codes: 0 done, 1 the page differs, 2 usage or markers, 3 a store.")
    parser.add_argument("page", nargs="?", type=pathlib.Path, default=ROOT / "docs" / "performance.md", metavar="PAGE")
    parser.add_argument("--check", action="store_true", help="change nothing; exit code 1 where the page differs")
    options = parser.parse_args(arguments)
    try:
        before = options.page.read_text(encoding="utf-8")
        after = filled(before)
        if not options.check and after != before:
            options.page.write_text(after, encoding="utf-8")
    except (PageError, OSError) as error:
        print(f"tables.py: {options.page}: {error}", file=sys.stderr)
        return EXIT_USAGE
    except StoreError as error:
        print(f"tables.py: {error}", file=sys.stderr)
        return EXIT_STORE
    if options.check and after != before:
        sys.stdout.writelines(difflib.unified_diff(before.splitlines(True), after.splitlines(True),
                                                   str(options.page), "what the stores say"))
        return EXIT_DIFFERS
    return EXIT_OK


if __name__ == "__main__":
    sys.exit(main())
