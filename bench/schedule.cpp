// What it costs to schedule a run: a sweep of empty runs by one group of all ranks, in microseconds a run;
// beside it what committing such a record costs, which a run pays too, and what is left without it.
//   mpirun --oversubscribe -np 8 build/cpu/bench/schedule [FOLDER of the store] [RUNS]
// With FOLDER on a file system in memory (the default, /dev/shm) the disk plays no part.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <unistd.h>

#include "base/log.hpp"
#include "comm/mpi_session.hpp"
#include "config/experiment.hpp"
#include "sched/sweep.hpp"
#include "store/store.hpp"

namespace hydrajob {
namespace {

namespace fs = std::filesystem;

class EmptyWorkload final : public Workload {
 public:
  explicit EmptyWorkload(const WorkloadContext& context) : context_(context) {}
  void prepare() override {}
  RunRecord measure() override {
    context_.check_time();
    return {};
  }

 private:
  WorkloadContext context_;
};

std::unique_ptr<Workload> make_empty(const PlannedRun&, const WorkloadContext& context) {
  return std::make_unique<EmptyWorkload>(context);
}

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

Experiment empty_runs(Communicator& world, const fs::path& folder, int runs) {
  const fs::path file = folder / "schedule.yaml";
  const int size = world.size();
  if (world.rank() == 0) {
    std::ofstream(file) << "name: schedule\nstore: " << (folder / "unused.h5").string()
                        << "\nworkload: attention\ndtype: f32\nmode: noattention\nn_heads: " << 8 * size
                        << "\nn_kv_heads: " << 8 * size
                        << "\nhead_dim: 64\nsuffix: 1\nbatch: 1\ntensor_parallel: " << size
                        << "\nprefix: 1:" << runs + 1 << ":1\n";
  }
  world.barrier();
  return load_experiment(file, {});
}

// Seconds for the sweep whole: measuring the machine and building the file included.
double sweep_s(Communicator& world, const fs::path& folder, int runs) {
  SweepOptions options;
  options.store = folder / (std::to_string(runs) + ".h5");
  const Experiment experiment = empty_runs(world, folder, runs);
  world.barrier();
  const double begin = now_s();
  run_sweep(experiment, options, world, make_empty);
  return now_s() - begin;
}

double commit_s(const fs::path& folder, int n) {
  RunRecord record;
  record.metrics["wall_s"] = {1, "s", "the run whole, loading included"};
  const fs::path path = folder / "commit.h5";
  const Store store(path);
  const double begin = now_s();
  for (int i = 0; i < n; ++i) {
    record.run_id = std::string(28, '0') + std::to_string(1000 + i);
    commit_segment(path, record);
  }
  return (now_s() - begin) / n;
}

void measure(Communicator& world, const fs::path& folder, int runs) {
  constexpr int few = 100;
  const double base = sweep_s(world, folder, few);
  const double whole = sweep_s(world, folder, few + runs);
  if (world.rank() != 0) return;
  const double per_run = (whole - base) / runs;
  const double commit = commit_s(folder, 300);
  std::printf(
      "%d ranks, %d empty runs: %.0f us a run, of it %.0f us to commit its record, %.0f us to schedule it\n",
      world.size(), runs, per_run * 1e6, commit * 1e6, (per_run - commit) * 1e6);
}

int run(int argc, char** argv) {
  MpiSession session;
  Communicator& world = session.world();
  // One line a run would be measured too.
  if (std::freopen("/dev/null", "w", stderr) == nullptr) return 1;
  std::string name =
      (fs::path(argc > 1 ? argv[1] : "/dev/shm") / "hydrajob-schedule-").string() + std::to_string(getpid());
  const fs::path folder = world.all_gather(name).front();
  fs::create_directories(folder);
  measure(world, folder, argc > 2 ? std::atoi(argv[2]) : 2000);
  world.barrier();
  if (world.rank() == 0) fs::remove_all(folder);
  return 0;
}

}  // namespace
}  // namespace hydrajob

int main(int argc, char** argv) {
  try {
    return hydrajob::run(argc, argv);
  } catch (const std::exception& e) {
    std::printf("%s\n", e.what());
    return 1;
  }
}
