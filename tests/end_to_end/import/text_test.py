"""hydrajob import: the tokenizer, byte for byte, and what generation_config.json says, in the model file."""

import json
import subprocess

import h5py

from checkpoint import CONFIG, random_tensors, save
from importing import HYDRAJOB, ImportTest, main

# The bytes of a sentencepiece model begin with its first piece; of these no one reads more.
SENTENCEPIECE = b"\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\x02" + bytes(range(256)) * 40


class Text(ImportTest):
    def setUp(self):
        super().setUp()
        self.tensors = random_tensors(CONFIG, "BF16", self.rng)
        save(self.folder / "tiny", CONFIG, self.tensors)

    def put(self, name, content):
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
        (self.folder / "tiny" / name).write_bytes(content)

    def file(self):
        self.assertEqual(self.run_import(), 0, self.output)
        return h5py.File(self.model, "r")

    def expect_generation(self, **expected):
        with self.file() as file:
            found = {name: value.tolist() for name, value in file["generation"].attrs.items()}
        self.assertEqual(found, expected)

    def expect_tokenizer(self, kind, content):
        with self.file() as file:
            self.assertEqual(file["tokenizer"][:].tobytes(), content)
            self.assertEqual(file["tokenizer"].attrs["kind"].decode(), kind)
            self.assertEqual(len(file["tokenizer"].attrs["digest"]), 32)
            digest = file.attrs["digest"]
        self.assertIn(f"tokenizer {kind}", self.output)
        return digest

    def expect_refused(self, message):
        self.assertEqual(self.run_import(), 2, self.output)
        self.assertIn(message, self.output)
        self.assertEqual(len(self.output.splitlines()), 1, self.output)

    def test_tokenizers(self):
        vocabulary = json.dumps({"model": {"type": "BPE", "vocab": {"é": 0}}}).encode() + b"\n"
        self.put("tokenizer.json", vocabulary)
        digest = self.expect_tokenizer("huggingface", vocabulary)
        self.put("tokenizer.model", SENTENCEPIECE)
        self.assertEqual(self.expect_tokenizer("sentencepiece", SENTENCEPIECE), digest, "weights alone make the digest")
        self.put("tokenizer.model", b"IQ== 0\n")  # tiktoken's, as Llama 3 has beside its tokenizer.json
        self.expect_tokenizer("huggingface", vocabulary)

    def tokenize(self, model, text):
        return subprocess.run([HYDRAJOB, "tokenize", model, "--ids"], cwd=self.folder, input=text, capture_output=True,
                              text=True, timeout=60, check=False)

    def test_a_model_tokenizes(self):
        self.put("tokenizer.json", {"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "?": 3}, "unk_token": "?",
                                              "merges": ["a b"]}, "decoder": {"type": "Fuse"}})
        self.file().close()
        self.assertEqual(self.tokenize(self.model, "abba\n").stdout, "2 1 0\n")
        self.assertEqual(self.run_import("--split", "2", output="out/parts"), 0, self.output)
        self.assertEqual(self.tokenize("out/parts", "abba\n").stdout, "2 1 0\n")

    def test_a_tokenizer_that_is_of_no_use_is_told(self):
        document = {"model": {"type": "WordPiece", "vocab": {"a": 0}}}
        self.put("tokenizer.json", document)
        self.assertEqual(self.run_import(), 0, self.output)
        self.assertRegex(self.output, "warning: tiny: tokenizer: .*WordPiece.*token ids only")
        vocabulary = {chr(ord("a") + i): i for i in range(CONFIG["vocab_size"])} | {"?": CONFIG["vocab_size"]}
        self.put("tokenizer.json", {"model": {"type": "BPE", "vocab": vocabulary, "unk_token": "?", "merges": []},
                                    "decoder": {"type": "Fuse"}})
        self.assertEqual(self.run_import(), 0, self.output)
        self.assertIn("ids up to 70, the model's vocabulary ends at 69", self.output)

    def test_what_is_no_model_is_not_replaced(self):
        before = (self.folder / "tiny" / "model.safetensors").read_bytes()
        self.assertEqual(self.run_import(output="tiny/model.safetensors"), 2, self.output)
        self.assertIn("tiny/model.safetensors: is there already and is no model file", self.output)
        self.assertEqual((self.folder / "tiny" / "model.safetensors").read_bytes(), before)
        with h5py.File(self.folder / "store.h5", "w") as store:
            store.attrs["format"] = "hydrajob-store"
        self.assertEqual(self.run_import(output="store.h5"), 2, self.output)
        self.assertEqual(self.run_import(), 0, self.output)
        self.assertEqual(self.run_import(), 0, "a model is replaced: " + self.output)

    def test_without_a_tokenizer(self):
        with self.file() as file:
            self.assertNotIn("tokenizer", file)
        refused = self.tokenize(self.model, "a")
        self.assertEqual((refused.returncode, refused.stdout), (2, ""))
        self.assertIn("model.h5: has no tokenizer", refused.stderr)
        self.assertIn("tiny: neither tokenizer.model nor tokenizer.json", self.output)
        self.assertIn("no tokenizer", self.output.splitlines()[-1])

    def test_tokenizers_that_are_none(self):
        self.put("tokenizer.model", b"IQ== 0\n")
        self.expect_refused("tiny/tokenizer.model: is no sentencepiece model")
        self.put("tokenizer.model", b"")
        self.expect_refused("tiny/tokenizer.model: is empty")
        self.put("tokenizer.json", b"{")
        self.expect_refused("tiny/tokenizer.json: ")

    def test_generation(self):
        self.expect_generation(bos_id=1, eos_ids=[2])
        self.put("generation_config.json", {"bos_token_id": 3, "eos_token_id": [5, 6, 7], "pad_token_id": 0,
                                            "temperature": 0.6, "top_p": 0.9, "do_sample": True})
        self.expect_generation(bos_id=3, eos_ids=[5, 6, 7], pad_id=0, temperature=0.6, top_p=0.9)
        self.put("generation_config.json", {"eos_token_id": None, "pad_token_id": -1, "temperature": 0})
        self.expect_generation(bos_id=1, eos_ids=[2], temperature=0)
        (self.folder / "tiny" / "generation_config.json").unlink()
        self.put("config.json", CONFIG | {"eos_token_id": [8, 9], "pad_token_id": 69, "top_p": 0.5})
        self.expect_generation(bos_id=1, eos_ids=[8, 9], pad_id=69, top_p=0.5)
        self.put("config.json", CONFIG | {"bos_token_id": None, "eos_token_id": None, "pad_token_id": 70})
        self.expect_generation(bos_id=1, eos_ids=[2])

    def test_generation_that_is_wrong(self):
        for document, message in (({"eos_token_id": [2, 70]}, "eos_token_id: [2,70]: expected ids below vocab_size 70"),
                                  ({"bos_token_id": "x"}, 'bos_token_id: "x": expected a whole number from 0'),
                                  ({"temperature": -1}, "temperature: -1: expected a number from 0, at most"),
                                  ({"top_p": 0}, "top_p: 0: expected a number above 0, at most 1"),
                                  ({"top_p": "x"}, 'top_p: "x": expected a number'),
                                  (b"[]", "no JSON object")):
            with self.subTest(message):
                self.put("generation_config.json", document)
                self.expect_refused("tiny/generation_config.json: ")
                self.assertIn(message, self.output)


if __name__ == "__main__":
    main()
