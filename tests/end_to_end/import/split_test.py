"""hydrajob import --split: one file a rank; runs of that degree read them and compute what they compute of one file.

usage: split_test.py HYDRAJOB ENGINE_PROBE MPIEXEC [unittest's options]
"""

import os
import subprocess
import sys

import h5py
import numpy as np

from checkpoint import CONFIG, random_tensors, save
from importing import HYDRAJOB, ImportTest, main

PROBE, MPIEXEC = sys.argv[2:4]
ENVIRONMENT = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
RUN = """name: run
store: run.h5
workload: generate
dtype: f32
mode: hydragen
prefix: 20
batch: 3
new_tokens: 4
iterations: 1
warmup: 0
device: cpu
"""


class Split(ImportTest):
    def setUp(self):
        super().setUp()
        save(self.folder / "tiny", CONFIG, random_tensors(CONFIG, "F32", self.rng))
        self.assertEqual(self.run_import(), 0, self.output)
        self.assertEqual(self.run_import("--split", "2", "-o", "out/split/", output=None), 0, self.output)
        self.split = self.folder / "out" / "split"

    def ranks(self, n, *command):
        return subprocess.run([MPIEXEC, "--oversubscribe", "--bind-to", "none", "-np", str(n), *command], cwd=self.folder,
                              env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False)

    def logits(self, model):
        (self.folder / "batch.txt").write_text("new_tokens 3\nnode -1 1 2 3 4 5\nsequence 0 6\nsequence 0 7\n")
        done = self.ranks(2, PROBE, model, "f32", "hydragen", "16", "0", "1", "1", "batch.txt", "out.bin")
        self.assertEqual(done.returncode, 0, done.stderr)
        return np.fromfile(self.folder / "out.bin", np.int32)

    def run_of(self, ranks, weights, tensor_parallel):
        (self.folder / "run.yaml").write_text(RUN + f"weights: {weights}\ntensor_parallel: {tensor_parallel}\n")
        done = self.ranks(ranks, HYDRAJOB, "run.yaml", "--threads", "1")
        return done.returncode, done.stdout + done.stderr

    def test_files(self):
        self.assertEqual(sorted(os.listdir(self.folder / "out")), ["model.h5", "split"])
        self.assertEqual(sorted(os.listdir(self.split)), ["rank0.h5", "rank1.h5"])
        with h5py.File(self.model) as whole:
            for rank in (0, 1):
                with h5py.File(self.split / f"rank{rank}.h5") as part:
                    self.assertEqual((part.attrs["rank"], part.attrs["tensor_parallel"]), (rank, 2))
                    self.assertEqual(part.attrs["model_digest"], whole.attrs["digest"])
                    for name in ("embedding", "layers.0.attention.k", "layers.1.mlp.down"):
                        rows = whole["tensors"][name].shape[0] // 2
                        expected = whole["tensors"][name][rows * rank : rows * (rank + 1)]
                        np.testing.assert_array_equal(part["tensors"][name][:], expected)
                    np.testing.assert_array_equal(part["tensors/final_norm"][:], whole["tensors/final_norm"][:])

    def test_the_engine_computes_the_same(self):
        np.testing.assert_array_equal(self.logits(self.split), self.logits(self.model))

    def test_runs_of_its_degree_are_those_of_the_whole(self):
        code, output = self.run_of(2, "out/split", 2)
        self.assertEqual(code, 0, output)
        code, output = self.run_of(2, "out/model.h5", 2)
        self.assertEqual(code, 0, output)
        with h5py.File(self.folder / "run.h5") as store:
            self.assertEqual(len(store["runs/run_id"]), 1, "the second found its run done")

    def test_another_degree_is_refused(self):
        code, output = self.run_of(1, "out/split", 1)
        self.assertEqual(code, 2, output)
        self.assertEqual(output.count("error: "), 1, output)
        self.assertIn("run.yaml:12:10: weights: out/split is split for tensor_parallel 2, this run has 1", output)
        (self.split / "rank1.h5").unlink()
        code, output = self.run_of(2, "out/split", 2)
        self.assertEqual(code, 2, output)
        self.assertIn("out/split: rank1.h5 is missing, expected one for each of 2 ranks", output)

    def test_command_lines(self):
        for degree, message in (("0", "import: --split 0: expected 1 or more"), ("x", "import: "),
                                ("3", "import: --split 3: n_heads 4 is not a multiple of tensor_parallel 3"),
                                ("2", "out/split: is there already, expected the name of a new folder")):
            self.assertEqual(self.run_import("--split", degree, "-o", "out/split", output=None), 2, self.output)
            self.assertIn(message, self.output)


if __name__ == "__main__":
    main(own_arguments=2)
