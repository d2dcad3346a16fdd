#include "config/experiment.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/file.hpp"
#include "config/blocks.hpp"
#include "config/override.hpp"
#include "config/resolved_text.hpp"

namespace hydrajob {
namespace {

std::string read_text(const Node& map, std::string_view key, const std::string& fallback) {
  const Node* node = map.find(key);
  if (node == nullptr) return fallback;
  if (!node->is_scalar() || node->scalar.empty()) {
    fail_at(node->place, fmt::format("{}: {}: expected text", key, describe(*node)));
  }
  return node->scalar;
}

// A default that no block takes would say nothing.
void check_defaults_taken(const Block& defaults, const std::vector<Block>& blocks) {
  const auto check = [&](const Axis& axis) {
    const ParameterInfo& info = *find_parameter(axis.parameter);
    const auto takes = [&](const Block& block) { return applies_to(info, block.workload); };
    if (std::any_of(blocks.begin(), blocks.end(), takes)) return;
    fail_at(axis.place,
            fmt::format("{} has no meaning for workload {}", axis.parameter, blocks.front().workload));
  };
  for (const Axis& axis : defaults.axes) check(axis);
  for (const Zip& zip : defaults.zips) std::for_each(zip.begin(), zip.end(), check);
}

std::vector<Block> read_blocks(const Node& file) {
  const Block defaults = read_block(file, {"name", "store", "blocks"});
  const Node* list = file.find("blocks");
  if (list == nullptr) return {merge(Block{}, defaults)};
  if (!list->is_sequence() || list->items.empty()) {
    fail_at(list->place, fmt::format("blocks: {}: expected a list of maps", describe(*list)));
  }
  std::vector<Block> blocks;
  for (const Node& item : list->items) {
    if (!item.is_map()) fail_at(item.place, fmt::format("blocks: {}: expected a map", describe(item)));
    Block own = read_block(item, {"name"});
    own.name = read_text(item, "name", "");
    blocks.push_back(merge(defaults, own));
  }
  check_defaults_taken(defaults, blocks);
  return blocks;
}

}  // namespace

Experiment load_experiment(const std::filesystem::path& path, const std::vector<std::string>& set) {
  return parse_experiment(read_file(path), path, set);
}

Experiment parse_experiment(const std::string& text, const std::filesystem::path& path,
                            const std::vector<std::string>& set) {
  Node file = parse_document(text, path.string());
  if (!file.is_map()) fail_at(file.place, fmt::format("{}: expected a map of keys", describe(file)));
  for (const std::string& assignment : set) apply_override(file, assignment);
  Experiment experiment;
  experiment.file = path;
  experiment.name = read_text(file, "name", path.stem().string());
  experiment.store = read_text(file, "store", "results/" + experiment.name + ".h5");
  experiment.blocks = read_blocks(file);
  experiment.resolved_text = resolved_text(experiment);
  return experiment;
}

}  // namespace hydrajob
