#!/usr/bin/python3
"""hydrajob import against cp of the same bytes on the same disk: in turn, medians, both until the bytes are on the disk.

  bench/import_speed.py HYDRAJOB [--pairs 7] [--folder DIR] [--dtype BF16|F16|F32]

Makes a checkpoint of 2.2 GB (F32: 4.4 GB) of TinyLlama's shapes and random values. Cold: the page cache is dropped before
each, which takes root. The bar: at least 80 % of cp's speed, less than 2 GB of memory.
"""

import argparse
import json
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "num_hidden_layers": 22, "hidden_size": 2048,
          "num_attention_heads": 32, "num_key_value_heads": 4, "intermediate_size": 5632, "vocab_size": 32000,
          "max_position_embeddings": 2048}
BYTES = {"BF16": 2, "F16": 2, "F32": 4}


def shapes():
    """In the order of names, as such files have them."""
    h, middle, kv, vocab = 2048, 5632, 256, 32000
    layer = {"input_layernorm": (h,), "mlp.down_proj": (h, middle), "mlp.gate_proj": (middle, h), "mlp.up_proj": (middle, h),
             "post_attention_layernorm": (h,), "self_attn.k_proj": (kv, h), "self_attn.o_proj": (h, h),
             "self_attn.q_proj": (h, h), "self_attn.v_proj": (kv, h)}
    found = {f"model.layers.{i}.{name}.weight": shape for i in range(22) for name, shape in layer.items()}
    found |= {"lm_head.weight": (vocab, h), "model.embed_tokens.weight": (vocab, h), "model.norm.weight": (h,)}
    return dict(sorted(found.items()))


def make_checkpoint(folder, dtype):
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    header, at = {}, 0
    for name, shape in shapes().items():
        size = int(np.prod(shape)) * BYTES[dtype]
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    rng = np.random.default_rng(1)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for entry in header.values():
            file.write(rng.bytes(entry["data_offsets"][1] - entry["data_offsets"][0]))
        file.flush()
        os.fsync(file.fileno())
    return at


def drop_caches():
    os.sync()
    Path("/proc/sys/vm/drop_caches").write_text("1\n")


def peak_memory(pid):
    """Bytes so far; of the program alone, unlike what wait4 says, which counts this one before its exec too."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)


def timed(command, cold):
    """Seconds, and the peak of memory in bytes."""
    if cold:
        drop_caches()
    peak = 0
    with tempfile.TemporaryFile("w+") as messages:
        begin = time.monotonic()
        process = subprocess.Popen(command, stderr=messages)
        while process.poll() is None:
            peak = max(peak, peak_memory(process.pid))
            time.sleep(0.005)
        seconds = time.monotonic() - begin
        if process.returncode != 0:
            messages.seek(0)
            sys.exit(f"{command}: {messages.read()}")
    return seconds, peak


def measure(hydrajob, source, pairs, cold, options):
    copy, model = source.parent / "copy", source.parent / "model.h5"
    copies = ["sh", "-c", f"cp {source}/model.safetensors {copy} && sync {copy}"]
    imports = [hydrajob, "import", source, "-o", model, *options]
    taken = {"cp": [], "import": []}
    peak = 0
    for _ in range(pairs):
        taken["cp"].append(timed(copies, cold)[0])
        copy.unlink()
        seconds, memory = timed(imports, cold)
        taken["import"].append(seconds)
        peak = max(peak, memory)
        model.unlink()
    return taken, peak


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("hydrajob")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--folder", help="on the disk that is to be measured; otherwise the system's temporary one")
    parser.add_argument("--dtype", choices=BYTES, default="BF16")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        source = Path(name) / "checkpoint"
        size = make_checkpoint(source, arguments.dtype)
        print(f"{size / 1e9:.2f} GB, {arguments.dtype}, {arguments.pairs} pairs")
        print("        cp GB/s  import GB/s  import / cp (median of pairs)  peak memory")
        for cold in (True, False) if os.geteuid() == 0 else (False,):
            taken, peak = measure(Path(arguments.hydrajob).resolve(), source, arguments.pairs, cold, [])
            speed = {what: size / statistics.median(seconds) / 1e9 for what, seconds in taken.items()}
            ratio = statistics.median(c / i for c, i in zip(taken["cp"], taken["import"]))
            print(f"{'cold' if cold else 'warm'}  {speed['cp']:9.2f}  {speed['import']:11.2f}  {ratio:29.2f}  {peak / 1e9:8.2f} GB",
                  flush=True)


if __name__ == "__main__":
    main()
