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
  RunMaker(const Experiment& experiment, const Block& block, const ExpandRequest& request, Models& models,
           NeedleTexts& texts)
      : experiment_(experiment), block_(block), request_(request), models_(models), texts_(texts) {}

  RunSpec make(const Point& point) {
    RunSpec spec;
    spec.experiment = experiment_.name;
    spec.block = block_.place.text;
    spec.workload = parse_workload(block_.workload);
    fill_what_runs(spec, point);
    fill_measurement(spec, point);
    fill_workload(spec, point);
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
  std::int64_t whole_or(const Point& point, std::string_view parameter, std::int64_t fallback) const {
    return point.find(parameter) == nullptr ? fallback : whole(point, parameter);
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
    spec.suffix = whole(point, "suffix");
    spec.seed = static_cast<std::uint64_t>(whole(point, "seed"));
  }

  void fill_workload(RunSpec& spec, const Point& point) {
    switch (spec.workload) {
      case WorkloadKind::generate:
        fill_shared(spec, point);
        fill_model(spec, point);
        fill_generate(spec, point);
        return;
      case WorkloadKind::attention:
        fill_shared(spec, point);
        fill_attention(spec, point);
        return;
      case WorkloadKind::needles:
        fill_model(spec, point);
        fill_needles(spec, point);
        return;
    }
  }

  void fill_shared(RunSpec& spec, const Point& point) const {
    spec.batch = whole(point, "batch");
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

  void fill_generate(RunSpec& spec, const Point& point) const {
    spec.new_tokens = whole(point, "new_tokens");
    spec.temperature = real(point, "temperature");
    spec.top_p = real(point, "top_p");
  }

  // Answers are the most likely ones: temperature 0.
  void fill_needles(RunSpec& spec, const Point& point) {
    const auto place_of = [&](std::string_view p) -> const Place& { return point.place_of(p); };
    spec.batch = whole(point, "questions");
    spec.new_tokens = whole_or(point, "new_tokens", 10);
    spec.prefix = whole(point, "prefix");
    if (point.find("text") == nullptr && point.find("facts") == nullptr) {
      fill_token_needles(spec, point);
    } else {
      fill_text_needles(spec, point);
      texts_.fill(spec, place_of);
    }
    spec.tree = {{1, spec.prefix}};
  }

  void fill_token_needles(RunSpec& spec, const Point& point) const {
    for (const char* of_text : {"few_shot", "text_length"}) {
      if (point.find(of_text) == nullptr) continue;
      fail_at(point.place_of(of_text), fmt::format("{}: there is no text: give `text` and `facts`", of_text));
    }
    spec.n_needles = whole_or(point, "needles", 256);
  }

  void fill_text_needles(RunSpec& spec, const Point& point) const {
    spec.text = text(point, "text");
    spec.facts = text(point, "facts");
    spec.few_shot = whole_or(point, "few_shot", 5);
    spec.text_length = whole_or(point, "text_length", 50000);
    if (point.find("needles") != nullptr) {
      fail_at(point.place_of("needles"), "needles: with `text`, they are the facts");
    }
    for (const char* length : {"prefix", "suffix"}) {
      if (whole(point, length) == 0) continue;
      fail_at(point.place_of(length),
              fmt::format("{}: with `text`, as long as the text's tokens: text_length says how much of it",
                          length));
    }
  }

  void fill_model(RunSpec& spec, const Point& point) {
    spec.weights = text(point, "weights");
    spec.architecture = architecture_of(spec, point);
    spec.prefill_chunk = whole(point, "prefill_chunk");
    // A GPU is full with thousands of rows only; a CPU's caches hold hundreds.
    if (spec.prefill_chunk == 0) spec.prefill_chunk = default_prefill_chunk(spec.device);
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
  NeedleTexts& texts_;
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
  NeedleTexts texts(request.read_tokenizer);
  for (const Block& block : experiment.blocks) {
    RunMaker maker(experiment, block, request, models, texts);
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
  const bool attention = spec.workload == WorkloadKind::attention;
  const bool needles = spec.workload == WorkloadKind::needles;
  const bool of_text = spec.needles != nullptr;
  Parameters p;
  // In the order of names: each goes to the end of the map.
  const auto add = [&](const char* name, Value value) { p.emplace_hint(p.end(), name, std::move(value)); };
  const auto whole = [](auto value) { return Value(static_cast<std::int64_t>(value)); };
  if (!needles) add("batch", spec.batch);
  add("device", spec.device);
  add("dtype", std::string(name_of(spec.dtype)));
  if (of_text) add("facts", spec.facts);
  if (of_text) add("few_shot", spec.few_shot);
  if (attention) add("head_dim", spec.head_dim);
  add("iterations", whole(spec.iterations));
  if (attention) add("l2", std::string(spec.l2 == L2State::cold ? "cold" : "warm"));
  add("max_iterations", whole(spec.max_iterations));
  add("mode", to_string(spec.mode));
  if (!attention) add("model", spec.architecture.name);
  if (attention) add("n_heads", spec.n_heads);
  if (attention) add("n_kv_heads", spec.n_kv_heads);
  if (needles) add("needles", spec.n_needles);
  if (!attention) add("new_tokens", spec.new_tokens);
  if (!attention) add("prefill_chunk", spec.prefill_chunk);
  add("prefix", spec.prefix);
  if (needles) add("questions", spec.batch);
  add("seed", whole(spec.seed));
  add("suffix", spec.suffix);
  add("target_ci", spec.target_ci);
  if (generate) add("temperature", spec.temperature);
  add("tensor_parallel", whole(spec.tensor_parallel));
  if (of_text) add("text", spec.text);
  if (of_text) add("text_length", spec.text_length);
  if (generate) add("top_p", spec.top_p);
  const bool plain = spec.tree.empty() || (spec.tree.size() == 1 && spec.tree.front().nodes == 1);
  if (!plain) add("tree", to_string(spec.tree));
  add("warmup", whole(spec.warmup));
  if (!attention) add("weights", spec.weights);
  add("workload", to_string(spec.workload));
  return p;
}

}  // namespace hydrajob
