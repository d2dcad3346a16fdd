"""hydrajob with the workload needles: every mode on one rank and on two, with token ids and with a text; what is wrong.

usage: needles_test.py HYDRAJOB SOURCE_FOLDER MPIEXEC [unittest's options]; HJ_TEST_SEED repeats a run
"""

import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import h5py
import numpy as np

from reference import haystack

HYDRAJOB, SOURCE, MPIEXEC = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
sys.path.insert(0, str(SOURCE / "tests/end_to_end/import"))
from checkpoint import CONFIG, random_tensors, save  # noqa: E402

SEED = int(os.environ.get("HJ_TEST_SEED", random.SystemRandom().randrange(1 << 31)))
ENVIRONMENT = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMP_NUM_THREADS": "1"}
MODES = ("hydragen", "noshared", "paged", "noattention", "auto")
IDS = {"workload": "needles", "model": SOURCE / "configs/models/tiny.yaml", "dtype": "f32", "mode": list(MODES),
       "questions": [3, 40], "needles": 30, "prefix": 300, "suffix": 5, "new_tokens": 3, "warmup": 1, "iterations": 2}


def varint(value):
    out = b""
    while value >= 0x80:
        out, value = out + bytes([0x80 | value & 0x7F]), value >> 7
    return out + bytes([value])


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def byte_tokenizer():
    """A tokenizer.model whose tokens are bytes, but for the space. One stands before each text, as in Llama-2's."""
    pieces = [(b"<unk>", 2), (b"<s>", 3), (b"</s>", 3), *((b"<0x%02X>" % byte, 6) for byte in range(256)),
              ("▁".encode(), 1)]
    model = b"".join(field(1, field(1, text) + field(2, 0.0) + field(3, kind)) for text, kind in pieces)
    trainer, normalizer = field(3, 2) + field(35, 1), field(1, b"identity") + field(3, 1) + field(4, 0)
    return model + field(2, trainer) + field(3, normalizer)


def n_tokens(text):
    return 1 + len(text.encode())


class NeedlesTest(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="hj")))

    def config(self, settings, name="a.yaml"):
        lines = [f"{key}: {value}" for key, value in settings.items()]
        (self.folder / name).write_text("\n".join(["store: a.h5", *lines]) + "\n")

    def hydrajob(self, *arguments, ranks=1):
        command = [HYDRAJOB, *arguments]
        if ranks > 1:
            command = [MPIEXEC, "--oversubscribe", "--bind-to", "none", "-np", str(ranks), *command]
        done = subprocess.run(command, cwd=self.folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=120,
                              check=False)
        self.output = done.stdout + done.stderr
        return done.returncode

    def runs(self, settings, ranks=1):
        """Of each run its columns, without what is missing."""
        self.config(settings)
        self.assertEqual(self.hydrajob("a.yaml", ranks=ranks), 0, self.output)
        with h5py.File(self.folder / "a.h5") as file:
            columns = {name: data.asstr()[...] if h5py.check_string_dtype(data.dtype) else data[...]
                       for name, data in file["runs"].items()}
        (self.folder / "a.h5").unlink()
        rows = [dict(zip(columns, row)) for row in zip(*columns.values())]
        for row in rows:
            self.assertEqual((row["status"], row["reason"]), ("ok", ""))
        return [{name: value for name, value in row.items() if value == value} for row in rows]

    def expect_refused(self, settings, message):
        self.config(settings)
        self.assertEqual(self.hydrajob("a.yaml", "--list"), 2, self.output)
        self.assertIn(message, self.output)
        self.assertEqual(len(self.output.splitlines()), 1, self.output)


