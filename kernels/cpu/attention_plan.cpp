#include "kernels/cpu/attention_plan.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "kernels/cpu/attention_block.hpp"

namespace hydrajob::cpu {
namespace {

// Packed rows of a block: the second cache holds 256 rows' queries and outputs; packing a block of keys costs
// what a dozen rows do.
constexpr std::array<std::int64_t, 3> block_sizes{256, 128, 64};
constexpr std::int64_t smallest_block = block_sizes.back();

// Chunks of keys: long enough that writing and merging a held softmax is little beside computing it, short
// enough that few rows still make work for many threads (16 blocks at least wherever there are keys for it).
constexpr std::int64_t shortest_chunk = 256;
constexpr std::int64_t longest_chunk = 4096;
constexpr double chunk_per_block = 128;

std::int64_t round_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

std::int64_t chunk_length(double n_blocks) {
  const auto wanted = static_cast<std::int64_t>(std::min(n_blocks * chunk_per_block, 1.0 * longest_chunk));
  return std::clamp(round_up(wanted, key_block), shortest_chunk, longest_chunk);
}

// Rows of a block of about `packed` packed rows.
std::int64_t rows_of_block(std::int64_t packed, std::int64_t group) {
  return std::max<std::int64_t>(1, packed / group);
}

class Planner {
 public:
  Planner(const AttentionArgs& args, int threads)
      : args_(args), threads_(threads), group_(args.n_heads / args.n_kv_heads) {}

  AttentionPlan make() {
    shared_chunk_ = chunk_length(shared_blocks());
    private_chunk_ = chunk_length(private_blocks());
    for (std::int64_t s = 0; s < args_.n_segments; ++s) add_segment(s);
    for (std::int64_t s = 0; s < args_.n_streams; ++s) add_own(s);
    list_by_stream();
    cut_chunks();
    cut_streams();
    return std::move(plan_);
  }

 private:
  // Blocks of the smallest size that the segments make, a short segment's counted by its share of the
  // longest.
  double shared_blocks() const {
    double blocks = 0;
    std::int32_t longest = 1;
    for (std::int64_t s = 0; s < args_.n_segments; ++s) longest = std::max(longest, args_.segment_length[s]);
    for (std::int64_t s = 0; s < args_.n_segments; ++s) {
      const std::int64_t rows = args_.segment_row_end[s] - args_.segment_row_begin[s];
      blocks += static_cast<double>(blocks_of(rows)) * args_.segment_length[s] / longest;
    }
    return blocks * static_cast<double>(args_.n_kv_heads);
  }

  // The same of the streams. Lengths must not matter here: a longer own part may need no fewer chunks.
  double private_blocks() const {
    std::int64_t blocks = 0;
    for (std::int64_t s = 0; s < args_.n_streams; ++s) blocks += blocks_of(stream_end(s) - stream_begin(s));
    return static_cast<double>(blocks * args_.n_kv_heads);
  }

  std::int64_t blocks_of(std::int64_t rows) const {
    return (rows * group_ + smallest_block - 1) / smallest_block;
  }
  std::int64_t stream_begin(std::int64_t s) const { return args_.stream_row[s]; }
  std::int64_t stream_end(std::int64_t s) const { return args_.stream_row[s + 1]; }

  void add_segment(std::int64_t s) {
    KeyPart part;
    part.first_key = args_.segment_first[s];
    part.length = args_.segment_length[s];
    part.row_begin = args_.segment_row_begin[s];
    part.row_end = args_.segment_row_end[s];
    if (part.length <= 0 || part.row_begin >= part.row_end) return;
    const std::int64_t* rows_end = args_.stream_row + args_.n_streams + 1;
    const std::int64_t first =
        std::upper_bound(args_.stream_row, rows_end, part.row_begin) - args_.stream_row - 1;
    const std::int64_t end = std::lower_bound(args_.stream_row, rows_end, part.row_end) - args_.stream_row;
    if (args_.share && end - first > 1) {
      hold(part, shared_chunk_);
      plan_.parts.push_back(part);
      for (std::int64_t stream = first; stream < end; ++stream) link(stream);
      return;
    }
    for (std::int64_t stream = first; stream < end; ++stream) {
      KeyPart own = part;
      own.row_begin = std::max(part.row_begin, stream_begin(stream));
      own.row_end = std::min(part.row_end, stream_end(stream));
      add_private(stream, own);
    }
  }

  void add_own(std::int64_t s) {
    KeyPart part;
    part.first_key = args_.own_first[s];
    part.length = args_.own_length[s];
    part.row_begin = stream_begin(s);
    part.row_end = stream_end(s);
    part.causal = true;
    part.first_limit = part.length - (part.row_end - part.row_begin) + 1;
    if (part.length > 0) add_private(s, part);
  }

  void add_private(std::int64_t stream, KeyPart part) {
    if (part.row_begin >= part.row_end) return;
    if (part.length > private_chunk_) hold(part, private_chunk_);
    plan_.parts.push_back(part);
    link(stream);
  }

