"""hydrajob bench-load: its table, alone and on several ranks, and what it refuses.

usage: bench_load_test.py HYDRAJOB MPIRUN SOURCE_FOLDER [unittest's options]
"""

import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HYDRAJOB, MPIRUN, SOURCE = sys.argv[1:4]
TINY = Path(SOURCE) / "configs/models/tiny.yaml"

ROW = re.compile(r"^ *(?P<rank>\d+|all) +(?P<device>cpu)? +(?P<gb>[\d.]+) +(?P<s>[\d.]+) \((?P<low>[\d.]+) to (?P<high>[\d.]+)\)"
                 r" +(?P<load>[\d.]+) +(?P<read>[\d.]+) +- +(?P<part>\d+) % of read$", re.MULTILINE)


def shape():
    """Of the architecture's file: (numbers by name)."""
    return {key: int(value) for key, value in re.findall(r"^(\w+): (\d+)$", TINY.read_text(), re.MULTILINE)}


def shard_bytes(degree, rank):
    """What a rank holds, in bf16, where the degree divides all but the vocabulary and, maybe, the KV heads."""
    a = shape()
    head_dim = a.get("head_dim", a["hidden"] // a["n_heads"])
    kv_heads = max(a["n_kv_heads"] // degree, 1)
    rows = 2 + a["n_heads"] * head_dim // degree * 2 + 2 * kv_heads * head_dim + 3 * a["intermediate"] // degree
    vocabulary = a["vocab"] * (rank + 1) // degree - a["vocab"] * rank // degree
    return 2 * a["hidden"] * (a["n_layers"] * rows + 1 + 2 * vocabulary)


class BenchLoad(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="hj")))
        subprocess.run([HYDRAJOB, "make-model", str(TINY), "-o", "tiny.h5"], cwd=cls.folder, check=True, capture_output=True,
                       timeout=120)

    def run_command(self, *command):
        environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=120, check=False)
        self.output = done.stdout + done.stderr
        return done.returncode

    def on_ranks(self, ranks, *arguments):
        return self.run_command(MPIRUN, "--quiet", "--oversubscribe", "--bind-to", "none", "-np", str(ranks), HYDRAJOB,
                                "bench-load", *arguments)

    def expect_rows(self, degree):
        rows = list(ROW.finditer(self.output))
        self.assertEqual([row["rank"] for row in rows], [str(r) for r in range(degree)] + ["all"] * (degree > 1), self.output)
        for rank, row in enumerate(rows[:degree]):
            self.assertAlmostEqual(float(row["gb"]), shard_bytes(degree, rank) / 1e9, delta=6e-4)
        self.assertAlmostEqual(float(rows[-1]["gb"]), sum(shard_bytes(degree, r) for r in range(degree)) / 1e9, delta=6e-4)
        for row in rows:
            self.assertLessEqual(float(row["low"]), float(row["s"]))
            self.assertLessEqual(float(row["s"]), float(row["high"]))

    def test_one_rank_loads_all_of_it(self):
        self.assertEqual(self.run_command(HYDRAJOB, "bench-load", "tiny.h5", "--repeat", "3", "--threads", "2"), 0, self.output)
        self.assertIn("tiny.h5: bf16, 1 rank of 2 threads, median of 3, from the page cache\n", self.output)
        self.expect_rows(1)

    def test_ranks_load_their_shards(self):
        self.assertEqual(self.on_ranks(2, "tiny.h5", "--repeat", "2", "--threads", "1"), 0, self.output)
        self.assertIn("tiny.h5: bf16, 2 ranks of 1 thread, median of 2, from the page cache\n", self.output)
        self.expect_rows(2)

    def test_from_the_storage_or_not_at_all(self):
        if self.on_ranks(2, "tiny.h5", "--repeat", "1", "--cold", "--device", "cpu") == 0:
            self.assertIn("from the storage\nread: the same bytes alone, by plain requests of one thread, as dd", self.output)
            self.expect_rows(2)
        else:  # a file system in memory
            self.assertIn("tiny.h5: stays in the system's cache: ", self.output)

    def test_what_is_wrong_is_said_once_with_exit_code_2(self):
        (self.folder / "text.h5").write_text("no model")
        for arguments, message in [
            (["none.h5"], "none.h5: cannot be opened: No such file or directory"),
            (["text.h5"], "text.h5: not a model file: it is not HDF5"),
            ([], "bench-load: which MODEL.h5?"),
            (["tiny.h5", "--repeat", "0"], "bench-load: --repeat 0: expected 1 to 1000"),
            (["tiny.h5", "--threads", "-1"], "bench-load: --threads -1: expected 0 to 1024"),
            (["tiny.h5", "--device", "tpu"], "bench-load: --device tpu: expected auto, cpu or cuda"),
            (["tiny.h5", "--quick"], "bench-load: unrecognised option '--quick'; hydrajob bench-load --help lists the options"),
        ]:
            with self.subTest(arguments):
                self.assertEqual(self.run_command(HYDRAJOB, "bench-load", *arguments), 2, self.output)
                self.assertEqual(self.output.count(f"error: {message}"), 1, self.output)
        self.assertEqual(self.on_ranks(3, "tiny.h5"), 2, self.output)
        self.assertEqual(self.output.count("is not a multiple of tensor_parallel 3"), 1, self.output)

    def test_damage_ends_all_ranks_at_once(self):
        damaged = bytearray((self.folder / "tiny.h5").read_bytes())
        damaged[-1] ^= 1  # the last rank's
        (self.folder / "damaged.h5").write_bytes(damaged)
        self.assertEqual(self.on_ranks(2, "damaged.h5"), 2, self.output)
        self.assertEqual(self.output.count("do not match their checksum"), 1, self.output)

    def test_help(self):
        self.assertEqual(self.run_command(HYDRAJOB, "bench-load", "--help"), 0)
        self.assertIn("--cold", self.output)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
