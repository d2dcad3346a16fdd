#include "grid/plan.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "base/units.hpp"
#include "grid/collectives.hpp"

namespace hydrajob {
namespace {

std::vector<Conditions> parse_all(const std::vector<std::string>& texts, const std::string& option) {
  std::vector<Conditions> all;
  for (const std::string& text : texts) all.push_back(parse_conditions(text, option));
  return all;
}

bool any_holds(const std::vector<Conditions>& all, const Parameters& parameters) {
  return std::any_of(all.begin(), all.end(), [&](const Conditions& c) { return holds(c, parameters); });
}

// Gives runs their ids: what shapes the result, the weights' values, what is used of texts, the code. Where
// these files lie does not count.
class Identities {
 public:
  explicit Identities(const PlanRequest& request) : request_(request) {}

  std::string id_of(const RunSpec& spec) {
    std::string text;
    for (const auto& [name, value] : spec.parameters) {
      if (name == "weights" || name == "text" || name == "facts") continue;
      text += name;
      text += '=';
      text += to_string(value);
      text += '\n';
    }
    if (has_model(spec.workload)) text += "weights=" + weights_digest(spec) + '\n';
    if (spec.needles) text += "needles_digest=" + spec.needles_digest + '\n';
    return digest128(text + "code=" + request_.code_digest);
  }

 private:
  // Random weights are the architecture's and the seed's.
  const std::string& weights_digest(const RunSpec& spec) {
    const bool random = spec.weights == "random";
    if (random && last_ && spec.architecture == last_architecture_ && spec.seed == last_seed_) return *last_;
    if (!random) {
      const auto known = files_.find(spec.weights);
      if (known != files_.end()) return known->second;
      return files_.emplace(spec.weights, request_.weights_digest(spec.weights)).first->second;
    }
    last_architecture_ = spec.architecture;
    last_seed_ = spec.seed;
    last_ = fmt::format("random:{}:{}", spec.seed, digest128(to_yaml(spec.architecture)));
    return *last_;
  }

  const PlanRequest& request_;
  std::map<std::string, std::string> files_;
  std::optional<std::string> last_;  // of the run before: most runs share it
  Architecture last_architecture_;
  std::uint64_t last_seed_ = 0;
};

const Ceilings& ceilings_for(const RunSpec& spec, const PlanRequest& request) {
  const auto device = request.ceilings_of.find(spec.device);
  if (device == request.ceilings_of.end()) return request.ceilings;
  const auto own = device->second.find(spec.dtype);
  return own == device->second.end() ? request.ceilings : own->second;
}

std::string skip_reason(const RunSpec& spec, const RunCost& cost, const PlanRequest& request) {
  if (spec.mode == Mode::vllm || spec.mode == Mode::vllm_notok) return "no such engine yet";
  if (std::find(request.devices.begin(), request.devices.end(), spec.device) == request.devices.end()) {
    return fmt::format("needs {}, has {}", spec.device, fmt::join(request.devices, ", "));
  }
  if (request.ranks > 0 && spec.tensor_parallel > request.ranks) {
    return fmt::format("needs {} ranks, has {}", spec.tensor_parallel, request.ranks);
  }
  const double has = ceilings_for(spec, request).memory_bytes;
  if (has > 0 && cost.memory.total() > has) {
    return fmt::format("needs {}, has {}", format_bytes(cost.memory.total()), format_bytes(has));
  }
  return {};
}

// Takes the runs one by one and keeps those asked for, each once.
class Collector {
 public:
  explicit Collector(const PlanRequest& request)
      : request_(request),
        only_(parse_all(request.only, "--only")),
        exclude_(parse_all(request.exclude, "--exclude")),
        identities_(request) {}

  void take(RunSpec&& spec) {
    spec.id = identities_.id_of(spec);
    const auto [before, is_new] = places_.emplace(spec.id, spec.block);
    if (!is_new) {
      throw UsageError(fmt::format("{}: the same run as in {}: {}", spec.block, before->second,
                                   to_string(spec.parameters)));
    }
    if (!only_.empty() && !any_holds(only_, spec.parameters)) return;
    if (any_holds(exclude_, spec.parameters)) return;
    RunCost cost = cost_of(spec, ceilings_for(spec, request_));
    std::string reason = skip_reason(spec, cost, request_);
    runs.push_back({std::move(spec), cost, std::move(reason)});
  }

