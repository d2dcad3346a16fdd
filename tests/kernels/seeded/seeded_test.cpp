// Seeded weights that a backend computes itself have the bits of those that RandomWeights reads. Of the GPU's
// kernels with HYDRAJOB_TEST_DEVICE=cuda, else of the reference's: the CPU's leave them to the source.
#include <optional>
#include <string>
#include <vector>

#include "kernels/tensor.hpp"
#include "weights/weight_source.hpp"

namespace hydrajob::test {
namespace {

const std::vector<std::string> names{"layers.0.mlp.gate", "layers.0.mlp.down",
                                     "final_norm"};  // centre 0, 0, 1

WeightRows rows_of(const std::string& name, std::int64_t cols, std::int64_t begin, std::int64_t end) {
  return {{name, end + 5, cols, Split::none}, {begin, end}};
}

std::int64_t elements_of(const WeightRows& part) {
  return part.rows.count() * part.tensor.cols;
}

class SeededTest : public ::testing::Test {
 protected:
  void SetUp() override {
    try {
      device_ = make_device({tests_cuda() ? DeviceKind::cuda : DeviceKind::cpu});
    } catch (const UsageError& e) {
      GTEST_SKIP() << e.what();
    }
    kernels_ = tests_cuda() ? make_kernels(*device_, 1) : make_reference_kernels();
  }

  void read(const WeightRows& part, Tensor& target, std::int64_t at) {
    auto* bytes = static_cast<std::byte*>(target.data()) + byte_of(target, at);
    source_->read(part.tensor, part.rows, target.dtype(), bytes);
  }

  // What fill_seeded makes of `tensor` on the device, from its element `at` on.
  void fill(const WeightRows& part, Tensor& tensor, std::int64_t at) {
    const std::size_t bytes = byte_of(tensor, tensor.size());
    const auto there = device_->allocate(bytes);
    device_->copy_to_device(there->data(), tensor.data(), bytes);
    ASSERT_TRUE(kernels_->fill_seeded(*source_->seeded(part), there->as<std::byte>() + byte_of(tensor, at),
                                      tensor.dtype(), device_->stream()));
    device_->copy_to_host(tensor.data(), there->data(), bytes);
    device_->synchronize();
  }

  // In a poisoned tensor that goes on behind the part, as far as the kernel's packs might.
  void check_fill(const WeightRows& part, std::int64_t at, DType dtype) {
    Tensor expected(at + elements_of(part) + 16, dtype), actual = expected;
    read(part, expected, at);
    fill(part, actual, at);
    EXPECT_EQ(actual, expected) << part.tensor.name << ", " << part.tensor.cols << " columns, rows "
                                << part.rows.begin << " to " << part.rows.end << ", " << name_of(dtype)
                                << " at element " << at;
  }

  // The weight's elements, by the product with the unit matrix: (in, out).
  Tensor elements(const PackedWeight& weight, DType dtype) {
    const std::int64_t in = weight.in(), out = weight.out();
    Tensor unit(in * in, dtype), y(in * out, DType::f32);
    for (std::int64_t i = 0; i < in * in; ++i) unit.set(i, i % (in + 1) == 0 ? 1.0f : 0.0f);
    const auto x = device_->allocate(byte_of(unit, unit.size()));
    const auto product = device_->allocate(byte_of(y, y.size()));
    device_->copy_to_device(x->data(), unit.data(), x->bytes());
    kernels_->linear(x->data(), weight, product->data(), DType::f32, in, dtype, device_->stream());
    device_->copy_to_host(y.data(), product->data(), product->bytes());
    device_->synchronize();
    return y;
  }

