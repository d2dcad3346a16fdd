#include "kernels/cuda/attention_plan.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

namespace hydrajob::cuda {
namespace {

// Blocks that a multiprocessor holds at once, by their shared memory and registers: of tiles one of Hopper's
// kernel, which fills it.
constexpr std::int64_t hopper_tiles_at_once = 1, tiles_at_once = 2, some_at_once = 2, plain_at_once = 8;
// A part shorter than this costs more to merge than its overlap gains.
constexpr std::int64_t shortest_part = 256;
constexpr std::int64_t part_granule = 64;  // keys that the kernels take at once
// What starting a part and merging it takes, as keys that could be read meanwhile.
constexpr std::int64_t part_overhead = 96, tile_overhead = 640;
constexpr std::int64_t most_parts = 64;
// Of each multiprocessor: eight rounds of full tiles. Of 20000 random passes of prefill and decode on 132
// multiprocessors 0.2 % were cut less than without this bound, and lost 8 % of their attention's predicted
// time at most.
constexpr std::int64_t spare_results = 1024;
// Tiles of one or two warpgroups' rows with reading beside them (an H200).
struct Beside {
  double products;  // their time, in that of two warpgroups
  double rate;      // of reading while there are tiles, in parts of a copy's
  double after;     // and when these are done
};
// One warpgroup multiplies slower than two of which one's softmax runs beside the other's products, but takes
// less from the reading. Of 47 shapes that were measured both ways five were judged wrongly, and lost 4 % at
// most; where reading bounds, tiles of one gained up to 12 %.
constexpr Beside of_two{1, 0.37, 1.1}, of_one{1.5, 0.65, 1.13};
// What an item and KV head that is read beside tiles costs besides, in tokens.
constexpr double unit_overhead = 12;
// Reading before tiles: what it takes of all multiprocessors' time, and by how much it has to be faster: its
// time is the less sure one.
constexpr double reading_work = 0.95, unless_sure = 1.05;
// Of the multiprocessors that read before tiles, at least. Half of them read an H200's memory at some three
// quarters of its rate; the time of both together was the same with a quarter of them as with 0.7.
constexpr double reading_share = 0.5;
// Tokens of a KV head that each of these reads at least.
constexpr std::int64_t least_reading = 2048;
// Time of a query row's products with a key and value, in that of reading them: 4 flops of each dimension at
// 600 Tflop/s, 4 bytes of each at 4 TB/s (an H200).
constexpr double tile_time = 4.0 / 600;

bool has_tensor_kernels(const AttentionArgs& args) {
  const bool head_dim =
      args.head_dim == 64 || args.head_dim == 80 || args.head_dim == 96 || args.head_dim == 128;
  return args.dtype != DType::f32 && head_dim && args.n_heads / args.n_kv_heads <= tile_rows;
}

// Query rows that see the same tokens, before they are cut.
struct Range {
  std::int64_t kv_first;
  std::int64_t row_begin, row_end;
  std::int32_t stream;     // -1: a segment
  std::int64_t kv_tokens;  // of a stream: what its last row will see at most
};

class Divider {
 public:
  Divider(const AttentionArgs& args, std::int32_t growth, const Processors& processors)
      : args_(args),
        growth_(growth),
        processors_(processors),
        group_(args.n_heads / args.n_kv_heads),
        cuts_(attention_cuts(processors)) {}

  WorkList divide() {
    cut_ranges(tile_rows);
    const Reading reading = choose_reading();
    if (reading == Reading::beside_tiles_of_one) cut_ranges(hopper_group_rows);
    reads_first_ = reading == Reading::first;
    make_room();
    // Items of few rows have few results: a processor is filled with least room by those first.
    for (int kind = item_kinds - 1; kind >= 0; --kind) cut_parts(static_cast<ItemKind>(kind));
    place_parts();
    if (reads_first_) work_.reading_first = processors_to_read();
    count_groups();
    return std::move(work_);
  }

