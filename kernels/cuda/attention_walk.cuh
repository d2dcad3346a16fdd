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
  const WorkItem* items;
  int units;           // items times KV heads
  int walkers;         // warps of the launch
  int group;           // query heads of a KV head
  std::uint32_t rows;  // of an item, that stand in the columns: four bits each

  Walk(const WorkItem* first, std::int64_t n_items, std::int64_t n_walkers, const WorkArgs& args)
      : items(first),
        units(static_cast<int>(n_items * args.n_kv_heads)),
        walkers(static_cast<int>(n_walkers)),
        group(args.n_heads / args.n_kv_heads),
        rows(0) {
    for (int column = 0; column < columns; ++column) {
      rows |= static_cast<std::uint32_t>(column / group) << (4 * column);
    }
  }
  // Without a division, of which every unit would have several.
  __device__ int row_of(int column) const { return static_cast<int>(rows >> (4 * column) & 15u); }
};

// A warp's shared memory: STAGES of column_keys keys and values, nearly all of it on its way at any time, and
// the KNOWN units that it looks up at once.
template <class T, int HEAD_DIM, int STAGES, int KNOWN>
struct WalkerMemory {
  static_assert(KNOWN <= 32);
  static constexpr int block_bytes = StagedRows<HEAD_DIM>::elements * static_cast<int>(sizeof(T));
  static constexpr int stage_bytes = 2 * block_bytes;
  static constexpr int staged_bytes = STAGES * stage_bytes;
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

// AT_ONCE: as in ColumnAttention, by the registers that there are.
template <class T, int HEAD_DIM, int STAGES, int KNOWN, int AT_ONCE = HEAD_DIM / 16>
class Walker {
 public:
  using Memory = WalkerMemory<T, HEAD_DIM, STAGES, KNOWN>;

  // walker: which of walk.walkers.
  __device__ Walker(const Walk& walk, int walker, const WorkArgs& args, const Memory& memory)
      : walk_(walk), walker_(walker), args_(args), known_(memory.known) {
    const std::uint32_t own = whole_rows ? Rows::place(lane() / pieces, lane() % pieces) : 0;
    stage_ = shared_address(memory.staged) + own;
    k_rows_ = Attention::place_of_keys() - own;
    v_rows_ = Memory::block_bytes + Attention::place_of_values() - own;
  }

  __device__ void run() {
    for (int first = walker_; first < walk_.units; first += KNOWN * walk_.walkers) {
      know(first + lane() * walk_.walkers);
      go();
    }
  }

 private:
  using Attention = ColumnAttention<T, HEAD_DIM>;
  using Rows = StagedRows<HEAD_DIM>;
  static constexpr int pieces = HEAD_DIM / 8;               // of 16 bytes, of a row
  static constexpr int copies = column_keys * pieces / 32;  // of a lane
  static constexpr bool whole_rows = 32 % pieces == 0;      // a warp's copies are rows
  static constexpr int rows_at_once = whole_rows ? 32 / pieces : 0;

  // Asked for whenever it is wanted: what follows from it, a unit at a time, would else be kept in registers
  // all along, of which there are too few.
  __device__ static int lane() {
    int lane;
    asm volatile("mov.u32 %0, %%laneid;\n" : "=r"(lane));
    return lane;
  }

  __device__ void know(int index) {
    const int lane = Walker::lane();
    const bool there = lane < KNOWN && index < walk_.units;
    __syncwarp();  // the last ones were read
    if (there) {
      const int kv_head = index % args_.n_kv_heads;
      known_[lane] = make_unit(walk_.items[index / args_.n_kv_heads], kv_head, args_);
    }
    n_units_ = __popc(__ballot_sync(0xffffffffu, there));
    __syncwarp();
    prefetch_queries();
  }

  // Into L2: a warp waits for a unit's queries when it comes to it.
  __device__ void prefetch_queries() const {
    constexpr int line = 64, lines = (HEAD_DIM + line - 1) / line;  // of 128 bytes
#pragma unroll 1
    for (int i = lane(); i < n_units_ * columns * lines; i += 32) {
      const Unit& unit = known_[i / (columns * lines)];
      const int column = i / lines % columns;
      if (column < unit.n_rows * walk_.group) prefetch(query(unit, column) + i % lines * line);
    }
  }

  __device__ void go() {
    fetching_ = 0;
    begin_fetching();
    for (int i = 0; i < STAGES; ++i) {
      fetch_keys();
      fetch_values();
      next_stage();
    }
    load_queries(known_[0]);
    for (int u = 0; u < n_units_; ++u) attend(u);
  }

  // Row of the item and query head of its group that stand in a column.
  __device__ std::int64_t row_and_head(const Unit& unit, int column) const {
    const int row = walk_.row_of(column);
    return static_cast<std::int64_t>(row) * args_.n_heads + (unit.kv_head - row) * walk_.group + column;
  }

  __device__ const T* query(const Unit& unit, int column) const {
    return static_cast<const T*>(args_.q) +
           (unit.row_begin * args_.n_heads + row_and_head(unit, column)) * HEAD_DIM;
  }

  __device__ void load_queries(const Unit& unit) {
    const int column = lane() / 4;
    queries_.load(column < unit.n_rows * walk_.group ? query(unit, column) : static_cast<const T*>(nullptr));
  }

