// Seeded weights that need no file: any rank can compute any element, so every degree sees the same model.
#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "base/digest.hpp"
#include "base/philox.hpp"
#include "base/seeded.hpp"
#include "weights/convert.hpp"
#include "weights/weight_source.hpp"

namespace hydrajob {
namespace {

constexpr std::int64_t block = 64;  // counters computed at once: 256 elements
constexpr std::int64_t block_elements = 4 * block;

struct Uniform {
  float centre = 0;
  float half_width = 0;
};

// Projections keep the variance of their input (1 / in); rows are the inputs of matrices stored (in, out).
Uniform distribution_of(const TensorInfo& tensor) {
  const auto with_deviation = [](double deviation) {
    return Uniform{0.0f, static_cast<float>(std::sqrt(3.0) * deviation)};
  };
  if (tensor.name.ends_with("norm")) return {1.0f, 0.1f};
  if (tensor.name == "embedding") return with_deviation(1.0);
  const bool stored_in_out = tensor.name.ends_with("attention.o") || tensor.name.ends_with("mlp.down");
  return with_deviation(1.0 / std::sqrt(static_cast<double>(stored_in_out ? tensor.rows : tensor.cols)));
}

using Lanes = std::array<std::uint32_t, block>;

// Philox4x32-10 of `block` consecutive counters; element 4 i + w is of word w of counter i. The same words as
// seeded_words(), in loops that the compiler turns into vectors; `part` by value, so that no store to
// `values` can change it.
__attribute__((target_clones("avx512f", "avx2", "default"))) void fill_block(std::uint64_t counter,
                                                                             SeededPart part, float* values) {
  PhiloxKey key = philox_key(part.seed);
  Lanes c0, c1, c2, c3;
  for (std::int64_t i = 0; i < block; ++i) {
    const std::uint64_t at = counter + static_cast<std::uint64_t>(i);
    c0[i] = static_cast<std::uint32_t>(at);
    c1[i] = static_cast<std::uint32_t>(at >> 32);
    c2[i] = static_cast<std::uint32_t>(part.tensor);
    c3[i] = static_cast<std::uint32_t>(part.tensor >> 32);
  }
  for (int round = 0; round < 10; ++round) {
    for (std::int64_t i = 0; i < block; ++i) {
      const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c0[i];
      const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * c2[i];
      const std::uint32_t n0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1[i] ^ key[0];
      const std::uint32_t n2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3[i] ^ key[1];
      c0[i] = n0;
      c1[i] = static_cast<std::uint32_t>(p1);
      c2[i] = n2;
      c3[i] = static_cast<std::uint32_t>(p0);
    }
    key[0] += 0x9E3779B9u;
    key[1] += 0xBB67AE85u;
  }
  for (std::int64_t i = 0; i < block; ++i) {
    values[4 * i + 0] = seeded_value(part, c0[i]);
    values[4 * i + 1] = seeded_value(part, c1[i]);
    values[4 * i + 2] = seeded_value(part, c2[i]);
    values[4 * i + 3] = seeded_value(part, c3[i]);
  }
}

class RandomWeights final : public WeightSource {
 public:
  RandomWeights(const Architecture& architecture, std::uint64_t seed, int threads)
      : architecture_(architecture), seed_(seed), threads_(std::max(threads, 1)) {}

  const Architecture& architecture() const override { return architecture_; }
  std::string digest() const override { return "random:" + std::to_string(seed_); }

  void read(const TensorInfo& tensor, RowRange rows, DType dtype, void* target) override {
    const SeededPart part = part_of(tensor, rows);
    const std::int64_t begin = part.first;
    const std::int64_t end = part.first + part.count;
    const std::int64_t first = begin / block_elements;
    const std::int64_t last = (end + block_elements - 1) / block_elements;
#pragma omp parallel for num_threads(threads_) schedule(static)
    for (std::int64_t b = first; b < last; ++b) {
      alignas(64) std::array<float, block_elements> values;
      fill_block(static_cast<std::uint64_t>(b * block), part, values.data());
      const std::int64_t from = std::max(begin, b * block_elements);
      const std::int64_t to = std::min(end, (b + 1) * block_elements);
      convert(values.data() + (from - b * block_elements), DType::f32,
              static_cast<std::byte*>(target) + static_cast<std::size_t>(from - begin) * size_of(dtype),
              dtype, to - from);
    }
  }

  std::optional<SeededPart> seeded(const WeightRows& part) const override {
    return part_of(part.tensor, part.rows);
  }

 private:
  SeededPart part_of(const TensorInfo& tensor, RowRange rows) const {
    const Uniform u = distribution_of(tensor);
    return {.seed = seed_,
            .tensor = digest64(tensor.name.data(), tensor.name.size()),
            .first = rows.begin * tensor.cols,
            .count = rows.count() * tensor.cols,
            .centre = u.centre,
            .half_width = u.half_width};
  }

  Architecture architecture_;
  std::uint64_t seed_;
  int threads_;
};

}  // namespace

std::unique_ptr<WeightSource> make_random_weights(const Architecture& architecture, std::uint64_t seed,
                                                  int threads) {
  return std::make_unique<RandomWeights>(architecture, seed, threads);
}

}  // namespace hydrajob
