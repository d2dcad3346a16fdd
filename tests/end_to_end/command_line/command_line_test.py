"""The command as a person types it, alone and under mpirun: what is wrong is said once, with the right exit code.

usage: command_line_test.py HYDRAJOB MPIRUN SOURCE_FOLDER [unittest's options]
"""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

HYDRAJOB, MPIRUN, SOURCE = sys.argv[1:4]

CONFIG = """
name: small
store: results.h5
workload: attention
dtype: f32
n_heads: 2
n_kv_heads: 2
head_dim: 64
suffix: 16
prefix: [16, 32]
batch: 1
mode: paged
iterations: 1
"""


class CommandLine(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="hj")))
        (self.folder / "small.yaml").write_text(CONFIG)

    def run_command(self, *command):
        environment = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OMP_NUM_THREADS="1")
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=120,
                              check=False)
        self.output = done.stdout + done.stderr
        return done.returncode

    def on_two_ranks(self, *arguments):
        return self.run_command(MPIRUN, "--quiet", "--oversubscribe", "--bind-to", "none", "-np", "2", HYDRAJOB, *arguments)

    def expect(self, code, expected, message):
        self.assertEqual(code, expected, self.output)
        self.assertEqual(self.output.count(message), 1, self.output)


class LogFolder(CommandLine):
    def test_one_that_cannot_be_written_is_refused_by_all_ranks_at_once(self):
        (self.folder / "logs").write_text("in the way")
        self.expect(self.on_two_ranks("small.yaml", "--log-dir", "logs"), 2, "error: log folder logs cannot be written: ")
        self.assertFalse((self.folder / "results.h5").exists())

    def test_one_that_one_rank_alone_cannot_write_is_refused_too(self):
        (self.folder / "logs" / "rank1.log").mkdir(parents=True)
        self.expect(self.on_two_ranks("small.yaml", "--log-dir", "logs"), 2, "error: log folder logs cannot be written: ")


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
