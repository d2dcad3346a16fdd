#include "grid/token_counts.hpp"

#include <algorithm>
#include <cstddef>

namespace hydrajob {
namespace {

std::int64_t pieces(std::int64_t rows, std::int64_t chunk) {
  return (rows + chunk - 1) / chunk;
}

// n rows that see `before` tokens and, causally, each other.
double causal_pairs(std::int64_t n, std::int64_t before) {
  const auto rows = static_cast<double>(n);
  return rows * static_cast<double>(before) + rows * (rows + 1) / 2;
}

// Tokens read by n rows cut into chunks: each chunk reads what stands before it and itself.
double own_reads(std::int64_t n, std::int64_t before, std::int64_t chunk) {
  const auto k = static_cast<double>(pieces(n, chunk));
  return k * static_cast<double>(before) + static_cast<double>(chunk) * k * (k - 1) / 2 +
         static_cast<double>(n);
}

// Reads of the segments of the levels above `depth` by `streams` runs of `length` rows hanging from that
// depth.
double ancestor_reads(const RunSpec& spec, std::size_t depth, std::int64_t streams, std::int64_t length,
                      bool once) {
  double read = 0;
  for (std::size_t above = 0; above < depth; ++above) {
    const TreeLevel& level = spec.tree[above];
    const std::int64_t readers = once ? level.nodes : streams;
    const std::int64_t rows = streams / readers * length;  // of one reader
    read += static_cast<double>(readers * pieces(rows, spec.prefill_chunk) * level.length);
  }
  return read;
}

}  // namespace

TokenCounts count_tree(const RunSpec& spec, SharedReads reads) {
  TokenCounts counts;
  std::int64_t before = 0;
  for (std::size_t depth = 0; depth < spec.tree.size(); ++depth) {
    const auto [nodes, length] = spec.tree[depth];
    counts.rows += static_cast<double>(nodes * length);
    counts.passes += static_cast<double>(pieces(nodes * length, spec.prefill_chunk));
    counts.seen += static_cast<double>(nodes) * causal_pairs(length, before);
    counts.read += static_cast<double>(nodes) * own_reads(length, 0, spec.prefill_chunk);
    counts.read += ancestor_reads(spec, depth, nodes, length, reads != SharedReads::per_sequence);
    before += length;
  }
  return counts;
}

TokenCounts count_prompts(const RunSpec& spec, SharedReads reads) {
  TokenCounts counts;
  const auto batch = static_cast<double>(spec.batch);
  counts.rows += batch * static_cast<double>(spec.suffix);
  counts.passes += static_cast<double>(pieces(spec.batch * spec.suffix, spec.prefill_chunk));
  counts.seen += batch * causal_pairs(spec.suffix, spec.prefix);
  const bool copied = reads == SharedReads::own_copy;
  if (copied) counts.copied = batch * static_cast<double>(spec.prefix);
  counts.read += batch * own_reads(spec.suffix, copied ? spec.prefix : 0, spec.prefill_chunk);
  if (!copied && spec.suffix > 0) {
    const bool once = reads == SharedReads::once;
    counts.read += ancestor_reads(spec, spec.tree.size(), spec.batch, spec.suffix, once);
  }
  return counts;
}

TokenCounts count_prefill(const RunSpec& spec, SharedReads reads) {
  const TokenCounts tree = count_tree(spec, reads);
  TokenCounts counts = count_prompts(spec, reads);
  counts.rows += tree.rows;
  counts.passes += tree.passes;
  counts.seen += tree.seen;
  counts.read += tree.read;
  return counts;
}

TokenCounts count_step(const RunSpec& spec, SharedReads reads, double own) {
  const auto batch = static_cast<double>(spec.batch);
  const auto path = static_cast<double>(spec.prefix);
  TokenCounts counts;
  counts.rows = batch;
  counts.passes = 1;
  counts.seen = batch * (path + own);
  counts.read = batch * own;
  counts.read += reads == SharedReads::once ? static_cast<double>(tree_tokens(spec.tree)) : batch * path;
  return counts;
}

std::int64_t first_logits_rows(const RunSpec& spec) {
  if (spec.suffix > 0) return spec.batch;
  std::int64_t leaves = 1;
  for (const TreeLevel& level : spec.tree) {
    if (level.length > 0) leaves = level.nodes;
  }
  return leaves;
}

std::int64_t largest_pass(const RunSpec& spec) {
  std::int64_t rows = spec.batch * spec.suffix;
  for (const TreeLevel& level : spec.tree) rows = std::max(rows, level.nodes * level.length);
  return std::max(spec.batch, std::min(rows, spec.prefill_chunk));
}

std::vector<PassShape> prefill_passes(const RunSpec& spec) {
  std::vector<PassShape> passes;
  std::vector<TreeLevel> above;
  const auto add = [&](std::int64_t streams, std::int64_t length, std::int64_t own) {
    if (length == 0) return;
    passes.push_back({streams, length, own, above, std::min(streams * length, spec.prefill_chunk)});
  };
  for (const TreeLevel& level : spec.tree) {
    add(level.nodes, level.length, level.length);
    if (level.length > 0) above.push_back(level);
  }
  const bool copied = spec.mode == Mode::noshared;
  if (copied) above.clear();
  add(spec.batch, spec.suffix, spec.suffix + (copied ? spec.prefix : 0));
  return passes;
}

PassShape step_pass(const RunSpec& spec) {
  PassShape step;
  const bool copied = spec.mode == Mode::noshared;
  step.streams = step.rows = spec.batch;
  step.length = 1;
  step.own = spec.suffix + (copied ? spec.prefix : 0);
  if (has_model(spec.workload)) step.own += spec.new_tokens + 1;  // what it may grow to
  for (const TreeLevel& level : spec.tree) {
    if (level.length > 0 && !copied) step.seen.push_back(level);
  }
  return step;
}

std::int64_t cache_tokens(const RunSpec& spec) {
  // The attention workload has room for the one token that a decode step would add.
  const std::int64_t added = has_model(spec.workload) ? spec.new_tokens : 1;
  const std::int64_t path = spec.mode == Mode::noshared ? spec.prefix : 0;
  return tree_tokens(spec.tree) + spec.batch * (path + spec.suffix + added);
}

}  // namespace hydrajob
