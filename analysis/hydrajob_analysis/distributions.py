"""Plots of the samples themselves: a row a run, relative to its median; a dot a sample, a box over the quartiles, a line
from the 5th to the 95th percentile.
"""

import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator

from . import numbers
from .drawing import Plot, doubling_ticks, evenly, make_facets, mode_style

MAX_POINTS = 400  # of one run
MAX_ROWS = 30     # of one plot

# By workload: the axes that each plot has one value of, and the one whose values are left out where there are too many.
PLOTS = {"generate": (("batch",), "prefix"), "attention": (("batch", "prefix"), "suffix"),
         "needles": (("prefix",), "batch")}


def distribution_plots(section, samples):
    own = _slowest_rank(samples, section)
    plots = []
    split, limited = PLOTS[section.workload]
    measured = section.measured()
    for group in dict.fromkeys(zip(*(measured[name] for name in split))):
        cells = [c for c in measured.to_dict("records") if tuple(c[name] for name in split) == group and c["run"] in own]
        rows = _limit_rows(cells, limited)
        if rows:
            plots.append(_distribution(section, rows, own, dict(zip(split, group)), len(cells)))
    return plots


def _slowest_rank(samples, section):
    """{run: times in seconds, the slowest rank of each iteration and step, warm-up left out}."""
    chosen = samples[(samples["phase"] == section.quantity.phase) & ~samples["warmup"].astype(bool)
                     & samples["run"].isin(section.cells["run"])]
    slowest = chosen.groupby(["run", "iteration", "step"])["value"].max()
    return {run: times.to_numpy() for run, times in slowest.groupby(level="run")}


def _limit_rows(cells, axis):
    """At most MAX_ROWS rows: whole values of the axis, evenly chosen."""
    values = list(dict.fromkeys(c[axis] for c in cells))
    per_value = max((sum(c[axis] == v for c in cells) for v in values), default=1)
    kept = evenly(values, max(1, MAX_ROWS // per_value))
    return [c for c in cells if c[axis] in kept]


def _distribution(section, rows, times, place, n_cells):
    figure, (axis,) = make_facets(1, [], width=6.4, height=0.24 * len(rows), left=1.75, right=1.3)
    relative = [times[cell["run"]] / np.median(times[cell["run"]]) for cell in rows]
    for y, (cell, samples) in enumerate(zip(rows, relative)):
        _draw_distribution(axis, y, samples, mode_style(cell["mode"])[0])
        axis.text(1.015, y, f"{numbers.duration(np.median(times[cell['run']]))}, n {len(samples)}", va="center",
                  fontsize=8, transform=axis.get_yaxis_transform())
    for y in range(1, len(rows)):
        if _row_place(rows[y]) != _row_place(rows[y - 1]):
            axis.axhline(y - 0.5, color="#bbbbbb", linewidth=0.6)
    axis.axvline(1, color="#777777", linewidth=0.8, zorder=1)
    axis.set_yticks(range(len(rows)), [_row_label(section, cell, place) for cell in rows])
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.grid(False, axis="y")
    axis.tick_params(axis="y", length=0)
    _scale_relative(axis, np.concatenate(relative))
    name = section.quantity.sample
    axis.set_xlabel(f"{name} / its median")
    where = ", ".join(f"{section.axis_name(key)} {value}" for key, value in place.items())
    axis.set_title(f"{where}: every {name}, slowest rank", loc="left")
    axis.text(1.015, 1.0, "median", transform=axis.transAxes, va="bottom", fontsize=8)
    caption = (f"Every {name} relative to its run's median, {where}. Box: quartiles and median; line: 5th to 95th "
               f"percentile; dots: samples (at most {MAX_POINTS} a run drawn).")
    if len(rows) < n_cells:
        caption += f" {len(rows)} of {n_cells} runs, evenly chosen."
    return Plot("-".join([section.workload, "distribution", *(f"{k}{v}" for k, v in place.items())]), caption, figure)


def _scale_relative(axis, values):
    low, high = np.min(values), np.max(values)
    if low > 0 and high / low > 4:
        axis.set_xscale("log", base=2)
        doubling_ticks(axis.xaxis, low, high)
    else:
        axis.xaxis.set_major_locator(MaxNLocator(8))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _draw_distribution(axis, y, times, colour):
    low, first, middle, third, high = np.percentile(times, [5, 25, 50, 75, 95])
    dots = times[np.linspace(0, len(times) - 1, min(len(times), MAX_POINTS)).astype(int)]
    jitter = np.random.default_rng(0).uniform(-0.28, 0.28, len(dots))
    axis.scatter(dots, y + jitter, s=5, color=colour, alpha=0.35, linewidths=0, zorder=2, rasterized=len(dots) > 100)
    axis.plot([low, high], [y, y], color=colour, linewidth=1, zorder=3)
    axis.barh(y, third - first, left=first, height=0.56, facecolor="none", edgecolor=colour, linewidth=1.1, zorder=3)
    axis.plot([middle, middle], [y - 0.28, y + 0.28], color=colour, linewidth=2, solid_capstyle="butt", zorder=4)


def _row_place(cell):
    return (cell["batch"], cell["prefix"], cell["tree"], cell["suffix"])


def _row_label(section, cell, place):
    varied = [n for n in ("batch", "prefix", "tree", "suffix")
              if n not in place and section.varies(n) and cell[n] is not None]
    return "  ".join([*(f"{section.axis_name(name)} {cell[name]}" for name in varied), cell["mode"]])
