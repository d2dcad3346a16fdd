"""The plots of a report: lines over prefix, batch or suffix with 95 % intervals, and the distribution of the samples.

Drawn off screen. Colours after Okabe and Ito, which colour-blind readers can tell apart; each mode also has a marker.
"""

from dataclasses import dataclass
from itertools import cycle

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from . import numbers
from .cells import BASELINE, CEILING
from .schema import mode_rank

STYLE = {
    "font.size": 8.5, "axes.titlesize": 9, "axes.labelsize": 8.5, "legend.fontsize": 8.5, "xtick.labelsize": 8,
    "ytick.labelsize": 8, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "grid.color": "#e4e4e4", "grid.linewidth": 0.6, "axes.edgecolor": "#777777", "axes.axisbelow": True,
    "svg.fonttype": "path", "svg.hashsalt": "hydrajob",
}
MODE_STYLE = {
    "noattention": ("#555555", "D"), "hydragen": ("#0072B2", "o"), "auto": ("#009E73", "v"), "paged": ("#E69F00", "^"),
    "noshared": ("#D55E00", "s"), "vllm_notok": ("#56B4E9", "P"), "vllm": ("#CC79A7", "X"),
}
SERIES_STYLE = list(MODE_STYLE.values())[1:] + [MODE_STYLE["noattention"]]

# Inches.
FACET_WIDTH, FACET_HEIGHT, GAP_X, GAP_Y = 2.75, 2.1, 0.65, 0.62
LEFT, RIGHT, BOTTOM = 0.75, 0.15, 0.55
TITLE, LEGEND_LINE = 0.34, 0.2  # above the facets: their titles, and each line of the legend
MAX_FACETS = 12
MAX_POINTS = 400  # of one run in a strip
MAX_ROWS = 30     # of one distribution plot


@dataclass
class Plot:
    name: str     # of its file
    caption: str
    figure: Figure

    def save_svg(self, target):
        """To a path or a binary file; the same figure gives the same bytes."""
        with matplotlib.rc_context(STYLE):
            self.figure.savefig(target, format="svg", metadata={"Date": None}, dpi=150)


def section_plots(section, samples):
    """All plots of a section; those without at least two points to compare are left out."""
    with matplotlib.rc_context(STYLE):
        plots = []
        for x in ("prefix", "batch", "suffix") if section.workload == "generate" else ("suffix", "prefix", "batch"):
            if section.workload == "attention" and plots:
                break
            plots += line_plots(section, x)
        if section.workload == "attention" and plots:
            plots += speedup_plots(section)
        return [*plots, *distribution_plots(section, samples)]


# Lines: a facet for each combination of the other axes, a line a mode.

def line_plots(section, x):
    others = [axis for axis in ("batch", "prefix", "tree", "suffix") if axis != x and
              (axis != "tree" or section.varies("tree"))]
    series = _series(section, x, others)
    if not any(len(cells) > 1 for lines in series.values() for cells in lines.values()):
        return []
    facets = _evenly(list(series), MAX_FACETS)
    missing = section.cells[section.cells["value"].isna()].to_dict("records")
    crossed = any(_place(c, others) in facets for c in missing)
    handles = _mode_handles(section, series, crossed)
    figure, axes = _facets(len(facets), [handle.get_label() for handle in handles])
    values = [c["value"] for facet in facets for cells in series[facet].values() for c in cells]
    ticks = sorted({c[x] for lines in series.values() for cells in lines.values() for c in cells})
    for axis, facet in zip(axes, facets):
        for mode, cells in series[facet].items():
            _draw_line(axis, mode, cells, x, ticks)
        _draw_missing(axis, [c for c in missing if _place(c, others) == facet], x)
        axis.set_title(_facet_title(section, others, facet), loc="left")
        _scale_x(axis, ticks + [c[x] for c in missing])
        _scale_y(axis, values)
    _label(figure, axes, f"{x} (tokens)" if x != "batch" else "batch (completions)", section)
    _legend(figure, handles)
    caption = f"{section.quantity.name.capitalize()} by {x}. Bars: 95 % interval of the median."
    if len(facets) < len(series):
        caption += f" {len(facets)} of {len(series)} panels, evenly chosen."
    return [Plot(f"{section.workload}-by-{x}", caption, figure)]


