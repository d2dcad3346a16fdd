"""A Llama-family forward pass in float64 with numpy, from the model's definition: the independent reference.

Reads a hydrajob model file with h5py alone. One sequence at a time, no cache, no tree.
"""

import h5py
import numpy as np
import yaml


def bf16_to_float(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32)


class Llama:
    def __init__(self, path):
        with h5py.File(path) as f:
            architecture = f.attrs["architecture"]
            if isinstance(architecture, bytes):
                architecture = architecture.decode()
            self.a = yaml.safe_load(architecture)
            self.eps = float(self.a["rms_eps"])  # PyYAML reads 1e-05 as text
            self.theta = float(self.a.get("rope_theta", 1e4))
            self.w = {}
            for name, data in f["tensors"].items():
                values = data[...]
                if values.dtype == np.uint16:
                    values = bf16_to_float(values)
                self.w[name] = values.astype(np.float64)
        self.inverse_frequency = self._frequencies()

    def _frequencies(self):
        d = self.a["head_dim"]
        f = self.theta ** (-np.arange(0, d, 2) / d)
        scaling = self.a.get("rope_scaling") or {"kind": "none"}
        if scaling["kind"] == "linear":
            return f / scaling["factor"]
        if scaling["kind"] == "llama3":
            original = scaling["original_max_positions"]
            low, high = scaling["low_frequency_factor"], scaling["high_frequency_factor"]
            wavelength = 2 * np.pi / f
            smooth = np.clip((original / wavelength - low) / (high - low), 0, 1)
            return (1 - smooth) * f / scaling["factor"] + smooth * f
        return f

    def _norm(self, x, name):
        return x / np.sqrt(np.mean(x * x, -1, keepdims=True) + self.eps) * self.w[name].reshape(-1)

    def _rotate(self, x):  # (tokens, heads, head_dim)
        half = x.shape[-1] // 2
        angle = np.arange(x.shape[0])[:, None] * self.inverse_frequency
        c, s = np.cos(angle)[:, None], np.sin(angle)[:, None]
        a, b = x[..., :half], x[..., half:]
        return np.concatenate([a * c - b * s, b * c + a * s], -1)

    def _attention(self, x, p, attends):
        n, d = x.shape[0], self.a["head_dim"]
        q = self._rotate((x @ self.w[p + "q"].T).reshape(n, -1, d))
        k = self._rotate((x @ self.w[p + "k"].T).reshape(n, -1, d))
        v = (x @ self.w[p + "v"].T).reshape(n, -1, d)
        if not attends:
            return q.reshape(n, -1) @ self.w[p + "o"]
        group = q.shape[1] // k.shape[1]
        k, v = np.repeat(k, group, 1), np.repeat(v, group, 1)
        scores = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(d)
        scores[:, np.triu(np.ones((n, n), bool), 1)] = -np.inf
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        out = np.einsum("hqk,khd->qhd", weights, v)
        return out.reshape(n, -1) @ self.w[p + "o"]

    def logits(self, ids, attends=True):
        """(tokens, vocab) of one sequence."""
        x = self.w["embedding"][np.asarray(ids)]
        for i in range(self.a["n_layers"]):
            p = f"layers.{i}."
            x = x + self._attention(self._norm(x, p + "attention_norm"), p + "attention.", attends)
            h = self._norm(x, p + "mlp_norm")
            gate, up = h @ self.w[p + "mlp.gate"].T, h @ self.w[p + "mlp.up"].T
            x = x + (gate / (1 + np.exp(-gate)) * up) @ self.w[p + "mlp.down"]
        head = self.w.get("lm_head", self.w["embedding"])
        return self._norm(x, "final_norm") @ head.T
