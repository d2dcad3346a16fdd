"""Which plots a section gets."""

import matplotlib

from .distributions import distribution_plots
from .drawing import STYLE
from .lines import line_plots, speedup_plots


def section_plots(section, samples):
    """All plots of a section; those without at least two points to compare are left out."""
    with matplotlib.rc_context(STYLE):
        lines = _attention_lines(section) if section.workload == "attention" else _generate_lines(section)
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
