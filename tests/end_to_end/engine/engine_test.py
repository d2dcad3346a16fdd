"""The engine against llama_reference.py: logits and tokens in every mode, at several degrees, on random trees.

  engine_test.py PROBE HYDRAJOB MPIEXEC            (run by ctest)

With HYDRAJOB_TEST_DEVICE=cuda on GPUs, one a rank; exits with 77 where there is none.
"""

import functools
import itertools
import os
import random
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import numpy as np

from llama_reference import Llama

PROBE, HYDRAJOB, MPIEXEC = sys.argv[1:4]
SEED = int(os.environ.get("HJ_TEST_SEED", random.SystemRandom().randrange(1 << 31)))
CUDA = os.environ.get("HYDRAJOB_TEST_DEVICE") == "cuda"
MODES = ["hydragen", "noshared", "paged", "noattention", "auto"]
ENVIRONMENT = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}

ARCHITECTURES = {
    "plain": "n_layers: 3\nhidden: 64\nn_heads: 8\nn_kv_heads: 8\nintermediate: 176\nvocab: 301\n",
    "grouped": "n_layers: 3\nhidden: 96\nn_heads: 8\nn_kv_heads: 2\nhead_dim: 16\nintermediate: 160\nvocab: 257\n"
    "rope_theta: 500000\nrope_scaling:\n  kind: llama3\n  factor: 8\n  low_frequency_factor: 1\n"
    "  high_frequency_factor: 4\n  original_max_positions: 64\n",
    "wide": "n_layers: 2\nhidden: 256\nn_heads: 8\nn_kv_heads: 2\nhead_dim: 64\nintermediate: 192\nvocab: 320\n",
    "tied": "n_layers: 2\nhidden: 64\nn_heads: 4\nn_kv_heads: 4\nintermediate: 128\nvocab: 128\n"
    "tied_embeddings: true\nrope_scaling:\n  kind: linear\n  factor: 4\n",
}


class Batch:
    """A random tree, depth 0 to 3, ragged, with empty nodes and prompts among it."""

    def __init__(self, rng, vocab, new_tokens=5):
        self.nodes, self.sequences, self.new_tokens = [], [], new_tokens
        tokens = lambda low, high: [rng.randrange(vocab) for _ in range(rng.randint(low, high))]
        self.nodes.append((-1, tokens(1, 40)))
        for _ in range(rng.randint(0, 5)):
            self.nodes.append((rng.randrange(-1, len(self.nodes)), tokens(0, 25)))
        for _ in range(rng.randint(1, 9)):
            node = rng.randrange(-1, len(self.nodes))
            empty = self.path(node) and rng.random() < 0.5
            self.sequences.append((node, [] if empty else tokens(1, 12)))

    @classmethod
    def below_one_node(cls, rng, vocab, length, sequences):
        batch = cls(rng, vocab)
        tokens = lambda n: [rng.randrange(vocab) for _ in range(n)]
        batch.nodes = [(-1, tokens(length))]
        batch.sequences = [(0, tokens(rng.randint(1, 6))) for _ in range(sequences)]
        return batch

    def path(self, node):
        if node < 0:
            return []
        parent, own = self.nodes[node]
        return self.path(parent) + own

    def prompt(self, sequence):
        node, own = self.sequences[sequence]
        return self.path(node) + own

    def write(self, path):
        lines = [f"new_tokens {self.new_tokens}"]
        lines += ["node " + " ".join(map(str, [p, *t])) for p, t in self.nodes]
        lines += ["sequence " + " ".join(map(str, [n, *t])) for n, t in self.sequences]
        path.write_text("\n".join(lines) + "\n")


@functools.cache
def gpus():
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([name for name in visible.split(",") if name])
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True).stdout
    return sum(line.startswith("GPU ") for line in listed.splitlines())


def degrees_here(degrees):
    """A rank needs a GPU of its own."""
    return [n for n in degrees if n <= max(gpus(), 1)] if CUDA else degrees


class EngineTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        print(f"HJ_TEST_SEED={SEED}")
        cls.rng = random.Random(SEED)
        cls.folder = tempfile.TemporaryDirectory()
        cls.path = Path(cls.folder.name)
        for name, text in ARCHITECTURES.items():
            (cls.path / f"{name}.yaml").write_text(f"name: {name}\nmax_positions: 512\nrms_eps: 1.0e-5\n" + text)
            for dtype in ("f32", "bf16", "f16"):
                subprocess.run(
                    [HYDRAJOB, "make-model", cls.path / f"{name}.yaml", "-o", cls.path / f"{name}-{dtype}.h5",
                     "--dtype", dtype, "--seed", str(SEED)],
                    check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def run_probe(self, model, dtype, mode, batch, vocab, np_=1, chunk=16, temperature=0.0, top_p=1.0, seed=1,
                  **environment):
        batch.write(self.path / "batch.txt")
        out = self.path / "out.bin"
        command = [PROBE, self.path / f"{model}-{dtype}.h5", dtype, mode, str(chunk), str(temperature), str(top_p),
                   str(seed), self.path / "batch.txt", out]
        if np_ > 1:
            command = [MPIEXEC, "--oversubscribe", "--bind-to", "none", "-np", str(np_)] + command
        done = subprocess.run(command, env={**ENVIRONMENT, **environment}, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        n, steps = len(batch.sequences), batch.new_tokens
        words = np.fromfile(out, np.int32)
        once = steps * n * vocab + n * steps
        self.assertEqual(words.size, 2 * once)
        np.testing.assert_array_equal(words[:once], words[once:], "reset() must give the same again")
        logits = words[: steps * n * vocab].view(np.float32).reshape(steps, n, vocab)
        return logits, words[steps * n * vocab : once].reshape(n, steps)

    def reference(self, llama, batch, tokens, attends):
        """(steps, sequences, vocab): the logits each of `tokens` was drawn from."""
        rows = []
        for s in range(len(batch.sequences)):
            prompt = batch.prompt(s)
            full = llama.logits(prompt + list(tokens[s][:-1]), attends)
            rows.append(full[len(prompt) - 1 :])
        return np.stack(rows, 1)

    def check(self, model, dtype, degrees, tolerance, modes=MODES, batch=None):
        """One batch in every mode at every degree: logits as the reference's, and in f32 the same tokens."""
        llama = Llama(self.path / f"{model}-{dtype}.h5")
        vocab = llama.a["vocab"]
        batch = batch or Batch(self.rng, vocab)
        greedy = {}
        for np_, mode in itertools.product(degrees_here(degrees), modes):
            with self.subTest(model=model, dtype=dtype, mode=mode, np=np_, seed=SEED):
                logits, tokens = self.run_probe(model, dtype, mode, batch, vocab, np_, chunk=self.rng.randint(3, 64))
                expected = self.reference(llama, batch, tokens, mode != "noattention")
                error = np.linalg.norm(logits - expected) / np.linalg.norm(expected)
                self.assertLess(error, tolerance)
                np.testing.assert_array_equal(tokens, logits.argmax(-1).T)
                attends = mode != "noattention"
                if dtype == "f32":
                    np.testing.assert_array_equal(tokens, greedy.setdefault(attends, tokens), "other modes and degrees")

    def test_f32(self):
        for model in ARCHITECTURES:
            self.check(model, "f32", (1, 2, 4), 2e-5)

    def test_bf16(self):
        for model in ARCHITECTURES:
            self.check(model, "bf16", (1, 2, 4), 2e-2, modes=["hydragen", "noshared"])

    def test_f16(self):
        """The error goes with the rounding: about an eighth of that in bf16."""
        for model in ARCHITECTURES:
            self.check(model, "f16", (1, 2), 1.5e-3, modes=["hydragen", "noshared"])

    def test_auto_whether_it_shares_or_not(self):
        """Many sequences share a long prefix, then a short one: auto reads the first once, as hydragen, and not the
        second (unit/workload/generate_test.cpp sees to that); the numbers are right either way."""
        for length, np_ in ((150, 2), (2, 1)):
            batch = Batch.below_one_node(self.rng, vocab=257, length=length, sequences=12)
            self.check("grouped", "f32", (np_,), 2e-5, modes=["auto", "hydragen", "paged"], batch=batch)

    def test_tokens_are_the_same_at_every_degree(self):
        llama = Llama(self.path / "grouped-f32.h5")
        vocab = llama.a["vocab"]
        for temperature, top_p in ((0.0, 1.0), (0.8, 1.0), (1.3, 0.7), (100.0, 1.0)):
            batch = Batch(self.rng, vocab, new_tokens=8)
            runs = {}
            for np_, mode in ((1, "hydragen"), (2, "noshared"), (4, "paged"), (8, "hydragen")):
                np_ = np_ if np_ in degrees_here([np_]) else 1
                _, runs[np_, mode] = self.run_probe("grouped", "f32", mode, batch, vocab, np_, temperature=temperature,
                                              top_p=top_p, seed=SEED)
            for which, tokens in runs.items():
                np.testing.assert_array_equal(tokens, runs[1, "hydragen"], f"{which}, temperature {temperature}, seed {SEED}")

    @unittest.skipUnless(CUDA, "of the GPU")
    def test_the_graph_changes_no_bit(self):
        for model, dtype in itertools.product(("plain", "wide"), ("f32", "bf16", "f16")):
            vocab = Llama(self.path / f"{model}-{dtype}.h5").a["vocab"]
            for mode in MODES:
                batch = Batch(self.rng, vocab, new_tokens=9)
                both = [self.run_probe(model, dtype, mode, batch, vocab, temperature=0.7, top_p=0.9,
                                       HYDRAJOB_TEST_RECORD=record) for record in ("yes", "no")]
                np.testing.assert_array_equal(both[0][0], both[1][0], f"{model} {dtype} {mode}, seed {SEED}")
                np.testing.assert_array_equal(both[0][1], both[1][1])

    @unittest.skipUnless(CUDA, "of the GPU")
    def test_f32_tokens_are_the_cpus(self):
        for model in ARCHITECTURES:
            vocab = Llama(self.path / f"{model}-f32.h5").a["vocab"]
            batch = Batch(self.rng, vocab, new_tokens=12)
            both = [self.run_probe(model, "f32", "hydragen", batch, vocab, HYDRAJOB_TEST_DEVICE=device)[1]
                    for device in ("cuda", "cpu")]
            np.testing.assert_array_equal(*both, f"{model}, seed {SEED}")

    def test_next_tokens_of_short_types_are_as_likely(self):
        """The divergence of the engine's next-token distributions from the reference's goes with the rounding's square."""
        for model, (dtype, most) in itertools.product(("plain", "wide"), (("bf16", 1e-3), ("f16", 2e-6))):
            llama = Llama(self.path / f"{model}-{dtype}.h5")
            batch = Batch(self.rng, llama.a["vocab"])
            logits, tokens = self.run_probe(model, dtype, "hydragen", batch, llama.a["vocab"])
            log_p = log_softmax(self.reference(llama, batch, tokens, True))
            divergence = (np.exp(log_p) * (log_p - log_softmax(logits.astype(np.float64)))).sum(-1)
            self.assertLess(divergence.mean(), most, f"{model} {dtype}, seed {SEED}")


def log_softmax(logits):
    shifted = logits - logits.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


if __name__ == "__main__":
    if CUDA:
        asked = subprocess.run([PROBE, *"- f32 hydragen 1 0 1 1 - -".split()], capture_output=True, text=True)
        if "no GPU" in asked.stderr:
            print(asked.stderr)
            sys.exit(77)
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
