// The way of a warp through work items of few query rows: one after another, copying ahead across their
// boundaries, so that reading never stops, however short they are.
#pragma once

#include <cstdint>

#include "kernels/cuda/attention_columns.cuh"
#include "kernels/cuda/attention_item.cuh"
#include "kernels/cuda/attention_plan.hpp"

namespace hydrajob::cuda {

static_assert(few_rows == columns);

// An item and a KV head.
struct Unit {
  std::int64_t kv_at;  // first element of its keys and values
  std::int64_t row_begin, part;
  int kv_head, n_rows;
  int own;   // 1: each row sees one token less than the next
  int seen;  // of its last row, before the item's end
  int kv_tokens;

  // Tokens that the row sees which stands so many before the last.
  __device__ int visible(int behind) const { return max(0, min(seen - own * behind, kv_tokens)); }
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

// All of a launch's way: unit u goes to walker u % walkers.
struct Walk {
  const WorkItem* items = nullptr;
  std::int64_t units = 0;    // items times KV heads
  std::int64_t walkers = 0;  // warps of the launch
};

// A warp's shared memory: STAGES of column_keys keys and values, all but one on their way, and the KNOWN
// units that it looks up at once.
template <class T, int HEAD_DIM, int STAGES, int KNOWN>
struct WalkerMemory {
  static_assert(KNOWN <= 32);
  static constexpr int block_elements = StagedRows<HEAD_DIM>::elements;
  static constexpr int stage_elements = 2 * block_elements;
  static constexpr int staged_bytes = STAGES * stage_elements * static_cast<int>(sizeof(T));
  static constexpr int known_units = KNOWN;
  static constexpr int known_bytes = KNOWN * static_cast<int>(sizeof(Unit));
  static constexpr int bytes = staged_bytes + known_bytes;

  void* staged;  // staged_bytes, aligned to 256
  Unit* known;   // (KNOWN)

  // Of warp `warp` of `warps` that share a block's memory.
  __device__ static WalkerMemory of_warp(std::uint8_t* shared, int warp, int warps) {
    return {shared + warp * staged_bytes,
            reinterpret_cast<Unit*>(shared + warps * staged_bytes + warp * known_bytes)};
  }
};

template <class T, int HEAD_DIM, int STAGES, int KNOWN>
class Walker {
 public:
  using Memory = WalkerMemory<T, HEAD_DIM, STAGES, KNOWN>;

  // walker: which of walk.walkers.
  __device__ Walker(const Walk& walk, std::int64_t walker, const WorkArgs& args, const Memory& memory)
      : walk_(walk), walker_(walker), args_(args), memory_(memory), group_(args.n_heads / args.n_kv_heads) {}

  __device__ void run() {
    for (std::int64_t first = walker_; first < walk_.units; first += KNOWN * walk_.walkers) {
      know(first + lane() * walk_.walkers);
      go();
    }
  }

 private:
  __device__ static int lane() { return threadIdx.x % 32; }

  __device__ T* stage(int i) const { return static_cast<T*>(memory_.staged) + i * Memory::stage_elements; }

  __device__ void know(std::int64_t index) {
    const bool there = lane() < KNOWN && index < walk_.units;
    __syncwarp();  // the last ones were read
    if (there) {
      const int kv_head = static_cast<int>(index % args_.n_kv_heads);
      memory_.known[lane()] = make_unit(walk_.items[index / args_.n_kv_heads], kv_head, args_);
    }
    n_units_ = __popc(__ballot_sync(0xffffffffu, there));
    __syncwarp();
  }

  __device__ void go() {
    fetching_ = 0;
    begin_fetching();
    for (int i = 0; i < STAGES - 1; ++i) fetch();
    load_queries(memory_.known[0]);
    for (int u = 0; u < n_units_; ++u) attend(u);
    filled_ = used_;  // what was fetched ahead of the end is empty
  }

  // Row of the item and query head of its group that stand in a column.
  __device__ std::int64_t row_and_head(const Unit& unit, int column) const {
    return static_cast<std::int64_t>(column / group_) * args_.n_heads + unit.kv_head * group_ +
           column % group_;
  }

  __device__ void load_queries(const Unit& unit) {
    const int column = lane() / 4;
    const auto* q = static_cast<const T*>(args_.q);
    const bool there = column < unit.n_rows * group_;
    queries_.load(there ? q + (unit.row_begin * args_.n_heads + row_and_head(unit, column)) * HEAD_DIM
                        : nullptr);
  }

