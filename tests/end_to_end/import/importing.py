"""What the tests of hydrajob import share: a folder, a checkpoint in it, and the command.

Each is started as TEST.py HYDRAJOB [arguments of its own] [unittest's options]; HJ_TEST_SEED repeats a run.
"""

import os
import random
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import h5py
import numpy as np

from checkpoint import save

HYDRAJOB = sys.argv[1]
SEED = int(os.environ.get("HJ_TEST_SEED", random.randrange(2**32)))


class ImportTest(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="hj")))
        self.model = self.folder / "out" / "model.h5"
        self.rng = np.random.default_rng(SEED)

    def run_import(self, *options, checkpoint="tiny", output="out/model.h5"):
        """`output` None: the options name it."""
        if output is not None:
            options = ("-o", output, *options)
        done = subprocess.run([HYDRAJOB, "import", checkpoint, *options], cwd=self.folder,
                              capture_output=True, text=True, timeout=60, check=False)
        self.output = done.stdout + done.stderr
        return done.returncode

    def imported(self, config, tensors, *options, files=1):
        save(self.folder / "tiny", config, tensors, files)
        self.assertEqual(self.run_import(*options), 0, self.output)
        return h5py.File(self.model, "r")


def main(own_arguments=0):
    print(f"HJ_TEST_SEED={SEED}")
    unittest.main(argv=[sys.argv[0], *sys.argv[2 + own_arguments:]])