 private:
  // When the items of few rows are read.
  enum class Reading { beside_tiles, beside_tiles_of_one, first };

  // most_rows: packed ones of a tile.
  void cut_ranges(std::int64_t most_rows) {
    rows_of_tile_ = std::max<std::int64_t>(1, most_rows / group_);
    for (auto& ranges : ranges_) ranges.clear();
    for (std::int64_t s = 0; s < args_.n_streams; ++s) own(s);
    for (std::int64_t i = 0; i < args_.n_segments; ++i) segment(i);
  }

  // Sequences keep their order, so the streams below a segment are found by their rows.
  void segment(std::int64_t i) {
    const Range whole{args_.segment_first[i], args_.segment_row_begin[i], args_.segment_row_end[i], -1,
                      args_.segment_length[i]};
    if (args_.share) return cut_rows(whole);
    const std::int64_t* end = args_.stream_row + args_.n_streams;
    const std::int64_t* row = std::upper_bound(args_.stream_row, end, whole.row_begin) - 1;
    for (; row < end && *row < whole.row_end; ++row) {
      Range part = whole;
      part.row_begin = std::max(row[0], whole.row_begin);
      part.row_end = std::min(row[1], whole.row_end);
      cut_rows(part);
    }
  }

  void own(std::int64_t s) {
    cut_rows({args_.own_first[s], args_.stream_row[s], args_.stream_row[s + 1], static_cast<std::int32_t>(s),
              args_.own_length[s] + growth_});
  }

  ItemKind kind_of(std::int64_t rows) const {
    if (!has_tensor_kernels(args_)) return ItemKind::plain;
    if (rows * group_ <= few_rows) return ItemKind::few;
    // Hopper's tiles read as fast, and in one launch with the few.
    if (processors_.mixed) return ItemKind::tile;
    return rows * group_ <= some_rows ? ItemKind::some : ItemKind::tile;
  }

  void cut_rows(const Range& range) {
    if (range.row_begin == range.row_end || range.kv_tokens <= 0) return;
    const ItemKind kind = kind_of(range.row_end - range.row_begin);
    for (std::int64_t row = range.row_begin; row < range.row_end; row += rows_of_tile_) {
      Range part = range;
      part.row_begin = row;
      part.row_end = std::min(row + rows_of_tile_, range.row_end);
      // Rows before the stream's last see less of it.
      if (range.stream >= 0) part.kv_tokens -= range.row_end - part.row_end;
      if (part.kv_tokens > 0) ranges_[static_cast<int>(kind)].push_back(part);
    }
  }

  // One partial result for each row, range and head, and what cutting the ranges may add.
  void make_room() {
    std::int64_t most_added = 0;
    for (int kind = 0; kind < item_kinds; ++kind) {
      for (const Range& range : ranges_[kind]) {
        const std::int64_t results = (range.row_end - range.row_begin) * args_.n_heads;
        work_.room += results;
        most_added += (parts_of(range, cuts_.shortest_part) - 1) * results;
      }
    }
    spare_ = std::min(most_added, cuts_.spare_results);
    work_.room += spare_;
  }

  static std::int64_t parts_of(const Range& range, std::int64_t length) {
    return (range.kv_tokens + length - 1) / length;
  }

  // Partial results that parts of this length are more than one for each row and range.
  std::int64_t added_by(ItemKind kind, std::int64_t length) const {
    std::int64_t added = 0;
    for (const Range& range : ranges_[static_cast<int>(kind)]) {
      added += (parts_of(range, length) - 1) * (range.row_end - range.row_begin) * args_.n_heads;
    }
    return added;
  }