def _place(cell, axes):
    return tuple(cell[axis] for axis in axes)


def _series(section, x, others):
    """{facet: {mode: cells in the order of x}}. A noattention run at a single prefix stands in every facet."""
    cells = section.measured().sort_values(x, kind="stable").to_dict("records")
    ceiling = [cell for cell in cells if cell["mode"] == CEILING]
    single = len({(cell["prefix"], cell["tree"]) for cell in ceiling}) == 1
    facets = {}
    for cell in section.cells.to_dict("records"):
        if not (single and cell["mode"] == CEILING and len(section.modes()) > 1):
            facets.setdefault(_place(cell, others), {})
    for facet, lines in facets.items():
        for mode in section.modes():
            own = [c for c in cells if c["mode"] == mode and _in_facet(c, others, facet, single and mode == CEILING)]
            if own:
                lines[mode] = own
    return facets


def _in_facet(cell, others, facet, any_prefix):
    return all(cell[other] == value for other, value in zip(others, facet)
               if not (any_prefix and other in ("prefix", "tree")))


def _draw_line(axis, mode, cells, x, ticks):
    colour, marker = _style(mode)
    places, values = [c[x] for c in cells], np.array([c["value"] for c in cells])
    bars = np.nan_to_num([[c["value"] - c["lo"] for c in cells], [c["hi"] - c["value"] for c in cells]])
    dashed = mode == CEILING
    axis.errorbar(places, values, yerr=bars, color=colour, marker=marker, linewidth=1.3, elinewidth=1, **_sizes(cells),
                  linestyle="--" if dashed else "-", zorder=2 if dashed else 3)
    if dashed and x == "prefix" and len(cells) == 1 and len(ticks) > 1:
        axis.axhline(values[0], color=colour, linestyle="--", linewidth=1.3, zorder=2)


def _draw_missing(axis, cells, x):
    """A cross at the foot of the plot for each cell that has no result, in its mode's colour."""
    modes = sorted({cell["mode"] for cell in cells}, key=mode_rank)
    for cell in cells:
        height = 0.035 + 0.055 * modes.index(cell["mode"])
        axis.plot([cell[x]], [height], marker="x", color=_style(cell["mode"])[0], markersize=5, linestyle="none",
                  transform=axis.get_xaxis_transform(), clip_on=False, zorder=4)


def speedup_plots(section):
    """The paper's figure 4: how much faster than noshared, by suffix, a line for each batch and prefix."""
    modes = [m for m in section.modes() if m not in (BASELINE, CEILING)]
    cells = [c for c in section.measured().to_dict("records") if np.isfinite(c["speedup"]) and c["mode"] in modes]
    modes = [m for m in modes if any(c["mode"] == m for c in cells)]
    if not cells:
        return []
    axes_apart = ("batch", "prefix", "tree")
    groups = list(dict.fromkeys(_place(c, axes_apart) for c in cells))
    handles = [Line2D([], [], color=colour, marker=marker, markersize=4, label=_facet_title(section, axes_apart, group))
               for group, (colour, marker) in zip(groups, cycle(SERIES_STYLE))]
    figure, axes = _facets(len(modes), [handle.get_label() for handle in handles], width=4.4, height=2.8)
    for axis, mode in zip(axes, modes):
        own = [c for c in cells if c["mode"] == mode]
        for group, style in zip(groups, cycle(SERIES_STYLE)):
            _draw_speedup(axis, [c for c in own if _place(c, axes_apart) == group], style)
        axis.axhline(1, color="#777777", linewidth=0.8)
        axis.set_title(mode, loc="left")
        _scale_x(axis, [c["suffix"] for c in cells])
        _scale_y(axis, [1, *(c["speedup"] for c in cells)])
    _label(figure, axes, "suffix (tokens)", None, f"speed-up over {BASELINE}")
    _legend(figure, handles)
    return [Plot(f"{section.workload}-speedup", f"Speed-up over {BASELINE} by suffix. Bars: what both 95 % intervals "
                 "allow.", figure)]