class Ids(NeedlesTest):
    def expect_measured(self, run):
        questions, steps = run["param.questions"], run["param.new_tokens"] - 1
        self.assertEqual(run["prefix_prefill.n"], 1)
        self.assertEqual((run["unique_prefill.n"], run["total.n"], run["decode_step.n"]), (2, 2, 2 * steps))
        self.assertGreater(run["prefix_prefill.median"], 0)
        self.assertGreater(run["total.median"], run["unique_prefill.median"])
        self.assertAlmostEqual(run["questions_per_s"] * run["total.median"], questions)
        self.assertAlmostEqual(run["decode_tokens_per_s"] * run["decode.median"], questions * steps)
        self.assertAlmostEqual(run["roofline_fraction"] * run["total.median"], run["roofline.total_s"])
        right = run["accuracy"] * questions
        self.assertAlmostEqual(right, round(right))
        deciles = [name for name in run if name.startswith("accuracy.decile_")]
        self.assertEqual(len(deciles), min(questions, 10) if questions > 10 else len(deciles))

    def test_every_mode_on_one_rank_and_on_two(self):
        for ranks in (1, 2):
            runs = self.runs({**IDS, "tensor_parallel": ranks, "seed": SEED}, ranks)
            self.assertEqual(len(runs), 2 * len(MODES))
            for run in runs:
                self.expect_measured(run)
            for questions in (3, 40):
                found = {run["accuracy"] for run in runs
                         if run["param.questions"] == questions and run["param.mode"] != "noattention"}
                self.assertEqual(len(found), 1, f"modes that compute the same answer otherwise: {found}")

    def test_the_configuration_for_a_cpu(self):
        shutil.copytree(SOURCE / "configs", self.folder / "configs")
        self.assertEqual(self.hydrajob("configs/needles-cpu.yaml"), 0, self.output)
        self.assertEqual(len(re.findall(r"\] ok mode=", self.output)), 9, self.output)

    def test_what_is_wrong_with_token_ids(self):
        def without(*names):
            return {name: value for name, value in IDS.items() if name not in names}
        self.expect_refused(without("questions"), "workload needles needs 'questions'")
        self.expect_refused(without("suffix"), "suffix: 0: a question ends with its key: expected 1 token or more")
        self.expect_refused({**IDS, "prefix": 59}, "a.yaml:8:9: prefix: a document of 59 tokens has no place for 30 needles")
        self.expect_refused({**IDS, "needles": 512, "prefix": 2000},
                            "a.yaml:7:10: needles: 512 keys, their values and a token between them are 1025 ids, tiny has "
                            "1024: expected fewer `needles`")
        self.expect_refused({**IDS, "few_shot": 2}, "few_shot: there is no text: give `text` and `facts`")
        self.expect_refused({**IDS, "batch": 2}, "batch has no meaning for workload needles")
        self.expect_refused({**IDS, "prefix": 4090}, "prefix 4090 + suffix 5 + new_tokens 3 = 4098: tiny has 4096 positions")


