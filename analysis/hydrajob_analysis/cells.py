"""From rows of runs to what is compared: sections of equal settings, and in them cells (mode, batch, prefix, suffix) with
their ratio to `noshared` and to `noattention`.
"""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from .schema import StoreError, mode_rank

# The parameters that the tables and plots spread out. Everything else that shapes a result must be equal to compare.
AXES = ("mode", "batch", "prefix", "tree", "suffix")
# A parameter of needles that is its batch: each question is a sequence.
QUESTIONS = "param.questions"
# How long was measured; it does not shape what is measured.
EFFORT = ("warmup", "iterations", "max_iterations", "target_ci", "timeout")

# What must be equal too, and is no parameter: columns of Store.runs.
OWN_COLUMNS = ("store", "machine")

BASELINE = "noshared"
CEILING = "noattention"


@dataclass(frozen=True)
class Quantity:
    """What a workload is judged by: a median of /runs, as it is shown."""

    name: str
    unit: str
    per_second: float  # of the unit, where the quantity is a time
    phase: str         # whose samples show the distribution
    sample: str        # what one of them is
    higher_is_better: bool
    batch: str = "batch"  # what it calls the axis


QUANTITIES = {
    "generate": Quantity("decode throughput", "tokens/s", 1, "decode_step", "decode step", True),
    "attention": Quantity("attention time", "µs", 1e6, "attention", "call", False),
    "needles": Quantity("time to answer", "ms", 1e3, "total", "iteration", False, "questions"),
}


@dataclass
class Section:
    """Runs of one workload that differ in AXES only. `cells` has one row a cell:

    run, mode, batch, prefix, tree, suffix, status, reason
    value, lo, hi               the quantity's median and its 95 % interval (NaN: none below 6 samples)
    speedup, speedup_lo/_hi     over noshared at the same batch, prefix and suffix
    fraction, fraction_lo/_hi   of noattention's speed
    ceiling_prefix              where noattention was measured, if not at this prefix; else missing
    roofline                    fraction of the roofline's speed
    n, converged, step_s        samples; 1 if they converged; median of a decode step or a call, seconds
    accuracy                    questions answered rightly, of all (needles)
    """

    workload: str
    setting: dict  # parameter: value, the same for all cells
    differs: tuple  # the setting's parameters in which the sections of this workload differ
    cells: pd.DataFrame
    superseded: int = 0  # older measurements of these cells, left out
    quantity: Quantity = field(init=False)

    def __post_init__(self):
        self.quantity = QUANTITIES[self.workload]

    def title(self):
        names = [n for n in ("model", "dtype", "device", "tensor_parallel", "new_tokens") if n in self.setting]
        if self.workload == "attention":
            names = ["n_heads", "n_kv_heads", "head_dim", "dtype", "device", "tensor_parallel", "l2"]
        names += [n for n in self.differs if n not in names]
        bare = ("model", "dtype", "device", *OWN_COLUMNS)
        texts = [str(self.setting[n]) if n in bare else f"{n} {self.setting[n]}"
                 for n in names if self.setting.get(n) is not None]
        return f"{self.workload}: {', '.join(texts)}"

    def axis_name(self, axis):
        return self.quantity.batch if axis == "batch" else axis

    def modes(self):
        return sorted(self.cells["mode"].unique(), key=mode_rank)

    def varies(self, axis):
        """Whether cells differ in it. A tree that follows from the prefix is not one that varies."""
        if axis == "tree":
            return len(self.cells[["prefix", "tree"]].drop_duplicates()) > self.cells["prefix"].nunique(dropna=False)
        return self.cells[axis].nunique(dropna=False) > 1

    def measured(self):
        return self.cells[self.cells["value"].notna()]


def make_sections(runs):
    """The sections of all workloads that have a quantity, in the order in which their first runs stand in the store."""
    if runs.empty:
        return []
    runs = with_batches(runs)
    for name in ("workload", "mode", "batch"):
        if f"param.{name}" not in runs:
            raise StoreError(f"/runs has no column param.{name}")
    runs = runs[runs["param.workload"].isin(list(QUANTITIES))]
    names = [c[len("param."):] for c in runs.columns if c.startswith("param.") and c != QUESTIONS]
    fixed = [*OWN_COLUMNS, *(n for n in names if n not in AXES and n not in EFFORT)]
    groups = {}
    for index, key in zip(runs.index, _keys(runs, fixed)):
        groups.setdefault(key, []).append(index)
    settings = {key: dict(zip(fixed, key)) for key in groups}
    return [_make_section(runs.loc[rows], settings[key], _differing(settings, settings[key]["workload"]))
            for key, rows in groups.items()]


def with_batches(runs):
    """The runs with param.batch also where it is called questions."""
    if QUESTIONS not in runs:
        return runs
    batches = runs["param.batch"].fillna(runs[QUESTIONS]) if "param.batch" in runs else runs[QUESTIONS]
    return runs.assign(**{"param.batch": batches})


