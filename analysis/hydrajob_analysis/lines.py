"""Plots over prefix, batch or suffix: a panel for each combination of the other axes, a line a mode, bars for the 95 %
intervals.
"""

from itertools import cycle

import numpy as np
from matplotlib.lines import Line2D

from .cells import BASELINE, CEILING
from .drawing import (SERIES_STYLE, Plot, draw_legend, evenly, facet_title, label_axes, make_facets, mode_style, scale_x,
                      scale_y)
from .schema import mode_rank

MAX_FACETS = 12


def line_plots(section, x):
    others = [axis for axis in ("batch", "prefix", "tree", "suffix") if axis != x and
              (axis != "tree" or section.varies("tree"))]
    series = _series(section, x, others)
    if not any(len(cells) > 1 for lines in series.values() for cells in lines.values()):
        return []
    facets = evenly(list(series), MAX_FACETS)
    missing = section.cells[section.cells["value"].isna()].to_dict("records")
    crossed = any(_place(c, others) in facets for c in missing)
    handles = _mode_handles(section, series, crossed)
    figure, axes = make_facets(len(facets), [handle.get_label() for handle in handles])
    values = [c["value"] for facet in facets for cells in series[facet].values() for c in cells]
    ticks = sorted({c[x] for lines in series.values() for cells in lines.values() for c in cells})
    for axis, facet in zip(axes, facets):
        for mode, cells in series[facet].items():
            _draw_line(axis, mode, cells, x, ticks)
        _draw_missing(axis, [c for c in missing if _place(c, others) == facet], x)
        axis.set_title(facet_title(section, others, facet), loc="left")
        scale_x(axis, ticks + [c[x] for c in missing])
        scale_y(axis, values)
    label_axes(figure, axes, _axis_label(section, x), section)
    draw_legend(figure, handles)
    caption = f"{section.quantity.name.capitalize()} by {section.axis_name(x)}. Bars: 95 % interval of the median."
    if len(facets) < len(series):
        caption += f" {len(facets)} of {len(series)} panels, evenly chosen."
    return [Plot(f"{section.workload}-by-{section.axis_name(x)}", caption, figure)]


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
    colour, marker = mode_style(mode)
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
        axis.plot([cell[x]], [height], marker="x", color=mode_style(cell["mode"])[0], markersize=5, linestyle="none",
                  transform=axis.get_xaxis_transform(), clip_on=False, zorder=4)


def _mode_handles(section, series, crossed):
    drawn = {mode for lines in series.values() for mode in lines}
    modes = [mode for mode in section.modes() if mode in drawn or crossed]
    if not section.quantity.higher_is_better:
        modes.reverse()
    handles = [Line2D([], [], color=mode_style(m)[0], marker=mode_style(m)[1], markersize=4, linewidth=1.3, label=m,
                      linestyle="--" if m == CEILING else "-") for m in modes]
    if crossed:
        handles.append(Line2D([], [], color="#777777", marker="x", linestyle="none", markersize=5, label="no result"))
    return handles


def speedup_plots(section, x):
    """The paper's figure 4: how much faster than noshared, a panel a mode, a line for each place of the other axes."""
    modes = [m for m in section.modes() if m not in (BASELINE, CEILING)]
    cells = [c for c in section.measured().to_dict("records") if np.isfinite(c["speedup"]) and c["mode"] in modes]
    if not cells:
        return []
    modes = [m for m in modes if any(c["mode"] == m for c in cells)]
    others = [axis for axis in ("batch", "prefix", "tree", "suffix") if axis != x]
    places = list(dict.fromkeys(_place(c, others) for c in cells))
    handles = [Line2D([], [], color=colour, marker=marker, markersize=4, label=facet_title(section, others, place))
               for place, (colour, marker) in zip(places, cycle(SERIES_STYLE))]
    figure, axes = make_facets(len(modes), [handle.get_label() for handle in handles], width=4.4, height=2.8)
    for axis, mode in zip(axes, modes):
        for place, style in zip(places, cycle(SERIES_STYLE)):
            _draw_speedup(axis, [c for c in cells if c["mode"] == mode and _place(c, others) == place], x, style)
        axis.axhline(1, color="#777777", linewidth=0.8)
        axis.set_title(mode, loc="left")
        scale_x(axis, [c[x] for c in cells])
        scale_y(axis, [1, *(c["speedup"] for c in cells)])
    label_axes(figure, axes, _axis_label(section, x), None, f"speed-up over {BASELINE}")
    draw_legend(figure, handles)
    name = section.axis_name(x)
    return [Plot(f"{section.workload}-speedup-by-{name}", f"Speed-up over {BASELINE} by {name}. Bars: what both 95 % "
                 "intervals allow.", figure)]


def _draw_speedup(axis, cells, x, style):
    values = np.array([c["speedup"] for c in cells])
    low, high = (np.array([c[f"speedup_{end}"] for c in cells]) for end in ("lo", "hi"))
    axis.errorbar([c[x] for c in cells], values, yerr=np.nan_to_num([values - low, high - values]),
                  color=style[0], marker=style[1], linewidth=1.3, elinewidth=1, **_sizes(cells))


def _sizes(cells):
    """Of markers and caps: smaller where there are many."""
    return {"markersize": 4, "capsize": 2.5} if len(cells) <= 16 else {"markersize": 2.5, "capsize": 0}


def _axis_label(section, x):
    if x == "batch":
        return "batch (completions)" if section.axis_name(x) == x else section.axis_name(x)
    return f"{x} (tokens)"
