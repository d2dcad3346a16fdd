"""What the plots share: style, panels placed in inches, legends, axes.

Drawn off screen. Colours after Okabe and Ito, which colour-blind readers can tell apart; each mode also has a marker.
"""

from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

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


@dataclass
class Plot:
    name: str     # of its file
    caption: str
    figure: Figure

    def save_svg(self, target):
        """To a path or a binary file; the same figure gives the same bytes."""
        with matplotlib.rc_context(STYLE):
            self.figure.savefig(target, format="svg", metadata={"Date": None}, dpi=150)


def mode_style(mode):
    return MODE_STYLE.get(mode, ("#000000", "*"))


def evenly(items, limit):
    """At most `limit` of the items, first and last among them."""
    if len(items) <= limit:
        return items
    return [items[i] for i in np.unique(np.linspace(0, len(items) - 1, limit).round().astype(int))]


def make_facets(count, labels, width=FACET_WIDTH, height=FACET_HEIGHT, left=LEFT, right=RIGHT):
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


def facet_title(section, others, facet):
    shown = [(name, value) for name, value in zip(others, facet) if value not in (None, "") and
             (name in ("batch", "prefix") or section.varies(name))]
    return ", ".join(f"{section.axis_name(name)} {value}" for name, value in shown)


def label_axes(figure, axes, x_label, section, y_label=None):
    y_label = y_label or f"{section.quantity.name} ({section.quantity.unit})"
    columns = _columns(len(axes))
    for index, axis in enumerate(axes):
        if index + columns >= len(axes):
            axis.set_xlabel(x_label)
        if index % columns == 0:
            axis.set_ylabel(y_label)


def draw_legend(figure, handles):
    width, height = figure.get_size_inches()
    labels = [handle.get_label() for handle in handles]
    figure.legend(handles=handles, loc="upper left", ncol=_legend_columns(labels, width), frameon=False,
                  bbox_to_anchor=((LEFT - 0.05) / width, 1 - 0.06 / height), borderaxespad=0, borderpad=0,
                  columnspacing=1.4, handlelength=2.4)


def scale_x(axis, values):
    """Base-2 logarithm where the values are spread so; ticks at the values themselves while they fit."""
    values = sorted(set(values))
    positive = [v for v in values if v > 0]
    if len(positive) > 2 and _geometric(positive):
        linear_below = {"linthresh": positive[0], "linscale": 0.5} if values[0] <= 0 else {}
        axis.set_xscale("symlog" if linear_below else "log", base=2, **linear_below)
        axis.xaxis.set_major_locator(FixedLocator(evenly(values, 6)))
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


def scale_y(axis, values):
    """From zero while the values lie within a factor of 8, else logarithmic."""
    low, high = min(values), max(values)
    if low > 0 and high / low > 8:
        axis.set_yscale("log", base=2)
        axis.set_ylim(low / 2.2, high * 1.3)
        doubling_ticks(axis.yaxis, low / 2.2, high * 1.3)
    else:
        axis.set_ylim(0, high * 1.1)
        axis.yaxis.set_major_locator(MaxNLocator(6))
    axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))


def doubling_ticks(axis, low, high):
    """Ticks that double, or quadruple: … 500, 1,000, 2,000 …; below 30: … 0.5, 1, 2, 4 …"""
    unit = 1000 if low >= 30 else 1
    powers = np.arange(np.ceil(np.log2(low / unit)), np.floor(np.log2(high / unit)) + 1)
    axis.set_major_locator(FixedLocator(unit * 2.0 ** powers[::1 + len(powers) // 9]))
    axis.set_minor_locator(NullLocator())
