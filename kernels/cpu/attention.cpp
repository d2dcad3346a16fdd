#include "kernels/cpu/attention.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "kernels/cpu/attention_block.hpp"
#include "kernels/cpu/attention_plan.hpp"

namespace hydrajob::cpu {
namespace {

constexpr std::size_t cache_line = 64;
// Tiles are of at most this many packed rows, in every instruction set.
constexpr std::int64_t most_tile_rows = 8;

constexpr std::size_t whole_lines(std::size_t bytes) {
  return (bytes + cache_line - 1) / cache_line * cache_line;
}

// One thread's memory, cut from a run of bytes; from null it only measures.
struct ThreadMemory {
  BlockScratch scratch;
  RunningSoftmax softmax;  // of the block of phase 2
  std::size_t bytes = 0;

  ThreadMemory(std::byte* base, std::int64_t group, std::int64_t head_dim) {
    const std::int64_t rows = largest_block(group);
    const std::int64_t dim = padded(head_dim);
    const auto take = [&](std::int64_t floats) {
      const std::size_t begin = bytes;
      bytes += whole_lines(static_cast<std::size_t>(floats) * sizeof(float));
      return base == nullptr ? nullptr : reinterpret_cast<float*>(base + begin);
    };
    scratch.queries = take(rows * head_dim);
    scratch.keys = take(head_dim * key_block);
    scratch.values = take(key_block * dim);
    scratch.scores = take(most_tile_rows * key_block);
    scratch.weights = take(most_tile_rows * key_block);
    scratch.lane_sums = take(rows * float_pad);
    scratch.factors = take(2 * padded(rows));
    softmax.maximum = take(padded(rows));
    softmax.sum = take(padded(rows));
    softmax.output = take(rows * dim);
  }
};

std::size_t held_bytes(const AttentionPlan& plan) {
  // A row array is read in whole vectors: one line more than the last needs.
  return whole_lines(plan.held_floats * sizeof(float)) + cache_line;
}

// Of one softmax, from packed row `first` on.
RunningSoftmax from_row(const RunningSoftmax& softmax, std::int64_t first, std::int64_t head_dim) {
  return {softmax.maximum + first, softmax.sum + first, softmax.output + first * padded(head_dim)};
}

void clear(const RunningSoftmax& softmax, std::int64_t n_packed) {
  std::fill_n(softmax.maximum, n_packed, no_maximum);
  std::fill_n(softmax.sum, n_packed, 0.0F);
}

class Problem {
 public:
  Problem(const AttentionArgs& args, const AttentionPlan& plan, const BlockKernels& kernels)
      : args_(args),
        plan_(plan),
        kernels_(kernels),
        group_(args.n_heads / args.n_kv_heads),
        scale_(args.scale * static_cast<float>(M_LOG2E)) {}

  // Phase 1: rows against one chunk of a part, held in the workspace.
  void attend_chunk(const AttentionPlan::ChunkRows& work, std::int64_t head,
                    const ThreadMemory& memory) const {
    const KeyPart& part = plan_.parts[work.part];
    const BlockRows rows = block_rows(work.row_end - work.row_begin);
    const RunningSoftmax softmax = held(part, work.chunk, head, work.row_begin);
    clear(softmax, rows.n_packed);
    kernels_.load_queries(rows, at(args_.q, work.row_begin, head), memory.scratch);
    const std::int64_t first = work.chunk * part.chunk;
    const std::int64_t n_keys = std::min(part.chunk, part.length - first);
    kernels_.accumulate(rows, keys_of(part, first, n_keys, head, work.row_begin), scale_, softmax,
                        memory.scratch);
  }

  // Phase 2: rows of a stream: private parts, then what phase 1 held, then the result.
  void attend_stream(const AttentionPlan::StreamRows& work, std::int64_t head,
                     const ThreadMemory& memory) const {
    const BlockRows rows = block_rows(work.row_end - work.row_begin);
    clear(memory.softmax, rows.n_packed);
    kernels_.load_queries(rows, at(args_.q, work.row_begin, head), memory.scratch);
    for (std::int64_t i = plan_.part_begin[work.stream]; i < plan_.part_begin[work.stream + 1]; ++i) {
      const KeyPart& part = plan_.parts[plan_.stream_parts[i]];
      const std::int64_t begin = std::max(work.row_begin, part.row_begin);
      const std::int64_t end = std::min(work.row_end, part.row_end);
      if (begin < end) add_part(part, head, begin, end, work.row_begin, memory);
    }
    kernels_.finish(rows, memory.softmax, at(args_.out, work.row_begin, head));
    if (args_.lse != nullptr) write_lse(work, head, memory.softmax);
  }

 private:
  // Adds a part to rows [begin, end) of the block that starts at row `block_row`.
  void add_part(const KeyPart& part, std::int64_t head, std::int64_t begin, std::int64_t end,
                std::int64_t block_row, const ThreadMemory& memory) const {
    const BlockRows rows = block_rows(end - begin);
    const std::int64_t first = (begin - block_row) * group_;
    const RunningSoftmax softmax = from_row(memory.softmax, first, args_.head_dim);
    for (std::int64_t chunk = 0; chunk < part.n_chunks; ++chunk) {
      kernels_.merge(rows, held(part, chunk, head, begin), softmax, memory.scratch);
    }
    if (part.n_chunks > 0) return;
    BlockScratch scratch = memory.scratch;
    scratch.queries = static_cast<std::byte*>(scratch.queries) +
                      static_cast<std::size_t>(first * args_.head_dim) * kernels_.query_bytes;
    kernels_.accumulate(rows, keys_of(part, 0, part.length, head, begin), scale_, softmax, scratch);
  }