  void cut_parts(ItemKind kind) {
    auto& ranges = ranges_[static_cast<int>(kind)];
    // The longest first: what is left over at the end is short.
    std::stable_sort(ranges.begin(), ranges.end(),
                     [](const Range& a, const Range& b) { return a.kv_tokens > b.kv_tokens; });
    const std::int64_t length = part_length(kind);
    spare_ -= added_by(kind, length);
    const std::int64_t longest = ranges.empty() ? 0 : ranges.front().kv_tokens;
    // Rows that see the same tokens follow each other: what one item reads, the next may find in the cache.
    for (std::int64_t begin = 0; begin < longest; begin += length) {
      for (const Range& range : ranges) {
        const std::int64_t tokens = std::min(length, range.kv_tokens - begin);
        if (tokens <= 0) break;
        work_.items[static_cast<int>(kind)].push_back(
            {range.kv_first + begin, range.row_begin, 0,
             static_cast<std::int32_t>(range.row_end - range.row_begin), range.stream,
             static_cast<std::int32_t>(begin), static_cast<std::int32_t>(tokens)});
      }
    }
  }

  // The length that ends first where all processors take equal shares: more parts fill them better, but each
  // costs its start and its merge.
  std::int64_t part_length(ItemKind kind) const {
    const auto& ranges = ranges_[static_cast<int>(kind)];
    if (ranges.empty()) return part_granule;
    const std::int64_t longest = ranges.front().kv_tokens;
    std::int64_t best = round_up(longest), best_cost = std::numeric_limits<std::int64_t>::max();
    for (std::int64_t parts = 1; parts <= most_parts; ++parts) {
      const std::int64_t length = std::max(shortest_part, round_up((longest + parts - 1) / parts));
      if (parts > 1 && added_by(kind, length) > spare_) break;
      const std::int64_t cost = cost_of(kind, length, longest);
      if (cost < best_cost) {
        best = length;
        best_cost = cost;
      }
      if (length == shortest_part) break;
    }
    return best;
  }

  // Of all ranges of the kind in parts of this length: keys that a processor takes until the end.
  std::int64_t cost_of(ItemKind kind, std::int64_t length, std::int64_t longest) const {
    std::int64_t tokens = 0;  // of whole parts: short ones leave room for others
    for (const Range& range : ranges_[static_cast<int>(kind)])
      tokens += std::max(range.kv_tokens, part_overhead);
    const bool beside_tiles = processors_.mixed && !ranges_of(ItemKind::tile).empty();
    const std::int64_t few_at_once = !beside_tiles  ? walkers_alone
                                     : reads_first_ ? walkers_before_tiles
                                                    : walkers_beside_tiles;
    const std::int64_t at_once[item_kinds] = {processors_.mixed ? hopper_tiles_at_once : tiles_at_once,
                                              some_at_once, few_at_once, plain_at_once};
    const std::int64_t slots = processors_.count * at_once[static_cast<int>(kind)];
    const std::int64_t items = (tokens * args_.n_kv_heads + length - 1) / length;
    const std::int64_t overhead = kind == ItemKind::tile ? tile_overhead : part_overhead;
    const std::int64_t part = std::min(length, longest) + overhead;
    // Where some processors read first, all come free one after another: there are no rounds, and at the end
    // half a part is waited for.
    if (kind == ItemKind::tile && reads_first_) return items * part / slots + part / 2;
    return (items + slots - 1) / slots * part;
  }

  static std::int64_t round_up(std::int64_t tokens) {
    return (tokens + part_granule - 1) / part_granule * part_granule;
  }

