"""Which runs had neighbours: runs of their job at the same time, on the ranks of other groups. They may share memory
bandwidth, power, cooling and network with them.
"""

import numpy as np
import pandas as pd


def concurrent_runs(runs):
    """How many other runs of the same environment ran at any moment of each run; a Series with the index of `runs`. Runs
    that took no time, skipped ones say, have none and are nobody's."""
    counts = pd.Series(0, index=runs.index, dtype=np.int64)
    ran = runs[runs["finished_unix_s"] > runs["started_unix_s"]]
    for _, own in ran.groupby("environment"):
        counts.loc[own.index] = _overlaps(own["started_unix_s"].to_numpy(), own["finished_unix_s"].to_numpy())
    return counts


def _overlaps(started, finished):
    """Of each interval, how many others have more than an end in common with it: all that begin before it ends, but those
    that have ended when it begins, and but itself. Sorted once, O(n log n)."""
    begun = np.searchsorted(np.sort(started), finished, side="left")
    ended = np.searchsorted(np.sort(finished), started, side="right")
    return begun - ended - 1
