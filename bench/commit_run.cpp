// What keeping results costs: committing a run, a journal line, and building the one file of many runs.
//   build/cpu/bench/commit_run [FOLDER on the disk to measure, default .] [RUNS to compact, default 10000]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <unistd.h>
#include <vector>

#include <fmt/format.h>

#include "base/log.hpp"
#include "store/journal.hpp"
#include "store/store.hpp"
#include "store/store_file.hpp"

namespace hydrajob {
namespace {

namespace fs = std::filesystem;

constexpr int n_samples = 400, n_parameters = 40, n_metrics = 60;

// A run as a sweep of the generate workload leaves it: 400 samples in two phases.
RunRecord typical_run(int number) {
  RunRecord record;
  record.run_id = fmt::format("{:032x}", number);
  record.experiment = "commit_run";
  record.convergence = "converged: half-width 0.8 % after 20 iterations";
  record.environment = std::string(2000, 'e');
  record.config_text = fmt::format("name: commit_run\nnumber: {}\n", number) + std::string(1500, 'c');
  record.started_unix_s = 1.7e9 + number;
  record.finished_unix_s = record.started_unix_s + 1;
  for (int i = 0; i < n_parameters; ++i) {
    Value value = std::int64_t{number + i};
    if (i % 3 == 1) value = 0.25 * i;
    if (i % 3 == 2) value = "value " + std::to_string(i);
    record.parameters[fmt::format("parameter_{:02}", i)] = value;
  }
  for (int i = 0; i < n_metrics; ++i) {
    record.metrics[fmt::format("metric_{:02}.median", i)] = {number + 0.1 * i, "s", "a metric of the bench"};
  }
  for (const char* phase : {"prefill", "decode_step"}) {
    SampleSeries series{phase, "s", false, {}, {}, {}, {}};
    for (int i = 0; i < n_samples / 2; ++i) {
      series.value.push_back(1e-3 + 1e-9 * ((i * 7919 + number) % 1000));
      series.rank.push_back(i % 8);
      series.iteration.push_back(i / 8);
      series.step.push_back(0);
    }
    record.samples.push_back(std::move(series));
  }
  return record;
}

double seconds(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

void print_median(const char* what, std::vector<double> times) {
  std::sort(times.begin(), times.end());
  std::printf("%-34s median %8.3f ms, 90 %% below %8.3f ms (%zu times)\n", what,
              times[times.size() / 2] * 1e3, times[times.size() * 9 / 10] * 1e3, times.size());
}

void measure_commits(const fs::path& folder) {
  const fs::path store = folder / "commit.h5";
  std::vector<double> times;
  for (int i = 0; i < 300; ++i) {
    const RunRecord record = typical_run(i);
    times.push_back(seconds([&] { commit_segment(store, record); }));
  }
  print_median("commit of a run (400 samples)", times);
}

void measure_journal(const fs::path& folder) {
  Journal journal(folder / "journal-bench.log");
  std::vector<double> times;
  for (int i = 0; i < 300; ++i) {
    times.push_back(seconds([&] { journal.append({"started", typical_run(i).run_id, 1, "group 0"}); }));
  }
  print_median("a journal line", times);
}

void measure_compaction(const fs::path& folder, int n_runs) {
  const fs::path store = folder / "compact.h5";
  for (int i = 0; i < n_runs; ++i) {
    const RunRecord record = typical_run(i);
    commit_segment(store, record);
  }
  std::printf("%d runs: opening the store %.2f s, ", n_runs, seconds([&] { Store opened(store); }));
  Store opened(store);
  std::printf("compaction %.2f s, ", seconds([&] { opened.compact(); }));
  commit_segment(store, typical_run(n_runs));
  std::printf("of one run more %.2f s, ", seconds([&] { opened.compact(); }));
  std::printf("reading %.2f s, ", seconds([&] { read_store(store); }));
  std::printf("file %.1f MB\n", static_cast<double>(fs::file_size(store)) / 1e6);
}

int run(int argc, char** argv) {
  const fs::path folder = fs::path(argc > 1 ? argv[1] : ".") / ("commit-run-" + std::to_string(::getpid()));
  fs::create_directories(folder);
  measure_commits(folder);
  measure_journal(folder);
  measure_compaction(folder, argc > 2 ? std::atoi(argv[2]) : 10000);
  fs::remove_all(folder);
  return 0;
}

}  // namespace
}  // namespace hydrajob

int main(int argc, char** argv) {
  return hydrajob::run(argc, argv);
}
