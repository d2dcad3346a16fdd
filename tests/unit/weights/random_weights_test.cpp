// Seeded weights: the values of the definition, whoever asks for which rows.
#include <cmath>
#include <cstring>
#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/bf16.hpp"
#include "base/digest.hpp"
#include "base/f16.hpp"
#include "base/philox.hpp"
#include "unit/weights/models.hpp"

namespace hydrajob {
namespace {

using test::Bytes;
using test::find_tensor;
using test::grouped_model;
using test::read_rows;
using test::read_whole;
using test::wide_model;

std::vector<float> floats_of(WeightSource& source, const TensorInfo& tensor) {
  const Bytes bytes = read_whole(source, tensor, DType::f32);
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

// Element `index` by the definition: in (-1, 1).
double unit_value(std::uint64_t seed, const std::string& name, std::int64_t index) {
  const std::uint64_t tensor = digest64(name.data(), name.size());
  const auto counter = static_cast<std::uint64_t>(index / 4);
  const PhiloxCounter words =
      philox4x32({static_cast<std::uint32_t>(counter), static_cast<std::uint32_t>(counter >> 32),
                  static_cast<std::uint32_t>(tensor), static_cast<std::uint32_t>(tensor >> 32)},
                 philox_key(seed));
  return 2.0 * ((words[static_cast<std::size_t>(index % 4)] >> 9) + 0.5) / 8388608.0 - 1.0;
}

TEST(RandomWeights, AreThoseOfTheDefinition) {
  const Architecture a = wide_model();
  const std::uint64_t seed = 0x123456789abcdefull;
  const auto source = make_random_weights(a, seed, 2);
  for (const TensorInfo& tensor : tensors_of(a)) {
    const bool norm = tensor.name.ends_with("norm");
    const bool in_out = tensor.name.ends_with(".o") || tensor.name.ends_with("down");
    const double in = static_cast<double>(in_out ? tensor.rows : tensor.cols);
    const double deviation = tensor.name == "embedding" ? 1.0 : 1.0 / std::sqrt(in);
    const std::vector<float> values = floats_of(*source, tensor);
    for (std::size_t i = 0; i < values.size(); i += 97) {
      const double unit = unit_value(seed, tensor.name, static_cast<std::int64_t>(i));
      const double expected = norm ? 1.0 + 0.1 * unit : std::sqrt(3.0) * deviation * unit;
      ASSERT_NEAR(values[i], expected, 2e-7 * (norm ? 1.1 : 1.8 * deviation)) << tensor.name << " " << i;
    }
  }
}

// With half a width of one rounding only: an instruction set with fused multiply-add may not differ.
TEST(RandomWeights, HaveTheBitsOfTheScalarDefinition) {
  const Architecture a = wide_model();
  const auto source = make_random_weights(a, 7, 1);
  const TensorInfo tensor = find_tensor(a, "layers.0.attention.k");
  const std::vector<float> values = floats_of(*source, tensor);
  const auto half_width = static_cast<float>(std::sqrt(3.0) / std::sqrt(1024.0));
  for (std::size_t i = 0; i < values.size(); i += 13) {
    const auto unit = static_cast<float>(unit_value(7, tensor.name, static_cast<std::int64_t>(i)));
    ASSERT_EQ(values[i], unit * half_width) << i;
  }
}

// With a centre there are two roundings: fused into one, some would differ.
TEST(RandomWeights, HaveTheBitsOfTheScalarDefinitionAroundACentre) {
  const Architecture a = wide_model();
  const auto source = make_random_weights(a, 7, 1);
  const TensorInfo tensor = find_tensor(a, "final_norm");
  const std::vector<float> values = floats_of(*source, tensor);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto unit = static_cast<float>(unit_value(7, tensor.name, static_cast<std::int64_t>(i)));
    volatile float product = unit * 0.1f;  // no compiler fuses through it
    ASSERT_EQ(values[i], 1.0f + product) << i;
  }
}

TEST(RandomWeights, HaveTheStatedMoments) {
  const Architecture a = wide_model();
  const auto source = make_random_weights(a, 3, 2);
  const auto deviation_of = [&](const char* name) {
    double sum = 0;
    double squares = 0;
    const std::vector<float> values = floats_of(*source, find_tensor(a, name));
    for (const float value : values) {
      sum += value;
      squares += static_cast<double>(value) * value;
    }
    const double n = static_cast<double>(values.size());
    EXPECT_LT(std::abs(sum / n), 5 * std::sqrt(squares / n / n)) << name;
    return std::sqrt(squares / n);
  };
  EXPECT_NEAR(deviation_of("embedding"), 1.0, 0.01);
  EXPECT_NEAR(deviation_of("lm_head"), 1 / 32.0, 0.01 / 32);
  EXPECT_NEAR(deviation_of("layers.0.mlp.gate"), 1 / 32.0, 0.01 / 32);
  EXPECT_NEAR(deviation_of("layers.0.mlp.down"), 1 / std::sqrt(1000.0), 0.01 / 32);
}

TEST(RandomWeights, AreTheSameForAnyRowsAndThreads) {
  const unsigned test_seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", test_seed));
  std::mt19937 random(test_seed);
  const Architecture a = grouped_model();
  const auto one = make_random_weights(a, 11, 1);
  const auto three = make_random_weights(a, 11, 3);
  for (const DType dtype : every_dtype) {
    for (const TensorInfo& tensor : tensors_of(a)) {
      const Bytes whole = read_whole(*one, tensor, dtype);
      EXPECT_EQ(whole, read_whole(*three, tensor, dtype)) << tensor.name;
      const std::size_t row = static_cast<std::size_t>(tensor.cols) * size_of(dtype);
      for (int i = 0; i < 20; ++i) {
        const std::int64_t begin = static_cast<std::int64_t>(random() % static_cast<unsigned>(tensor.rows));
        const std::int64_t end =
            begin + 1 + static_cast<std::int64_t>(random() % static_cast<unsigned>(tensor.rows - begin));
        const Bytes part = read_rows(*three, tensor, {begin, end}, dtype);
        ASSERT_TRUE(
            std::equal(part.begin(), part.end(),
                       whole.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(begin) * row)))
            << tensor.name << " rows " << begin << " to " << end;
      }
    }
  }
}

template <class T>
void expect_rounded(DType dtype, double unit_roundoff) {
  const Architecture a = grouped_model();
  const auto source = make_random_weights(a, 5, 1);
  const TensorInfo tensor = find_tensor(a, "embedding");
  const std::vector<float> exact = floats_of(*source, tensor);
  const Bytes bytes = read_whole(*source, tensor, dtype);
  for (std::size_t i = 0; i < exact.size(); ++i) {
    T value;
    std::memcpy(&value, bytes.data() + 2 * i, 2);
    const double smallest_normal = std::ldexp(1.0, -14);  // of f16
    ASSERT_LE(std::abs(static_cast<float>(value) - exact[i]),
              unit_roundoff * std::max<double>(std::abs(exact[i]), smallest_normal))
        << i;
  }
}

TEST(RandomWeights, AreRoundedToNearest) {
  expect_rounded<Bf16>(DType::bf16, std::ldexp(1.0, -8));
  expect_rounded<F16>(DType::f16, std::ldexp(1.0, -11));
}

TEST(RandomWeights, DifferBySeedAndByName) {
  const Architecture a = grouped_model();
  const auto one = make_random_weights(a, 1, 1);
  const auto two = make_random_weights(a, 2, 1);
  const TensorInfo gate = find_tensor(a, "layers.0.mlp.gate");
  EXPECT_NE(read_whole(*one, gate, DType::f32), read_whole(*two, gate, DType::f32));
  EXPECT_NE(read_whole(*one, gate, DType::f32),
            read_whole(*one, find_tensor(a, "layers.1.mlp.gate"), DType::f32));
  EXPECT_EQ(one->digest(), "random:1");
  EXPECT_EQ(two->digest(), "random:2");
}

}  // namespace
}  // namespace hydrajob
