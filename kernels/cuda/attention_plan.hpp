// Divides the attention of a pass into work items, on the host, before its data is there.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "device/device.hpp"
#include "kernels/cuda/attention_work.hpp"
#include "kernels/kernels.hpp"

namespace hydrajob::cuda {

// Which kernel computes an item.
enum class ItemKind {
  tile,   // up to tile_rows query rows, packed with the heads of their group: tensor cores
  some,   // up to some_rows of them: tensor cores, bound by reading; on Hopper these are tiles
  few,    // up to few_rows of them: tensor cores, bound by reading
  plain,  // any type and size
};
constexpr int item_kinds = 4;
constexpr int tile_rows = 128;
constexpr int hopper_group_rows = 64;  // of a tile, that a warpgroup of Hopper's kernel multiplies
constexpr int some_rows = 32;
constexpr int few_rows = 8;
// Warps of a block that compute items of the kind few, one after another: in a launch of their own, and in
// the tiles' launch before and beside these.
constexpr int walkers_alone = 6, walkers_before_tiles = 11, walkers_beside_tiles = 4;

// Of a group of up to tile_rows heads: PackedRows divides by it with this.
constexpr std::uint32_t inverse_of_group(std::uint32_t group) {
  return 65536 / group + 1;
}

struct WorkList {
  std::vector<WorkItem> items[item_kinds];
  std::vector<std::int64_t> row_parts_begin, row_parts;  // as in WorkArgs
  std::int64_t parts = 0;                                // rows of partial results
  std::int64_t room = 0;                                 // rows of partial results that there is place for
  std::int64_t most_parts = 0;                           // that a row and head is in
  std::int64_t parts_of_each = 0;  // that every one is in; 0: they differ, or are in none
  // Where there are tiles and few: the multiprocessors that take the few before they take tiles. 0: all take
  // both at once.
  int reading_first = 0;
  int tile_groups = 0;  // warpgroups of hopper_group_rows that the largest tile has rows for
};

// What of a GPU decides how work is best divided.
struct Processors {
  int count = 0;            // multiprocessors
  int shared_of_block = 0;  // bytes of shared memory that a block may have
  bool mixed = false;       // Hopper's kernel: tiles and items of few rows share the multiprocessors
};

// At most so many parts are cut that the workspace is what a planner counts on.
AttentionCuts attention_cuts(const Processors& processors);

// `args` as in Kernels::plan_attention.
WorkList divide_work(const AttentionArgs& args, std::int32_t growth, const Processors& processors);

class CudaAttentionPlan final : public AttentionPlan {
 public:
  CudaAttentionPlan(const WorkList& work, std::int64_t head_dim, Device& device);
  std::size_t workspace_bytes() const override;
  std::size_t bytes() const override { return buffer_->bytes(); }

  // The items of a kind, on the device.
  const WorkItem* items(ItemKind kind) const { return items_[static_cast<int>(kind)]; }
  std::int64_t count(ItemKind kind) const { return counts_[static_cast<int>(kind)]; }
  int reading_first() const { return reading_first_; }
  // Warpgroups of hopper_group_rows that the largest tile has rows for.
  int tile_groups() const { return tile_groups_; }
  // The queue of a launch of this plan's items, on the device.
  Queue* queue() const { return queue_; }
  // Fills what the plan knows; the partial results stand in `workspace`.
  void complete(WorkArgs& args, void* workspace) const;
  // Every row is in exactly one item.
  bool direct() const { return parts_of_each_ == 1; }
  std::int64_t most_parts() const { return most_parts_; }

 private:
  // Floats of the workspace before the parts' sums, which are read in pairs.
  std::int64_t sums_at() const { return room_ * head_dim_ + room_ * head_dim_ % 2; }

  std::unique_ptr<Buffer> buffer_;
  Queue* queue_ = nullptr;
  const WorkItem* items_[item_kinds] = {};
  std::int64_t counts_[item_kinds] = {};
  const std::int64_t* row_parts_begin_ = nullptr;
  const std::int64_t* row_parts_ = nullptr;
  std::int64_t room_ = 0;
  std::int64_t head_dim_ = 0;
  std::int64_t n_row_parts_ = 0;
  std::int64_t most_parts_ = 0;
  std::int64_t parts_of_each_ = 0;
  int reading_first_ = 0;
  int tile_groups_ = 0;
};

}  // namespace hydrajob::cuda
