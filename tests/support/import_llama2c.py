"""A model in llama2.c's format as a hydrajob model file (f32), for tests with a real trained model.

  import_llama2c.py MODEL.bin MODEL.h5

llama2.c rotates neighbouring pairs (2i, 2i+1) of a head, this project halves (i, i + head_dim/2): the rows of wq and wk
are put in the other order, head by head, which leaves every score as it is.
"""

import ctypes
import ctypes.util
import struct
import sys

import h5py
import numpy as np


class Xxh3:
    """libxxhash, which the program itself is linked with."""

    class Hash128(ctypes.Structure):
        _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]

    def __init__(self):
        library = ctypes.CDLL(ctypes.util.find_library("xxhash") or "libxxhash.so.0")
        for name, result in (("XXH3_64bits", ctypes.c_uint64), ("XXH3_128bits", self.Hash128)):
            function = getattr(library, name)
            function.restype, function.argtypes = result, [ctypes.c_char_p, ctypes.c_size_t]
        self.library = library

    def digest64(self, data):
        return self.library.XXH3_64bits(data, len(data))

    def digest128(self, data):
        value = self.library.XXH3_128bits(data, len(data))
        return f"{value.high:016x}{value.low:016x}"


def read_llama2c(path):
    """(architecture, tensors): the header's numbers by this project's names, and float32 arrays."""
    with open(path, "rb") as file:
        dim, hidden, layers, heads, kv_heads, vocab, positions = struct.unpack("7i", file.read(28))
        data = np.fromfile(file, np.float32)
    tied, vocab = vocab > 0, abs(vocab)
    head_dim, at = dim // heads, 0

    def take(*shape):
        nonlocal at
        size = int(np.prod(shape))
        part = data[at : at + size].reshape(shape)
        at += size
        return part

    embedding = take(vocab, dim)
    names = ("attention_norm", "q", "k", "v", "o", "mlp_norm", "gate", "down", "up")
    kv = kv_heads * head_dim
    shapes = ((1, dim), (dim, dim), (kv, dim), (kv, dim), (dim, dim), (1, dim), (hidden, dim), (dim, hidden), (hidden, dim))
    stacked = {name: take(layers, *shape) for name, shape in zip(names, shapes)}
    final_norm = take(1, dim)
    take(2, positions, head_dim // 2)  # RoPE tables: ours are computed
    architecture = {
        "name": "stories", "n_layers": layers, "hidden": dim, "n_heads": heads, "n_kv_heads": kv_heads,
        "head_dim": head_dim, "intermediate": hidden, "vocab": vocab, "max_positions": positions,
        "rope_theta": 10000.0, "rms_eps": 1.0e-5, "tied_embeddings": tied,
    }  # fmt: skip
    tensors = {"embedding": embedding}
    for i in range(layers):
        p = f"layers.{i}."
        w = {name: values[i] for name, values in stacked.items()}
        tensors[p + "attention_norm"] = w["attention_norm"]
        tensors[p + "attention.q"] = halves(w["q"], heads)
        tensors[p + "attention.k"] = halves(w["k"], kv_heads)
        tensors[p + "attention.v"] = w["v"]
        tensors[p + "attention.o"] = w["o"].T  # stored (in, out)
        tensors[p + "mlp_norm"] = w["mlp_norm"]
        tensors[p + "mlp.gate"], tensors[p + "mlp.up"] = w["gate"], w["up"]
        tensors[p + "mlp.down"] = w["down"].T
    tensors["final_norm"] = final_norm
    if not tied:
        tensors["lm_head"] = take(vocab, dim)
    return architecture, tensors


def halves(weight, n_heads):
    """(heads * head_dim, dim): rows 0, 2, 4, … of each head first, then 1, 3, 5, …"""
    rows = weight.reshape(n_heads, -1, 2, weight.shape[1])
    return rows.transpose(0, 2, 1, 3).reshape(weight.shape)


def to_yaml(architecture):
    text = {True: "true", False: "false"}
    return "".join(f"{k}: {text[v] if isinstance(v, bool) else v}\n" for k, v in architecture.items())


def write_model(path, architecture, tensors):
    xxh, yaml, summary = Xxh3(), to_yaml(architecture), ""
    with h5py.File(path, "w") as file:
        group = file.create_group("tensors")
        for name, values in tensors.items():
            values = np.ascontiguousarray(values, np.float32)
            n = min(len(values), 64)
            ranges = [values[len(values) * i // n : len(values) * (i + 1) // n].tobytes() for i in range(n)]
            checksums = np.array([xxh.digest64(part) for part in ranges], np.uint64)
            checksum = xxh.digest64(checksums.tobytes())
            dataset = group.create_dataset(name, data=values)
            dataset.attrs["dtype"] = np.bytes_("f32")
            dataset.attrs["checksums"] = checksums
            dataset.attrs["checksum"] = np.bytes_(f"{checksum:016x}")
            summary += f"{name} {values.shape[0]} {values.shape[1]} {checksum:016x}\n"
        file.attrs["format"] = np.bytes_("hydrajob-model")
        file.attrs["version"] = np.int64(1)
        file.attrs["architecture"] = np.bytes_(yaml)
        file.attrs["dtype"] = np.bytes_("f32")
        file.attrs["digest"] = np.bytes_(xxh.digest128((yaml + "f32\n" + summary).encode()))


if __name__ == "__main__":
    write_model(sys.argv[2], *read_llama2c(sys.argv[1]))
