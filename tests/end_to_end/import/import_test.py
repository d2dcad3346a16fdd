"""hydrajob import: every value of a checkpoint stands where the model file's page says, and what is wrong is named.

usage: import_test.py HYDRAJOB [unittest's options]
"""

import json
import os
import random
import subprocess

import h5py
import numpy as np

from checkpoint import CONFIG, DECODE, ENCODE, header_of, random_tensors, safetensors, save, to_bf16
from importing import HYDRAJOB, SEED, ImportTest, main

LAYER = {"attention_norm": "input_layernorm", "attention.q": "self_attn.q_proj", "attention.k": "self_attn.k_proj",
         "attention.v": "self_attn.v_proj", "attention.o": "self_attn.o_proj", "mlp_norm": "post_attention_layernorm",
         "mlp.gate": "mlp.gate_proj", "mlp.up": "mlp.up_proj", "mlp.down": "mlp.down_proj"}


def counterpart(name):
    if name.startswith("layers."):
        _, index, part = name.split(".", 2)
        return f"model.layers.{index}.{LAYER[part]}.weight"
    return {"embedding": "model.embed_tokens.weight", "final_norm": "model.norm.weight", "lm_head": "lm_head.weight"}[name]


class Values(ImportTest):
    def expect_values(self, file, tensors, dtype):
        for name, dataset in file["tensors"].items():
            stored_as, stored = tensors[counterpart(name)]
            values = DECODE[stored_as](stored)
            expected = values.T if name.endswith((".attention.o", ".mlp.down")) else values.reshape(dataset.shape)
            found = dataset[:]
            wanted = ENCODE[dtype.upper()](expected)
            self.assertEqual(found.dtype, wanted.dtype, name)
            np.testing.assert_array_equal(found, wanted.reshape(expected.shape), f"{name}, seed {SEED}")
    def test_every_tensor_of_every_type(self):
        for stored, options, dtype in (("BF16", (), "bf16"), ("F32", (), "f32"), ("F16", (), "f16"),
                                       ("F32", ("--dtype", "bf16"), "bf16"), ("F16", ("--dtype", "bf16"), "bf16"),
                                       ("BF16", ("--dtype", "f32"), "f32"), ("F16", ("--dtype", "f32"), "f32"),
                                       ("F32", ("--dtype", "f16"), "f16"), ("BF16", ("--dtype", "f16"), "f16")):
            tensors = random_tensors(CONFIG, stored, self.rng)
            with self.subTest(stored=stored, dtype=dtype), self.imported(CONFIG, tensors, *options) as file:
                self.assertEqual(file.attrs["dtype"].decode(), dtype)
                self.assertEqual(len(file["tensors"]), len(tensors))
                self.expect_values(file, tensors, dtype)

    def test_half_precision_is_exact(self):
        """Every bit pattern of f16: both zeros, subnormals, infinities; of NaN that it is one."""
        config = CONFIG | {"vocab_size": 1400}
        tensors = random_tensors(config, "F16", self.rng)
        every = np.resize(np.arange(2**16, dtype=np.uint16), (1400, 48)).view(np.float16)
        tensors["model.embed_tokens.weight"] = ("F16", every)
        with self.imported(config, tensors) as file:
            np.testing.assert_array_equal(file["tensors/embedding"][:].view(np.uint16), every.view(np.uint16))
        with self.imported(config, tensors, "--dtype", "f32") as file:
            found, expected = file["tensors/embedding"][:], every.astype(np.float32)
        np.testing.assert_array_equal(np.isnan(found), np.isnan(expected))
        numbers = ~np.isnan(expected)
        np.testing.assert_array_equal(found[numbers].view(np.uint32), expected[numbers].view(np.uint32))

    def test_values_that_the_type_does_not_hold_are_refused(self):
        """The same command would end no better: nothing is kept for it."""
        for stored, dtype, value in (("F32", "f16", -65520), ("BF16", "f16", -65520), ("F32", "bf16", 3.4e38)):
            tensors = random_tensors(CONFIG, stored, self.rng)
            values = DECODE[stored](tensors["model.norm.weight"][1]).copy()
            values[7] = value
            tensors["model.norm.weight"] = (stored, ENCODE[stored](values))
            save(self.folder / "tiny", CONFIG, tensors)
            self.assertEqual(self.run_import("--dtype", dtype), 2, stored)
            self.assertIn(f"tiny/model.safetensors: tensor 'model.norm.weight' has a value beyond the range of {dtype}",
                          self.output)
            self.assertNotIn("goes on from there", self.output)
            self.assertEqual([p.name for p in self.model.parent.glob(self.model.name + "*")], [])

    def test_types_that_differ(self):
        """One tensor of more bits than bf16 has, and all are kept exactly; what is passed over does not count."""
        tensors = random_tensors(CONFIG, "BF16", self.rng)
        tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = ("F32", np.ones(6, np.float32))
        with self.imported(CONFIG, tensors) as file:
            self.expect_values(file, tensors, "bf16")
        for other in ("F32", "F16"):
            tensors["model.norm.weight"] = random_tensors(CONFIG, other, self.rng)["model.norm.weight"]
            with self.imported(CONFIG, tensors) as file:
                self.expect_values(file, tensors, "f32")

    def test_several_files(self):
        tensors = random_tensors(CONFIG, "BF16", self.rng)
        with self.imported(CONFIG, tensors, files=3) as file:
            self.expect_values(file, tensors, "bf16")
        whole = random_tensors(CONFIG, "BF16", self.rng)
        with self.imported(CONFIG, whole) as file:  # beside the others: one file is looked for first
            self.expect_values(file, whole, "bf16")

    def test_tensors_larger_than_a_block(self):
        """Blocks of 8 MiB are read and transposed at once."""
        config = CONFIG | {"num_hidden_layers": 1, "hidden_size": 1000, "num_attention_heads": 10, "intermediate_size": 2300,
                           "num_key_value_heads": 10}
        tensors = random_tensors(config, "F32", self.rng)
        with self.imported(config, tensors) as file:
            self.expect_values(file, tensors, "f32")

    def test_tied_embeddings_and_what_is_passed_over(self):
        config = CONFIG | {"tie_word_embeddings": True}
        tensors = random_tensors(config, "F32", self.rng)
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]
        tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = ("F32", np.ones(6, np.float32))
        with self.imported(config, tensors) as file:
            self.assertNotIn("lm_head", file["tensors"])
            self.expect_values(file, tensors, "f32")

    def test_the_file_runs(self):
        self.imported(CONFIG, random_tensors(CONFIG, "BF16", self.rng)).close()
        (self.folder / "run.yaml").write_text(
            "name: run\nstore: run.h5\nworkload: generate\nweights: out/model.h5\ndtype: [bf16, f16]\nmode: hydragen\n"
            "prefix: 20\nbatch: 3\nnew_tokens: 4\niterations: 1\nwarmup: 0\n")
        done = subprocess.run([HYDRAJOB, "run.yaml", "--device", "cpu", "--threads", "1"], cwd=self.folder,
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class Configuration(ImportTest):
    def architecture(self, changes, *options):
        config = CONFIG | changes
        with self.imported(config, random_tensors(config, "BF16", self.rng), *options) as file:
            return dict(line.strip().split(": ", 1) for line in file.attrs["architecture"].decode().splitlines()
                        if ": " in line)

    def expect(self, found, **expected):
        self.assertEqual({name: found.get(name) for name in expected}, {name: str(v) for name, v in expected.items()})

    def test_names_and_sizes(self):
        self.expect(self.architecture({}), name="'tiny'", n_layers=2, hidden=48, n_heads=4, n_kv_heads=2, head_dim=12,
                    intermediate=80, vocab=70, max_positions=256, rope_theta=50000, rms_eps="1e-05", tied_embeddings="false",
                    bos_id=1, eos_id=2)
        self.expect(self.architecture({"head_dim": 16}, "--name", "mine"), name="'mine'", head_dim=16)
        self.expect(self.architecture({"architectures": None, "num_key_value_heads": 4, "rms_norm_eps": None,
                                       "rope_theta": None, "tie_word_embeddings": False}),
                    rms_eps="1e-06", rope_theta=10000)
        self.assertEqual(self.run_import(checkpoint="tiny/"), 0, self.output)
        with h5py.File(self.model) as file:
            self.assertIn("name: 'tiny'", file.attrs["architecture"].decode())

    def test_several_ends(self):
        self.expect(self.architecture({"eos_token_id": [7, 8]}), eos_id=7)

    def test_rope(self):
        llama3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                  "original_max_position_embeddings": 64}
        expected = {"kind": "llama3", "factor": 8, "low_frequency_factor": 1, "high_frequency_factor": 4,
                    "original_max_positions": 64}
        self.expect(self.architecture({"rope_scaling": llama3}), rope_theta=50000, **expected)
        self.expect(self.architecture({"rope_parameters": llama3 | {"rope_theta": 500000.0}}), rope_theta=500000, **expected)
        self.expect(self.architecture({"rope_scaling": {"type": "linear", "factor": 4.0}}), kind="linear", factor=4)
        self.assertNotIn("kind", self.architecture({"rope_parameters": {"rope_type": "default", "rope_theta": 10.0}}))


