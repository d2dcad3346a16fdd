#include "main/command_make_model.hpp"

#include <chrono>
#include <filesystem>

#include <boost/program_options.hpp>
#include <fmt/format.h>

#include "base/dtype.hpp"
#include "base/error.hpp"
#include "base/log.hpp"
#include "base/units.hpp"
#include "comm/threads.hpp"
#include "main/command_arguments.hpp"
#include "weights/weight_source.hpp"

namespace hydrajob {
namespace {

namespace po = boost::program_options;

po::options_description described() {
  po::options_description options("hydrajob make-model ARCHITECTURE.yaml -o MODEL.h5 [options]", 100, 60);
  auto add = options.add_options();
  add("output,o", po::value<std::string>()->value_name("MODEL.h5"),
      "the model file; replaced if it is there");
  add("dtype", po::value<std::string>()->default_value("bf16"), "bf16, f16 or f32");
  add("kind", po::value<std::string>()->default_value("random"),
      "random: seeded values; recall: a model that finds what it is asked for (docs/recall.md)");
  add("seed", po::value<std::int64_t>()->default_value(1), "of the random weights, 0 or more");
  add("threads", po::value<int>()->default_value(0), "CPU threads; 0: as many as there are cores");
  add("help,h", "print this");
  return options;
}

// A negative one is refused as it is in an experiment: read as unsigned it would be another, without a word.
template <class T>
T not_negative(const po::variables_map& values, const char* name) {
  const T value = values[name].as<T>();
  if (value < 0) throw UsageError(fmt::format("make-model: --{} {}: expected 0 or more", name, value));
  return value;
}

std::unique_ptr<WeightSource> random_weights(const po::variables_map& values,
                                             const Architecture& architecture) {
  const int asked = values["threads"].as<int>();
  const auto seed = static_cast<std::uint64_t>(values["seed"].as<std::int64_t>());
  return make_random_weights(architecture, seed, asked > 0 ? asked : cores_available());
}

// What `--kind` says, for messages too.
std::string kind_of(const po::variables_map& values) {
  const auto kind = values["kind"].as<std::string>();
  if (kind != "random" && kind != "recall")
    throw UsageError(fmt::format("make-model: --kind '{}': expected random or recall", kind));
  for (const char* name : {"seed", "threads"}) {
    if (kind == "recall" && !values[name].defaulted())
      throw UsageError(fmt::format("make-model: --{} is of random weights, not of --kind {}", name, kind));
  }
  return kind;
}

}  // namespace

ExitCode run_make_model(const std::vector<std::string>& arguments) {
  const po::options_description visible = described();
  const po::variables_map values = parse_arguments("make-model", arguments, visible, "architecture");
  if (printed_help(values, visible)) return ExitCode::ok;
  if (values.count("architecture") == 0)
    throw UsageError("make-model: which ARCHITECTURE.yaml? See configs/models/");
  const std::filesystem::path output = output_of("make-model", values);
  const DType dtype = parse_dtype(values["dtype"].as<std::string>());
  const std::string kind = kind_of(values);
  const auto seed = not_negative<std::int64_t>(values, "seed");
  const int asked = values["threads"].as<int>();
  if (asked < 0 || asked > most_threads)
    throw UsageError(fmt::format("make-model: --threads {}: expected 0 to {}", asked, most_threads));
  expect_possible_omp_num_threads();

  const Architecture architecture = load_architecture(values["architecture"].as<std::string>());
  const auto source =
      kind == "recall" ? make_recall_weights(architecture) : random_weights(values, architecture);
  const auto begin = std::chrono::steady_clock::now();
  write_model_file(output, *source, dtype);
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
  const auto bytes = static_cast<double>(std::filesystem::file_size(output));
  log::info(
      fmt::format("{}: {} {}, {}, {} in {}", output.string(), architecture.name, name_of(dtype),
                  kind == "recall" ? "the recall model" : fmt::format("random weights of seed {}", seed),
                  format_bytes(bytes), format_seconds(taken.count())));
  return ExitCode::ok;
}

}  // namespace hydrajob