  BlockRows block_rows(std::int64_t rows) const {
    return {rows * group_, group_, args_.n_heads * args_.head_dim, args_.head_dim};
  }

  // Element of q or out at the first query head of a row and KV head.
  template <class Pointer>
  Pointer at(Pointer base, std::int64_t row, std::int64_t kv_head) const {
    return offset(base, (row * args_.n_heads + kv_head * group_) * args_.head_dim);
  }
  const void* offset(const void* base, std::int64_t elements) const {
    return static_cast<const std::byte*>(base) + elements * static_cast<std::int64_t>(size_of(args_.dtype));
  }
  void* offset(void* base, std::int64_t elements) const {
    return static_cast<std::byte*>(base) + elements * static_cast<std::int64_t>(size_of(args_.dtype));
  }

  BlockKeys keys_of(const KeyPart& part, std::int64_t first, std::int64_t n_keys, std::int64_t head,
                    std::int64_t row) const {
    const KvView& kv = args_.kv;
    const std::int64_t start = head * kv.head_stride + (part.first_key + first) * kv.token_stride;
    const std::int64_t limit = part.first_limit + (row - part.row_begin) - first;
    return {offset(static_cast<const void*>(kv.k), start),
            offset(static_cast<const void*>(kv.v), start),
            kv.token_stride,
            n_keys,
            part.causal,
            limit};
  }

  RunningSoftmax held(const KeyPart& part, std::int64_t chunk, std::int64_t head, std::int64_t row) const {
    const std::int64_t rows = part.row_end - part.row_begin;
    const std::size_t index = static_cast<std::size_t>(chunk * args_.n_kv_heads + head);
    float* base = static_cast<float*>(args_.workspace) + part.held +
                  index * held_softmax_floats(rows, group_, args_.head_dim);
    const std::int64_t row_floats = padded(rows * group_);
    return from_row({base, base + row_floats, base + 2 * row_floats}, (row - part.row_begin) * group_,
                    args_.head_dim);
  }

  void write_lse(const AttentionPlan::StreamRows& work, std::int64_t head,
                 const RunningSoftmax& softmax) const {
    std::int64_t p = 0;
    for (std::int64_t row = work.row_begin; row < work.row_end; ++row) {
      float* lse = args_.lse + row * args_.n_heads + head * group_;
      for (std::int64_t g = 0; g < group_; ++g, ++p) {
        lse[g] = softmax.sum[p] > 0
                     ? softmax.maximum[p] * static_cast<float>(M_LN2) + std::log(softmax.sum[p])
                     : -std::numeric_limits<float>::infinity();
      }
    }
  }

  const AttentionArgs& args_;
  const AttentionPlan& plan_;
  const BlockKernels& kernels_;
  const std::int64_t group_;
  const float scale_;  // to powers of two
};

}  // namespace

std::size_t attention_workspace(const AttentionArgs& args, int threads) {
  const ThreadMemory memory(nullptr, args.n_heads / args.n_kv_heads, args.head_dim);
  return held_bytes(make_attention_plan(args, threads)) + static_cast<std::size_t>(threads) * memory.bytes;
}

void attention(const AttentionArgs& args, int threads) {
  attention(args, threads, isa());
}

void attention(const AttentionArgs& args, int threads, Isa isa) {
  const AttentionPlan plan = make_attention_plan(args, threads);
  const Problem problem(args, plan, block_kernels(args.dtype, isa));
  const auto n_chunks = static_cast<std::int64_t>(plan.phase1.size()) * args.n_kv_heads;
  const auto n_streams = static_cast<std::int64_t>(plan.phase2.size()) * args.n_kv_heads;
  auto* thread_memory = static_cast<std::byte*>(args.workspace) + held_bytes(plan);
  const std::size_t thread_bytes = ThreadMemory(nullptr, args.n_heads / args.n_kv_heads, args.head_dim).bytes;
  std::atomic<int> next_thread{0};
  std::atomic<std::int64_t> next_chunk{0};
  std::atomic<std::int64_t> next_stream{0};
#pragma omp parallel num_threads(threads)
  {
    const auto thread = static_cast<std::size_t>(next_thread++);
    const ThreadMemory memory(thread_memory + thread * thread_bytes, args.n_heads / args.n_kv_heads,
                              args.head_dim);
    for (std::int64_t i = next_chunk++; i < n_chunks; i = next_chunk++) {
      problem.attend_chunk(plan.phase1[i / args.n_kv_heads], i % args.n_kv_heads, memory);
    }
    if (n_chunks > 0) {
#pragma omp barrier
    }
    for (std::int64_t i = next_stream++; i < n_streams; i = next_stream++) {
      problem.attend_stream(plan.phase2[i / args.n_kv_heads], i % args.n_kv_heads, memory);
    }
  }
}

}  // namespace hydrajob::cpu
