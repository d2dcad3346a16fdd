// The configurations of the paper's sweeps hold exactly the runs of its list of commands (paper-sweeps.md,
// found through HJ_SHARED or beside the repository): none missing, none extra. The commands are read here on
// their own, with the shell's loops and the original's ranges, not by the program's configuration code.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "unit/grid/support.hpp"

namespace hydrajob {
namespace {

namespace fs = std::filesystem;

std::optional<fs::path> sweeps_file() {
  const char* shared = std::getenv("HJ_SHARED");
  const fs::path folder = shared != nullptr ? fs::path(shared) : fs::path(HJ_SOURCE_DIR) / "../shared";
  const fs::path file = folder / "docs/paper-sweeps.md";
  if (!fs::exists(file)) return std::nullopt;
  return file;
}

// How often each run is there: "codellama-7b-instruct hydragen b32 s1024 u128 10+10", "attention q8 k1 d128
// hydragen b512 s1024 u16 1000+1000".
using Runs = std::map<std::string, int>;

std::string run_text(const std::string& subject, std::string mode, long batch, long shared, long unique,
                     long warmup, long iterations) {
  if (mode == "hydragen_noshared" || mode == "base") mode = "noshared";
  return fmt::format("{} {} b{} s{} u{} {}+{}", subject, mode, batch, shared, unique, warmup, iterations);
}

// Query heads, KV heads, head_dim: the three lists of microbenchmark.py.
std::string operation_text(long n_heads, long n_kv_heads, long head_dim) {
  return fmt::format("attention q{} k{} d{}", n_heads, n_kv_heads, head_dim);
}

// split_range of the original's benchmark_utils.py, line by line.
std::vector<long> split_range(const std::string& text) {
  std::vector<long> values;
  std::string part;
  if (text.find(':') == std::string::npos) {
    for (std::istringstream in(text); std::getline(in, part, ',');) values.push_back(std::stol(part));
    return values;
  }
  std::vector<std::string> parts;
  for (std::istringstream in(text); std::getline(in, part, ':');) parts.push_back(part);
  const long end = std::stol(parts.at(1));
  if (parts.at(2).front() == 'x') {
    for (long v = std::stol(parts[0]); v < end; v *= std::stol(parts[2].substr(1))) values.push_back(v);
  } else {
    for (long v = std::stol(parts[0]); v < end; v += std::stol(parts[2])) values.push_back(v);
  }
  return values;
}

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream in(line);
  return {std::istream_iterator<std::string>(in), {}};
}

std::string option(const std::vector<std::string>& words, const std::string& name,
                   const std::string& fallback) {
  const auto at = std::find(words.begin(), words.end(), name);
  return at == words.end() ? fallback : *(at + 1);
}

std::string model_text(const std::vector<std::string>& words) {
  std::string model = option(words, "--model-name", "none/none");
  model = model.substr(model.find('/') + 1);
  std::transform(model.begin(), model.end(), model.begin(), [](unsigned char c) { return std::tolower(c); });
  if (model.ends_with("-hf")) model.resize(model.size() - 3);
  return model;
}

// The shapes that a command of microbenchmark.py asks for, with the script's own defaults where it says none
// (reference-system.md, "scripts/microbenchmark.py").
std::vector<std::string> operation_texts(const std::vector<std::string>& words) {
  std::vector<std::string> texts;
  for (const long q : split_range(option(words, "--qheads-range", "8"))) {
    for (const long k : split_range(option(words, "--kvheads-range", "1"))) {
      for (const long d : split_range(option(words, "--dim-range", "128"))) {
        texts.push_back(operation_text(q, k, d));
      }
    }
  }
  return texts;
}

// Words after the script: output folder, batch, shared, unique, options.
void add_command(Runs& runs, const std::vector<std::string>& words) {
  const auto is_script = [](const std::string& w) { return w.starts_with("scripts/"); };
  const auto script = std::find_if(words.begin(), words.end(), is_script);
  const bool synth = *script == "scripts/synth.py";
  const std::string times = synth ? "5" : "1000";
  const long warmup = std::stol(option(words, "--num-warmup", times));
  const long iterations = std::stol(option(words, "--num-iters", times));
  const std::string mode = option(words, "--mode", synth ? "us" : "hydragen");
  const auto subjects = synth ? std::vector<std::string>{model_text(words)} : operation_texts(words);
  for (const std::string& subject : subjects) {
    for (const long batch : split_range(*(script + 2))) {
      for (const long shared : split_range(*(script + 3))) {
        for (const long unique : split_range(*(script + 4))) {
          ++runs[run_text(subject, mode, batch, shared, unique, warmup, iterations)];
        }
      }
    }
  }
}

// The values of a shell loop: words, or {0..512..16}, which includes its end.
std::vector<std::string> loop_values(const std::string& text) {
  long begin = 0;
  long end = 0;
  long step = 0;
  if (std::sscanf(text.c_str(), " {%ld..%ld..%ld}", &begin, &end, &step) != 3) return words_of(text);
  std::vector<std::string> values;
  for (long v = begin; v <= end; v += step) values.push_back(std::to_string(v));
  return values;
}

Runs listed_runs(const fs::path& path) {
  Runs runs;
  std::ifstream file(path);
  std::string variable;
  std::vector<std::string> values{""};
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> words = words_of(line);
    if (words.size() > 3 && words[0] == "for" && words[2] == "in") {
      variable = "$" + words[1];
      const std::size_t begin = line.find(" in ") + 4;
      values = loop_values(line.substr(begin, line.find(';') - begin));
    } else if (words == std::vector<std::string>{"done"}) {
      variable.clear();
      values = {""};
    } else if (line.find("scripts/synth.py") != std::string::npos ||
               line.find("scripts/microbenchmark.py") != std::string::npos) {
      for (const std::string& value : values) {
        std::vector<std::string> command = words;
        if (!variable.empty()) std::replace(command.begin(), command.end(), variable, value);
        add_command(runs, command);
      }
    }
  }
  return runs;
}

