#!/usr/bin/python3
"""Batched generation from a shared prompt on the CPU: hydrajob and llama.cpp's llama-batched-bench, in turn.

  bench/llama_cpp.py --bench PATH/llama-batched-bench --gguf FILE [--prefix 512,2048] [--batch 64] [--rounds 3]
                     [--threads 2] [--repack]

TinyLlama-1.1B's shape, random weights, bf16, one process each. FILE is made where it is not there (PyPI's gguf). Each round
runs every prefix with one program and then with the other; the table holds medians over the rounds. --repack: ik_llama.cpp's
-rtr. llama.cpp is built with -DGGML_NATIVE=ON; PyPI's source package llama-cpp-python holds a copy of it.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

import h5py
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[1]
NEW_TOKENS = 32
SHAPE = {"layers": 22, "hidden": 2048, "heads": 32, "kv_heads": 4, "head_dim": 64, "intermediate": 5632, "vocab": 32000}
MAX_POSITIONS = 16384  # more than the model's own: only the shapes matter here


def make_gguf(path):
    import gguf

    s = SHAPE
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(MAX_POSITIONS)
    writer.add_embedding_length(s["hidden"])
    writer.add_block_count(s["layers"])
    writer.add_feed_forward_length(s["intermediate"])
    writer.add_head_count(s["heads"])
    writer.add_head_count_kv(s["kv_heads"])
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(s["head_dim"])
    writer.add_vocab_size(s["vocab"])
    writer.add_file_type(32)  # mostly bf16
    writer.add_tokenizer_model("no_vocab")
    random = np.random.default_rng(1)

    def matrix(name, *shape):
        values = random.standard_normal(shape, dtype=np.float32) * np.float32(0.02)
        bits = (values.view(np.uint32) >> 16).astype(np.uint16)
        writer.add_tensor(name, bits.view(np.uint8), raw_dtype=gguf.GGMLQuantizationType.BF16)

    def norm(name):
        writer.add_tensor(name, np.ones(s["hidden"], np.float32))

    matrix("token_embd.weight", s["vocab"], s["hidden"])
    norm("output_norm.weight")
    matrix("output.weight", s["vocab"], s["hidden"])
    kv = s["kv_heads"] * s["head_dim"]
    for layer in range(s["layers"]):
        prefix = f"blk.{layer}."
        norm(prefix + "attn_norm.weight")
        norm(prefix + "ffn_norm.weight")
        matrix(prefix + "attn_q.weight", s["hidden"], s["hidden"])
        matrix(prefix + "attn_k.weight", kv, s["hidden"])
        matrix(prefix + "attn_v.weight", kv, s["hidden"])
        matrix(prefix + "attn_output.weight", s["hidden"], s["hidden"])
        matrix(prefix + "ffn_gate.weight", s["intermediate"], s["hidden"])
        matrix(prefix + "ffn_up.weight", s["intermediate"], s["hidden"])
        matrix(prefix + "ffn_down.weight", s["hidden"], s["intermediate"])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def theirs(options, prefix):
    """(prefill, decode) in tokens/s."""
    context = prefix + options.batch * NEW_TOKENS + 512
    command = [options.bench, "-m", options.gguf, "-c", context, "-b", 2048, "-ub", 512, "-npp", prefix, "-ntg", NEW_TOKENS,
               "-npl", options.batch, "-t", options.threads, "-tb", options.threads, "-ctk", "f16", "-ctv", "f16",
               "-fa", "on", "-pps", "--output-format", "jsonl"]
    command += ["-rtr"] if options.repack else ["-kvu"]
    run = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    for line in run.stdout.splitlines():
        if line.startswith("{"):
            result = json.loads(line)
            return result["speed_pp"], result["speed_tg"]
    sys.exit(f"llama_cpp.py: no result of {options.bench}:\n{run.stderr[-2000:]}")


def ours(options, prefix):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        s = SHAPE
        (folder / "model.yaml").write_text(
            f"name: tinyllama-1.1b\nn_layers: {s['layers']}\nhidden: {s['hidden']}\nn_heads: {s['heads']}\n"
            f"n_kv_heads: {s['kv_heads']}\nhead_dim: {s['head_dim']}\nintermediate: {s['intermediate']}\n"
            f"vocab: {s['vocab']}\nmax_positions: {MAX_POSITIONS}\n")
        (folder / "experiment.yaml").write_text(
            f"name: llama-cpp\nstore: {folder}/results.h5\nworkload: generate\nmodel: {folder}/model.yaml\n"
            f"weights: random\ndtype: bf16\nmode: hydragen\nbatch: {options.batch}\nprefix: {prefix}\n"
            f"new_tokens: {NEW_TOKENS + 1}\nwarmup: 0\niterations: 1\nmax_iterations: 1\n")
        run = subprocess.run([options.hydrajob, folder / "experiment.yaml", "--threads", str(options.threads)],
                             capture_output=True, text=True)
        if run.returncode != 0:
            sys.exit(f"llama_cpp.py: {options.hydrajob}:\n{run.stderr[-2000:]}")
        with h5py.File(folder / "results.h5") as file:
            runs = file["runs"]
            return prefix / runs["prefill.median"][0], runs["decode_tokens_per_s"][0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", required=True)
    parser.add_argument("--gguf", required=True)
    parser.add_argument("--prefix", default="512,2048", type=lambda text: [int(word) for word in text.split(",")])
    parser.add_argument("--batch", default=64, type=int)
    parser.add_argument("--rounds", default=3, type=int)
    parser.add_argument("--threads", default=2, type=int)
    parser.add_argument("--repack", action="store_true")
    parser.add_argument("--hydrajob", default=str(ROOT / "build/cpu/hydrajob"))
    options = parser.parse_args()
    if not pathlib.Path(options.gguf).exists():
        make_gguf(options.gguf)

    measured = {prefix: ([], []) for prefix in options.prefix}
    for number in range(1, options.rounds + 1):
        for prefix, (mine, other) in measured.items():
            mine.append(ours(options, prefix))
            other.append(theirs(options, prefix))
            print(f"round {number}, prefix {prefix}: prefill {mine[-1][0]:.1f} against {other[-1][0]:.1f}, "
                  f"decode {mine[-1][1]:.1f} against {other[-1][1]:.1f} tokens/s", file=sys.stderr, flush=True)

    print("| prefix | prefill tok/s, hydrajob | llama.cpp | decode tok/s, hydrajob | llama.cpp | ratio of decode (each round) |")
    print("|---|---|---|---|---|---|")
    for prefix, (mine, other) in measured.items():
        median = [statistics.median(values) for values in (*zip(*mine), *zip(*other))]
        ratios = [a[1] / b[1] for a, b in zip(mine, other)]
        each = ", ".join(f"{ratio:.2f}" for ratio in ratios)
        print(f"| {prefix} | {median[0]:.1f} | {median[2]:.1f} | {median[1]:.1f} | {median[3]:.1f} | "
              f"{statistics.median(ratios):.2f} ({each}) |")


if __name__ == "__main__":
    main()
