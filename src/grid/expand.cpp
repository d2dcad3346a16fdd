#include "grid/expand.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/error.hpp"
#include "grid/constraints.hpp"
#include "grid/points.hpp"

namespace hydrajob {
namespace {

// Makes the runs of one block.
class RunMaker {
 public:
  RunMaker(const Experiment& experiment, const Block& block, const ExpandRequest& request, Models& models)
      : experiment_(experiment), block_(block), request_(request), models_(models) {}

  RunSpec make(const Point& point) {
    RunSpec spec;
    spec.experiment = experiment_.name;
    spec.block = block_.place.text;
    spec.workload = block_.workload == "generate" ? WorkloadKind::generate : WorkloadKind::attention;
    fill_what_runs(spec, point);
    fill_shared(spec, point);
    fill_measurement(spec, point);
    if (spec.workload == WorkloadKind::generate) {
      fill_generate(spec, point);
    } else {
      fill_attention(spec, point);
    }
    check_run(spec, [&](std::string_view parameter) -> const Place& { return point.place_of(parameter); });
    spec.parameters = identity_parameters(spec);
    return spec;
  }

 private:
  template <class T>
  const T& required(const Point& point, std::string_view parameter) const {
    const Value* value = point.find(parameter);
    if (value == nullptr) {
      fail_at(block_.place, fmt::format("workload {} needs '{}'", block_.workload, parameter));
    }
    return std::get<T>(*value);
  }
  std::int64_t whole(const Point& point, std::string_view parameter) const {
    return required<std::int64_t>(point, parameter);
  }
  double real(const Point& point, std::string_view parameter) const {
    return required<double>(point, parameter);
  }
  const std::string& text(const Point& point, std::string_view parameter) const {
    return required<std::string>(point, parameter);
  }

  void fill_what_runs(RunSpec& spec, const Point& point) const {
    spec.mode = parse_mode(text(point, "mode"));
    spec.dtype = parse_dtype(text(point, "dtype"));
    spec.device = text(point, "device");
    if (spec.device == "auto") spec.device = request_.auto_device;
    spec.tensor_parallel = static_cast<int>(whole(point, "tensor_parallel"));
    spec.batch = whole(point, "batch");
    spec.suffix = whole(point, "suffix");
    spec.seed = static_cast<std::uint64_t>(whole(point, "seed"));
  }

  void fill_shared(RunSpec& spec, const Point& point) const {
    if (point.find("tree") == nullptr) {
      spec.prefix = whole(point, "prefix");
      if (spec.prefix > 0) spec.tree = {{1, spec.prefix}};
      return;
    }
    try {
      spec.tree = parse_tree(text(point, "tree"));
    } catch (const UsageError& error) {
      fail_at(point.place_of("tree"), error.what());
    }
    spec.prefix = path_tokens(spec.tree);
  }

  void fill_measurement(RunSpec& spec, const Point& point) const {
    spec.warmup = static_cast<int>(whole(point, "warmup"));
    spec.iterations = static_cast<int>(whole(point, "iterations"));
    const bool further = point.find("max_iterations") != nullptr;
    spec.max_iterations = further ? static_cast<int>(whole(point, "max_iterations")) : spec.iterations;
    spec.target_ci = real(point, "target_ci");
    spec.timeout_s = real(point, "timeout");
  }

  void fill_generate(RunSpec& spec, const Point& point) {
    spec.weights = text(point, "weights");
    spec.architecture = architecture_of(spec, point);
    spec.new_tokens = whole(point, "new_tokens");
    spec.temperature = real(point, "temperature");
    spec.top_p = real(point, "top_p");
    spec.prefill_chunk = whole(point, "prefill_chunk");
    // A GPU is full with thousands of rows only; a CPU's caches hold hundreds.
    if (spec.prefill_chunk == 0) spec.prefill_chunk = spec.device == "cuda" ? 4096 : 512;
  }

  const Architecture& architecture_of(const RunSpec& spec, const Point& point) {
    const bool is_named = point.find("model") != nullptr;
    if (spec.weights == "random") return models_.named(text(point, "model"), point.place_of("model"));
    const WeightsContent& content = models_.of_weights(spec.weights, point.place_of("weights"));
    if (content.split > 0 && content.split != spec.tensor_parallel) {
      fail_at(point.place_of("weights"),
              fmt::format("weights: {} is split for tensor_parallel {}, this run has {}", spec.weights,
                          content.split, spec.tensor_parallel));
    }
    const Architecture& held = content.architecture;
    if (!is_named) return held;
    const Architecture& named = models_.named(text(point, "model"), point.place_of("model"));
    const std::string problem = difference(held, named);
    if (problem.empty()) return held;
    fail_at(point.place_of("model"),
            fmt::format("model {} is not what {} holds: {}", named.name, spec.weights, problem));
  }

