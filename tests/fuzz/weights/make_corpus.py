"""Writes the corpora beside this file: whole files, and some that are refused.

Those named whole… are whole.

usage: make_corpus.py HYDRAJOB
"""

import json
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
ARCHITECTURE = ("name: t\nn_layers: 1\nhidden: 4\nn_heads: 2\nn_kv_heads: 1\nhead_dim: 2\nintermediate: 3\nvocab: 5\n"
                "max_positions: 8\n")


def safetensors(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def entry(dtype="F32", shape=(2, 3), begin=0, end=24):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


def main():
    files = {
        "whole": safetensors({"__metadata__": {"format": "pt"}, "a": entry(), "b.weight": entry("BF16", (4,), 24, 32)}, bytes(32)),
        "whole_scalar": safetensors({"a": entry("I64", (), 0, 8), "empty": entry("U8", (0, 7), 8, 8)}, bytes(8)),
        "overlap": safetensors({"a": entry(), "b": entry(begin=12, end=36)}, bytes(36)),
        "beyond": safetensors({"a": entry(end=1 << 40, shape=(1 << 19, 1 << 19))}, bytes(24)),
        "overflow": safetensors({"a": entry(shape=(1 << 62, 1 << 62, 4))}, bytes(24)),
        "twice": safetensors(b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":1}', bytes(1)),
        "nested": safetensors(b'{"a":' + b"[" * 100 + b"]" * 100 + b"}"),
        "no_header": struct.pack("<Q", 1 << 63),
        "short": b"\x10\0\0",
    }
    for name, content in files.items():
        (HERE / "corpus" / "safetensors" / name).write_bytes(content)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "t.yaml").write_text(ARCHITECTURE)
        for dtype in ("bf16", "f16", "f32"):
            subprocess.run([sys.argv[1], "make-model", "t.yaml", "-o", f"{dtype}.h5", "--dtype", dtype], cwd=folder, check=True)
            content = (Path(folder) / f"{dtype}.h5").read_bytes()
            (HERE / "corpus" / "model_file" / f"whole_{dtype}").write_bytes(content)
        (HERE / "corpus" / "model_file" / "truncated").write_bytes(content[: len(content) * 3 // 4])


if __name__ == "__main__":
    main()
