"""Models as Hugging Face publishes them, small and random, written without any of its libraries."""

import json
import struct

import numpy as np

CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "num_hidden_layers": 2,
    "hidden_size": 48, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": None, "intermediate_size": 80,
    "vocab_size": 70, "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "rope_theta": 50000.0,
    "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2,
}


def to_bf16(values):
    """Bits, rounded to nearest even."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_bf16(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32)


ENCODE = {"F32": lambda x: x.astype("<f4"), "F16": lambda x: x.astype("<f2"), "BF16": to_bf16}
DECODE = {"F32": lambda x: x, "F16": lambda x: x.astype(np.float32), "BF16": from_bf16}


def shapes(config):
    """Of every tensor of a LlamaForCausalLM, by name."""
    hidden, middle, vocab = (config[name] for name in ("hidden_size", "intermediate_size", "vocab_size"))
    head_dim = config.get("head_dim") or hidden // config["num_attention_heads"]
    q, kv = (config[name] * head_dim for name in ("num_attention_heads", "num_key_value_heads"))
    found = {"model.embed_tokens.weight": (vocab, hidden), "model.norm.weight": (hidden,)}
    for i in range(config["num_hidden_layers"]):
        layer = {"input_layernorm": (hidden,), "self_attn.q_proj": (q, hidden), "self_attn.k_proj": (kv, hidden),
                 "self_attn.v_proj": (kv, hidden), "self_attn.o_proj": (hidden, q), "post_attention_layernorm": (hidden,),
                 "mlp.gate_proj": (middle, hidden), "mlp.up_proj": (middle, hidden), "mlp.down_proj": (hidden, middle)}
        found.update({f"model.layers.{i}.{name}.weight": shape for name, shape in layer.items()})
    if not config["tie_word_embeddings"]:
        found["lm_head.weight"] = (vocab, hidden)
    return found


def random_tensors(config, dtype, rng):
    """name -> (dtype, array as it is stored)"""
    return {name: (dtype, ENCODE[dtype](rng.standard_normal(shape).astype(np.float32)))
            for name, shape in shapes(config).items()}


def header_of(tensors):
    header, at = {"__metadata__": {"format": "pt"}}, 0
    for name, (dtype, array) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    return header


def safetensors(tensors, header=None):
    text = header if isinstance(header, bytes) else json.dumps(header or header_of(tensors)).encode()
    return struct.pack("<Q", len(text)) + text + b"".join(array.tobytes() for _, array in tensors.values())


def save(folder, config, tensors, files=1):
    """In one file, or in several with an index."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    if files == 1:
        (folder / "model.safetensors").write_bytes(safetensors(tensors))
        return
    names = sorted(tensors)
    weight_map = {}
    for i in range(files):
        file = f"model-{i + 1:05}-of-{files:05}.safetensors"
        own = names[i::files]
        (folder / file).write_bytes(safetensors({name: tensors[name] for name in own}))
        weight_map.update({name: file for name in own})
    index = {"metadata": {"total_size": sum(array.nbytes for _, array in tensors.values())}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