def _draw_speedup(axis, cells, style):
    values = np.array([c["speedup"] for c in cells])
    low, high = (np.array([c[f"speedup_{end}"] for c in cells]) for end in ("lo", "hi"))
    axis.errorbar([c["suffix"] for c in cells], values, yerr=np.nan_to_num([values - low, high - values]),
                  color=style[0], marker=style[1], linewidth=1.3, elinewidth=1, **_sizes(cells))


def _sizes(cells):
    """Of markers and caps: smaller where there are many."""
    return {"markersize": 4, "capsize": 2.5} if len(cells) <= 16 else {"markersize": 2.5, "capsize": 0}


# Distributions: one row a run, every sample a dot, a box over the quartiles, a line from the 5th to the 95th percentile.

def distribution_plots(section, samples):
    own = _slowest_rank(samples, section)
    plots = []
    split = ("batch",) if section.workload == "generate" else ("batch", "prefix")
    measured = section.measured()
    for group in dict.fromkeys(zip(*(measured[name] for name in split))):
        cells = [c for c in measured.to_dict("records") if tuple(c[name] for name in split) == group and c["run"] in own]
        rows = _limit_rows(cells, "prefix" if section.workload == "generate" else "suffix")
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
    kept = _evenly(values, max(1, MAX_ROWS // per_value))
    return [c for c in cells if c[axis] in kept]


def _distribution(section, rows, times, place, n_cells):
    figure, (axis,) = _facets(1, [], width=6.4, height=0.24 * len(rows), left=1.75, right=1.3)
    relative = [times[cell["run"]] / np.median(times[cell["run"]]) for cell in rows]
    for y, (cell, samples) in enumerate(zip(rows, relative)):
        _draw_distribution(axis, y, samples, _style(cell["mode"])[0])
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
    where = ", ".join(f"{key} {value}" for key, value in place.items())
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
        _double(axis.xaxis, low, high)
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
    return (cell["prefix"], cell["tree"], cell["suffix"])


def _row_label(section, cell, place):
    varied = [n for n in ("prefix", "tree", "suffix") if n not in place and section.varies(n) and cell[n] is not None]
    return "  ".join([*(f"{name} {cell[name]}" for name in varied), cell["mode"]])


# What the figures share.

def _style(mode):
    return MODE_STYLE.get(mode, ("#000000", "*"))


def _evenly(items, limit):
    """At most `limit` of the items, first and last among them."""
    if len(items) <= limit:
        return items
    return [items[i] for i in np.unique(np.linspace(0, len(items) - 1, limit).round().astype(int))]


def _facets(count, labels, width=FACET_WIDTH, height=FACET_HEIGHT, left=LEFT, right=RIGHT):
    """A figure and its axes, in rows, placed in inches so that nothing overlaps; above them room for a legend."""
    columns = _columns(count)
    lines = -(-count // columns)
    total_width = max(left + columns * width + (columns - 1) * GAP_X + right, 5.2)
    top = TITLE + LEGEND_LINE * _legend_lines(labels, total_width)
    total_height = top + lines * height + (lines - 1) * GAP_Y + BOTTOM
    figure = Figure(figsize=(total_width, total_height))
    FigureCanvasAgg(figure)
    axes = []
    for index in range(count):
        line, column = divmod(index, columns)
        x = left + column * (width + GAP_X)
        y = total_height - top - (line + 1) * height - line * GAP_Y
        axes.append(figure.add_axes((x / total_width, y / total_height, width / total_width, height / total_height)))
    return figure, axes


def _columns(count):
    return 2 if count in (2, 4) else min(count, 3)


def _legend_lines(labels, width):
    return -(-len(labels) // _legend_columns(labels, width)) if labels else 0


def _legend_columns(labels, width):
    """How many entries fit beside each other: each takes its line, the gap and about 0.07 inches a character."""
    entry = 0.62 + 0.07 * max(map(len, labels))
    return max(1, min(len(labels), int((width - LEFT) / entry)))


def _facet_title(section, others, facet):
    shown = [(name, value) for name, value in zip(others, facet) if value not in (None, "") and
             (name in ("batch", "prefix") or section.varies(name))]
    return ", ".join(f"{name} {value}" for name, value in shown)


def _label(figure, axes, x_label, section, y_label=None):
    y_label = y_label or f"{section.quantity.name} ({section.quantity.unit})"
    columns = _columns(len(axes))
    for index, axis in enumerate(axes):
        if index + columns >= len(axes):
            axis.set_xlabel(x_label)
        if index % columns == 0:
            axis.set_ylabel(y_label)


def _legend(figure, handles):
    width, height = figure.get_size_inches()
    labels = [handle.get_label() for handle in handles]
    figure.legend(handles=handles, loc="upper left", ncol=_legend_columns(labels, width), frameon=False,
                  bbox_to_anchor=((LEFT - 0.05) / width, 1 - 0.06 / height), borderaxespad=0, borderpad=0,
                  columnspacing=1.4, handlelength=2.4)


def _mode_handles(section, series, crossed):
    drawn = {mode for lines in series.values() for mode in lines}
    modes = [mode for mode in section.modes() if mode in drawn or crossed]
    if not section.quantity.higher_is_better:
        modes.reverse()
    handles = [Line2D([], [], color=_style(m)[0], marker=_style(m)[1], markersize=4, linewidth=1.3, label=m,
                      linestyle="--" if m == CEILING else "-") for m in modes]
    if crossed:
        handles.append(Line2D([], [], color="#777777", marker="x", linestyle="none", markersize=5, label="no result"))
    return handles


def _scale_x(axis, values):
    """Base-2 logarithm where the values are spread so; ticks at the values themselves while they fit."""
    values = sorted(set(values))
    positive = [v for v in values if v > 0]
    if len(positive) > 2 and _geometric(positive):
        linear_below = {"linthresh": positive[0], "linscale": 0.5} if values[0] <= 0 else {}
        axis.set_xscale("symlog" if linear_below else "log", base=2, **linear_below)
        axis.xaxis.set_major_locator(FixedLocator(_evenly(values, 6)))
    elif len(values) <= 6:
        axis.xaxis.set_major_locator(FixedLocator(values))
    else:
        axis.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axis.xaxis.set_minor_locator(NullLocator())
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _geometric(values):
    """Whether the ratios between neighbours vary less than their differences."""
    ratios, differences = np.diff(np.log(values)), np.diff(values)
    return np.std(ratios) / np.mean(ratios) < np.std(differences) / np.mean(differences)


def _scale_y(axis, values):
    """From zero while the values lie within a factor of 8, else logarithmic."""
    low, high = min(values), max(values)
    if low > 0 and high / low > 8:
        axis.set_yscale("log", base=2)
        axis.set_ylim(low / 2.2, high * 1.3)
        _double(axis.yaxis, low / 2.2, high * 1.3)
    else:
        axis.set_ylim(0, high * 1.1)
        axis.yaxis.set_major_locator(MaxNLocator(6))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))


def _double(axis, low, high):
    """Ticks that double, or quadruple: … 500, 1,000, 2,000 …; below 30: … 0.5, 1, 2, 4 …"""
    unit = 1000 if low >= 30 else 1
    powers = np.arange(np.ceil(np.log2(low / unit)), np.floor(np.log2(high / unit)) + 1)
    axis.set_major_locator(FixedLocator(unit * 2.0 ** powers[::1 + len(powers) // 9]))
    axis.set_minor_locator(NullLocator())
