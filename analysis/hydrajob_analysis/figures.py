"""Which plots a section gets."""

import matplotlib

from .distributions import distribution_plots
from .drawing import STYLE
from .lines import line_plots, speedup_plots


def section_plots(section, samples):
    """All plots of a section; those without at least two points to compare are left out."""
    with matplotlib.rc_context(STYLE):
        lines = LINES[section.workload](section)
        return [*lines, *distribution_plots(section, samples)]


def _generate_lines(section):
    return [plot for x in ("prefix", "batch", "suffix") for plot in line_plots(section, x)]


def _attention_lines(section):
    """Over the first axis that was swept: a sweep of all three would give the same points three times."""
    for x in ("suffix", "prefix", "batch"):
        plots = line_plots(section, x)
        if plots:
            return [*plots, *speedup_plots(section, x)]
    return []


def _needle_lines(section):
    """The paper's figure 5."""
    return [*line_plots(section, "batch"), *speedup_plots(section, "batch")]


LINES = {"generate": _generate_lines, "attention": _attention_lines, "needles": _needle_lines}