class Refusals(ImportTest):
    def expect_refused(self, *messages, options=()):
        self.assertEqual(self.run_import(*options), 2, self.output)
        for message in messages:
            self.assertIn(message, self.output)
        self.assertEqual(self.output.count("error: "), 1, self.output)
        self.assertEqual(len(self.output.splitlines()), 1, self.output)
        self.assertFalse(self.model.parent.exists(), "nothing is written before all is checked")

    def test_configurations(self):
        tensors = random_tensors(CONFIG, "BF16", self.rng)
        for changes, message in (
                ({"architectures": ["GPT2LMHeadModel"]}, 'architectures: ["GPT2LMHeadModel"]: expected ["LlamaForCausalLM"]'),
                ({"hidden_act": "gelu"}, 'hidden_act: "gelu": expected "silu"'),
                ({"attention_bias": True}, "attention_bias: true: expected false"),
                ({"mlp_bias": True}, "mlp_bias: true: expected false"),
                ({"architectures": None, "model_type": None}, "neither 'architectures' nor 'model_type'"),
                ({"architectures": None, "model_type": "mistral"}, "neither 'architectures' nor 'model_type'"),
                ({"num_hidden_layers": 0}, "num_hidden_layers: 0: expected a whole number from 1 to"),
                ({"num_hidden_layers": 2.5}, "num_hidden_layers: 2.5: expected a whole number"),
                ({"num_hidden_layers": 2**63}, "num_hidden_layers: 9223372036854775808: expected a whole number"),
                ({"num_hidden_layers": 2**31}, "num_hidden_layers: 2147483648: expected a whole number from 1 to 2147483647"),
                ({"num_hidden_layers": 2**31 - 1}, "21 tensors, config.json says 2147483647 layers"),
                ({"num_key_value_heads": 3}, "num_key_value_heads: 3: expected a divisor of num_attention_heads 4"),
                ({"hidden_size": 50}, "hidden_size: 50: expected a multiple of num_attention_heads 4"),
                ({"hidden_size": None}, "'hidden_size' is missing"),
                ({"head_dim": 13}, "heads of 13 dimensions"),
                ({"rms_norm_eps": -1}, "rms_norm_eps: -1: expected a number above 0"),
                ({"eos_token_id": []}, "eos_token_id: []: expected a token id"),
                ({"eos_token_id": [2, "x"]}, 'eos_token_id: [2,"x"]: expected a token id'),
                ({"partial_rotary_factor": 0.5}, "partial_rotary_factor: 0.5: expected 1"),
                ({"rope_parameters": {"partial_rotary_factor": 0.5}}, "rope_parameters.partial_rotary_factor: 0.5"),
                ({"rope_scaling": {"factor": 4.0}}, "rope_scaling.factor: 4.0: expected a 'rope_type' beside it"),
                ({"rope_scaling": {"type": "linear", "factor": 4.0}, "rope_parameters": {"rope_theta": 7.0}},
                 "rope_parameters: {\"rope_theta\":7.0}: expected not both it and 'rope_scaling'"),
                ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 4.0, "high_freq_factor": 4.0,
                                   "original_max_position_embeddings": 64}}, "low_freq_factor: 4.0: expected less"),
                ({"architectures": ["x" * 1000]}, "x…"),
                ({"architectures": ["é" * 200]}, "é…"),
                ({"architectures": ["xé" * 200]}, "…"),
                ({"eos_token_id": 70}, "eos_token_id 70: expected below vocab_size 70"),
                ({"tie_word_embeddings": 1}, "tie_word_embeddings: 1: expected true or false"),
                ({"rope_scaling": {"rope_type": "yarn"}}, 'rope_scaling.rope_type: "yarn": expected "default", "linear"'),
                ({"rope_scaling": {"type": "linear"}}, "'rope_scaling.factor' is missing"),
                ({"rope_scaling": 3}, "rope_scaling: 3: expected an object"),
                ({"vocab_size": 71}, "'model.embed_tokens.weight' has shape (70, 48), config.json says (71, 48)"),
                ({"num_hidden_layers": 3}, "no tensor 'model.layers.2.input_layernorm.weight', "),
                ({"num_hidden_layers": 1}, "config.json describes a model without tensor 'model.layers.1."),
                ({"intermediate_size": 81}, "has shape (80, 48), config.json says (81, 48)")):
            with self.subTest(changes):
                save(self.folder / "tiny", CONFIG | changes, tensors)
                self.expect_refused(message)

    def test_a_config_that_is_none(self):
        save(self.folder / "tiny", CONFIG, random_tensors(CONFIG, "BF16", self.rng))
        for text, message in (("[1]", "config.json: no JSON object"), ("{", "parse error"), ("", "parse error"),
                              ('{"architectures": ' + "[" * 200_000 + "]" * 200_000 + "}", "nested more than 32 deep"),
                              ('{"a\\n\\u001b": 1, "a\\n\\u001b": 1}', "'a??' stands there twice"),
                              ('{"hidden_size": 1, "hidden_size": 2}', "config.json: 'hidden_size' stands there twice")):
            (self.folder / "tiny" / "config.json").write_text(text)
            self.expect_refused(message)

    def test_folders(self):
        self.expect_refused("tiny/config.json: ")
        (self.folder / "tiny" / "config.json").mkdir(parents=True)
        self.expect_refused("tiny/config.json: is a folder, expected a file")
        (self.folder / "tiny" / "config.json").rmdir()
        save(self.folder / "tiny", CONFIG, random_tensors(CONFIG, "BF16", self.rng))
        (self.folder / "tiny" / "model.safetensors").unlink()
        self.expect_refused("tiny: neither model.safetensors nor model.safetensors.index.json")
        (self.folder / "tiny" / "pytorch_model-00001-of-00002.bin").write_bytes(b"")
        self.expect_refused("pytorch_model-00001-of-00002.bin is a pickle", "save_pretrained")
        os.mkfifo(self.folder / "tiny" / "model.safetensors")
        self.expect_refused("model.safetensors: is a pipe, expected a file")

    def test_an_index_that_is_wrong(self):
        tensors = random_tensors(CONFIG, "BF16", self.rng)
        save(self.folder / "tiny", CONFIG, tensors, files=2)
        index = self.folder / "tiny" / "model.safetensors.index.json"
        good = json.loads(index.read_text())
        for document, message in (({}, "no object 'weight_map'"), ({"weight_map": {"a": "../b"}}, 'weight_map.a: "../b"'),
                                  ({"weight_map": {"a": "none.safetensors"}}, "none.safetensors: cannot be opened: No such file")):
            index.write_text(json.dumps(document))
            self.expect_refused(message)
        name = sorted(tensors)[0]
        moved = good | {"weight_map": good["weight_map"] | {name: "model-00002-of-00002.safetensors"}}
        index.write_text(json.dumps(moved))
        self.expect_refused(f"tensor '{name}' is not in model-00002-of-00002.safetensors, where ")
        index.write_text(json.dumps(good | {"weight_map": good["weight_map"] | {"ghost": "model-00002-of-00002.safetensors"}}))
        self.expect_refused("tensor 'ghost' is not in model-00002-of-00002.safetensors")
        index.write_text(json.dumps(good))
        second = self.folder / "tiny" / "model-00002-of-00002.safetensors"
        second.write_bytes(safetensors(tensors))
        self.expect_refused("is in ", " too")
        second.unlink()
        self.expect_refused("model-00002-of-00002.safetensors: cannot be opened: No such file")

    def test_command_lines(self):
        save(self.folder / "tiny", CONFIG, random_tensors(CONFIG, "BF16", self.rng))
        self.expect_refused("dtype", options=("--dtype", "f8"))
        self.expect_refused("import: ", options=("--nmae", "x"))
        self.expect_refused("import: --name: expected", options=("--name", ""))
        self.expect_refused("import: --name: expected", options=("--name", "a\nb"))
        self.assertEqual(self.run_import(checkpoint=""), 2, self.output)
        (self.folder / "out").write_text("in the way")
        self.assertEqual(self.run_import(), 2, self.output)
        self.assertIn("out", self.output)


