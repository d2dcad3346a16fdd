#include "main/options.hpp"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <set>
#include <sstream>
#include <system_error>
#include <utility>

#include <boost/program_options.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/error.hpp"
#include "base/nearest.hpp"
#include "comm/threads.hpp"
#include "config/condition.hpp"
#include "config/parameters.hpp"
#include "main/command_arguments.hpp"
#include "sched/hang_watch.hpp"

namespace hydrajob {
namespace {

namespace po = boost::program_options;
using Strings = std::vector<std::string>;

constexpr const char* environment_prefix = "HYDRAJOB_";

po::options_description described() {
  po::options_description all("Options of a run (also in the environment: --max-fails is HYDRAJOB_MAX_FAILS)",
                              100, 60);
  auto add = all.add_options();
  add("dry-run", po::bool_switch(),
      "print every run with its memory, FLOPs, bytes and predicted time, do none");
  add("list", po::bool_switch(), "print every run's id and parameters, do none");
  add("ranks", po::value<int>()->value_name("N"), "plan for N ranks (only with --dry-run or --list)");
  add("machine", po::value<std::string>()->value_name("NAME"),
      "plan for the machine that machines/NAME.yaml beside the configuration describes, or a path "
      "(only with --dry-run or --list)");
  add("set", po::value<Strings>()->value_name("KEY=VALUE"), "lay a value over the configuration; repeatable");
  add("only", po::value<Strings>()->value_name("CONDITIONS"),
      "runs that match, as in mode=hydragen,batch>=64; repeatable: any of them");
  add("exclude", po::value<Strings>()->value_name("CONDITIONS"), "leave out runs that match; repeatable");
  add("rerun-failed", po::bool_switch(), "do failed runs again");
  add("store", po::value<std::string>()->value_name("PATH"),
      "the HDF5 file of results, in place of the configuration's");
  add("device", po::value<std::string>()->value_name("NAME"),
      "auto, cpu or cuda: short for --set device=NAME");
  add("threads", po::value<int>()->value_name("N"),
      "CPU threads of each rank; its share of the node's cores otherwise");
  add("share-gpus", po::bool_switch(),
      "several ranks may be on one GPU, each with a part of its memory: their times disturb each other");
  add("timeout", po::value<double>()->value_name("S"), "seconds a run may take: short for --set timeout=S");
  add("max-fails", po::value<std::int64_t>()->value_name("N"),
      "stop when N runs have failed, with exit code 1");
  add("time-limit", po::value<double>()->value_name("S"),
      "seconds this job has: start no run that is predicted to take longer than is left");
  add("hang-limit", po::value<double>()->value_name("S"),
      "seconds that loading or an iteration may take until the job ends; 0: never; else 1800, on GPUs");
  add("log-dir", po::value<std::string>()->value_name("DIR"),
      "every rank writes DIR/rank<N>.log: what it did, and when");
  add("verbose,v", po::bool_switch(), "say what rank 0 does too, and draw no progress bar");
  return all;
}

Strings option_names(const po::options_description& options) {
  Strings names;
  for (const auto& option : options.options()) names.push_back("--" + option->long_name());
  return names;
}

// option: "--dtype", or "--dtype=f16".
[[noreturn]] void refuse_unknown(const std::string& option, const Strings& known) {
  const std::string unknown = option.substr(0, option.find('='));
  const std::string name = unknown.substr(std::min(unknown.find_first_not_of('-'), unknown.size()));
  if (find_parameter(name) != nullptr) {
    throw UsageError(
        fmt::format("unknown option '{}': a parameter of runs is set by --set {}=VALUE", unknown, name));
  }
  const auto close = nearest(unknown, known);
  throw UsageError(fmt::format("unknown option '{}'{}; hydrajob --help lists them", unknown,
                               close ? fmt::format(": did you mean '{}'?", *close) : ""));
}

// "max-fails" is HYDRAJOB_MAX_FAILS.
std::string variable_of(const std::string& option) {
  std::string name = environment_prefix + option;
  for (char& c : name) c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

// What was asked for, and by what.
struct Given {
  po::variables_map values;
  std::set<std::string> by_variable;  // options that the environment gave

  // What messages call an option: "--max-fails", "HYDRAJOB_MAX_FAILS".
  std::string name_of(const std::string& option) const {
    return by_variable.count(option) > 0 ? variable_of(option) : "--" + option;
  }
};

std::string expected_by(const po::option_description& option) {
  const po::value_semantic* value = option.semantic().get();
  if (dynamic_cast<const po::typed_value<bool>*>(value) != nullptr) return "1 or 0";
  if (dynamic_cast<const po::typed_value<int>*>(value) != nullptr) return "a whole number";
  if (dynamic_cast<const po::typed_value<std::int64_t>*>(value) != nullptr) return "a whole number";
  if (dynamic_cast<const po::typed_value<double>*>(value) != nullptr) return "a number";
  return "text";
}

// What the command line leaves open. Variables of other names are none of ours: configurations use some.
void add_environment(const po::options_description& options, Given& given) {
  for (const auto& option : options.options()) {
    const std::string& name = option->long_name();
    const std::string variable = variable_of(name);
    const char* text = std::getenv(variable.c_str());
    const bool open = given.values.count(name) == 0 || given.values[name].defaulted();
    if (!text || !open) continue;
    try {
      po::store(po::parse_environment(
                    options, [&](const std::string& other) { return other == variable ? name : ""; }),
                given.values);
    } catch (const po::error&) {
      throw UsageError(fmt::format("{} '{}': expected {}", variable, text, expected_by(*option)));
    }
    given.by_variable.insert(name);
  }
}

Given parse(const Strings& arguments) {
  const po::options_description visible = described();
  po::options_description all;
  all.add(visible);
  all.add_options()("config", po::value<Strings>());
  po::positional_options_description positional;
  positional.add("config", -1);
  // No guessing of abbreviations: a later option would change what they mean.
  Given given;
  try {
    po::store(
        po::command_line_parser(arguments).options(all).positional(positional).style(argument_style).run(),
        given.values);
  } catch (const po::unknown_option& e) {
    refuse_unknown(e.get_option_name(), option_names(visible));
  } catch (const po::invalid_option_value& e) {
    const std::string option = e.get_option_name();  // "--threads"
    const auto* known = all.find_nothrow(option.substr(option.find_first_not_of('-')), false);
    throw UsageError(fmt::format("{}{}", e.what(), known ? ": expected " + expected_by(*known) : ""));
  } catch (const po::error& e) {
    throw UsageError(e.what());
  }
  add_environment(visible, given);
  return given;
}

template <class T>
T value_or(const po::variables_map& values, const char* name, T otherwise) {
  return values.count(name) > 0 ? values[name].as<T>() : otherwise;
}

// A number that must be above zero where it is given.
template <class T>
T positive_or_zero(const Given& given, const char* name) {
  const T value = value_or<T>(given.values, name, T{0});
  if (given.values.count(name) > 0 && !(value > 0))
    throw UsageError(fmt::format("{} {}: expected more than 0", given.name_of(name), value));
  return value;
}

int threads_of(const Given& given) {
  expect_possible_omp_num_threads();
  const int threads = value_or<int>(given.values, "threads", 0);
  if (given.values.count("threads") > 0 && (threads < 1 || threads > most_threads)) {
    throw UsageError(fmt::format("{} {}: expected 1 to {}", given.name_of("threads"), threads, most_threads));
  }
  return threads;
}

std::optional<double> hang_limit_of(const Given& given) {
  if (given.values.count("hang-limit") == 0) return std::nullopt;
  const double limit = given.values["hang-limit"].as<double>();
  if (is_hang_limit(limit)) return limit;
  throw UsageError(fmt::format("{} {}: expected 0 to 1e7", given.name_of("hang-limit"), limit));
}

std::vector<Assignment> assignments_of(const Given& given) {
  std::vector<Assignment> set;
  for (const std::string& text : value_or<Strings>(given.values, "set", {}))
    set.emplace_back(text, given.name_of("set"), false);
  if (given.values.count("device") > 0)
    set.emplace_back("device=" + given.values["device"].as<std::string>(), given.name_of("device"), true);
  const auto timeout = positive_or_zero<double>(given, "timeout");
  if (timeout > 0) set.emplace_back(fmt::format("timeout={}", timeout), given.name_of("timeout"), true);
  return set;
}

// Those of a variable are read here, where its name is known.
Strings conditions_of(const Given& given, const char* name) {
  const Strings texts = value_or<Strings>(given.values, name, {});
  for (const std::string& text : texts) parse_conditions(text, given.name_of(name));
  return texts;
}

std::string config_of(const po::variables_map& values) {
  const Strings configs = value_or<Strings>(values, "config", {});
  if (configs.size() != 1) {
    throw UsageError(fmt::format("expected one configuration, got {}{}; hydrajob --help explains",
                                 configs.size(),
                                 configs.empty() ? "" : fmt::format(": {}", fmt::join(configs, ", "))));
  }
  const std::string& config = configs.front();
  std::error_code unreadable;
  if (std::filesystem::exists(config, unreadable)) return config;
  const auto command =
      nearest(config, {"bench-load", "generate", "import", "make-model", "store", "supervise", "tokenize"});
  throw UsageError(fmt::format("{}: {}{}", config, unreadable ? unreadable.message() : "no such file",
                               command ? fmt::format("; did you mean the command '{}'?", *command) : ""));
}

// Of the plan that is only shown: a sweep has the ranks that started it.
int ranks_of(const Given& given, bool only_shown) {
  const int ranks = positive_or_zero<int>(given, "ranks");
  if (ranks > 0 && !only_shown) {
    throw UsageError(
        fmt::format("{0} {1}: only with --dry-run or --list; to run on {1} ranks: mpirun -np {1} hydrajob …",
                    given.name_of("ranks"), ranks));
  }
  return ranks;
}

std::string machine_of(const Given& given, bool only_shown) {
  const auto machine = value_or<std::string>(given.values, "machine", {});
  if (given.values.count("machine") > 0 && machine.empty()) {
    throw UsageError(given.name_of("machine") + ": empty, expected the name of a machine, or a path");
  }
  if (!machine.empty() && !only_shown) {
    throw UsageError(fmt::format(
        "{} {}: only with --dry-run or --list; runs are done on the machine that hydrajob is started on",
        given.name_of("machine"), machine));
  }
  return machine;
}

std::string joined(const Strings& arguments) {
  std::string line = "hydrajob";
  for (const std::string& argument : arguments) line += " " + argument;
  return line;
}

}  // namespace

RunOptions parse_run_options(const Strings& arguments) {
  const Given given = parse(arguments);
  const po::variables_map& values = given.values;
  RunOptions options;
  options.config = config_of(values);
  options.set = assignments_of(given);
  options.list = values["list"].as<bool>();
  options.dry_run = values["dry-run"].as<bool>();
  options.ranks = ranks_of(given, options.list || options.dry_run);
  options.machine = machine_of(given, options.list || options.dry_run);
  options.machine_given_by = given.name_of("machine");
  options.verbose = values["verbose"].as<bool>();
  if (values.count("log-dir") > 0) options.log_dir = values["log-dir"].as<std::string>();
  options.sweep.store = value_or<std::string>(values, "store", {});
  if (values.count("store") > 0 && options.sweep.store.empty()) {
    throw UsageError(given.name_of("store") + ": empty, expected the path of a store");
  }
  options.sweep.only = conditions_of(given, "only");
  options.sweep.exclude = conditions_of(given, "exclude");
  options.sweep.threads = threads_of(given);
  options.sweep.rerun_failed = values["rerun-failed"].as<bool>();
  options.sweep.max_fails = positive_or_zero<std::int64_t>(given, "max-fails");
  options.sweep.time_limit_s = positive_or_zero<double>(given, "time-limit");
  options.sweep.share_gpus = values["share-gpus"].as<bool>();
  options.sweep.hang_limit_s = hang_limit_of(given);
  options.sweep.command_line = joined(arguments);
  return options;
}

std::string help_text() {
  std::ostringstream text;
  text << "Usage:\n"
          "  [mpirun -np N] hydrajob CONFIG.yaml [options]     do the runs of an experiment that its store "
          "lacks\n"
          "  [mpirun -np N] hydrajob bench-load MODEL          how fast N ranks load a model file\n"
          "  [mpirun -np N] hydrajob generate MODEL.h5 …       completions of prompts, what they share "
          "computed "
          "once\n"
          "  hydrajob import DIR -o FILE                       write a model file of a Hugging Face model\n"
          "  hydrajob make-model ARCHITECTURE.yaml -o FILE     write a model file of random weights, or one "
          "that recalls\n"
          "  hydrajob store COMMAND STORE                      ls, show, export, verify, merge\n"
          "  hydrajob supervise [options] -- COMMAND …         start COMMAND again when it crashes\n"
          "  hydrajob tokenize TOKENIZER [FILE…]               text to token ids, and back\n"
          "  hydrajob --version | --help\n\n"
       << described()
       << "\nExit codes: 0 all done, 1 some runs failed, 2 usage or configuration, 3 store,\n"
          "75 interrupted (the same command resumes).\n";
  return text.str();
}

}  // namespace hydrajob
