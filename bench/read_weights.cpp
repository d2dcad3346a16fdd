// Reading all weights of a model file against what the machine gives: `dd` of the same file, and plain
// requests into one buffer. Cold (page cache dropped before each, as root only) and warm, interleaved,
// medians.
//
//   read_weights MODEL.h5 [threads = cores] [repetitions = 7]     makes a file of about 1 GiB where there is
//   none
//
// The bar: at least 90 % of dd.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include "base/error.hpp"
#include "weights/weight_source.hpp"

namespace {

using namespace hydrajob;

constexpr std::align_val_t page{4096};
constexpr std::size_t request_bytes = 4 << 20;

struct FreePages {
  void operator()(std::byte* p) const { ::operator delete(p, page); }
};
using Pages = std::unique_ptr<std::byte, FreePages>;

Pages allocate(std::size_t bytes) {
  Pages pages(static_cast<std::byte*>(::operator new(bytes, page)));
  std::fill_n(pages.get(), bytes, std::byte{1});  // faults belong to the allocation, not to the reading
  return pages;
}

void make_file(const std::filesystem::path& path, int threads) {
  Architecture a;
  a.name = "read-weights";
  a.n_layers = 11;
  a.hidden = 2048;
  a.n_heads = 32;
  a.n_kv_heads = 4;
  a.head_dim = 64;
  a.intermediate = 5632;
  a.vocab = 32000;
  a.max_positions = 2048;
  const auto begin = std::chrono::steady_clock::now();
  write_model_file(path, *make_random_weights(a, 1, threads), DType::bf16);
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
  std::printf("made %s, %.2f GB/s\n", path.c_str(),
              static_cast<double>(std::filesystem::file_size(path)) / taken.count() / 1e9);
}

// What a single rank's model is loaded from: tensors of one product together, as the engine does.
std::vector<std::vector<WeightRows>> loads_of(const Architecture& architecture) {
  std::vector<std::vector<WeightRows>> loads;
  for (const TensorInfo& tensor : tensors_of(architecture)) {
    const bool joins =
        tensor.name.ends_with(".k") || tensor.name.ends_with(".v") || tensor.name.ends_with(".up");
    if (!joins) loads.emplace_back();
    loads.back().push_back({tensor, {0, tensor.rows}});
  }
  return loads;
}

// All tensors, as the engine reads them: where the file's cache holds them, or into one buffer. Bytes read.
std::size_t read_ours(const std::filesystem::path& path, int threads, DType dtype, const Pages& buffer) {
  const auto source = open_model_file(path, threads);
  std::vector<WeightRows> all;
  for (const TensorInfo& tensor : tensors_of(source->architecture()))
    all.push_back({tensor, {0, tensor.rows}});
  source->expect(all);
  std::size_t sum = 0;
  for (const auto& load : loads_of(source->architecture())) {
    const auto view = source->view(load, dtype);
    for (const WeightRows& part : load) {
      if (!view) source->read(part.tensor, part.rows, dtype, buffer.get());
      sum += static_cast<std::size_t>(part.tensor.rows * part.tensor.cols) * size_of(DType::bf16);
    }
  }
  return sum;
}

std::size_t largest_tensor_bytes(const std::filesystem::path& path) {
  std::size_t largest = 0;
  for (const TensorInfo& tensor : tensors_of(open_model_file(path, 1)->architecture()))
    largest = std::max(largest, static_cast<std::size_t>(tensor.rows * tensor.cols) * sizeof(float));
  return largest;
}

std::size_t read_plainly(const std::filesystem::path& path, const Pages& buffer) {
  const int fd = ::open(path.c_str(), O_RDONLY);
  std::size_t sum = 0;
  for (ssize_t got = 1; got > 0; sum += static_cast<std::size_t>(got))
    got = ::pread(fd, buffer.get(), request_bytes, static_cast<off_t>(sum));
  ::close(fd);
  return sum;
}

std::size_t read_dd(const std::filesystem::path& path) {
  const std::string command = "dd if='" + path.string() + "' of=/dev/null bs=4M status=none";
  if (std::system(command.c_str()) != 0) throw UsageError("dd failed");
  return std::filesystem::file_size(path);
}

bool drop_caches() {
  ::sync();
  std::FILE* file = std::fopen("/proc/sys/vm/drop_caches", "w");
  if (file == nullptr) return false;
  const bool done = std::fputs("3", file) >= 0;
  return std::fclose(file) == 0 && done;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Way {
  const char* name;
  std::function<std::size_t()> read;
};

void compare(const std::vector<Way>& ways, bool cold, int repetitions) {
  std::map<std::string, std::vector<double>> rates;  // GB/s
  for (int i = 0; i < repetitions; ++i) {
    for (const Way& way : ways) {
      if (cold) drop_caches();
      const auto begin = std::chrono::steady_clock::now();
      const std::size_t bytes = way.read();
      const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begin;
      rates[way.name].push_back(static_cast<double>(bytes) / taken.count() / 1e9);
    }
  }
  const double dd = median(rates["dd"]);
  for (const Way& way : ways) {
    auto& all = rates[way.name];
    const auto [low, high] = std::minmax_element(all.begin(), all.end());
    std::printf("%s  %-22s %6.2f GB/s  (%.2f to %.2f)  %5.1f %% of dd\n", cold ? "cold" : "warm", way.name,
                median(all), *low, *high, 100 * median(all) / dd);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: read_weights MODEL.h5 [threads] [repetitions]\n");
    return 2;
  }
  const std::filesystem::path path = argv[1];
  const int threads = argc > 2 ? std::atoi(argv[2]) : static_cast<int>(std::thread::hardware_concurrency());
  const int repetitions = argc > 3 ? std::max(1, std::atoi(argv[3])) : 7;
  try {
    if (!std::filesystem::exists(path)) make_file(path, threads);
    const Pages buffer = allocate(std::max(request_bytes, largest_tensor_bytes(path)));
    const std::vector<Way> ways{
        {"dd", [&] { return read_dd(path); }},
        {"ours", [&] { return read_ours(path, threads, DType::bf16, buffer); }},
        {"ours, bf16 to f32", [&] { return read_ours(path, threads, DType::f32, buffer); }},
        {"pread into one buffer", [&] { return read_plainly(path, buffer); }},
    };
    std::printf("%s, %.2f GB, %d threads, median of %d\n", path.c_str(),
                static_cast<double>(std::filesystem::file_size(path)) / 1e9, threads, repetitions);
    if (drop_caches()) compare(ways, true, repetitions);
    for (const Way& way : ways) way.read();
    compare(ways, false, repetitions);
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return static_cast<int>(error.code());
  }
  return 0;
}
