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

// A parameter that the defaults name, and where.
struct Mention {
  std::string parameter;
  Place place;
};

// What no block takes would say nothing: some block's workload must take all of these.
void check_taken(const std::vector<Mention>& mentions, const std::vector<Block>& blocks) {
  const auto foreign_to = [&](const Block& block) {
    return std::find_if(mentions.begin(), mentions.end(), [&](const Mention& mention) {
      return !applies_to(*find_parameter(mention.parameter), block.workload);
    });
  };
  const auto takes_all = [&](const Block& block) { return foreign_to(block) == mentions.end(); };
  if (std::any_of(blocks.begin(), blocks.end(), takes_all)) return;
  const Mention& foreign = *foreign_to(blocks.front());
  fail_at(foreign.place,
          fmt::format("{} has no meaning for workload {}", foreign.parameter, blocks.front().workload));
}

std::vector<Mention> mentions_of(const Conditions& conditions) {
  std::vector<Mention> mentions;
  for (const Condition& condition : conditions) mentions.push_back({condition.parameter, condition.place});
  return mentions;
}

void check_defaults_taken(const Block& defaults, const std::vector<Block>& blocks) {
  const auto check = [&](const Axis& axis) { check_taken({{axis.parameter, axis.place}}, blocks); };
  for (const Axis& axis : defaults.axes) check(axis);
  for (const Zip& zip : defaults.zips) std::for_each(zip.begin(), zip.end(), check);
  for (const Conditions& exclude : defaults.excludes) check_taken(mentions_of(exclude), blocks);
  for (const When& when : defaults.whens) {
    for (const Axis& axis : when.axes) {
      std::vector<Mention> mentions = mentions_of(when.conditions);
      mentions.push_back({axis.parameter, axis.place});
      check_taken(mentions, blocks);
    }
  }
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

Experiment load_experiment(const std::filesystem::path& path, const std::vector<Assignment>& set) {
  return parse_experiment(read_file(path), path, set);
}

Experiment parse_experiment(const std::string& text, const std::filesystem::path& path,
                            const std::vector<Assignment>& set) {
  Node file = parse_document(text, path.string());
  if (!file.is_map()) fail_at(file.place, fmt::format("{}: expected a map of keys", describe(file)));
  for (const Assignment& assignment : set) apply_override(file, assignment);
  Experiment experiment;
  experiment.file = path;
  experiment.name = read_text(file, "name", path.stem().string());
  experiment.store = read_text(file, "store", "results/" + experiment.name + ".h5");
  experiment.blocks = read_blocks(file);
  experiment.resolved_text = resolved_text(experiment);
  return experiment;
}

}  // namespace hydrajob