  void fill_attention(RunSpec& spec, const Point& point) {
    if (point.find("model") != nullptr) {
      const Architecture& a = models_.named(text(point, "model"), point.place_of("model"));
      spec.n_heads = a.n_heads;
      spec.n_kv_heads = a.n_kv_heads;
      spec.head_dim = a.head_dim;
    }
    for (auto [parameter, target] :
         {std::pair{"n_heads", &spec.n_heads}, std::pair{"n_kv_heads", &spec.n_kv_heads},
          std::pair{"head_dim", &spec.head_dim}}) {
      if (point.find(parameter) != nullptr) *target = whole(point, parameter);
      if (*target == 0) {
        fail_at(block_.place,
                fmt::format("workload attention needs '{}', or a model to take it from", parameter));
      }
    }
    spec.l2 = text(point, "l2") == "cold" ? L2State::cold : L2State::warm;
  }

  const Experiment& experiment_;
  const Block& block_;
  const ExpandRequest& request_;
  Models& models_;
};

// Adds the values that the axes give the parameter; returns whether they give any.
bool add_values(std::set<std::string>& values, const std::string& parameter, const std::vector<Axis>& axes) {
  const auto axis =
      std::find_if(axes.begin(), axes.end(), [&](const Axis& a) { return a.parameter == parameter; });
  if (axis == axes.end()) return false;
  for (const Value& value : axis->values) values.insert(to_string(value));
  return true;
}

// Every value that a run of the experiment may have, read off the axes without expanding them.
std::set<std::string> values_of(const Experiment& experiment, const std::string& parameter) {
  std::set<std::string> values;
  for (const Block& block : experiment.blocks) {
    bool always_given = add_values(values, parameter, block.axes);
    for (const Zip& zip : block.zips) always_given |= add_values(values, parameter, zip);
    // A rule sets it where its conditions hold only: elsewhere the default stays.
    for (const When& when : block.whens) add_values(values, parameter, when.axes);
    if (!always_given) values.insert(to_string(*find_parameter(parameter)->fallback));
  }
  return values;
}

}  // namespace

void expand(const Experiment& experiment, const ExpandRequest& request,
            const std::function<void(RunSpec&&)>& take) {
  Models models(experiment.file, request.weights_content);
  for (const Block& block : experiment.blocks) {
    RunMaker maker(experiment, block, request, models);
    for_each_point(block, [&](const Point& point) { take(maker.make(point)); });
  }
}

std::set<DType> dtypes_of(const Experiment& experiment) {
  std::set<DType> dtypes;
  for (const std::string& name : values_of(experiment, "dtype")) dtypes.insert(parse_dtype(name));
  return dtypes;
}

std::set<std::string> devices_of(const Experiment& experiment, const std::string& auto_device) {
  std::set<std::string> devices = values_of(experiment, "device");
  if (devices.erase("auto") > 0) devices.insert(auto_device);
  return devices;
}

Parameters identity_parameters(const RunSpec& spec) {
  const bool generate = spec.workload == WorkloadKind::generate;
  Parameters p;
  // In the order of names: each goes to the end of the map.
  const auto add = [&](const char* name, Value value) { p.emplace_hint(p.end(), name, std::move(value)); };
  const auto whole = [](auto value) { return Value(static_cast<std::int64_t>(value)); };
  add("batch", spec.batch);
  add("device", spec.device);
  add("dtype", std::string(name_of(spec.dtype)));
  if (!generate) add("head_dim", spec.head_dim);
  add("iterations", whole(spec.iterations));
  if (!generate) add("l2", std::string(spec.l2 == L2State::cold ? "cold" : "warm"));
  add("max_iterations", whole(spec.max_iterations));
  add("mode", to_string(spec.mode));
  if (generate) add("model", spec.architecture.name);
  if (!generate) add("n_heads", spec.n_heads);
  if (!generate) add("n_kv_heads", spec.n_kv_heads);
  if (generate) add("new_tokens", spec.new_tokens);
  if (generate) add("prefill_chunk", spec.prefill_chunk);
  add("prefix", spec.prefix);
  add("seed", whole(spec.seed));
  add("suffix", spec.suffix);
  add("target_ci", spec.target_ci);
  if (generate) add("temperature", spec.temperature);
  add("tensor_parallel", whole(spec.tensor_parallel));
  if (generate) add("top_p", spec.top_p);
  const bool plain = spec.tree.empty() || (spec.tree.size() == 1 && spec.tree.front().nodes == 1);
  if (!plain) add("tree", to_string(spec.tree));
  add("warmup", whole(spec.warmup));
  if (generate) add("weights", spec.weights);
  add("workload", to_string(spec.workload));
  return p;
}

}  // namespace hydrajob