class Text(NeedlesTest):
    """A model that was imported with a tokenizer of bytes, and a text."""

    def setUp(self):
        super().setUp()
        self.rng = random.Random(SEED)
        self.facts = [(name, self.rng.choice(["red", "blue"])) for name in ("Ann", "Bo", "Cyrus", "Di", "Eli", "Flo")]
        self.text = "".join(self.rng.choices("abc .\n", k=2000)) + "."
        self.write("text.txt", self.text)
        self.write("facts.csv", "name,color\n" + "".join(f"{name},{color}\n" for name, color in self.facts))
        config = {**CONFIG, "vocab_size": 300, "max_position_embeddings": 2048}
        save(self.folder / "model", config, random_tensors(config, "F32", np.random.default_rng(SEED)))
        (self.folder / "model/tokenizer.model").write_bytes(byte_tokenizer())
        self.assertEqual(self.hydrajob("import", "model", "-o", "model.h5"), 0, self.output)
        self.settings = {"workload": "needles", "weights": "model.h5", "dtype": "f32", "mode": list(MODES),
                         "questions": [2, 9], "text": "text.txt", "facts": "facts.csv", "few_shot": 2, "text_length": 200,
                         "warmup": 0, "iterations": 2}

    def write(self, name, content):
        (self.folder / name).write_text(content)

    def ids(self, settings):
        self.config(settings)
        self.assertEqual(self.hydrajob("a.yaml", "--list"), 0, self.output)
        return re.findall(r"^[0-9a-f]{32}", self.output, re.MULTILINE)

    def test_every_mode_on_one_rank_and_on_two(self):
        prompt, questions = haystack(self.facts, self.text, 2, 200)
        longest = max(n_tokens(question) for question, _, _ in questions)
        for ranks in (1, 2):
            for run in self.runs({**self.settings, "tensor_parallel": ranks}, ranks):
                self.expect_measured(run)
                self.assertEqual(run["param.prefix"], n_tokens(prompt))
                self.assertEqual(run["param.suffix"], longest)
                self.assertEqual((run["param.needles"], run["param.new_tokens"]), (6, 10))

    def expect_measured(self, run):
        self.assertIn("accuracy", run)
        self.assertEqual(run["decode_step.n"], 18)

    def test_a_run_is_what_its_files_hold(self):
        before = self.ids(self.settings)
        self.write("elsewhere", self.text + "More. ")
        self.assertEqual(self.ids({**self.settings, "text": "elsewhere"}), before, "only what is used of a text counts")
        # As long as before: what differs is what the tokens are, and what is right.
        for name, old, new in (("text.txt", "a", "b"), ("facts.csv", "Ann", "Nan"), ("facts.csv", ",", ",dark ")):
            kept = (self.folder / name).read_text()
            self.write(name, kept.replace(old, new).replace("dark color", "color"))
            self.assertEqual(set(self.ids(self.settings)) & set(before), set(), name)
            self.write(name, kept)
        self.assertEqual(set(self.ids({**self.settings, "few_shot": 1})) & set(before), set())
        self.assertEqual(self.ids(self.settings), before)

    def test_what_is_wrong_with_a_text(self):
        def but(**others):
            settings = {**self.settings, **others}
            return {name: value for name, value in settings.items() if value is not None}
        self.expect_refused(but(facts=None), "workload needles needs 'facts'")
        self.expect_refused(but(text=None), "workload needles needs 'text'")
        self.expect_refused(but(text="none.txt"), "a.yaml:7:7: text: none.txt: cannot be read: No such file or directory")
        self.expect_refused(but(facts="text.txt"), "a.yaml:8:8: facts: text.txt:1: expected a header with a column 'name'")
        self.write("one.csv", "name,color\nAnn,red\n")
        self.expect_refused(but(facts="one.csv"), "a.yaml:8:8: facts: one.csv: 1 facts: expected 2 or more")
        self.expect_refused(but(text_length=9000), "a.yaml:7:7: text: text.txt: ends after 1 of 5 pieces of 1800 characters "
                                                   "and more, to a full stop")
        self.expect_refused(but(few_shot=6), "a.yaml:9:11: few_shot: 6 of the 6 facts in facts.csv: no question is left")
        self.expect_refused(but(needles=6), "needles: with `text`, they are the facts")
        self.expect_refused(but(prefix=100), "prefix: with `text`, as long as the text's tokens")
        self.expect_refused(but(weights=None, model=SOURCE / "configs/models/tiny.yaml"),
                            "weights: random has no tokenizer, which `text` needs")

    def test_a_model_without_a_tokenizer(self):
        self.assertEqual(self.hydrajob("make-model", SOURCE / "configs/models/tiny.yaml", "-o", "bare.h5"), 0, self.output)
        self.expect_refused({**self.settings, "weights": "bare.h5"}, "weights: bare.h5 has no tokenizer")

    def test_a_tokenizer_of_another_vocabulary(self):
        config = {**CONFIG, "vocab_size": 100}
        save(self.folder / "small", config, random_tensors(config, "F32", np.random.default_rng(SEED)))
        (self.folder / "small/tokenizer.model").write_bytes(byte_tokenizer())
        if self.hydrajob("import", "small", "-o", "small.h5") != 0:
            return  # refused already there
        self.expect_refused({**self.settings, "weights": "small.h5"}, "the vocabulary of small ends at 99")


if __name__ == "__main__":
    print(f"HJ_TEST_SEED={SEED}")
    unittest.main(argv=[sys.argv[0], *sys.argv[4:]])