Runs planned_runs() {
  Runs runs;
  for (const char* name : {"e2e-7b", "e2e-13b", "e2e-34b", "attention"}) {
    const Experiment e = load_experiment(fmt::format("{}/configs/{}.yaml", HJ_SOURCE_DIR, name), {});
    for (const PlannedRun& run : make_plan(e, request()).runs) {
      const RunSpec& s = run.spec;
      const bool generate = s.workload == WorkloadKind::generate;
      const bool vllm = s.mode == Mode::vllm || s.mode == Mode::vllm_notok;
      EXPECT_EQ(run.skip_reason, vllm ? "no such engine yet" : "");
      const std::string subject =
          generate ? s.architecture.name : operation_text(s.n_heads, s.n_kv_heads, s.head_dim);
      ++runs[run_text(subject, to_string(s.mode), s.batch, s.prefix, generate ? s.new_tokens : s.suffix,
                      s.warmup, s.iterations)];
    }
  }
  return runs;
}

TEST(PaperSweeps, AreExactlyTheConfigurations) {
  const auto file = sweeps_file();
  if (!file)
    GTEST_SKIP()
        << "the paper's list of sweeps is not there: set HJ_SHARED to the folder of docs/paper-sweeps.md";
  const Runs listed = listed_runs(*file);
  const Runs planned = planned_runs();
  EXPECT_GT(listed.size(), 600u);
  for (const auto& [run, times] : listed) {
    EXPECT_EQ(times, 1) << run;
    EXPECT_TRUE(planned.contains(run)) << "missing: " << run;
  }
  for (const auto& [run, times] : planned) {
    EXPECT_EQ(times, 1) << run;
    EXPECT_TRUE(listed.contains(run)) << "extra: " << run;
  }
}

TEST(PaperSweeps, RunAsThePaperDid) {
  for (const char* name : {"e2e-7b", "e2e-13b", "e2e-34b"}) {
    const Experiment e = load_experiment(fmt::format("{}/configs/{}.yaml", HJ_SOURCE_DIR, name), {});
    for (const PlannedRun& run : make_plan(e, request()).runs) {
      EXPECT_EQ(run.spec.tensor_parallel, 8);
      EXPECT_EQ(run.spec.temperature, 100);
      EXPECT_EQ(run.spec.weights, "random");
      EXPECT_EQ(run.spec.suffix, 0);
      EXPECT_EQ(run.spec.dtype, DType::bf16);
      EXPECT_EQ(run.spec.max_iterations, run.spec.iterations);
    }
  }
}

// What the microbenchmark does not take from its command line (reference-system.md, section 4): bf16, one
// shared segment, its cache flushed before each iteration; the whole operation on one rank.
TEST(PaperSweeps, AttentionRunsAsThePaperDid) {
  const Experiment e = load_experiment(HJ_SOURCE_DIR "/configs/attention.yaml", {});
  const Plan plan = make_plan(e, request());
  EXPECT_EQ(plan.runs.size(), 2u * 4 * 33);
  for (const PlannedRun& run : plan.runs) {
    const RunSpec& s = run.spec;
    EXPECT_EQ(s.workload, WorkloadKind::attention);
    EXPECT_EQ(operation_text(s.n_heads, s.n_kv_heads, s.head_dim), "attention q8 k1 d128");
    EXPECT_EQ(s.tree, (std::vector<TreeLevel>{{1, s.prefix}}));
    EXPECT_EQ(s.prefix, 2 * s.batch);
    EXPECT_EQ(s.suffix % 16, 0);
    EXPECT_LE(s.suffix, 512);
    EXPECT_EQ(s.tensor_parallel, 1);
    EXPECT_EQ(s.dtype, DType::bf16);
    EXPECT_EQ(s.l2, L2State::cold);
    EXPECT_EQ(s.max_iterations, 1000);
  }
}

}  // namespace
}  // namespace hydrajob
