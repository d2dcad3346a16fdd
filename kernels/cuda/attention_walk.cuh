// The way of a warp through work items of few query rows: one after another, copying ahead across their
// boundaries, so that reading never stops, however short they are.
#pragma once

#include <cstdint>

#include "kernels/cuda/attention_columns.cuh"
#include "kernels/cuda/attention_item.cuh"
#include "kernels/cuda/attention_plan.hpp"

namespace hydrajob::cuda {

static_assert(few_rows == columns);
constexpr int known_units = 32;  // of a warp at a time: each lane knows one

template <int HEAD_DIM>
constexpr int stage_elements = 2 * column_keys* shared_stride<HEAD_DIM>;
template <int HEAD_DIM, int STAGES>
constexpr int walker_bytes = STAGES* stage_elements<HEAD_DIM>* static_cast<int>(sizeof(__nv_bfloat16));

// An item and a KV head.
struct Unit {
  std::int64_t kv_at = 0;  // first element of its keys and values
  std::int64_t row_begin = 0, part = 0;
  int kv_head = 0, n_rows = 0;
  int own = 0;   // 1: each row sees one token less than the next
  int seen = 0;  // of its last row, before the item's end
  int kv_tokens = 0;

  // Tokens that the row sees which stands so many before the last.
  __device__ int visible(int behind) const { return max(0, min(seen - own * behind, kv_tokens)); }
  __device__ int blocks() const { return max(1, (visible(0) + column_keys - 1) / column_keys); }
};

__device__ inline Unit make_unit(const WorkItem& item, int kv_head, const WorkArgs& args) {
  Unit unit;
  unit.kv_at = kv_head * args.kv.head_stride + item.kv_first * args.kv.token_stride;
  unit.row_begin = item.row_begin;
  unit.part = item.part;
  unit.kv_head = kv_head;
  unit.n_rows = item.n_rows;
  unit.own = item.stream >= 0 ? 1 : 0;
  unit.seen = seen_from(item, args, item.n_rows - 1);
  unit.kv_tokens = item.kv_tokens;
  return unit;
}

__device__ inline Unit of_lane(const Unit& unit, int lane) {
  const auto take = [&](auto value) { return __shfl_sync(0xffffffffu, value, lane); };
  return {static_cast<std::int64_t>(take(static_cast<long long>(unit.kv_at))),
          static_cast<std::int64_t>(take(static_cast<long long>(unit.row_begin))),
          static_cast<std::int64_t>(take(static_cast<long long>(unit.part))),
          take(unit.kv_head),
          take(unit.n_rows),
          take(unit.own),
          take(unit.seen),
          take(unit.kv_tokens)};
}

// All of a launch's way: unit u goes to walker u % walkers.
struct Walk {
  const WorkItem* items = nullptr;
  std::int64_t units = 0;    // items times KV heads
  std::int64_t walkers = 0;  // warps of the launch
};

// STAGES: of column_keys keys and values, of each warp: all but one on their way.
template <int HEAD_DIM, int STAGES>
class Walker {
 public:
  // shared: walker_bytes of this warp's own.
  __device__ Walker(const Walk& walk, std::int64_t walker, const WorkArgs& args, __nv_bfloat16* shared)
      : walk_(walk), walker_(walker), args_(args), shared_(shared), group_(args.n_heads / args.n_kv_heads) {}

  __device__ void run() {
    for (std::int64_t first = walker_; first < walk_.units; first += known_units * walk_.walkers) {
      know(first + lane() * walk_.walkers);
      go();
    }
  }

 private:
  __device__ static int lane() { return threadIdx.x % 32; }

  __device__ void know(std::int64_t index) {
    const bool there = index < walk_.units;
    if (there) {
      const int kv_head = static_cast<int>(index % args_.n_kv_heads);
      units_ = make_unit(walk_.items[index / args_.n_kv_heads], kv_head, args_);
    }
    n_units_ = __popc(__ballot_sync(0xffffffffu, there));
  }

  __device__ void go() {
    fetching_ = fetched_block_ = 0;
    fetched_ = next_ = of_lane(units_, 0);
    for (int i = 0; i < STAGES - 1; ++i) fetch();
    load_queries(next_);
    for (int u = 0; u < n_units_; ++u) {
      const Unit unit = next_;
      if (u + 1 < n_units_) next_ = of_lane(units_, u + 1);
      attend(unit, u + 1 < n_units_);
    }
    filled_ = used_;  // what was fetched ahead of the end is empty
  }

  // Row of the item and query head of its group that stand in a column.
  __device__ std::int64_t row_and_head(const Unit& unit, int column) const {
    return static_cast<std::int64_t>(column / group_) * args_.n_heads + unit.kv_head * group_ +
           column % group_;
  }

  __device__ void load_queries(const Unit& unit) {
    const int column = lane() / 4;
    const auto* q = static_cast<const __nv_bfloat16*>(args_.q);
    const bool there = column < unit.n_rows * group_;
    queries_.load(there ? q + (unit.row_begin * args_.n_heads + row_and_head(unit, column)) * HEAD_DIM
                        : nullptr);
  }