class Damage(ImportTest):
    def setUp(self):
        super().setUp()
        self.tensors = random_tensors(CONFIG, "BF16", self.rng)
        save(self.folder / "tiny", CONFIG, self.tensors)
        self.file = self.folder / "tiny" / "model.safetensors"
        self.whole = self.file.read_bytes()

    def expect_refused(self, content, message):
        self.file.write_bytes(content)
        self.assertEqual(self.run_import(), 2, self.output)
        self.assertIn("tiny/model.safetensors", self.output)
        self.assertIn(message, self.output)
        self.assertFalse(self.model.exists())

    def with_header(self, name, **changes):
        header = header_of(self.tensors)
        header[name] |= changes
        return safetensors(self.tensors, header)

    def test_files_that_are_none(self):
        for content, message in ((b"", "0 bytes long"), (b"1234567", "7 bytes long"), (b"\xff" * 64, "no safetensors file"),
                                 ((2).to_bytes(8, "little") + b"[]", "no JSON object"),
                                 ((200_000_000).to_bytes(8, "little") + b"{}" * 50, "no safetensors file, or truncated"),
                                 (self.whole[:-1], "truncated at"), (self.whole + b"0", "where its last tensor ends")):
            self.expect_refused(content, message)

    def test_tensors_that_are_wrong(self):
        name = "model.norm.weight"
        begin, end = header_of(self.tensors)[name]["data_offsets"]
        for changes, message in (
                ({"dtype": "F9"}, "unknown dtype 'F9'"), ({"dtype": 3}, "'dtype' is 3, expected a text"),
                ({"dtype": "F32"}, "96 bytes are set aside, its shape and dtype take 192"),
                ({"shape": [49]}, "96 bytes are set aside, its shape and dtype take 98"),
                ({"shape": [-48]}, "'shape' holds -48"), ({"shape": [2**63, 2]}, "larger than any file"),
                ({"shape": [2**40, 2**40]}, "larger than any file"), ({"shape": "48"}, "'shape' is \"48\", expected a list"),
                ({"data_offsets": [begin]}, "'data_offsets' is no pair"),
                ({"data_offsets": [end, begin]}, "before they begin"),
                ({"data_offsets": [begin + 2, end + 2]}, "overlap or leave a gap"),
                ({"data_offsets": [begin - 2, end - 2]}, "overlap or leave a gap"),
                ({"data_offsets": [2**64 - 96, 2**64]}, "data_offsets"),
                ({"data_offsets": [2**64 - 97, 2**64 - 1]}, "")):
            with self.subTest(changes):
                self.expect_refused(self.with_header(name, **changes), message)
        name = "model.layers.1.mlp.down_proj.weight"
        self.expect_refused(self.with_header(name, shape=[80, 48]), "has shape (80, 48), config.json says (48, 80)")
        whole_numbers = random_tensors(CONFIG, "BF16", self.rng)
        whole_numbers["model.norm.weight"] = ("I64", np.ones(48, np.int64))
        self.expect_refused(safetensors(whole_numbers), "is of dtype I64, expected BF16, F16 or F32")

    def test_a_tensor_twice(self):
        header = json.dumps(header_of(self.tensors)).encode()
        first = json.dumps({"model.norm.weight": {"dtype": "BF16", "shape": [0], "data_offsets": [0, 0]}}).encode()
        self.expect_refused(safetensors(self.tensors, first[:-1] + b"," + header[1:]), "'model.norm.weight' stands there twice")

    def test_a_write_that_fails_leaves_nothing(self):
        command = f"trap '' XFSZ; ulimit -f 8; exec {HYDRAJOB} import tiny -o out/model.h5"
        done = subprocess.run(["bash", "-c", command], cwd=self.folder, capture_output=True, text=True, timeout=60,
                              check=False)
        self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
        self.assertIn("out/model.h5: cannot be written", done.stderr)
        self.assertEqual(list((self.folder / "out").iterdir()), [])

    def test_any_byte_of_the_header(self):
        """Whatever is changed, it is imported or refused: nothing else."""
        dice = random.Random(SEED)
        length = 8 + int.from_bytes(self.whole[:8], "little")
        for _ in range(100):
            content = bytearray(self.whole)
            for _ in range(dice.randrange(1, 4)):
                content[dice.randrange(length)] = dice.randrange(256)
            self.file.write_bytes(content)
            self.assertIn(self.run_import(), (0, 2), f"seed {SEED}: {self.output}")


if __name__ == "__main__":
    main()
