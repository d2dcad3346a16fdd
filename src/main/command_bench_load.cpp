#include "main/command_bench_load.hpp"

#include <algorithm>
#include <chrono>
#include <iostream>
#include <memory>
#include <optional>
#include <utility>

#include <boost/program_options.hpp>
#include <fmt/format.h>

#include "base/error.hpp"
#include "base/file.hpp"
#include "comm/threads.hpp"
#include "engine/engine.hpp"
#include "main/command_arguments.hpp"
#include "main/command_run.hpp"
#include "sched/agree.hpp"
#include "sched/machine.hpp"
#include "timing/statistics.hpp"
#include "timing/transfer_rate.hpp"
#include "weights/plain_read.hpp"
#include "weights/weight_source.hpp"
#include "workload/model_cache.hpp"

namespace hydrajob {
namespace {

namespace po = boost::program_options;
using Strings = std::vector<std::string>;

struct Request {
  std::string model;
  std::string device;  // "auto", "cpu", "cuda"
  int repeat = 0;
  int threads = 0;  // 0: the rank's share of its node's cores
  bool cold = false;
};

po::options_description described() {
  po::options_description options(
      "[mpirun -np N] hydrajob bench-load MODEL.h5 [options]\n"
      "N ranks load the model as a run of tensor_parallel N does, several times",
      100, 60);
  auto add = options.add_options();
  add("device", po::value<std::string>()->default_value("auto"), "auto, cpu or cuda");
  add("repeat", po::value<int>()->default_value(5), "how often, 1 to 1000");
  add("threads", po::value<int>()->default_value(0), "CPU threads of each rank; 0: its share of the cores");
  add("cold", po::bool_switch(), "have the system forget the file before each time: from the storage");
  add("help,h", "print this");
  return options;
}

int number_of(const po::variables_map& values, const char* name, int least, int most) {
  const int number = values[name].as<int>();
  if (number >= least && number <= most) return number;
  throw UsageError(fmt::format("bench-load: --{} {}: expected {} to {}", name, number, least, most));
}

Request request_of(const po::variables_map& values) {
  if (values.count("model") == 0)
    throw UsageError("bench-load: which MODEL.h5? hydrajob make-model makes one");
  Request request;
  request.model = values["model"].as<std::string>();
  request.device = values["device"].as<std::string>();
  if (request.device != "auto" && request.device != "cpu" && request.device != "cuda") {
    throw UsageError(fmt::format("bench-load: --device {}: expected auto, cpu or cuda", request.device));
  }
  request.repeat = number_of(values, "repeat", 1, 1000);
  request.threads = number_of(values, "threads", 0, most_threads);
  request.cold = values["cold"].as<bool>();
  expect_possible_omp_num_threads();
  return request;
}

// Seconds of each repetition.
struct Times {
  std::vector<double> load, read;
};

class Bench {
 public:
  Bench(const Request& request, Communicator& world, const Machine& machine, ShardRanges shard)
      : request_(request),
        world_(world),
        threads_(machine.threads()),
        processor_(machine.processor(machine.device())),
        shard_(std::move(shard)) {}

  Times run() {
    reserve();
    if (!request_.cold) load();  // into the page cache; libraries are loaded too
    Times times;
    for (int i = 0; i < request_.repeat; ++i) {
      times.read.push_back(read_alone());
      times.load.push_back(load());
    }
    return times;
  }

 private:
  // As a sweep does before its first run: buffers are cut from it.
  void reserve() {
    constexpr std::size_t page = 4096;
    Device& device = *processor_.device;
    device.reserve(device.memory_held() + shard_.bytes + page * shard_.ranges.size());
  }

  // The head is read before, and the model goes afterwards.
  double load() {
    forget();
    const auto source = agreed(
        world_, [&] { return open_model_file(request_.model, threads_, world_.rank(), world_.size()); });
    std::shared_ptr<const Model> model;
    return seconds_of([&] {
      model = load_model(*source, shard_.dtype, rows_to_pack_for,
                         {processor_.device.get(), processor_.kernels.get(), &world_});
    });
  }

  // From the storage as dd does it, which asks for one piece after another; from memory by all threads.
  double read_alone() {
    constexpr std::size_t dd_bytes = std::size_t{4} << 20, request_bytes = std::size_t{1} << 20;
    forget();
    return seconds_of([&] {
      if (request_.cold) return read_plainly(shard_, 1, dd_bytes);
      read_plainly(shard_, threads_, request_bytes);
    });
  }