  // The next unit's queries are loaded as soon as this one's are multiplied.
  __device__ void attend(int u) {
    const Unit& unit = memory_.known[u];
    int limit[2];
#pragma unroll
    for (int c = 0; c < 2; ++c) {
      const int column = lane() % 4 * 2 + c, behind = unit.n_rows - 1 - column / group_;
      limit[c] = behind < 0 ? 0 : unit.visible(behind);
    }
    const int tokens = unit.visible(0);
    attention_.begin();
    int first = 0;
    do {
      fetch();
      wait_copies<STAGES - 1>();
      __syncwarp();
      const T* k = stage(used_);
      float scores[4];
      attention_.multiply_keys(queries_, k, scores);
      if (u + 1 < n_units_ && first + column_keys >= tokens) load_queries(memory_.known[u + 1]);
      attention_.gather_values(scores, k + Memory::block_elements, first, limit, args_.scale * 1.44269504f);
      __syncwarp();  // the next fetch overwrites this stage
      used_ = used_ + 1 == STAGES ? 0 : used_ + 1;
      first += column_keys;
    } while (first < tokens);
    write(unit);
  }

  __device__ void begin_fetching() {
    const Unit& unit = memory_.known[fetching_];
    fetch_at_ = unit.kv_at;
    fetch_left_ = unit.visible(0);
  }

  // The next column_keys keys and values of the walk into the next stage: one group of copies, empty at the
  // end. A unit without tokens has one block of none.
  __device__ void fetch() {
    if (fetching_ < n_units_) {
      T* k = stage(filled_);
      copy(k, static_cast<const T*>(args_.kv.k) + fetch_at_, fetch_left_);
      copy(k + Memory::block_elements, static_cast<const T*>(args_.kv.v) + fetch_at_, fetch_left_);
      fetch_at_ += column_keys * args_.kv.token_stride;
      fetch_left_ -= column_keys;
      if (fetch_left_ <= 0 && ++fetching_ < n_units_) begin_fetching();
    }
    commit_copies();
    filled_ = filled_ + 1 == STAGES ? 0 : filled_ + 1;
  }

  using Rows = StagedRows<HEAD_DIM>;
  static constexpr int pieces = HEAD_DIM / 8;               // of 16 bytes, of a row
  static constexpr int copies = column_keys * pieces / 32;  // of a lane
  static constexpr bool whole_rows = 32 % pieces == 0;      // a warp's copies are rows
  static constexpr int rows_at_once = whole_rows ? 32 / pieces : 0;

  __device__ void copy(T* target, const T* source, int there) const {
    const std::uint32_t to = shared_address(target);
    // Most blocks are full and rows stand side by side: all offsets are constants then.
    if (whole_rows && there >= column_keys && args_.kv.token_stride == HEAD_DIM) {
      const std::uint32_t first = to + Rows::place(lane() / pieces, lane() % pieces);
      const T* from = source + lane() * 8;
#pragma unroll
      for (int i = 0; i < copies; ++i) {
        copy_16(Rows::below(first, i * rows_at_once), from + i * 256, policy_);
      }
      return;
    }
#pragma unroll
    for (int i = 0; i < copies; ++i) {
      const int row = (i * 32 + lane()) / pieces, piece = (i * 32 + lane()) % pieces;
      // Not there: any valid address.
      const T* from =
          row < there ? source + row * args_.kv.token_stride + piece * 8 : static_cast<const T*>(args_.kv.k);
      copy_16(to + Rows::place(row, piece), from, row < there);
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
          write_out<T>(args_, result, d * 16 + lane() / 4 + i * 8, value);
        }
      }
      if (lane() / 4 == 0) write_sum(args_, result, attention_.maximum(c) * args_.scale, sum);
    }
  }

  const Walk& walk_;
  std::int64_t walker_;
  const WorkArgs& args_;
  Memory memory_;
  int group_;
  std::uint64_t policy_ = read_once_policy();
  int n_units_ = 0;
  ColumnQueries<HEAD_DIM> queries_;
  ColumnAttention<T, HEAD_DIM> attention_;
  int used_ = 0, filled_ = 0;  // stages
  int fetching_ = 0;           // the unit
  std::int64_t fetch_at_;      // first element of its next block
  int fetch_left_;             // tokens of it from there on
};

}  // namespace hydrajob::cuda