  // more: next_ is a unit too; its queries are loaded as soon as this one's are multiplied.
  __device__ void attend(const Unit& unit, bool more) {
    int limit[2];
#pragma unroll
    for (int c = 0; c < 2; ++c) {
      const int column = lane() % 4 * 2 + c, behind = unit.n_rows - 1 - column / group_;
      limit[c] = behind < 0 ? 0 : unit.visible(behind);
    }
    attention_.begin();
    const int blocks = unit.blocks();
    for (int b = 0; b < blocks; ++b) {
      fetch();
      wait_copies<STAGES - 1>();
      __syncwarp();
      const __nv_bfloat16* k = shared_ + used_ * stage_elements<HEAD_DIM>;
      float scores[4];
      attention_.multiply_keys(queries_, k, scores);
      if (more && b + 1 == blocks) load_queries(next_);
      attention_.gather_values(scores, k + stage_elements<HEAD_DIM> / 2, b * column_keys, limit,
                               args_.scale * 1.44269504f);
      __syncwarp();  // the next fetch overwrites this stage
      used_ = used_ + 1 == STAGES ? 0 : used_ + 1;
    }
    write(unit);
  }

  // The next column_keys keys and values of the walk into the next stage: one group of copies, empty at the
  // end.
  __device__ void fetch() {
    if (fetching_ < n_units_) {
      __nv_bfloat16* k = shared_ + filled_ * stage_elements<HEAD_DIM>;
      const std::int64_t at =
          fetched_.kv_at + static_cast<std::int64_t>(fetched_block_) * column_keys * args_.kv.token_stride;
      const int there = fetched_.visible(0) - fetched_block_ * column_keys;
      copy(k, static_cast<const __nv_bfloat16*>(args_.kv.k) + at, there);
      copy(k + stage_elements<HEAD_DIM> / 2, static_cast<const __nv_bfloat16*>(args_.kv.v) + at, there);
      if (++fetched_block_ == fetched_.blocks()) {
        fetched_block_ = 0;
        if (++fetching_ < n_units_) fetched_ = of_lane(units_, fetching_);
      }
    }
    commit_copies();
    filled_ = filled_ + 1 == STAGES ? 0 : filled_ + 1;
  }

  static constexpr int pieces = HEAD_DIM / 8;               // of 16 bytes, of a row
  static constexpr int copies = column_keys * pieces / 32;  // of a lane
  static constexpr bool whole_rows = 32 % pieces == 0;      // a warp's copies are rows
  static constexpr int rows_at_once = whole_rows ? 32 / pieces : 0;

  __device__ void copy(__nv_bfloat16* target, const __nv_bfloat16* source, int there) const {
    // Most blocks are full and rows stand side by side: all offsets are constants then.
    if (whole_rows && there >= column_keys && args_.kv.token_stride == HEAD_DIM) {
      const std::uint32_t to =
          shared_address(target) + (lane() / pieces * shared_stride<HEAD_DIM> + lane() % pieces * 8) * 2;
      const __nv_bfloat16* from = source + lane() * 8;
#pragma unroll
      for (int i = 0; i < copies; ++i) {
        copy_16(to + i * rows_at_once * shared_stride<HEAD_DIM> * 2, from + i * 256, policy_);
      }
      return;
    }
#pragma unroll
    for (int i = 0; i < copies; ++i) {
      const int row = (i * 32 + lane()) / pieces, piece = (i * 32 + lane()) % pieces;
      // Not there: any valid address.
      const __nv_bfloat16* from = row < there ? source + row * args_.kv.token_stride + piece * 8
                                              : static_cast<const __nv_bfloat16*>(args_.kv.k);
      copy_16(target + row * shared_stride<HEAD_DIM> + piece * 8, from, row < there);
    }
  }

  __device__ void write(const Unit& unit) const {
#pragma unroll
    for (int c = 0; c < 2; ++c) {
      const float sum = attention_.column_sum(c);
      const int column = lane() % 4 * 2 + c;
      if (column >= unit.n_rows * group_) continue;
      const float share = sum > 0 ? 1.0f / sum : 0.0f;
      const std::int64_t result = (args_.part_out != nullptr ? unit.part : unit.row_begin * args_.n_heads) +
                                  row_and_head(unit, column);
#pragma unroll
      for (int d = 0; d < HEAD_DIM / 16; ++d) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const float value[1] = {attention_.out(d, i, c) * share};
          write_out<__nv_bfloat16>(args_, result, d * 16 + lane() / 4 + i * 8, value);
        }
      }
      if (lane() / 4 == 0) write_sum(args_, result, attention_.maximum(c) * args_.scale, sum);
    }
  }

  const Walk& walk_;
  std::int64_t walker_;
  const WorkArgs& args_;
  __nv_bfloat16* shared_;  // this warp's stages
  int group_;
  std::uint64_t policy_ = read_once_policy();
  Unit units_;  // of the warp, one a lane
  int n_units_ = 0;
  Unit next_;
  ColumnQueries<HEAD_DIM> queries_;
  ColumnAttention<HEAD_DIM> attention_;
  int used_ = 0;
  Unit fetched_;
  int fetching_ = 0, fetched_block_ = 0, filled_ = 0;
};

}  // namespace hydrajob::cuda
