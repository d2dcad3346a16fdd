"""hydrajob generate: completions against a plain model in NumPy, however they are cut into batches, split over ranks,
interrupted; what ends them; its files and messages.

usage: generate_test.py HYDRAJOB MPIEXEC [unittest's options]     (run by ctest; HJ_TEST_SEED repeats a run)
"""

import fcntl
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import termios
import time
import unittest
from pathlib import Path

import h5py
import numpy as np

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "import"), str(HERE.parent / "engine")]
from checkpoint import CONFIG, random_tensors, save  # noqa: E402
from llama_reference import Llama  # noqa: E402

HYDRAJOB, MPIEXEC = sys.argv[1:3]
SEED = int(os.environ.get("HJ_TEST_SEED", random.SystemRandom().randrange(1 << 31)))
ENVIRONMENT = {**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}

BOS, EOS, TEXT_IDS, VOCAB = 256, 257, 258, 264  # ids 0 to 255 are bytes; the vocabulary is padded
CONFIG = CONFIG | {"vocab_size": VOCAB, "max_position_embeddings": 400, "bos_token_id": BOS, "eos_token_id": EOS}
FLAT = "7"  # a temperature at which the random model's choices are many


def spelled(byte):
    """As GPT-2's alphabet spells a byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in plain]
    return chr(byte if byte in plain else 256 + others.index(byte))


def tokenizer():
    """A token a byte, and bos before a text."""
    special = [{"id": i, "content": text, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
                "special": True} for i, text in ((BOS, "<s>"), (EOS, "</s>"))]
    template = {"type": "TemplateProcessing", "pair": [],
                "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                "special_tokens": {"<s>": {"id": "<s>", "ids": [BOS], "tokens": ["<s>"]}}}
    return {"model": {"type": "BPE", "vocab": {spelled(b): b for b in range(256)}, "merges": []},
            "added_tokens": special, "post_processor": template, "decoder": {"type": "ByteLevel"},
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}}


def ids_of(text):
    return [BOS, *text.encode()]


def text_of(ids):
    return bytes(i for i in ids if i < 256).decode(errors="replace")


class Generate(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.models = Path(cls.enterClassContext(tempfile.TemporaryDirectory(prefix="hj")))
        cls.tensors = random_tensors(CONFIG, "F32", np.random.default_rng(SEED))
        cls.model = cls.imported("tiny")
        cls.reference = Llama(cls.model)

    @classmethod
    def imported(cls, name, eos=EOS, with_tokenizer=True):
        folder = cls.models / name
        save(folder, CONFIG, cls.tensors)
        (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": eos}))
        if with_tokenizer:
            (folder / "tokenizer.json").write_text(json.dumps(tokenizer()))
        subprocess.run([HYDRAJOB, "import", folder, "-o", f"{folder}.h5"], check=True, capture_output=True)
        return Path(f"{folder}.h5")

    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory(prefix="hj")))
        self.dice = random.Random(SEED)

    def command(self, *options, np=1, model=None):
        launcher = [MPIEXEC, "--oversubscribe", "--bind-to", "none", "-np", str(np)] if np > 1 else []
        return [*launcher, HYDRAJOB, "generate", model or self.model, "--threads", "1", "--device", "cpu", *options]

    def run_generate(self, *options, expect=0, stdin=None, **how):
        done = subprocess.run(self.command(*options, **how), cwd=self.folder, input=stdin, capture_output=True, text=True,
                              timeout=60, check=False, env=ENVIRONMENT)
        self.messages = done.stderr
        self.assertEqual(done.returncode, expect, f"seed {SEED}: {done.stdout + done.stderr}")
        return done.stdout

    def write_prompts(self, prompts, name="prompts.jsonl"):
        (self.folder / name).write_text("".join(json.dumps(prompt) + "\n" for prompt in prompts))

    def completions(self, name="out.jsonl"):
        return [json.loads(line) for line in (self.folder / name).read_bytes().decode().split("\n")[:-1]]

    def generated(self, *options, **how):
        (self.folder / "out.jsonl").unlink(missing_ok=True)
        self.run_generate("-o", "out.jsonl", *options, **how)
        return self.completions()

    def greedy(self, prompt, n):
        ids = list(prompt)
        for _ in range(n):
            ids.append(int(self.reference.logits(ids)[-1].argmax()))
        return ids[len(prompt):]

    def some_prompts(self):
        """Some share a document, some a question too; one is another's beginning, two are the same, one stands alone."""
        document = "".join(self.dice.choice("abcdefgh ") for _ in range(90))
        question = document + "Q: " + "".join(self.dice.choice("xyz") for _ in range(20))
        texts = [question + "why?", document + "R", question, question + "who?", document + "Raa", question, "é alone"]
        return [{"prompt": text, "id": i if i % 2 else f"p{i}"} for i, text in enumerate(texts)]

    def test_greedy_is_the_reference(self):
        prompts = [*self.some_prompts(), {"tokens": [5, 263, 9, 11], "max_new_tokens": 3, "n": 2}]
        self.write_prompts(prompts)
        found = self.generated("--input", "prompts.jsonl", "--temperature", "0", "--max-new-tokens", "8", "--tokens",
                               "--ignore-eos")
        asked = [(i, k, p) for i, p in enumerate(prompts) for k in range(p.get("n", 1))]
        self.assertEqual([(c["prompt_index"], c["index"]) for c in found], [(i, k) for i, k, _ in asked])
        for completion, (_, _, prompt) in zip(found, asked, strict=True):
            ids = ids_of(prompt["prompt"]) if "prompt" in prompt else prompt["tokens"]
            expected = self.greedy(ids, prompt.get("max_new_tokens", 8))
            self.assertEqual(completion["tokens"], expected, f"seed {SEED}")
            self.assertEqual(completion["text"], text_of(expected))
            self.assertEqual(completion["finish_reason"], "length")
            self.assertEqual(completion.get("id"), prompt.get("id"))
            self.assertEqual((completion["prompt_tokens"], completion["new_tokens"]), (len(ids), len(expected)))

    def test_levels(self):
        printed = self.run_generate("-p", "root ", "-p", "a |b ", "-p", "0|1|2|3", "--temperature", "0",
                                    "--max-new-tokens", "6", "--ignore-eos")
        blocks = re.findall(r"=== prompt (\d), completion 0: 6 tokens, length\n(.*?)\n(?==== |\Z)", printed, re.DOTALL)
        texts = ["root a 0", "root a 1", "root b 2", "root b 3"]
        expected = [(str(i), text_of(self.greedy(ids_of(text), 6))) for i, text in enumerate(texts)]
        plain = self.run_generate("-p", "root ", "-p", "a", "--no-special", "--temperature", "0", "--max-new-tokens", "6",
                                  "--ignore-eos")
        self.assertIn(text_of(self.greedy(ids_of("root a")[1:], 6)).replace("\r\n", "\n").replace("\r", "\n"), plain)
        self.assertEqual(blocks, [(i, re.sub(r"\r\n?", "\n", text)) for i, text in expected])

    def test_the_same_however_it_is_cut_and_split(self):
        self.write_prompts(self.some_prompts())
        options = ["--input", "prompts.jsonl", "--temperature", FLAT, "--top-p", "0.95", "-n", "3", "--max-new-tokens",
                   "20", "--tokens", "--seed", str(SEED)]
        whole = self.generated(*options)
        self.assertGreater(len({tuple(c["tokens"]) for c in whole}), len(whole) / 2, "sampling gives hardly any variety")
        for how in ({"batch": 1}, {"batch": 3}, {"batch": 4, "np": 2}):
            with self.subTest(how):
                self.assertEqual(self.generated(*options, "--batch", str(how["batch"]), np=how.get("np", 1)), whole,
                                 f"seed {SEED}")
        other = self.generated(*options[:-1], str(SEED + 1))
        self.assertNotEqual([c["tokens"] for c in other], [c["tokens"] for c in whole])

    def test_hdf5_holds_what_jsonl_does(self):
        self.write_prompts(self.some_prompts())
        options = ["--input", "prompts.jsonl", "--temperature", FLAT, "-n", "2", "--max-new-tokens", "9"]
        lines = self.generated(*options, "--tokens")
        self.run_generate(*options, "-o", "out.h5")
        with h5py.File(self.folder / "out.h5") as file:
            columns = {name: data[...] for name, data in file.items()}
            self.assertEqual(file.attrs["format"].decode(), "hydrajob-completions")
        begin = columns["token_begin"]
        self.assertEqual(len(begin), len(lines) + 1)
        for i, line in enumerate(lines):
            self.assertEqual(columns["tokens"][begin[i] : begin[i + 1]].tolist(), line["tokens"])
            self.assertEqual(columns["text"][i].decode(), line["text"].replace("\0", "?"))
            self.assertEqual(columns["finish_reason"][i].decode(), line["finish_reason"])
            self.assertEqual((columns["prompt_index"][i], columns["index"][i]), (line["prompt_index"], line["index"]))
            self.assertEqual(columns["id"][i].decode(), str(line["id"]))

    def test_what_is_shared_is_computed_once(self):
        document = "".join(self.dice.choice("abcdefgh ") for _ in range(150))
        prompts = [document + question for question in ("12345", "67890", "abcde", "fghij")]
        self.write_prompts([{"prompt": prompt} for prompt in prompts])
        found = self.generated("--input", "prompts.jsonl", "--max-new-tokens", "3", "-n", "2", "--batch", "2", "--temperature",
                               "0", "--tokens", "--ignore-eos")
        self.assertEqual([c["tokens"] for c in found[::2]], [self.greedy(ids_of(p), 3) for p in prompts], f"seed {SEED}")
        self.assertEqual([c["tokens"] for c in found[1::2]], [c["tokens"] for c in found[::2]])
        # The document (with bos) in the first of 4 batches; then each question once, for both of its completions.
        self.assertIn(f"{151 + 4 * 5} of {8 * 156} prompt tokens computed", self.messages)

    def test_ends(self):
        text = "the beginning of a story"
        plain = self.greedy(ids_of(text), 40)
        cut = next(i for i in range(5, 40) if plain[i] not in plain[:i] and plain[i] < TEXT_IDS)
        model = self.imported("ends", [EOS, plain[cut]])
        options = ["-p", text, "--temperature", "0", "--max-new-tokens", "40", "--tokens"]
        (ended,) = self.generated(*options, model=model)
        self.assertEqual((ended["tokens"], ended["finish_reason"]), (plain[:cut], "eos"), f"seed {SEED}")
        (ignored,) = self.generated(*options, "--ignore-eos", model=model)
        self.assertEqual((ignored["tokens"], ignored["finish_reason"]), (plain, "length"), f"seed {SEED}")

        whole = text_of(plain)
        stop = whole[10:13]  # over several tokens; it may occur before
        (stopped,) = self.generated(*options, "--ignore-eos", "--stop", stop, "--stop", "not in there")
        self.assertEqual((stopped["text"], stopped["finish_reason"]), (whole[: whole.index(stop)], "stop"), f"seed {SEED}")
        self.assertTrue(text_of(stopped["tokens"]).startswith(stopped["text"]))
        self.assertLess(len(stopped["tokens"]), 40)

    def long_job(self):
        """Some 40 batches."""
        self.write_prompts(self.some_prompts())
        return ["--input", "prompts.jsonl", "--temperature", FLAT, "-n", "40", "--max-new-tokens", "25", "--tokens",
                "--batch", "7", "-o", "out.jsonl"]

    def kept(self):
        """Whole lines of completions in the journal."""
        try:
            return max((self.folder / "out.jsonl.partial").read_bytes().count(b"\n") - 1, 0)
        except FileNotFoundError:
            return 0

    def interrupted(self, options, sign, at_least):
        process = subprocess.Popen(self.command(*options), cwd=self.folder, stderr=subprocess.PIPE, text=True)
        while self.kept() < at_least and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(sign)
        self.messages = process.communicate()[1]
        return process.returncode

    def test_goes_on_after_kills(self):
        options = self.long_job()
        self.run_generate(*options)
        whole = self.completions()
        (self.folder / "out.jsonl").unlink()
        seen = 0
        for _ in range(3):
            self.assertEqual(self.interrupted(options, signal.SIGKILL, seen + self.dice.randrange(1, 40)), -signal.SIGKILL)
            self.assertGreater(self.kept(), seen)
            seen = self.kept()
        with open(self.folder / "out.jsonl.partial", "ab") as journal:
            journal.write(b'{"number":3,"finish_re')  # torn
        self.assertEqual(self.interrupted(options, signal.SIGTERM, seen + 1), 75)
        self.assertIn("the same command goes on from there", self.messages)
        self.assertGreater(self.kept(), seen)
        before = self.kept()
        self.run_generate(*options)
        self.assertIn(f"{280 - before} completions to do, {before} done before", self.messages)
        self.assertEqual(self.completions(), whole, f"seed {SEED}")
        self.assertEqual(sorted(p.name for p in self.folder.iterdir()), ["out.jsonl", "prompts.jsonl"])

    @staticmethod
    def parent_of(process):
        try:
            return process.joinpath("stat").read_text().rpartition(")")[2].split()[1]
        except OSError:  # it has ended
            return None

    def ranks_of(self, launcher):
        """The processes that it has started."""
        return sorted(int(p.name) for p in Path("/proc").glob("[0-9]*") if self.parent_of(p) == str(launcher))

    def test_a_rank_that_hangs_ends_the_job_and_nothing_finished_is_lost(self):
        options = self.long_job()
        process = subprocess.Popen(self.command(*options, "--hang-limit", "3", np=2), cwd=self.folder, stderr=subprocess.PIPE,
                                   text=True, env=ENVIRONMENT)
        while self.kept() < 7 and process.poll() is None:
            time.sleep(0.002)
        os.kill(self.ranks_of(process.pid)[1], signal.SIGSTOP)
        self.messages = process.communicate(timeout=60)[1]
        self.assertEqual(process.returncode, 75, self.messages)
        self.assertRegex(self.messages, r"rank \d: nothing has happened for 3.0 s \(--hang-limit\) while generating")
        before = self.kept()
        self.run_generate(*options)
        self.assertIn(f"{280 - before} completions to do, {before} done before", self.messages)

    def test_who_waits_for_prompts_can_be_stopped(self):
        process = subprocess.Popen(self.command("-i", "-"), cwd=self.folder, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        with process:
            process.stdin.write(b'{"prompt": "a"}\n')
            process.stdin.flush()
            left = bytearray(4)
            while fcntl.ioctl(process.stdin, termios.FIONREAD, left) == 0 and any(left):
                time.sleep(0.002)
            process.send_signal(signal.SIGINT)
            try:
                process.wait(timeout=20)  # its input is still open
            except subprocess.TimeoutExpired:
                process.kill()
        self.assertEqual(process.returncode, -signal.SIGINT)

    def test_done_is_done_and_no_other_job_is_mixed_in(self):
        options = self.long_job()
        self.interrupted(options, signal.SIGKILL, 10)
        self.run_generate(*options, "--seed", "2", expect=2)
        self.assertIn("out.jsonl.partial: holds completions of another model, other prompts or other options", self.messages)
        self.run_generate(*options)
        written = (self.folder / "out.jsonl").stat()
        self.run_generate(*options)
        self.assertIn("out.jsonl: all completions are there", self.messages)
        self.assertEqual((self.folder / "out.jsonl").stat().st_mtime_ns, written.st_mtime_ns)
        self.run_generate(*options, "--seed", "2", expect=2)
        self.assertIn("out.jsonl: holds completions of another model", self.messages)
        (self.folder / "out.jsonl").write_text("mine\n")
        self.run_generate(*options, expect=2)
        self.assertIn("out.jsonl: is there already", self.messages)
        self.assertEqual((self.folder / "out.jsonl").read_text(), "mine\n")

    def test_a_model_without_a_tokenizer(self):
        model = self.imported("ids", with_tokenizer=False)
        (found,) = self.generated("-i", "-", "--temperature", "0", "--max-new-tokens", "5", "--ignore-eos", model=model,
                                  stdin='{"tokens": [1, 2, 3]}\n')
        self.assertEqual(found["tokens"], self.greedy([1, 2, 3], 5), f"seed {SEED}")
        self.assertNotIn("text", found)
        self.run_generate("-p", "text", model=model, expect=2)
        self.assertIn("has no tokenizer", self.messages)

    def test_messages(self):
        for line, message in [
            ('{"promt": "a"}', "in.jsonl:2: unknown key 'promt': did you mean 'prompt'?"),
            ('{"id": 3}', "in.jsonl:2: expected either 'prompt' or 'tokens'"),
            ('{"prompt": 3}', "in.jsonl:2: prompt: expected a text"),
            ('{"tokens": []}', "in.jsonl:2: the prompt has no tokens"),
            ('{"tokens": [264]}', "in.jsonl:2: token id 264: expected 0 to 263"),
            ('{"tokens": [-1]}', "in.jsonl:2: tokens: -1: expected a token id"),
            ('{"prompt": "a", "n": 0}', "in.jsonl:2: n: 0: expected a whole number from 1"),
            ('{"prompt": "a", "stop": [""]}', "in.jsonl:2: stop: expected a text or a list of texts"),
            ('{"prompt": "a", "max_new_tokens": 399}', "in.jsonl:2: 2 tokens and 399 new ones: tiny has 400 positions"),
            ("[]", "in.jsonl:2: no JSON object"),
        ]:
            (self.folder / "in.jsonl").write_text('{"prompt": "fine"}\n' + line + "\n")
            self.run_generate("-i", "in.jsonl", expect=2)
            self.assertIn(message, self.messages)
        (self.folder / "in.jsonl").write_text("\n")
        for options, message in [
            (["-i", "in.jsonl"], "in.jsonl: has no prompts"), (["-i", "none"], "none: cannot be read"),
            ([], "expected either --prompt or --input"), (["-p", "a|b", "-p", "c|d|e"], "level 2 has 3 texts"),
            (["-p", "a", "-o", "out.txt"], "expected a name that ends in .jsonl, .h5 or .hdf5"),
            (["-p", "a", "--top-p", "0"], "--top-p 0: expected more than 0"), (["-p", "a", "-n", "0"], "--n 0: expected 1"),
            (["-p", "a", "--stop", b"\xff"], "--stop '\N{REPLACEMENT CHARACTER}': is not UTF-8"),
            (["-p", "a", "--seed", "-1"], "--seed -1: expected 0 or more"),
            (["-p", "a", "-n", "16777217"], "16777217 completions of 1 prompts: expected 16777216 at most"),
            (["-p", "a", "--tokens"], "--tokens: only with -o OUT.jsonl"), (["-p", "a", "--prompts", "b"], "--prompts"),
        ]:
            self.run_generate(*options, expect=2)
            self.assertIn(message, self.messages)
            self.assertEqual(len(self.messages.splitlines()), 1, self.messages)
        self.run_generate("-p", "a", "--prompts", "b", np=2, expect=2)
        self.assertEqual(self.messages.count("unrecognised option '--prompts'"), 1, self.messages)
        self.run_generate("-p", "a", np=3, expect=2)
        self.assertIn("3 ranks: n_heads 4 is not a multiple of tensor_parallel 3", self.messages)


if __name__ == "__main__":
    print(f"HJ_TEST_SEED={SEED}")
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
