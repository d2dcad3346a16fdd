// Our linear, one packed weight for every number of rows, against oneDNN's own best: a primitive made for
// exactly that product in the format it prefers there. TinyLlama-1.1B's shapes, interleaved; several copies
// of each weight, so that they come from memory as a model's do.
//   bench/linear [THREADS [DTYPE [ROWS,ROWS,…]]]
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <omp.h>

#include "base/element.hpp"
#include "bench/onednn_matmul.hpp"
#include "kernels/cpu/onednn.hpp"
#include "kernels/kernels.hpp"
#include "timing/statistics.hpp"

using namespace hydrajob;
using bench::OneDnnMatmul;

namespace {

constexpr double weights_bytes = 256e6;  // of all copies of a weight: several times the cache
constexpr double seconds_each = 0.4;     // of one cell, for each of the two

struct Shape {
  std::int64_t in, out;
};
const std::vector<Shape> shapes{{2048, 2560}, {2048, 2048}, {2048, 11264}, {5632, 2048}, {2048, 32000}};

double seconds(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

class NoStream final : public Stream {};

std::vector<std::byte> random_tensor(std::int64_t elements, DType dtype) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(elements) * size_of(dtype));
  std::minstd_rand random(1);
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (std::int64_t i = 0; i < elements; ++i) {
    const float value = uniform(random);
    with_element(dtype, [&](auto element) {
      using T = decltype(element);
      reinterpret_cast<T*>(bytes.data())[i] = T(value);
    });
  }
  return bytes;
}

struct Cell {
  double ours_s = 0;
  double onednn_s = 0;
};

Cell measure(Kernels& kernels, const std::vector<std::unique_ptr<PackedWeight>>& weights, const Shape& shape,
             std::int64_t rows, DType dtype) {
  const auto x = random_tensor(rows * shape.in, dtype);
  std::vector<float> y(static_cast<std::size_t>(rows * shape.out));
  // Where oneDNN has no products of f16, its best is f32's; of bf16 it has slow ones.
  const bool as_f32 = dtype == DType::f16 && !cpu::multiplies(dtype);
  const auto type = cpu::data_type_of(as_f32 ? DType::f32 : dtype);
  std::vector<std::unique_ptr<OneDnnMatmul>> best;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    best.push_back(
        std::make_unique<OneDnnMatmul>(bench::MatmulShape{1, rows, shape.in, shape.out, true, false}, type));
  }
  NoStream stream;
  std::vector<double> ours, theirs;
  double spent = 0;
  for (std::size_t i = 0; i < 2 * weights.size() || spent < seconds_each; ++i) {
    const std::size_t copy = i % weights.size();
    const double a =
        seconds([&] { kernels.linear(x.data(), *weights[copy], y.data(), DType::f32, rows, dtype, stream); });
    const double b = seconds([&] { best[copy]->run(); });
    if (i < weights.size()) continue;  // warm-up
    ours.push_back(a);
    theirs.push_back(b);
    spent += a;
  }
  return {median(ours), median(theirs)};
}

void print(const Shape& shape, std::int64_t rows, DType dtype, const Cell& cell) {
  const double flops = 2.0 * static_cast<double>(rows * shape.in * shape.out);
  const double bytes = static_cast<double>(shape.in * shape.out) * static_cast<double>(size_of(dtype));
  std::cout << fmt::format("| {} | {} | {} | {:.3f} | {:.0f} | {:.1f} | {:.3f} | {:.2f} |", shape.in,
                           shape.out, rows, cell.ours_s * 1e3, flops / cell.ours_s * 1e-9,
                           bytes / cell.ours_s * 1e-9, cell.onednn_s * 1e3, cell.ours_s / cell.onednn_s)
            << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 2;
  const DType dtype = parse_dtype(argc > 2 ? argv[2] : "bf16");
  const std::string rows_list = argc > 3 ? argv[3] : "1,16,64,512";
  const auto kernels = make_cpu_kernels(threads);
  omp_set_num_threads(threads);
  std::cout << fmt::format(
                   "{} x {} -> f32, {} threads; medians; ratio: ours / oneDNN's, below 1 is faster\n\n",
                   name_of(dtype), name_of(dtype), threads)
            << "| in | out | rows | ours ms | GFLOP/s | weight GB/s | oneDNN ms | ratio |\n"
            << "|---|---|---|---|---|---|---|---|\n";
  for (const Shape& shape : shapes) {
    const auto source = random_tensor(shape.in * shape.out, dtype);
    std::vector<std::unique_ptr<PackedWeight>> weights;
    const auto copies = std::max<std::size_t>(1, static_cast<std::size_t>(weights_bytes / source.size()));
    for (std::size_t i = 0; i < copies; ++i) {
      weights.push_back(kernels->pack(source.data(), WeightLayout::out_in, shape.out, shape.in, 64, dtype));
    }
    std::istringstream words(rows_list);
    for (std::string word; std::getline(words, word, ',');) {
      const std::int64_t rows = std::stoll(word);
      print(shape, rows, dtype, measure(*kernels, weights, shape, rows, dtype));
    }
  }
}