  void place_parts() {
    std::vector<std::int64_t> count(static_cast<std::size_t>(args_.n_rows), 0);
    for (auto& items : work_.items) {
      for (WorkItem& item : items) {
        item.part = work_.parts;
        work_.parts += item.n_rows * args_.n_heads;
        for (std::int32_t r = 0; r < item.n_rows; ++r) ++count[static_cast<std::size_t>(item.row_begin + r)];
      }
    }
    work_.most_parts = count.empty() ? 0 : *std::max_element(count.begin(), count.end());
    const bool even =
        std::all_of(count.begin(), count.end(), [this](std::int64_t n) { return n == work_.most_parts; });
    work_.parts_of_each = even ? work_.most_parts : 0;
    if (work_.parts_of_each == 1) {
      work_.parts = 0;
      return;
    }
    work_.row_parts_begin.assign(1, 0);
    for (const std::int64_t n : count) work_.row_parts_begin.push_back(work_.row_parts_begin.back() + n);
    work_.row_parts.resize(static_cast<std::size_t>(work_.row_parts_begin.back()));
    std::vector<std::int64_t> next(work_.row_parts_begin.begin(), work_.row_parts_begin.end() - 1);
    for (const auto& items : work_.items) {
      for (const WorkItem& item : items) {
        for (std::int32_t r = 0; r < item.n_rows; ++r) {
          std::int64_t& place = next[static_cast<std::size_t>(item.row_begin + r)];
          work_.row_parts[static_cast<std::size_t>(place++)] = item.part + r * args_.n_heads;
        }
      }
    }
  }

  const std::vector<Range>& ranges_of(ItemKind kind) const { return ranges_[static_cast<int>(kind)]; }

  // Beside the tiles, reading is slower but takes little from them; before them it is fast, and tiles wait.
  // By the lengths halfway: a plan serves all steps of a batch, and its ranges are as long as in the last.
  Reading choose_reading() {
    const auto &few = ranges_of(ItemKind::few), &tiles = ranges_of(ItemKind::tile);
    if (!processors_.mixed || few.empty() || tiles.empty()) return Reading::beside_tiles;
    for (std::size_t i = 0; i < tiles.size(); ++i) {
      const auto tokens = static_cast<double>(tiles[i].kv_tokens);
      products_ += static_cast<double>((tiles[i].row_end - tiles[i].row_begin) * group_) * tokens * tile_time;
      // Neighbours read the same tokens, out of the cache.
      if (i == 0 || tiles[i].kv_first != tiles[i - 1].kv_first) tile_reads_ += tokens;
    }
    for (const Range& range : few) {
      const std::int64_t to_come = range.stream >= 0 ? growth_ / 2 : 0;
      reads_ += static_cast<double>(std::max<std::int64_t>(0, range.kv_tokens - to_come));
    }
    static_assert(few_rows <= hopper_group_rows);  // where there are few, a group fits a warpgroup's rows
    const double first = time_reading_first(), of_two_groups = time_reading_beside(of_two);
    if (time_reading_beside(of_one) < std::min(first, of_two_groups)) return Reading::beside_tiles_of_one;
    return first < of_two_groups ? Reading::first : Reading::beside_tiles;
  }

  double tiles_take(const Beside& beside) const { return std::max(beside.products * products_, tile_reads_); }

  double time_reading_beside(const Beside& beside) const {
    const auto units = static_cast<double>(ranges_of(ItemKind::few).size());
    const double tiles = tiles_take(beside);
    const double left = reads_ + units * unit_overhead - beside.rate * tiles;
    return tiles + std::max(0.0, left) / beside.after;
  }

  double time_reading_first() const {
    return unless_sure * std::max(tiles_take(of_two) + reading_work * reads_, reads_);
  }

  // The rest is free for tiles; where these end before the reading, it takes more. No more than have enough
  // to read.
  int processors_to_read() const {
    const double share = std::max(1 - tiles_take(of_two) / (reads_ + tile_reads_), reading_share);
    const auto most = static_cast<std::int64_t>(share * processors_.count);
    const auto units =
        static_cast<std::int64_t>(work_.items[static_cast<int>(ItemKind::few)].size()) * args_.n_kv_heads;
    const auto filled = (units + walkers_before_tiles - 1) / walkers_before_tiles;
    const auto busy =
        static_cast<std::int64_t>(reads_ * static_cast<double>(args_.n_kv_heads)) / least_reading;
    return static_cast<int>(std::max<std::int64_t>(1, std::min(most, std::max(filled, busy))));
  }

