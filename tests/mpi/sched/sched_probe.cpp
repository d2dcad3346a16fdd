// The command `hydrajob CONFIG.yaml` with a workload that computes a sum over its group, and that fails in
// the way that HJ_PROBE says for its prefix: "prefix:way,prefix:way". The machine's ceilings are given, not
// measured: that would be most of the time of a start.
#include <cerrno>
#include <cstdlib>
#include <map>
#include <new>
#include <signal.h>
#include <sstream>
#include <stdexcept>
#include <time.h>

#include "base/error.hpp"
#include "base/log.hpp"
#include "main/command_run.hpp"
#include "timing/ceilings.hpp"

namespace hydrajob {

// In place of the library's.
Ceilings measure_ceilings(Device& device, Kernels&, Communicator& comm, DType) {
  Ceilings ceilings;
  ceilings.matmul_flops_per_s = 1e10;
  ceilings.memory_bytes_per_s = 1e9;
  ceilings.memory_bytes = comm.all_reduce_min(static_cast<double>(device.memory_available()));
  ceilings.cache_bytes = comm.all_reduce_max(static_cast<double>(device.cache_bytes()));
  ceilings.packed_element_bytes = sizeof(float);
  ceilings.origin = "given";
  return ceilings;
}

namespace {

std::map<std::string, std::string> ways() {
  std::map<std::string, std::string> by_prefix;
  const char* text = std::getenv("HJ_PROBE");
  std::istringstream list(text ? text : "");
  for (std::string entry; std::getline(list, entry, ',');) {
    by_prefix[entry.substr(0, entry.find(':'))] = entry.substr(entry.find(':') + 1);
  }
  return by_prefix;
}

// To the end: the signal that ends a job would else wake a rank that hangs, and its run be done after all.
void sleep_ms(long ms) {
  timespec left{ms / 1000, ms % 1000 * 1000000};
  while (nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
}

class ProbeWorkload final : public Workload {
 public:
  ProbeWorkload(const PlannedRun& run, const WorkloadContext& context) : run_(run), context_(context) {
    const auto all = ways();
    const auto mine = all.find(std::to_string(run.spec.prefix));
    if (mine != all.end()) way_ = mine->second;
  }

  void prepare() override {
    if (group().size() != run_.spec.tensor_parallel) throw std::logic_error("group of another size");
    if (!last_rank()) return;
    if (way_ == "prepare_fails") throw RunError("broken on purpose");
    if (way_ == "no_memory") throw OutOfMemory("asked for 9 TiB");
    if (way_ == "no_host_memory") throw std::bad_alloc();
  }

  RunRecord measure() override {
    const double sum = group().all_reduce_sum(group().rank() + 1.0);
    if (way_ == "measure_fails" && last_rank()) throw std::runtime_error("lost in the middle");
    if (way_ == "killed" && last_rank()) raise(SIGKILL);
    if (way_ == "segfaults" && last_rank()) raise(SIGSEGV);
    if (way_ == "hangs" && last_rank()) sleep_ms(1000000);
    if (way_ == "endless") wait_checking(1000000);
    if (way_ == "slow") wait_checking(300);
    group().barrier();
    RunRecord record;
    if (group().rank() == 0) record.metrics["probe.sum"] = {sum, "1", "sum of 1 … degree over the group"};
    return record;
  }

 private:
  Communicator& group() const { return *context_.engine.group; }
  bool last_rank() const { return group().rank() == group().size() - 1; }
  void wait_checking(int ms) const {
    for (int i = 0; i < ms; i += 10) {
      context_.check_time();
      sleep_ms(10);
    }
  }

  PlannedRun run_;
  WorkloadContext context_;
  std::string way_;
};

}  // namespace
}  // namespace hydrajob

int main(int argc, char** argv) {
  using namespace hydrajob;
  const auto factory = [](const PlannedRun& run,
                          const WorkloadContext& context) -> std::unique_ptr<Workload> {
    return std::make_unique<ProbeWorkload>(run, context);
  };
  return static_cast<int>(run_experiment({argv + 1, argv + argc}, factory));
}