  // The next unit's queries are loaded as soon as this one's are multiplied.
  __device__ void attend(int u) {
    const Unit& unit = known_[u];
    const int lane = Walker::lane();
    int seen[2];  // of the keys that each column sees, those from this thread's first on
#pragma unroll
    for (int c = 0; c < 2; ++c) {
      const int behind = unit.n_rows - 1 - walk_.row_of(lane % 4 * 2 + c);
      seen[c] = (behind < 0 ? 0 : unit.visible(behind)) - lane / 4;
    }
    int left = unit.visible(0);
    attention_.begin();
    do {
      float scores[4];
      wait_for_oldest();
      Attention::template multiply_keys<AT_ONCE>(queries_, stage_ + k_rows_, scores, [&] {
        __syncwarp();  // what is fetched overwrites them
        fetch_keys();
      });
      left -= column_keys;
      if (left <= 0 && u + 1 < n_units_) load_queries(known_[u + 1]);
      attention_.weigh(scores, seen, args_.scale * 1.44269504f);
      wait_for_oldest();
      attention_.template multiply_values<AT_ONCE>(stage_ + v_rows_, scores, [&] {
        __syncwarp();
        fetch_values();
      });
      next_stage();
#pragma unroll
      for (int c = 0; c < 2; ++c) seen[c] -= column_keys;
    } while (left > 0);
    write(unit);
  }

  __device__ void begin_fetching() {
    const Unit& unit = known_[fetching_];
    fetch_at_ = unit.kv_at + lane() * 8;
    fetch_left_ = unit.visible(0);
  }

  // Keys and values are groups of copies by turns, empty at the end of the walk: all but the oldest of those
  // that fill the stages may still be on their way.
  __device__ static void wait_for_oldest() {
    wait_copies<2 * STAGES - 1>();
    __syncwarp();
  }

  // The next column_keys keys of the walk, then their values, into the stage whose own were used last. A unit
  // without tokens has one block of none.
  __device__ void fetch_keys() const {
    if (fetching_ < n_units_) copy(stage_, static_cast<const T*>(args_.kv.k));
    commit_copies();
  }
  __device__ void fetch_values() {
    if (fetching_ < n_units_) {
      copy(stage_ + Memory::block_bytes, static_cast<const T*>(args_.kv.v));
      fetch_at_ += column_keys * args_.kv.token_stride;
      fetch_left_ -= column_keys;
      if (fetch_left_ <= 0 && ++fetching_ < n_units_) begin_fetching();
    }
    commit_copies();
  }
  __device__ void next_stage() {
    constexpr int last = Memory::staged_bytes - Memory::stage_bytes;
    stage_ += stage_number_ + 1 == STAGES ? -last : Memory::stage_bytes;
    stage_number_ = stage_number_ + 1 == STAGES ? 0 : stage_number_ + 1;
  }

  __device__ void copy(std::uint32_t to, const T* cache) const {
    // Most blocks are full and rows stand side by side: all offsets are constants then.
    if (whole_rows && fetch_left_ >= column_keys && args_.kv.token_stride == HEAD_DIM) {
      const T* from = cache + fetch_at_;
      const std::uint64_t policy = read_once_policy();
#pragma unroll
      for (int i = 0; i < copies; ++i) copy_16(Rows::below(to, i * rows_at_once), from + i * 256, policy);
    } else {
      copy_rows(to - (whole_rows ? Rows::place(lane() / pieces, lane() % pieces) : 0), cache);
    }
  }

  __device__ void copy_rows(std::uint32_t to, const T* cache) const {
    const T* first = cache + (fetch_at_ - lane() * 8);
#pragma unroll 1
    for (int i = lane(); i < column_keys * pieces; i += 32) {
      const int row = i / pieces, piece = i % pieces;
      const bool there = row < fetch_left_;  // else any valid address
      copy_16(to + Rows::place(row, piece), there ? first + row * args_.kv.token_stride + piece * 8 : cache,
              there);
    }
  }

  __device__ void write(const Unit& unit) const {
    const int lane = Walker::lane();
#pragma unroll
    for (int c = 0; c < 2; ++c) {
      const float sum = attention_.column_sum(c);
      const int column = lane % 4 * 2 + c;
      if (column >= unit.n_rows * walk_.group) continue;
      const float share = sum > 0 ? 1.0f / sum : 0.0f;
      const std::int64_t result = (args_.part_out != nullptr ? unit.part : unit.row_begin * args_.n_heads) +
                                  row_and_head(unit, column);
#pragma unroll
      for (int d = 0; d < HEAD_DIM / 16; ++d) {
#pragma unroll
        for (int i = 0; i < 2; ++i) {
          const float value[1] = {attention_.out(d, i, c) * share};
          write_out<T>(args_, result, d * 16 + lane / 4 + i * 8, value);
        }
      }
      if (lane / 4 == 0) write_sum(args_, result, attention_.maximum(c) * args_.scale, sum);
    }
  }

  const Walk& walk_;
  int walker_;
  const WorkArgs& args_;
  Unit* known_;
  int n_units_ = 0;
  ColumnQueries<HEAD_DIM> queries_;
  Attention attention_;
  // Where this lane copies keys to in shared memory, in the stage whose turn it is; from there to what it
  // gives the products with keys, and with values. (An offset that all lanes have in common, ptxas 13.0 puts
  // into a copy that is no instruction.)
  std::uint32_t stage_, k_rows_, v_rows_;
  int stage_number_ = 0;
  int fetching_ = 0;       // the unit
  std::int64_t fetch_at_;  // first element of its next block, and from there on this lane's
  int fetch_left_;         // tokens of it from there on
};

}  // namespace hydrajob::cuda
