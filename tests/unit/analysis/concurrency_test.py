"""Which runs ran beside others: worked out by hand, and against comparing every pair."""

import random
import unittest

import pandas as pd
from store_fixture import StoreTest, generate_run

from hydrajob_analysis import load
from hydrajob_analysis.concurrency import concurrent_runs


def timed(started, finished, **others):
    return {"started_unix_s": started, "finished_unix_s": finished, "environment": 0, **others}


def every_pair(rows):
    def overlap(a, b):
        begins, ends = max(a["started_unix_s"], b["started_unix_s"]), min(a["finished_unix_s"], b["finished_unix_s"])
        return a is not b and a["environment"] == b["environment"] and begins < ends
    return [sum(overlap(a, b) for b in rows) for a in rows]


class Concurrency(StoreTest):
    def test_groups_side_by_side(self):
        # Two groups: 0–4 and 5–9 beside 1–6; 9–10 begins where the last one ends.
        rows = [timed(0.0, 4.0), timed(5.0, 9.0), timed(1.0, 6.0), timed(9.0, 10.0)]
        self.assertEqual(list(concurrent_runs(pd.DataFrame(rows))), [1, 1, 2, 0])

    def test_another_job_is_no_neighbour(self):
        rows = [timed(0.0, 4.0), timed(0.0, 4.0, environment=1), timed(3.0, 5.0, environment=1)]
        self.assertEqual(list(concurrent_runs(pd.DataFrame(rows))), [0, 1, 1])

    def test_what_took_no_time_is_no_neighbour(self):
        rows = [timed(0.0, 4.0), timed(2.0, 2.0), timed(2.0, 2.0)]
        self.assertEqual(list(concurrent_runs(pd.DataFrame(rows))), [0, 0, 0])

    def test_as_comparing_every_pair(self):
        seed = random.randrange(2**32)
        draw = random.Random(seed)
        for _ in range(200):
            # Whole seconds, so that many begin and end together; an index that is not 0, 1, …
            rows = [timed(began := float(draw.randrange(20)), began + draw.randrange(8), environment=draw.randrange(3))
                    for _ in range(draw.randrange(1, 30))]
            runs = pd.DataFrame(rows, index=draw.sample(range(100), len(rows)))
            counts = concurrent_runs(runs)
            real = [row for row in rows if row["finished_unix_s"] > row["started_unix_s"]]
            expected = iter(every_pair(real))
            self.assertEqual(list(counts), [next(expected) if row in real else 0 for row in rows], f"seed {seed}: {rows}")
            self.assertEqual(list(counts.index), list(runs.index))

    def test_a_column_of_loaded_runs(self):
        """Stores that were loaded together are of different jobs, whatever their clocks say."""
        runs = [generate_run("hydragen", 4, 128, 0.5, **timed(10.0, 20.0)),
                generate_run("noshared", 4, 128, 0.5, **timed(19.0, 30.0, group=1, first_rank=1)),
                generate_run("noattention", 4, 128, 0.5, **timed(20.0, 25.0))]
        paths = [self.store(runs, "a.h5"), self.store(runs[:1], "b.h5")]

        loaded = load(paths).runs

        self.assertEqual(list(loaded["concurrent"]), [1, 2, 1, 0])
        self.assertEqual(loaded["concurrent"].dtype, "int64")
        self.assertEqual(list(load(self.store([], "c.h5", configs=(), environments=())).runs["concurrent"]), [])


if __name__ == "__main__":
    unittest.main()
