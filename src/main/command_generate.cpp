#include "main/command_generate.hpp"

#include <limits>

#include <boost/program_options.hpp>
#include <fmt/format.h>

#include "base/error.hpp"
#include "base/log.hpp"
#include "base/printable.hpp"
#include "base/utf8.hpp"
#include "comm/threads.hpp"
#include "completions/job.hpp"
#include "main/command_arguments.hpp"
#include "main/command_run.hpp"
#include "sched/agree.hpp"
#include "sched/hang_watch.hpp"

namespace hydrajob {
namespace {

namespace po = boost::program_options;
using Strings = std::vector<std::string>;

po::options_description described() {
  po::options_description options(
      "[mpirun -np N] hydrajob generate MODEL.h5 --prompt TEXT [--prompt 'A|B|C' …] [options]\n"
      "[mpirun -np N] hydrajob generate MODEL.h5 --input PROMPTS.jsonl -o OUT.jsonl [options]",
      100, 60);
  auto add = options.add_options();
  add("prompt,p", po::value<Strings>()->value_name("TEXTS"),
      "prompts by level, root first, '|' between siblings; repeatable");
  add("input,i", po::value<std::string>()->value_name("FILE"),
      "a JSONL file with a prompt a line; -: standard input");
  add("output,o", po::value<std::string>()->value_name("OUT"),
      "OUT.jsonl or OUT.h5; without it completions are printed. The same command goes on where it was "
      "interrupted");
  add("tokens", po::bool_switch(), "token ids in a JSONL output too");
  add("n,n", po::value<std::int64_t>()->value_name("N"), "completions of each prompt; 1");
  add("max-new-tokens", po::value<std::int64_t>()->value_name("N"), "tokens of each completion at most; 64");
  add("temperature", po::value<double>(), "0: the most probable token; the model file's own, else 1");
  add("top-p", po::value<double>(), "nucleus sampling; the model file's own, else 1");
  add("no-special", po::bool_switch(),
      "put no bos before a text, nor what else the tokenizer puts around it");
  add("seed", po::value<std::int64_t>()->value_name("S"), "of the random numbers, 0 or more; 1");
  add("stop", po::value<Strings>()->value_name("TEXT"), "end a completion before this text; repeatable");
  add("ignore-eos", po::bool_switch(), "go on behind the model's end-of-text tokens");
  add("batch", po::value<std::int64_t>()->value_name("N"),
      "completions at once at most; 1024, or as many as memory holds");
  add("device", po::value<std::string>()->value_name("NAME"), "auto, cpu or cuda");
  add("dtype", po::value<std::string>(), "bf16, f16 or f32: what is computed in; the model file's own");
  add("threads", po::value<int>()->value_name("N"),
      "CPU threads of each rank; its share of the node's cores otherwise");
  add("time-limit", po::value<double>()->value_name("S"), "seconds this job has; it stops in time, with 75");
  add("hang-limit", po::value<double>()->value_name("S"),
      "seconds that loading, a prefill or a few steps may take until the job ends, with 75; 0: never; else "
      "1800, on GPUs");
  add("verbose,v", po::bool_switch(), "say what is done in between, too");
  add("help,h", "print this");
  return options;
}

template <class T>
T value_or(const po::variables_map& values, const char* name, T otherwise) {
  return values.count(name) > 0 ? values[name].as<T>() : otherwise;
}

std::int64_t checked_count(const po::variables_map& values, const char* name, std::int64_t otherwise) {
  const auto value = value_or<std::int64_t>(values, name, otherwise);
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
  if (value >= 1 && value <= most) return value;
  throw UsageError(fmt::format("generate: --{} {}: expected 1 to {}", name, value, most));
}

// `accepts` tells whether a value that was given is one.
std::optional<double> checked_number(const po::variables_map& values, const char* name,
                                     bool (*accepts)(double), const char* expected) {
  if (values.count(name) == 0) return std::nullopt;
  const double value = values[name].as<double>();
  if (accepts(value)) return value;
  throw UsageError(fmt::format("generate: --{} {}: expected {}", name, value, expected));
}

void take_prompts(const po::variables_map& values, CompletionJob& job) {
  job.levels = value_or<Strings>(values, "prompt", {});
  job.input = value_or<std::string>(values, "input", "");
  if (job.levels.empty() == job.input.empty())
    throw UsageError("generate: expected either --prompt or --input");
  if (values["no-special"].as<bool>()) job.defaults.around = Tokenizer::Around::nothing;
}

void take_sampling(const po::variables_map& values, CompletionJob& job) {
  job.temperature = checked_number(
      values, "temperature", [](double t) { return t >= 0 && t <= 1e6; }, "0 to 1e6");
  job.top_p = checked_number(
      values, "top-p", [](double p) { return p > 0 && p <= 1; }, "more than 0, and 1 at most");
  const auto seed = value_or<std::int64_t>(values, "seed", 1);
  // Read as unsigned a negative one would be another, without a word.
  if (seed < 0) throw UsageError(fmt::format("generate: --seed {}: expected 0 or more", seed));
  job.seed = static_cast<std::uint64_t>(seed);
}

void take_ends(const po::variables_map& values, CompletionJob& job) {
  job.defaults.n = checked_count(values, "n", 1);
  job.defaults.max_new_tokens = checked_count(values, "max-new-tokens", 64);
  job.defaults.stop = value_or<Strings>(values, "stop", {});
  for (const std::string& stop : job.defaults.stop) {
    if (stop.empty()) throw UsageError("generate: --stop: expected a text");
    if (!is_utf8(stop)) throw UsageError(fmt::format("generate: --stop '{}': is not UTF-8", printable(stop)));
  }
  job.ignore_eos = values["ignore-eos"].as<bool>();
}

void take_output(const po::variables_map& values, CompletionJob& job) {
  job.output = value_or<std::string>(values, "output", "");
  if (values.count("output") > 0 && job.output.empty()) throw UsageError("generate: -o: expected a name");
  job.with_tokens = values["tokens"].as<bool>();
  const std::string extension = job.output.extension().string();
  if (job.with_tokens && extension != ".jsonl")
    throw UsageError("generate: --tokens: only with -o OUT.jsonl; an HDF5 file always has them");
}

void take_machine(const po::variables_map& values, CompletionJob& job) {
  job.batch = checked_count(values, "batch", job.batch);
  job.device = value_or<std::string>(values, "device", "auto");
  if (job.device != "auto" && job.device != "cpu" && job.device != "cuda")
    throw UsageError(fmt::format("generate: --device '{}': expected auto, cpu or cuda", job.device));
  if (values.count("dtype") > 0) job.dtype = parse_dtype(values["dtype"].as<std::string>());
  expect_possible_omp_num_threads();
  job.threads = value_or<int>(values, "threads", 0);
  if (values.count("threads") > 0 && (job.threads < 1 || job.threads > most_threads))
    throw UsageError(fmt::format("generate: --threads {}: expected 1 to {}", job.threads, most_threads));
  job.time_limit_s = checked_number(
                         values, "time-limit", [](double s) { return s > 0; }, "more than 0")
                         .value_or(0);
  job.hang_limit_s = checked_number(values, "hang-limit", is_hang_limit, "0 to 1e7");
}

CompletionJob job_of(const po::variables_map& values) {
  CompletionJob job;
  job.model = value_or<std::string>(values, "model", "");
  if (job.model.empty()) throw UsageError("generate: which MODEL.h5? One of hydrajob import or make-model");
  take_prompts(values, job);
  take_ends(values, job);
  take_sampling(values, job);
  take_output(values, job);
  take_machine(values, job);
  return job;
}

ExitCode generate_on(Communicator& world, const Strings& arguments, const po::options_description& visible) {
  // All ranks before any leaves: mpirun ends the others, and with them the one that says why.
  const po::variables_map values =
      agreed(world, [&] { return parse_arguments("generate", arguments, visible, "model"); });
  const CompletionJob job = agreed(world, [&] { return job_of(values); });
  agreed(world, [&] { log::start(world.rank(), std::nullopt, values["verbose"].as<bool>()); });
  return generate_completions(job, world);
}

}  // namespace

ExitCode run_generate(const Strings& arguments) {
  const po::options_description visible = described();
  if (printed_help_once(arguments, visible)) return ExitCode::ok;
  return run_on_ranks([&](Communicator& world) { return generate_on(world, arguments, visible); });
}

}  // namespace hydrajob