  void count_groups() {
    std::int64_t most = 0;
    for (const WorkItem& item : work_.items[static_cast<int>(ItemKind::tile)]) {
      most = std::max(most, item.n_rows * group_);
    }
    work_.tile_groups = static_cast<int>((most + hopper_group_rows - 1) / hopper_group_rows);
  }

  const AttentionArgs& args_;
  std::int32_t growth_;
  Processors processors_;
  std::int64_t group_;
  AttentionCuts cuts_;
  std::int64_t spare_ = 0;  // partial results that parts may still add
  std::int64_t rows_of_tile_ = 1;
  std::vector<Range> ranges_[item_kinds];
  // Of tiles beside items of few rows, in the time that the GPU takes to read a token of one KV head.
  double products_ = 0, tile_reads_ = 0, reads_ = 0;
  bool reads_first_ = false;
  WorkList work_;
};

std::size_t bytes_of(std::int64_t elements, std::size_t element) {
  return static_cast<std::size_t>(elements) * element;
}

}  // namespace

AttentionCuts attention_cuts(const Processors& processors) {
  return {shortest_part, spare_results * processors.count};
}

WorkList divide_work(const AttentionArgs& args, std::int32_t growth, const Processors& processors) {
  return Divider(args, growth, processors).divide();
}

CudaAttentionPlan::CudaAttentionPlan(const WorkList& work, std::int64_t head_dim, Device& device)
    : room_(work.room),
      head_dim_(head_dim),
      n_row_parts_(static_cast<std::int64_t>(work.row_parts.size())),
      most_parts_(work.most_parts),
      parts_of_each_(work.parts_of_each),
      reading_first_(work.reading_first),
      tile_groups_(work.tile_groups) {
  // One buffer, one copy: the queue, the items of each kind, the rows' parts.
  std::vector<std::byte> host;
  const auto append = [&](const auto& values) {
    const std::size_t at = host.size(), bytes = values.size() * sizeof(values[0]);
    host.resize(at + bytes);
    if (bytes > 0) std::memcpy(host.data() + at, values.data(), bytes);
    return at;
  };
  append(std::vector<Queue>(1));
  std::size_t at[item_kinds];
  for (int kind = 0; kind < item_kinds; ++kind) {
    at[kind] = append(work.items[kind]);
    counts_[kind] = static_cast<std::int64_t>(work.items[kind].size());
  }
  const std::size_t begins_at = append(work.row_parts_begin), parts_at = append(work.row_parts);
  buffer_ = device.allocate(std::max<std::size_t>(host.size(), 1));
  device.copy_to_device(buffer_->data(), host.data(), host.size());
  device.synchronize();  // `host` goes
  auto* base = buffer_->as<std::byte>();
  queue_ = reinterpret_cast<Queue*>(base);
  for (int kind = 0; kind < item_kinds; ++kind)
    items_[kind] = reinterpret_cast<const WorkItem*>(base + at[kind]);
  row_parts_begin_ = reinterpret_cast<const std::int64_t*>(base + begins_at);
  row_parts_ = reinterpret_cast<const std::int64_t*>(base + parts_at);
}

std::size_t CudaAttentionPlan::workspace_bytes() const {
  return bytes_of(sums_at() + room_ * 2, sizeof(float));
}

void CudaAttentionPlan::complete(WorkArgs& args, void* workspace) const {
  args.row_parts_begin = row_parts_begin_;
  args.row_parts = row_parts_;
  args.n_row_parts = n_row_parts_;
  args.parts_of_each = static_cast<std::int32_t>(parts_of_each_);
  args.part_out = direct() ? nullptr : static_cast<float*>(workspace);
  args.part_sum = direct() ? nullptr : args.part_out + sums_at();
}

}  // namespace hydrajob::cuda
