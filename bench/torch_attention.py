"""Decode attention under a shared prefix out of PyTorch's own kernels, put together in each way that a user could. Needs
PyTorch and a GPU.

The query heads that read one KV head stand together as rows of one matrix against the prefix, which is then read once for
all sequences; each sequence's own tokens are a batch of small products; both are merged by log-sum-exp in one compiled
kernel. Partial results are bf16, as these kernels give them.
"""

import statistics
import sys
from functools import cached_property, partial

import torch

DTYPE = torch.bfloat16
EVICTED_BYTES = 256 << 20  # read before each iteration, as hydrajob does: nothing of keys and values stays in the caches
MOST_COPIED_BYTES = 20e9  # of a prefix copied for every sequence
WORST_ERROR = 1e-2  # ‖out − exact‖ / ‖exact‖ of a sequence: bf16 gives 2e-3
WARMUP = 10

# Every layout of strides and every size of 1 is compiled for apart; past this limit PyTorch would go on uncompiled, and the
# comparison would be with that.
torch._dynamo.config.recompile_limit = 64


def flash(q, k, v):
    """FlashAttention-2: output, log-sum-exp."""
    return torch.ops.aten._scaled_dot_product_flash_attention(q, k, v, 0.0, False, False)[:2]


def cudnn(q, k, v):
    return torch.ops.aten._scaled_dot_product_cudnn_attention(q, k, v, None, True, 0.0, False, False)[:2]


KERNELS = {"flash": flash, "cudnn": cudnn}


@torch.compile(dynamic=True)
def merge(shared_out, shared_lse, own_out, own_lse):
    """The prefix's share of the softmax's sum is exp(a) / (exp(a) + exp(b)) for log-sum-exps a and b."""
    share = torch.sigmoid(shared_lse - own_lse)[..., None]
    return torch.lerp(own_out.float(), shared_out.float(), share).to(DTYPE)


class Problem:
    """`shape`: n_kv_heads, group (query heads a KV head), head_dim, batch, prefix, suffix."""

    def __init__(self, shape, device="cuda", kernels=KERNELS):
        self.shape, self.kernels = shape, kernels
        torch.manual_seed(1)

        def normal(*sizes):
            return torch.randn(*sizes, device=device, dtype=DTYPE)

        self.q = normal(shape.batch, shape.n_kv_heads, shape.group, shape.head_dim)
        self.shared_k, self.shared_v = (normal(1, shape.n_kv_heads, shape.prefix, shape.head_dim) for _ in range(2))
        self.own_k, self.own_v = (normal(shape.batch, shape.n_kv_heads, shape.suffix, shape.head_dim) for _ in range(2))

    def shared_part(self, kernel):
        s = self.shape
        rows = self.q.permute(1, 0, 2, 3).reshape(1, s.n_kv_heads, s.batch * s.group, s.head_dim)
        out, lse = self.kernels[kernel](rows, self.shared_k, self.shared_v)
        return (out.reshape(s.n_kv_heads, s.batch, s.group, s.head_dim).permute(1, 0, 2, 3),
                lse.reshape(s.n_kv_heads, s.batch, s.group).permute(1, 0, 2))

    def own_part(self, kernel):
        out, lse = self.kernels[kernel](self.q, self.own_k, self.own_v)
        return out, lse.reshape(self.q.shape[:3])

    def in_turn(self, shared_kernel, own_kernel):
        return merge(*self.shared_part(shared_kernel), *self.own_part(own_kernel))

    def at_once(self, shared_kernel, own_kernel):
        """Both parts on streams of their own: one waits for products, the other for memory."""
        self.second.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.second):
            own = self.own_part(own_kernel)
        shared = self.shared_part(shared_kernel)
        torch.cuda.current_stream().wait_stream(self.second)
        return merge(*shared, *own)

    def copied(self, kernel):
        """Nothing is shared: each sequence has its own copy of the prefix."""
        return self.kernels[kernel](self.q, *self.copies)[0]

    @cached_property
    def second(self):
        return torch.cuda.Stream()

    @cached_property
    def copies(self):
        return [torch.cat([shared.expand(self.shape.batch, -1, -1, -1), own], dim=2)
                for shared, own in ((self.shared_k, self.own_k), (self.shared_v, self.own_v))]

    def ways(self):
        """What computes the whole, by the names of the CSV's columns."""
        ways = {}
        for shared in self.kernels:
            for own in self.kernels:
                ways[f"{shared}+{own}"] = partial(self.in_turn, shared, own)
                ways[f"{shared}|{own}"] = partial(self.at_once, shared, own)
        s = self.shape
        if 2 * s.batch * s.n_kv_heads * (s.prefix + s.suffix) * s.head_dim * DTYPE.itemsize <= MOST_COPIED_BYTES:
            ways.update({kernel: partial(self.copied, kernel) for kernel in self.kernels})
        return ways

    def error(self, out):
        """The worst of a few sequences, against float64."""
        sample = {0, self.shape.batch // 2, self.shape.batch - 1}
        return max(self._error_of(sequence, out[sequence].double()) for sequence in sample)

    def _error_of(self, sequence, out):
        k, v = (torch.cat([shared[0], own[sequence]], dim=1).double()
                for shared, own in ((self.shared_k, self.own_k), (self.shared_v, self.own_v)))
        scores = self.q[sequence].double() @ k.transpose(1, 2) / self.shape.head_dim**0.5
        exact = scores.softmax(dim=-1) @ v
        return (torch.linalg.vector_norm(out - exact) / torch.linalg.vector_norm(exact)).item()


def measure(shape, iterations):
    """Microseconds of each way. Those that PyTorch refuses, or computes wrongly, are told of and left out."""
    problem = Problem(shape)
    evicted = torch.zeros(EVICTED_BYTES // 4, device="cuda")
    found = {}
    for name, way in problem.ways().items():
        try:
            error = problem.error(way())
            if not error <= WORST_ERROR:  # not a number, too
                raise RuntimeError(f"its error is {error:.1e}")
            found[name] = microseconds(way, evicted, iterations)
        except RuntimeError as refusal:
            print(f"{shape}: {name} left out: {str(refusal).splitlines()[0]}", file=sys.stderr)
    return found


def microseconds(way, evicted, iterations):
    """The median. Everything is launched while the caches are being emptied, so that no time of the host's is in it."""
    graph = recorded(way)
    times = []
    for _ in range(WARMUP + iterations):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        evicted.sum()
        begin.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(1e3 * begin.elapsed_time(end))
    return statistics.median(times[WARMUP:])


def recorded(way):
    """As a CUDA graph, after what is done at first calls only."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        way()
    torch.cuda.current_stream().wait_stream(stream)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        way()
    return graph
