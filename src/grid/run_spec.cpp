#include "grid/run_spec.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <limits>
#include <system_error>
#include <utility>

#include <fmt/format.h>

#include "base/error.hpp"

namespace hydrajob {
namespace {

constexpr std::array<std::pair<std::string_view, Mode>, 7> modes{{{"hydragen", Mode::hydragen},
                                                                  {"noshared", Mode::noshared},
                                                                  {"paged", Mode::paged},
                                                                  {"noattention", Mode::noattention},
                                                                  {"auto", Mode::automatic},
                                                                  {"vllm", Mode::vllm},
                                                                  {"vllm_notok", Mode::vllm_notok}}};

constexpr std::array<std::pair<std::string_view, WorkloadKind>, 3> workloads{
    {{"generate", WorkloadKind::generate},
     {"attention", WorkloadKind::attention},
     {"needles", WorkloadKind::needles}}};

std::int64_t parse_count(std::string_view text, std::string_view level, std::int64_t minimum) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  if (!whole || value < minimum || value > std::numeric_limits<std::int32_t>::max()) {
    throw UsageError(fmt::format("tree level '{}': expected nodes x length, such as 4x128", level));
  }
  return value;
}

TreeLevel parse_level(std::string_view level) {
  const std::size_t x = std::min(level.find('x'), level.size());
  const std::string_view length = level.substr(std::min(x + 1, level.size()));
  return {parse_count(level.substr(0, x), level, 1), parse_count(length, level, 0)};
}

}  // namespace

std::string to_string(Mode mode) {
  const auto at = std::find_if(modes.begin(), modes.end(), [&](const auto& m) { return m.second == mode; });
  return std::string(at->first);
}

Mode parse_mode(std::string_view name) {
  const auto at = std::find_if(modes.begin(), modes.end(), [&](const auto& m) { return m.first == name; });
  if (at == modes.end()) throw UsageError(fmt::format("mode '{}': there is none of that name", name));
  return at->second;
}

std::string to_string(WorkloadKind workload) {
  const auto at = std::find_if(workloads.begin(), workloads.end(),
                               [&](const auto& known) { return known.second == workload; });
  return std::string(at->first);
}

WorkloadKind parse_workload(std::string_view name) {
  const auto at = std::find_if(workloads.begin(), workloads.end(),
                               [&](const auto& known) { return known.first == name; });
  if (at == workloads.end()) throw UsageError(fmt::format("workload '{}': there is none of that name", name));
  return at->second;
}

std::vector<TreeLevel> parse_tree(std::string_view text) {
  std::vector<TreeLevel> tree;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find('/', begin), text.size());
    const TreeLevel level = parse_level(text.substr(begin, end - begin));
    if (!tree.empty() && level.nodes % tree.back().nodes != 0) {
      throw UsageError(fmt::format("tree '{}': {} nodes below {}: expected a multiple", text, level.nodes,
                                   tree.back().nodes));
    }
    tree.push_back(level);
    begin = end + 1;
  }
  return tree;
}

std::string to_string(const std::vector<TreeLevel>& tree) {
  std::string text;
  for (const TreeLevel& level : tree) {
    if (!text.empty()) text += '/';
    text += fmt::format("{}x{}", level.nodes, level.length);
  }
  return text;
}

std::string weights_key(const RunSpec& spec) {
  if (!has_model(spec.workload)) return {};
  const std::uint64_t seed = spec.weights == "random" ? spec.seed : 0;
  return fmt::format("{} {} {} {}", spec.architecture.name, spec.weights, seed, name_of(spec.dtype));
}

std::int64_t default_prefill_chunk(std::string_view device) {
  return device == "cuda" ? 4096 : 512;
}

std::int64_t path_tokens(const std::vector<TreeLevel>& tree) {
  std::int64_t tokens = 0;
  for (const TreeLevel& level : tree) tokens += level.length;
  return tokens;
}

std::int64_t tree_tokens(const std::vector<TreeLevel>& tree) {
  std::int64_t tokens = 0;
  for (const TreeLevel& level : tree) tokens += level.nodes * level.length;
  return tokens;
}

}  // namespace hydrajob