def _keys(runs, names):
    """One tuple a row, numbers as Python's; None for what is missing, or has no column because no run has it."""
    columns = []
    for name in names:
        column = name if name in OWN_COLUMNS else f"param.{name}"
        values = runs[column].astype(object) if column in runs else pd.Series(None, index=runs.index, dtype=object)
        columns.append(values.where(values.notna(), None))
    return list(zip(*columns))


def _differing(settings, workload):
    own = [setting for setting in settings.values() if setting["workload"] == workload]
    return tuple(name for name in own[0] if len({setting[name] for setting in own}) > 1)


def _make_section(runs, setting, differs):
    latest, superseded = _latest(runs)
    cells = pd.DataFrame(_keys(latest, AXES), columns=AXES, dtype=object)
    cells.insert(0, "run", latest.index)
    for column in ("status", "reason"):
        cells[column] = latest[column].to_numpy()
    _add_quantity(cells, latest, setting["workload"])
    cells = _with_ratios(cells, QUANTITIES[setting["workload"]].higher_is_better)
    return Section(setting["workload"], setting, differs, cells, superseded)


def _cell_order(cell):
    numbers = [-1 if cell[axis] is None else cell[axis] for axis in ("batch", "prefix", "suffix")]
    return (*numbers, cell["tree"] or "", mode_rank(cell["mode"]))


def _latest(runs):
    """One run a cell, the one that finished last, and how many others there were (older code, earlier attempts)."""
    ordered = runs.sort_values(["finished_unix_s", "attempt"], kind="stable")
    last = dict(zip(_keys(ordered, AXES), ordered.index))
    return runs.loc[sorted(last.values())], len(runs) - len(last)


def _column(runs, name):
    """A metric as floats; NaN where the store has no such column: no run of this kind left one."""
    if name not in runs:
        return np.full(len(runs), np.nan)
    return runs[name].astype(float).to_numpy()


def _add_quantity(cells, runs, workload):
    quantity = QUANTITIES[workload]
    if workload == "generate":
        # decode_tokens_per_s = batch (new_tokens - 1) / decode.median: its interval's ends are those of the time, turned.
        median = _column(runs, "decode.median")
        cells["value"] = _column(runs, "decode_tokens_per_s")
        cells["lo"] = cells["value"] * median / _column(runs, "decode.ci_hi")
        cells["hi"] = cells["value"] * median / _column(runs, "decode.ci_lo")
        cells["n"] = _column(runs, "decode.n")
    else:
        for name, metric in (("value", "median"), ("lo", "ci_lo"), ("hi", "ci_hi")):
            cells[name] = quantity.per_second * _column(runs, f"{quantity.phase}.{metric}")
        cells["n"] = _column(runs, f"{quantity.phase}.n")
    cells["step_s"] = _column(runs, "attention.median" if workload == "attention" else "decode_step.median")
    cells["accuracy"] = _column(runs, "accuracy")
    cells["roofline"] = _column(runs, "roofline_fraction")
    cells["converged"] = _column(runs, "converged")
    cells.loc[cells["status"] != "ok", ["value", "lo", "hi"]] = np.nan


def _with_ratios(cells, higher_is_better):
    """The cells in the order in which tables show them, with their ratios."""
    records = sorted(cells.to_dict("records"), key=_cell_order)
    references = {BASELINE: {}, CEILING: {}}
    for cell in records:
        if cell["mode"] in references and not np.isnan(cell["value"]):
            references[cell["mode"]][_place(cell)] = cell
    for cell in records:
        ceiling, cell["ceiling_prefix"] = _ceiling_of(_place(cell), references[CEILING])
        for name, reference in (("speedup", references[BASELINE].get(_place(cell))), ("fraction", ceiling)):
            ratio = _ratio(cell, reference, higher_is_better)
            cell[name], cell[f"{name}_lo"], cell[f"{name}_hi"] = ratio
    cells = pd.DataFrame(records, dtype=object)
    numbers = [c for c in cells if c not in ("run", *AXES, "status", "reason", "ceiling_prefix")]
    return cells.astype({"run": int, **dict.fromkeys(numbers, float)})


def _place(cell):
    return tuple(cell[axis] for axis in AXES if axis != "mode")


def _ceiling_of(place, ceilings):
    """noattention's run at this place, and None; else the one at the nearest prefix, and that prefix.

    Without attention nothing depends on the prefix, so a sweep measures it at one prefix (paper, appendix C.1).
    """
    if place in ceilings:
        return ceilings[place], None
    batch, prefix, _, suffix = place
    others = [key for key in ceilings if (key[0], key[3]) == (batch, suffix)]
    if not others:
        return None, None
    nearest = min(others, key=lambda key: (abs((key[1] or 0) - (prefix or 0)), key[1] or 0))
    return ceilings[nearest], nearest[1]


def _ratio(cell, reference, higher_is_better):
    """cell's speed over the reference's, with the ends that both intervals allow."""
    if reference is None:
        return (np.nan,) * 3
    if higher_is_better:
        return (cell["value"] / reference["value"], cell["lo"] / reference["hi"], cell["hi"] / reference["lo"])
    return (reference["value"] / cell["value"], reference["lo"] / cell["hi"], reference["hi"] / cell["lo"])