  // Once no rank has the file in use.
  void forget() {
    world_.barrier();
    if (request_.cold) agreed(world_, [&] { drop_from_page_cache(shard_); });
  }

  // All ranks begin together.
  template <class Work>
  double seconds_of(const Work& work) {
    world_.barrier();
    return agreed(world_, [&] {
      const auto begin = std::chrono::steady_clock::now();
      work();
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    });
  }

  const Request& request_;
  Communicator& world_;
  int threads_;
  const Processor& processor_;
  ShardRanges shard_;
};

constexpr const char* heading =
    "rank  device         GB  load s (min to max)        load GB/s  read GB/s  bus GB/s  load reaches\n";

// `bus`: bytes per second; none: the weights stay in the host's memory.
std::string row(const std::string& rank, const std::string& device, double bytes, const Times& times,
                std::optional<double> bus) {
  const double load_s = median(times.load);
  const double load = bytes / load_s, read = bytes / median(times.read);
  const auto [low, high] = std::minmax_element(times.load.begin(), times.load.end());
  const bool by_bus = bus && *bus < read;
  return fmt::format("{:>4}  {:<7}  {:>8.3f}  {:<25}  {:>9.2f}  {:>9.2f}  {:>8}  {:.0f} % of {}\n", rank,
                     device, bytes / 1e9, fmt::format("{:.4f} ({:.4f} to {:.4f})", load_s, *low, *high),
                     load / 1e9, read / 1e9, bus ? fmt::format("{:.2f}", *bus / 1e9) : "-",
                     100 * load / (by_bus ? *bus : read), by_bus ? "bus" : "read");
}

// Of each repetition the slowest rank.
std::vector<double> slowest(Communicator& world, std::vector<double> seconds) {
  for (double& s : seconds) s = world.all_reduce_max(s);
  return seconds;
}

// All ranks together. Collective.
std::string sum_row(Communicator& world, double bytes, const Times& times, std::optional<double> bus) {
  const Times all{slowest(world, times.load), slowest(world, times.read)};
  const double all_bytes = world.all_reduce_sum(bytes), all_bus = world.all_reduce_sum(bus.value_or(0));
  return row("all", "", all_bytes, all, bus ? std::optional(all_bus) : std::nullopt);
}

void print(const Request& request, int n_threads, DType dtype, const std::string& rows, int ranks) {
  const std::string threads = n_threads == 1 ? "1 thread" : fmt::format("{} threads", n_threads);
  std::cout << fmt::format("{}: {}, {} rank{} of {}, median of {}, from {}\n", request.model, name_of(dtype),
                           ranks, ranks == 1 ? "" : "s", threads, request.repeat,
                           request.cold ? "the storage" : "the page cache")
            << fmt::format(
                   "read: the same bytes alone, by plain requests of {}; bus: from pinned memory to the "
                   "device alone\n",
                   request.cold ? "one thread, as dd" : threads)
            << heading << rows;
  flush_output();
}

ExitCode bench_load(const Request& request, Communicator& world) {
  const ShardRanges shard =
      agreed(world, [&] { return shard_ranges(request.model, world.rank(), world.size()); });
  const Machine machine(world, request.device, {request.threads, 0, false});
  if (machine.device().empty())
    throw AgreedError(ExitCode::usage, "bench-load: --device " + request.device + ": there is none");
  Device& device = *machine.processor(machine.device()).device;
  const auto bytes = static_cast<double>(shard.bytes);
  const auto bus = agreed(world, [&] { return host_to_device_bytes_per_s(device, world); });
  const Times times = Bench(request, world, machine, shard).run();
  std::string rows;
  for (const std::string& own :
       world.all_gather(row(std::to_string(world.rank()), device.name(), bytes, times, bus)))
    rows += own;
  if (world.size() > 1) rows += sum_row(world, bytes, times, bus);
  agreed(world, [&] {
    if (world.rank() == 0) print(request, machine.threads(), shard.dtype, rows, world.size());
  });
  return ExitCode::ok;
}

}  // namespace

ExitCode run_bench_load(const Strings& arguments) {
  const po::options_description visible = described();
  if (printed_help_once(arguments, visible)) return ExitCode::ok;
  return run_on_ranks([&](Communicator& world) {
    const Request request =
        agreed(world, [&] { return request_of(parse_arguments("bench-load", arguments, visible, "model")); });
    return bench_load(request, world);
  });
}

}  // namespace hydrajob