  void check_pack(const std::vector<WeightRows>& parts, WeightLayout layout, DType dtype) {
    std::vector<SeededPart> seeded;
    std::int64_t rows = 0;
    const std::int64_t cols = parts.front().tensor.cols;
    for (const WeightRows& part : parts) {
      seeded.push_back(*source_->seeded(part));
      rows += part.rows.count();
    }
    Tensor expected(rows * cols, dtype);
    std::int64_t at = 0;
    for (const WeightRows& part : parts) {
      read(part, expected, at);
      at += elements_of(part);
    }
    const bool by_out = layout == WeightLayout::out_in;
    const std::int64_t out = by_out ? rows : cols, in = by_out ? cols : rows;
    const auto weight = kernels_->pack_seeded(seeded, layout, out, in, 8, dtype);
    ASSERT_NE(weight, nullptr);
    ASSERT_EQ(weight->out(), out);
    ASSERT_EQ(weight->in(), in);
    const Tensor actual = elements(*weight, dtype);
    for (std::int64_t i = 0; i < in; ++i) {
      for (std::int64_t o = 0; o < out; ++o) {
        ASSERT_EQ(actual.at(i * out + o), expected.at(by_out ? o * in + i : i * out + o))
            << name_of(dtype) << ", (" << out << ", " << in << ") at (" << o << ", " << i << ")";
      }
    }
  }

  static std::size_t byte_of(const Tensor& tensor, std::int64_t element) {
    return static_cast<std::size_t>(element) * size_of(tensor.dtype());
  }

  std::unique_ptr<Device> device_;
  std::unique_ptr<Kernels> kernels_;
  std::unique_ptr<WeightSource> source_ = make_random_weights({}, 0x9876543210fedcbaull, 1);
};

TEST_F(SeededTest, FillsWithTheBitsThatAreRead) {
  constexpr std::int64_t far = std::int64_t{1} << 35;  // where counters need their second word
  for (const DType dtype : every_dtype) {
    for (const std::string& name : names) {
      for (const std::int64_t at : {0, 1, 4, 8}) {
        for (const std::int64_t begin : {std::int64_t{0}, std::int64_t{1}, std::int64_t{6}, far}) {
          for (const std::int64_t cols : {1, 3, 4, 25, 65, 288}) {
            for (const std::int64_t rows : {1, 2, 77}) {
              check_fill(rows_of(name, cols, begin, begin + rows), at, dtype);
            }
          }
        }
      }
    }
  }
}

TEST_F(SeededTest, FillsWhatManyBlocksTake) {
  for (const DType dtype : every_dtype) {
    check_fill(rows_of(names[0], 1028, 3, 1000), 0, dtype);
    check_fill(rows_of(names[0], 1027, 3, 1000), 0, dtype);
  }
}

TEST_F(SeededTest, FillsNothingOfNoRows) {
  for (const DType dtype : every_dtype) check_fill(rows_of(names[0], 8, 3, 3), 0, dtype);
}

TEST_F(SeededTest, PacksOnePartBehindTheOther) {
  for (const DType dtype : every_dtype) {
    for (const std::int64_t cols : {1, 4, 65, 264}) {
      const std::vector<WeightRows> parts{rows_of("layers.3.attention.q", cols, 5, 46),
                                          rows_of("layers.3.attention.k", cols, 3, 6),
                                          rows_of("layers.3.attention.v", cols, 0, 1)};
      check_pack(parts, WeightLayout::out_in, dtype);
      check_pack({parts.front()}, WeightLayout::in_out, dtype);
    }
  }
}

TEST(SeededTestOfCpu, IsLeftToTheSource) {
  NoStream stream;
  const auto kernels = make_cpu_kernels(1);
  const auto source = make_random_weights({}, 1, 1);
  const std::vector<SeededPart> parts{*source->seeded(rows_of(names[0], 8, 0, 2))};
  Tensor target(16, DType::f32);
  const Tensor before = target;
  EXPECT_FALSE(kernels->fill_seeded(parts.front(), target.data(), DType::f32, stream));
  EXPECT_EQ(target, before);
  EXPECT_EQ(kernels->pack_seeded(parts, WeightLayout::out_in, 2, 8, 1, DType::f32), nullptr);
}

}  // namespace
}  // namespace hydrajob::test