  void hold(KeyPart& part, std::int64_t longest) {
    part.n_chunks = (part.length + longest - 1) / longest;
    part.chunk = round_up((part.length + part.n_chunks - 1) / part.n_chunks, key_block);
    part.held = plan_.held_floats;
    plan_.held_floats += static_cast<std::size_t>(part.n_chunks * args_.n_kv_heads) *
                         held_softmax_floats(part.row_end - part.row_begin, group_, args_.head_dim);
  }

  void link(std::int64_t stream) {
    links_.emplace_back(stream, static_cast<std::int32_t>(plan_.parts.size() - 1));
  }

  void list_by_stream() {
    plan_.part_begin.assign(args_.n_streams + 1, 0);
    for (const auto& [stream, part] : links_) ++plan_.part_begin[stream + 1];
    for (std::int64_t s = 0; s < args_.n_streams; ++s) plan_.part_begin[s + 1] += plan_.part_begin[s];
    std::vector<std::int64_t> next(plan_.part_begin.begin(), plan_.part_begin.end());
    plan_.stream_parts.resize(links_.size());
    for (const auto& [stream, part] : links_) plan_.stream_parts[next[stream]++] = part;
  }

  // The largest blocks that still are several for every thread. count: blocks of so many packed rows.
  template <class Count>
  std::int64_t block_rows(Count count) const {
    for (const std::int64_t packed : block_sizes) {
      const std::int64_t rows = rows_of_block(packed, group_);
      if (count(rows) * args_.n_kv_heads >= 8 * threads_) return rows;
    }
    return rows_of_block(smallest_block, group_);
  }

  void cut_chunks() {
    const std::int64_t step = block_rows([&](std::int64_t rows) {
      std::int64_t count = 0;
      for (const KeyPart& p : plan_.parts)
        count += p.n_chunks * ((p.row_end - p.row_begin + rows - 1) / rows);
      return count;
    });
    for (std::size_t i = 0; i < plan_.parts.size(); ++i) {
      const KeyPart& part = plan_.parts[i];
      for (std::int64_t chunk = 0; chunk < part.n_chunks; ++chunk) {
        for (std::int64_t row = part.row_begin; row < part.row_end; row += step) {
          plan_.phase1.push_back(
              {static_cast<std::int32_t>(i), chunk, row, std::min(row + step, part.row_end)});
        }
      }
    }
    longest_first(plan_.phase1, [&](const AttentionPlan::ChunkRows& work) {
      return (work.row_end - work.row_begin) * plan_.parts[work.part].chunk;
    });
  }

  void cut_streams() {
    const std::int64_t step = block_rows([&](std::int64_t rows) {
      std::int64_t count = 0;
      for (std::int64_t s = 0; s < args_.n_streams; ++s)
        count += (stream_end(s) - stream_begin(s) + rows - 1) / rows;
      return count;
    });
    for (std::int64_t s = 0; s < args_.n_streams; ++s) {
      for (std::int64_t row = stream_begin(s); row < stream_end(s); row += step) {
        plan_.phase2.push_back({s, row, std::min(row + step, stream_end(s))});
      }
    }
    longest_first(plan_.phase2, [&](const AttentionPlan::StreamRows& work) {
      return (work.row_end - work.row_begin) * (1 + private_keys(work));
    });
  }

  std::int64_t private_keys(const AttentionPlan::StreamRows& work) const {
    std::int64_t keys = 0;
    for (std::int64_t i = plan_.part_begin[work.stream]; i < plan_.part_begin[work.stream + 1]; ++i) {
      const KeyPart& part = plan_.parts[plan_.stream_parts[i]];
      if (part.n_chunks > 0) continue;
      keys += part.causal
                  ? std::clamp<std::int64_t>(part.first_limit + work.row_end - part.row_begin, 0, part.length)
                  : part.length;
    }
    return keys;
  }

  // So that the last block to be taken is a short one.
  template <class Work, class Cost>
  static void longest_first(std::vector<Work>& work, Cost cost) {
    const auto longer = [&](const Work& a, const Work& b) { return cost(a) > cost(b); };
    if (!std::is_sorted(work.begin(), work.end(), longer)) std::stable_sort(work.begin(), work.end(), longer);
  }

  const AttentionArgs& args_;
  const int threads_;
  const std::int64_t group_;
  std::int64_t shared_chunk_ = 0;
  std::int64_t private_chunk_ = 0;
  std::vector<std::pair<std::int64_t, std::int32_t>> links_;  // stream, part
  AttentionPlan plan_;
};

}  // namespace

std::size_t held_softmax_floats(std::int64_t rows, std::int64_t group, std::int64_t head_dim) {
  const std::int64_t packed = rows * group;
  return static_cast<std::size_t>(2 * padded(packed) + packed * padded(head_dim));
}

std::int64_t largest_block(std::int64_t group) {
  return rows_of_block(block_sizes.front(), group) * group;
}

AttentionPlan make_attention_plan(const AttentionArgs& args, int threads) {
  return Planner(args, threads).make();
}

}  // namespace hydrajob::cpu
