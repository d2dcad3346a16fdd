#include "timing/ceilings.hpp"

#include <algorithm>
#include <cstdint>
#include <exception>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "base/element.hpp"
#include "base/error.hpp"
#include "base/philox.hpp"

namespace hydrajob {
namespace {

// Of the square product: what fills a GPU would take a CPU minutes.
std::int64_t side_of(const Device& device) {
  return device.kind() == DeviceKind::cuda ? 8192 : 1536;
}
constexpr std::size_t pattern_elements =
    1048583;                       // random values repeat after these: a prime, so that rows differ
constexpr double enough_s = 0.15;  // of repeating one measurement
constexpr std::int64_t fewest_times = 2;

// Uniform in (-1, 1): zeros multiply faster than numbers do.
template <class T>
std::vector<T> random_matrix(std::int64_t side, std::uint32_t stream) {
  std::vector<T> values(static_cast<std::size_t>(side * side));
  const std::size_t drawn = std::min(values.size(), pattern_elements);
  for (std::size_t i = 0; i < drawn; i += 4) {
    const PhiloxCounter words = philox4x32({static_cast<std::uint32_t>(i), stream, 0, 0}, philox_key(1));
    for (std::size_t j = 0; j < 4 && i + j < drawn; ++j) {
      values[i + j] = static_cast<T>(2 * uniform_open(words[j]) - 1);
    }
  }
  for (std::size_t i = drawn; i < values.size(); ++i) values[i] = values[i - drawn];
  return values;
}

// Everything both measurements need, on the device.
struct Bench {
  std::unique_ptr<Buffer> x, y;
  std::unique_ptr<PackedWeight> weight;
  std::unique_ptr<Buffer> source, target;
};

template <class T>
void fill_matrices(Bench& bench, Device& device, Kernels& kernels, DType dtype) {
  const std::int64_t side = side_of(device);
  const std::vector<T> x = random_matrix<T>(side, 0), weight = random_matrix<T>(side, 1);
  device.copy_to_device(bench.x->data(), x.data(), x.size() * sizeof(T));
  bench.weight = kernels.pack(weight.data(), WeightLayout::out_in, side, side, side, dtype);
  device.synchronize();
}

// Of each copy's source. All ranks copy at once: those of a node together go through several times all its
// caches, which many ranks on few cores would take long for if each did so alone; but no large part of a
// small memory.
std::size_t copy_bytes(const Device& device, int ranks_of_node) {
  if (device.kind() == DeviceKind::cuda)
    return std::min(std::size_t{1} << 30, device.memory_available() / 16);
  const std::size_t together = std::max(std::size_t{256} << 20, 4 * device.cache_bytes());
  const std::size_t each =
      std::max(std::size_t{64} << 20, together / static_cast<std::size_t>(ranks_of_node));
  return std::min(each, device.memory_available() / 16);
}

Bench make_bench(Device& device, Kernels& kernels, int ranks_of_node, DType dtype) {
  Bench bench;
  const std::size_t elements = static_cast<std::size_t>(side_of(device) * side_of(device));
  bench.x = device.allocate(elements * size_of(dtype));
  bench.y = device.allocate(elements * sizeof(float));
  with_element(dtype, [&](auto element) { fill_matrices<decltype(element)>(bench, device, kernels, dtype); });
  const std::size_t bytes = copy_bytes(device, ranks_of_node);
  bench.source = device.allocate(bytes);
  bench.target = device.allocate(bytes);
  // Pages never written all read from one page of zeros, out of the cache.
  device.copy_on_device(bench.source->data(), bench.target->data(), bytes);
  return bench;
}

// Seconds of the fastest repetition, begun together on all ranks. A ceiling is what the machine can do: the
// fastest.
double fastest(Device& device, Communicator& comm, const std::function<void()>& work) {
  work();
  device.synchronize();
  comm.barrier();
  double best = std::numeric_limits<double>::infinity(), spent = 0;
  for (std::int64_t i = 0; i < fewest_times || spent < enough_s; ++i) {
    const auto begin = device.mark();
    work();
    const auto end = device.mark();
    device.synchronize();
    const double seconds = device.seconds_between(*begin, *end);
    best = std::min(best, seconds);
    spent += seconds;
  }
  return best;
}

// A rank that cannot have the memory tells the others before they wait for it.
Bench make_bench_together(Device& device, Kernels& kernels, Communicator& comm, DType dtype) {
  const int ranks_of_node = comm.split_node()->size();
  Bench bench;
  std::string error;
  try {
    bench = make_bench(device, kernels, ranks_of_node, dtype);
  } catch (const std::exception& e) {
    error = e.what();
  }
  error = agree_on_error(comm, error);
  if (!error.empty()) throw RunError("measuring the machine's ceilings: " + error);
  return bench;
}

// All but what the kernels hold.
Ceilings measure_rates(Device& device, Kernels& kernels, Communicator& comm, DType dtype) {
  const Bench bench = make_bench_together(device, kernels, comm, dtype);
  const std::int64_t side = side_of(device);
  const double product_s = fastest(device, comm, [&] {
    kernels.linear(bench.x->data(), *bench.weight, bench.y->data(), DType::f32, side, dtype, device.stream());
  });
  const double copy_s = fastest(device, comm, [&] {
    device.copy_on_device(bench.target->data(), bench.source->data(), bench.source->bytes());
  });
  const auto elements = static_cast<double>(side * side);
  Ceilings ceilings;
  ceilings.matmul_flops_per_s = 2 * elements * static_cast<double>(side) / comm.all_reduce_max(product_s);
  ceilings.memory_bytes_per_s = 2 * static_cast<double>(bench.source->bytes()) / comm.all_reduce_max(copy_s);
  ceilings.memory_bytes = comm.all_reduce_min(static_cast<double>(device.memory_available()));
  ceilings.cache_bytes = comm.all_reduce_max(static_cast<double>(device.cache_bytes()));
  ceilings.packed_element_bytes = comm.all_reduce_max(static_cast<double>(bench.weight->bytes()) / elements);
  const AttentionCuts cuts = kernels.attention_cuts();
  ceilings.shortest_part = static_cast<double>(cuts.shortest_part);
  ceilings.spare_results = static_cast<double>(cuts.spare_results);
  ceilings.origin = "measured";
  return ceilings;
}

}  // namespace

Ceilings measure_ceilings(Device& device, Kernels& kernels, Communicator& comm, DType dtype) {
  Ceilings ceilings = measure_rates(device, kernels, comm, dtype);
  // Nothing else has any yet: what they have had from the beginning, and keep for the next product.
  ceilings.kernels_bytes = comm.all_reduce_max(static_cast<double>(device.memory_held()));
  return ceilings;
}

}  // namespace hydrajob