  std::vector<PlannedRun> runs;

 private:
  const PlanRequest& request_;
  std::vector<Conditions> only_;
  std::vector<Conditions> exclude_;
  Identities identities_;
  std::unordered_map<std::string, std::string> places_;  // by run id
};

// What a run is ordered by, the smallest first; `first` of two equal ones is the earlier in the
// configuration.
struct OrderKey {
  bool skipped = false;
  int degree = 0;
  double load_s = 0;  // predicted of all runs that share its weights at its degree
  std::size_t load = 0;
  double predicted_s = 0;
  auto operator<=>(const OrderKey&) const = default;
};

std::vector<OrderKey> order_keys(const std::vector<PlannedRun>& runs) {
  struct Load {
    std::size_t index = 0;
    double seconds = 0;
  };
  std::map<std::pair<int, std::string>, Load> loads;
  std::vector<const Load*> load_of;
  for (const PlannedRun& run : runs) {
    const auto at =
        loads.try_emplace({run.spec.tensor_parallel, weights_key(run.spec)}, Load{loads.size(), 0}).first;
    if (run.skip_reason.empty()) at->second.seconds += run.cost.predicted_s;
    load_of.push_back(&at->second);
  }
  std::vector<OrderKey> keys;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    keys.push_back({!runs[i].skip_reason.empty(), -runs[i].spec.tensor_parallel, -load_of[i]->seconds,
                    load_of[i]->index, -runs[i].cost.predicted_s});
  }
  return keys;
}

std::vector<PlannedRun> in_order(std::vector<PlannedRun>&& runs) {
  const std::vector<OrderKey> keys = order_keys(runs);
  std::vector<std::size_t> order(runs.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return keys[a] < keys[b]; });
  std::vector<PlannedRun> sorted;
  sorted.reserve(runs.size());
  for (const std::size_t i : order) sorted.push_back(std::move(runs[i]));
  return sorted;
}

// Of runs that are predicted by the bandwidth alone.
void add_unknown_rates(std::vector<std::string>& notes, const Plan& plan, const PlanRequest& request) {
  std::set<DType> unknown;
  for (const PlannedRun& run : plan.runs) {
    const Ceilings& ceilings = ceilings_for(run.spec, request);
    if (run.skip_reason.empty() && ceilings.memory_bytes_per_s > 0 && ceilings.matmul_flops_per_s == 0)
      unknown.insert(run.spec.dtype);
  }
  for (const DType dtype : unknown) {
    notes.push_back(
        fmt::format("dtype {0}: no rate of its products is known (matmul_flops_per_s: {{{0}: …}}): "
                    "predicted by bandwidth alone",
                    name_of(dtype)));
  }
}

std::vector<std::string> notes_of(const Plan& plan, const PlanRequest& request) {
  std::set<int, std::greater<>> degrees;
  for (const PlannedRun& run : plan.runs) {
    if (run.skip_reason.empty()) degrees.insert(run.spec.tensor_parallel);
  }
  std::vector<std::string> notes;
  for (const int degree : degrees) {
    const int idle = request.ranks > 0 ? plan.idle_ranks(degree, request.ranks) : 0;
    if (idle > 0) {
      notes.push_back(fmt::format("tensor_parallel {}: {} of {} ranks idle", degree, idle, request.ranks));
    }
    const int per_node = request.ranks_per_node;
    const bool one_node = request.ranks > 0 && request.ranks <= per_node;
    if (!one_node && span_of(degree, per_node).nodes > 1) {
      notes.push_back(fmt::format("tensor_parallel {}: {} of {} ranks", degree,
                                  degree > per_node ? "a group spans nodes" : "some groups span nodes",
                                  per_node));
    }
  }
  add_unknown_rates(notes, plan, request);
  return notes;
}

}  // namespace

Plan make_plan(const Experiment& experiment, const PlanRequest& request) {
  Collector collector(request);
  expand(experiment, {request.weights_content, request.devices.front(), request.read_tokenizer},
         [&](RunSpec&& spec) { collector.take(std::move(spec)); });
  if (collector.runs.empty()) {
    throw UsageError(
        fmt::format("{}: no run is left by exclude, --only and --exclude", experiment.file.string()));
  }
  Plan plan;
  plan.runs = in_order(std::move(collector.runs));
  plan.notes = notes_of(plan, request);
  return plan;
}

}  // namespace hydrajob
