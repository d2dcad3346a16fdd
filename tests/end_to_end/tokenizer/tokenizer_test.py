"""Both kinds of tokenizer against the programs that models are published for: sentencepiece's and Hugging Face's, on texts of
every kind, both ways. Identical ids, identical text.

usage: tokenizer_test.py PROBE SOURCE_DIR [unittest's options]      exit 77: skipped, the packages are not there
HJ_TEST_SEED repeats a run; HJ_TEST_TEXTS is how many texts.
"""

import os
import random
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

try:
    import models
    import sentencepiece
    from tokenizers import Tokenizer
except ImportError as error:
    print(f"skipped: {error}; scripts/install_dependencies --tests installs it into build/python")
    sys.exit(77)

from texts import texts

PROBE, SOURCE = sys.argv[1], Path(sys.argv[2])
DATA = Path(os.environ.get("HJ_SHARED", SOURCE.parent / "shared")) / "data"
SEED = int(os.environ.get("HJ_TEST_SEED", random.randrange(2**32)))
N_TEXTS = int(os.environ.get("HJ_TEST_TEXTS", 10_000))


class Probe:
    def __init__(self, tokenizer, folder):
        self.path = folder / "tokenizer"
        self.path.write_bytes(tokenizer if isinstance(tokenizer, bytes) else tokenizer.encode())

    def run(self, mode, given):
        return subprocess.run([PROBE, self.path, mode], input=given, stdout=subprocess.PIPE, check=True).stdout

    def encode(self, texts):
        given = b"".join(struct.pack("<I", len(text)) + text for text in texts)
        return [[int(i) for i in line.split()] for line in self.run("encode", given).splitlines()]

    def decode(self, lists):
        given = "".join(" ".join(map(str, ids)) + "\n" for ids in lists)
        out, texts = self.run("decode", given.encode()), []
        while out:
            length = struct.unpack_from("<I", out)[0]
            texts.append(out[4 : 4 + length].decode())
            out = out[4 + length :] if length else out[4:]
        return texts


class Sentencepiece:
    """Python's, with LlamaTokenizer's bos."""

    def __init__(self, model):
        self.processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        self.size = self.processor.get_piece_size()

    def encode(self, texts):
        return [[self.processor.bos_id(), *ids] for ids in self.processor.encode(texts)]

    def decode(self, lists):
        return self.processor.decode(lists)


class HuggingFace:
    def __init__(self, text):
        self.tokenizer = Tokenizer.from_str(text)
        self.size = self.tokenizer.get_vocab_size()

    def encode(self, texts):
        return [encoding.ids for encoding in self.tokenizer.encode_batch(texts)]

    def decode(self, lists):
        return self.tokenizer.decode_batch(lists, skip_special_tokens=True)


class Agreement(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        lines = models.corpus(SOURCE)
        cls.lines = random.Random(SEED).sample(lines, min(len(lines), 6000))
        cls.llama2 = models.sentencepiece_model(cls.lines)

    def setUp(self):
        self.rng = random.Random(f"{SEED} {self.id()}")

    def agree(self, tokenizer, reference, number=N_TEXTS):
        probe = Probe(tokenizer, Path(self.enterContext(tempfile.TemporaryDirectory(prefix="hj"))))
        given = texts(self.rng, number)
        ids = probe.encode(given)
        self.same(ids, reference.encode([text.decode(errors="replace") for text in given]), given)
        self.same(probe.decode(ids), reference.decode(ids), ids)
        # What no text becomes, and a model may say all the same.
        some = [[self.rng.randrange(reference.size) for _ in range(self.rng.randrange(12))] for _ in range(number)]
        self.same(probe.decode(some), reference.decode(some), some)

    def same(self, got, expected, given):
        self.assertEqual(len(got), len(expected))
        for one, other, text in zip(got, expected, given):
            self.assertEqual(one, other, f"of {text!r}; HJ_TEST_SEED={SEED}")

    def test_sentencepiece_of_llama2(self):
        self.agree(self.llama2, Sentencepiece(self.llama2))

    def test_sentencepiece_with_other_settings(self):
        for settings in ({"remove_extra_whitespaces": True}, {"add_dummy_prefix": False},
                         {"byte_fallback": False}, {"treat_whitespace_as_suffix": True},
                         {"user_defined_symbols": ["a b", "▁▁", "x▁y"]}):
            with self.subTest(settings):
                model = models.sentencepiece_model(self.lines[:2000], vocab_size=600, **settings)
                self.agree(model, Sentencepiece(model), N_TEXTS // 5)

    def test_tokenizer_json_of_llama3(self):
        text = models.llama3(self.lines)
        self.agree(text, HuggingFace(text))

    def test_tokenizer_json_with_ignore_merges(self):
        text = models.with_missing_merges(models.llama3(self.lines, ignore_merges=True))
        self.agree(text, HuggingFace(text), N_TEXTS // 5)

    def test_tokenizer_json_with_nfc(self):
        text = models.llama3_with_nfc(self.lines)
        self.agree(text, HuggingFace(text))

    def test_tokenizer_json_with_merges_as_text(self):
        text = models.with_old_merges(models.llama3(self.lines[:1000]))
        self.agree(text, HuggingFace(text), N_TEXTS // 10)

    def test_tokenizer_json_of_gpt2(self):
        text = models.gpt2(self.lines)
        self.agree(text, HuggingFace(text), N_TEXTS // 5)

    def test_tokenizer_json_with_several_splits(self):
        text = models.several_splits(self.lines)
        self.agree(text, HuggingFace(text), N_TEXTS // 5)

    def test_tokenizer_json_converted_from_sentencepiece(self):
        for legacy in (True, False):
            with self.subTest(legacy=legacy):
                text = models.converted(self.llama2, legacy)
                self.agree(text, HuggingFace(text), N_TEXTS // 2)

    def test_tokenizer_json_with_unknown_characters(self):
        for fuse in (True, False):
            with self.subTest(fuse=fuse):
                text = models.converted(self.llama2, legacy=True, byte_fallback=False, fuse_unk=fuse)
                self.agree(text, HuggingFace(text), N_TEXTS // 5)

    @unittest.skipUnless((DATA / "llama2-tokenizer.model").exists(), "no llama2-tokenizer.model in HJ_SHARED's data/")
    def test_llama2_itself(self):
        model = (DATA / "llama2-tokenizer.model").read_bytes()
        self.agree(model, Sentencepiece(model))


if __name__ == "__main__":
    print(f"HJ_TEST_SEED={SEED}", flush=True)
    unittest.main(argv=[sys.argv[0], *sys.argv[3:]])
