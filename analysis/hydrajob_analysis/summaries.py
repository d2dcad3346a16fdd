"""The tables of a report: results by cell, what could not be measured and why, what ran where."""

import numpy as np
import pandas as pd

from . import numbers
from .cells import BASELINE, CEILING, with_batches
from .schema import IDLE, STATUSES, THROTTLE_REASONS, mode_rank
from .tables import Table


def status_line(runs):
    counts = runs["status"].value_counts()
    parts = [f"{counts[status]:,} {status.replace('_', ' ')}" for status in STATUSES if status in counts]
    return f"{numbers.count(len(runs), 'run')}: {', '.join(parts)}" if parts else "no runs"


def condition_line(store):
    """The clocks of the devices while they were measured, what held them down, and how many runs had neighbours; empty
    where there is nothing to tell."""
    return "; ".join(part for part in (*_device_conditions(store), _neighbours(store.runs)) if part)


def _device_conditions(store):
    if not store.tells_conditions:
        return []
    samples = store.samples
    samples = samples[~samples["warmup"].astype(bool)]
    reasons = samples["throttle_reasons"]
    # A device that was done before it was asked tells what it does when idle.
    idle = ((reasons.fillna(0) & ~np.int64(IDLE)) == 0) & ((reasons.fillna(0) & IDLE) != 0)
    parts = [_clock_range(samples.loc[~idle, "sm_clock_mhz"].dropna())]
    parts.append(_throttled(reasons.dropna()))
    if idle.any():
        parts.append(f"{numbers.count(int(idle.sum()), 'sample')} read when idle")
    return parts


def _neighbours(runs):
    beside = int((runs["concurrent"] > 0).sum())
    return f"{beside:,} of {numbers.count(len(runs), 'run')} ran beside others" if beside else ""


def _clock_range(clocks):
    if clocks.empty:
        return ""
    low, high = f"{clocks.min():,.0f}", f"{clocks.max():,.0f}"
    return f"SM clock {low} MHz" if low == high else f"SM clock {low}{numbers.DASH}{high} MHz"


def _throttled(reasons):
    """"12 of 340 samples throttled (3.5 %): power cap 12, power brake 2": a sample may have several reasons."""
    if reasons.empty:
        return ""
    bits = reasons.to_numpy(dtype=np.int64) & ~np.int64(IDLE)
    throttled = int((bits != 0).sum())
    if not throttled:
        return f"none of {numbers.count(len(bits), 'sample')} throttled"
    counts = {name: int(((bits & bit) != 0).sum()) for bit, name in THROTTLE_REASONS.items()}
    counts["another reason"] = int(((bits & ~np.int64(sum(THROTTLE_REASONS))) != 0).sum())
    told = ", ".join(f"{name} {count:,}" for name, count in counts.items() if count)
    return (f"{throttled:,} of {numbers.count(len(bits), 'sample')} throttled "
            f"({numbers.percent(throttled / len(bits))}): {told}")


def result_table(section):
    """Every cell of the section on its own line: the quantity, its interval and its ratios."""
    always = {"batch", "prefix", "mode"} | ({"suffix"} if section.workload == "attention" else set())
    axes = [axis for axis in ("batch", "prefix", "tree", "suffix", "mode") if axis in always or section.varies(axis)]
    columns = [*axes, section.quantity.unit, "95 % interval", f"× {BASELINE}", f"of {CEILING}", "of roofline",
               _step_name(section), "accuracy", "n"]
    reasons = {}
    rows = [_result_row(cell, axes, section, reasons) for cell in section.cells.to_dict("records")]
    keep = [i for i, column in enumerate(columns) if column in axes or any(row[i] for row in rows)]
    return Table(
        title=f"{section.title()} — {section.quantity.name}, {section.quantity.unit}",
        columns=[section.axis_name(columns[i]) for i in keep],
        rows=[[row[i] for i in keep] for row in rows],
        left=frozenset(("mode", "tree")),
        breaks=_breaks(section.cells),
        notes=_notes(section, reasons),
    )


def _step_name(section):
    return "per call" if section.workload == "attention" else "decode step"


def _result_row(cell, axes, section, reasons):
    row = [_axis_text(cell[axis]) for axis in axes]
    if pd.isna(cell["value"]):
        return [*row, _why_missing(cell, section, reasons), *[""] * 7]
    mark = "*" if cell["ceiling_prefix"] is not None else ""
    fraction = numbers.percent(cell["fraction"])
    step = "" if section.workload == "attention" else numbers.duration(cell["step_s"])
    return [*row, numbers.significant(cell["value"]) + ("" if cell["converged"] != 0 else "~"),
            numbers.interval(cell["lo"], cell["hi"], cell["value"]), numbers.ratio(cell["speedup"]),
            fraction + mark if fraction else "", numbers.percent(cell["roofline"]), step,
            numbers.percent(cell["accuracy"]), _axis_text(cell["n"])]


def _axis_text(value):
    if value is None or pd.isna(value):
        return numbers.DASH
    return value if isinstance(value, str) else f"{value:.0f}"


def _why_missing(cell, section, reasons):
    """"skipped [1]": the number stands for the reason, told below the table."""
    why = (cell["status"], cell["reason"] or "")
    if why == ("ok", ""):
        why = ("ok", f"the store holds no {section.quantity.name} of it")
    return f"{cell['status'].replace('_', ' ')} [{reasons.setdefault(why, len(reasons) + 1)}]"


