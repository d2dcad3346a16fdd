"""Random checkpoints as transformers saves them, imported: the engine's logits are those of transformers.

usage: transformers_test.py HYDRAJOB ENGINE_PROBE SOURCE_DIR [unittest's options]     (run by ctest; exit 77: skipped)

transformers and torch are looked for in this Python, then in build/transformers, which
scripts/install_dependencies --transformers makes.
"""

import os
import subprocess
import sys
from pathlib import Path

try:
    import torch
    import transformers
except ImportError as error:
    other = Path(sys.argv[3]) / "build" / "transformers" / "bin" / "python3"
    if other.exists() and Path(sys.executable) != other:
        os.execv(other, [other, *sys.argv])
    print(f"skipped: {error}; scripts/install_dependencies --transformers installs both (several GB)")
    sys.exit(77)

import h5py
import numpy as np

from importing import SEED, ImportTest, main

PROBE = sys.argv[2]
PROMPT, NEW_TOKENS = 150, 6
TOLERANCE = {"f32": 1e-4, "f16": 1e-2}  # of what is computed in; bf16 would be 2e-2 and more off

COMMON = {"hidden_size": 128, "num_hidden_layers": 3, "num_attention_heads": 8, "num_key_value_heads": 8,
          "intermediate_size": 344, "vocab_size": 320, "max_position_embeddings": 512, "rms_norm_eps": 1e-5,
          "tie_word_embeddings": False, "initializer_range": 0.15}
LLAMA3_ROPE = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
               "original_max_position_embeddings": 64, "rope_theta": 500000.0}
MODELS = {
    "llama2": {"rope_parameters": {"rope_type": "default", "rope_theta": 10000.0}},
    "llama3": {"num_key_value_heads": 2, "vocab_size": 512, "rope_parameters": LLAMA3_ROPE,
               "eos_token_id": [500, 501, 502], "bos_token_id": 499},
    "yi": {"num_key_value_heads": 1, "vocab_size": 640, "rope_parameters": {"rope_type": "default", "rope_theta": 5e6},
           "head_dim": 32},
    "tied": {"tie_word_embeddings": True, "rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0}},
}


def random_model(changes):
    """Weights that give logits of some size, norms that are not all 1."""
    torch.manual_seed(SEED)
    model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**COMMON | changes)).float().eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("norm.weight"):
                weight.uniform_(0.5, 1.5)
    return model


class Logits(ImportTest):
    def probe(self, dtype, prompt, vocab):
        """The last logits of the prompt and those of each new token, and the tokens, chosen greedily."""
        ids = " ".join(map(str, prompt))
        (self.folder / "batch.txt").write_text(f"new_tokens {NEW_TOKENS}\nnode -1 {ids}\nsequence 0\n")
        out = self.folder / "out.bin"
        done = subprocess.run([PROBE, self.model, dtype, "hydragen", "64", "0", "1", "1", self.folder / "batch.txt", out],
                              capture_output=True, text=True, check=False,
                              env={**os.environ, "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"})
        self.assertEqual(done.returncode, 0, done.stderr)
        words = np.fromfile(out, np.int32)
        n = NEW_TOKENS * vocab
        return words[:n].view(np.float32).reshape(NEW_TOKENS, vocab), words[n : n + NEW_TOKENS]

    def check(self, name, dtype, computed="f32", **saving):
        """Kept as it was saved, where that is what is computed in."""
        random_model(MODELS[name]).to(dtype).save_pretrained(self.folder / "tiny", **saving)
        # Loaded anew: to(dtype) has rounded RoPE's frequencies too, which are not saved.
        model = transformers.LlamaForCausalLM.from_pretrained(self.folder / "tiny", dtype=torch.float32).eval()
        options = ["--dtype", "f32"] if computed == "f32" else []
        self.assertEqual(self.run_import(*options), 0, self.output)
        with h5py.File(self.model) as file:
            self.assertEqual(file.attrs["dtype"].decode(), computed)
        vocab = model.config.vocab_size
        prompt = self.rng.integers(vocab, size=PROMPT)
        logits, tokens = self.probe(computed, prompt, vocab)
        with torch.no_grad():
            ids = torch.tensor(np.concatenate([prompt, tokens[:-1]]))[None]
            expected = model(ids).logits[0, PROMPT - 1 :].numpy()
        error = np.linalg.norm(logits - expected) / np.linalg.norm(expected)
        print(f"{name}, {dtype}, computed in {computed}: logits within {error:.1e}, of size {np.abs(expected).mean():.2g}",
              flush=True)
        self.assertLess(error, TOLERANCE[computed], f"{name}, seed {SEED}")
        if computed == "f32":
            np.testing.assert_array_equal(tokens, expected.argmax(-1), f"{name}, seed {SEED}")

    def test_llama2_in_several_files(self):
        self.check("llama2", torch.float32, max_shard_size="500KB")
        self.assertTrue((self.folder / "tiny" / "model.safetensors.index.json").exists())

    def test_llama3(self):
        self.check("llama3", torch.float32)

    def test_yi_in_bf16(self):
        self.check("yi", torch.bfloat16)

    def test_tied_in_f16(self):
        self.check("tied", torch.float16)

    def test_llama2_stays_f16(self):
        self.check("llama2", torch.float16, "f16")


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    main(own_arguments=2)