def _breaks(cells):
    """A gap before each new (batch, prefix); before each new batch where the groups would be single lines."""
    keys = list(zip(cells["batch"], cells["prefix"], cells["tree"]))
    if len(set(keys)) == len(keys):
        keys = list(cells["batch"])
    return frozenset(i for i in range(1, len(keys)) if keys[i] != keys[i - 1])


def _notes(section, reasons):
    notes = [f"[{number}] {status.replace('_', ' ')}: {reason}" for (status, reason), number in reasons.items()]
    cells = section.cells
    if (cells["converged"] == 0).any():
        notes.append("~ not converged: the interval is wider than target_ci asks for, or there are fewer than 6 samples")
    if cells["ceiling_prefix"].notna().any():
        prefixes = ", ".join(f"{p:.0f}" for p in sorted(set(cells["ceiling_prefix"].dropna())))
        notes.append(f"* {CEILING} does not depend on the prefix: its run at prefix {prefixes} stands for this one")
    if section.measured()["lo"].isna().any():
        notes.append("No interval: fewer than 6 samples.")
    if section.superseded:
        notes.append(f"{numbers.count(section.superseded, 'older measurement')} of these cells left out; runs.csv has all.")
    return notes


def grid_tables(section):
    """The quantity, its ratio to noshared and to noattention, each in the form of the paper's tables."""
    kinds = (("value", f"{section.quantity.name.capitalize()}, {section.quantity.unit}", numbers.significant),
             ("speedup", f"Speed-up over {BASELINE}", numbers.ratio),
             ("fraction", f"Fraction of {CEILING}'s speed", numbers.percent))
    tables = [_grid_table(section, *kind) for kind in kinds]
    return [table for table in tables if table.rows]


def _grid_table(section, column, title, show):
    """generate: a row for each batch and mode, a column for each prefix; attention: a column for each mode."""
    across = "mode" if section.workload == "attention" else "prefix"
    axes = ["batch", "prefix", "tree", "suffix"] if across == "mode" else ["batch", "tree", "suffix", "mode"]
    down = [axis for axis in axes if axis not in ("tree", "suffix") or section.varies(axis)]
    left_out = {"value": (), "speedup": (BASELINE, CEILING), "fraction": (CEILING,)}[column]
    rows, columns = {}, {}
    for cell in section.cells.to_dict("records"):
        if cell["mode"] in left_out:
            continue
        columns[cell[across]] = None
        text = "X" if pd.isna(cell["value"]) else show(cell[column])
        rows.setdefault(tuple(cell[axis] for axis in down), {})[cell[across]] = text
    if column != "value":
        rows = {key: row for key, row in rows.items() if set(row.values()) - {"", "X"}}
    order = sorted(columns, key=mode_rank if across == "mode" else _number_rank)
    keys = list(rows)
    outer = len(down) - 1
    return Table(
        title=title,
        columns=[*map(section.axis_name, down), *(v if across == "mode" else f"{across} {_axis_text(v)}" for v in order)],
        rows=[[*map(_axis_text, key), *(rows[key].get(v, "") for v in order)] for key in keys],
        left=frozenset({"mode", "tree"}.intersection(down)),
        breaks=frozenset(i for i in range(1, len(keys)) if keys[i][:outer] != keys[i - 1][:outer]),
        notes=["X: no result; the reason stands below."] if any("X" in row.values() for row in rows.values()) else [],
    )


def _number_rank(value):
    return -1 if value is None else value


def unmeasured_table(runs):
    """Runs that are not ok, counted by status, mode and reason."""
    runs = with_batches(runs[runs["status"] != "ok"])
    groups = {}
    for run in runs.to_dict("records"):
        key = (run["status"].replace("_", " "), run["param.mode"], run["reason"] or "")
        groups.setdefault(key, []).append(f"{_axis_text(run['param.batch'])}/{_axis_text(run.get('param.prefix'))}")
    rows = [[status, mode, str(len(places)), _first_few(places), reason]
            for (status, mode, reason), places in groups.items()]
    return Table("Not measured", ["status", "mode", "runs", "batch/prefix", "reason"], rows,
                 left=frozenset(["status", "mode", "batch/prefix", "reason"]))


def _first_few(texts, limit=6):
    texts = list(dict.fromkeys(texts))
    return ", ".join(texts[:limit]) + (f" and {len(texts) - limit} more" if len(texts) > limit else "")


def environment_tables(store):
    """What is the same in all environments, then what differs, a column an environment."""
    environments = store.environments
    keys = [column for column in environments.columns if column.startswith("env.")]
    texts = {key: [_value_text(value) for value in environments[key]] for key in keys}
    common = [[key[len("env."):], values[0]] for key, values in texts.items() if len(set(values)) == 1]
    tables = [Table("Environment" if len(environments) == 1 else "Environment: the same in all", ["what", "value"],
                    common, left=frozenset(["what", "value"]))]
    if len(environments) > 1:
        names = [f"environment {i}" for i in environments.index]
        counts = store.runs["environment"].value_counts()
        rows = [["runs", *(str(counts.get(i, 0)) for i in environments.index)]]
        rows += [[key[len("env."):], *values] for key, values in texts.items() if len(set(values)) > 1]
        tables.append(Table("Environments: what differs", ["what", *names], rows, left=frozenset(["what", *names])))
    return tables


def _value_text(value):
    """["n1", "n1"] → "n1 (all 2)": most often the ranks are alike."""
    if isinstance(value, list):
        if len(value) > 1 and all(item == value[0] for item in value):
            return f"{value[0]} (all {len(value)})"
        return ", ".join(map(str, value))
    return numbers.DASH if value is None or value != value else str(value)
