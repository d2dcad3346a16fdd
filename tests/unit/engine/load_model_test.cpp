// A model that the backend fills itself is the one that is read.
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "engine/engine.hpp"
#include "engine/model.hpp"
#include "unit/base/temporary_folder.hpp"
#include "unit/engine/late_device.hpp"
#include "unit/no_kernels.hpp"
#include "unit/weights/models.hpp"

namespace hydrajob {
namespace {

using test::Bytes;

// The same values, to be read only.
class Unseeded final : public WeightSource {
 public:
  explicit Unseeded(WeightSource& source) : source_(source) {}
  const Architecture& architecture() const override { return source_.architecture(); }
  std::string digest() const override { return source_.digest(); }
  void read(const TensorInfo& tensor, RowRange rows, DType dtype, void* target) override {
    ++reads;
    source_.read(tensor, rows, dtype, target);
  }

  int reads = 0;

 private:
  WeightSource& source_;
};

// To be filled only.
class Unread final : public WeightSource {
 public:
  explicit Unread(WeightSource& source) : source_(source) {}
  const Architecture& architecture() const override { return source_.architecture(); }
  std::string digest() const override { return source_.digest(); }
  void read(const TensorInfo& tensor, RowRange, DType, void*) override {
    ADD_FAILURE() << tensor.name << " is read";
  }
  std::optional<SeededPart> seeded(const WeightRows& part) const override { return source_.seeded(part); }

 private:
  WeightSource& source_;
};

class LoadModel : public ::testing::Test {
 protected:
  std::shared_ptr<const Model> load(WeightSource& source, DType dtype) {
    return load_model(source, dtype, 4, {device_.get(), kernels_.get(), self_.get()});
  }

  // y (in, out) of the unit matrix: all elements.
  std::vector<float> elements(const PackedWeight& weight) {
    const std::int64_t in = weight.in();
    std::vector<float> unit(static_cast<std::size_t>(in * in)),
        y(static_cast<std::size_t>(in * weight.out()));
    for (std::int64_t i = 0; i < in; ++i) unit[static_cast<std::size_t>(i * in + i)] = 1;
    kernels_->linear(unit.data(), weight, y.data(), DType::f32, in, DType::f32, device_->stream());
    return y;
  }

  static Bytes bytes(Buffer& buffer) {
    return {buffer.as<std::byte>(), buffer.as<std::byte>() + buffer.bytes()};
  }

  void expect_same(const Model& a, const Model& b) {
    EXPECT_EQ(bytes(*a.embedding), bytes(*b.embedding));
    EXPECT_EQ(bytes(*a.final_norm), bytes(*b.final_norm));
    EXPECT_EQ(elements(*a.lm_head), elements(*b.lm_head));
    ASSERT_EQ(a.layers.size(), b.layers.size());
    for (std::size_t i = 0; i < a.layers.size(); ++i) {
      SCOPED_TRACE(i);
      EXPECT_EQ(bytes(*a.layers[i].attention_norm), bytes(*b.layers[i].attention_norm));
      EXPECT_EQ(bytes(*a.layers[i].mlp_norm), bytes(*b.layers[i].mlp_norm));
      EXPECT_EQ(elements(*a.layers[i].qkv), elements(*b.layers[i].qkv));
      EXPECT_EQ(elements(*a.layers[i].o), elements(*b.layers[i].o));
      EXPECT_EQ(elements(*a.layers[i].gate_up), elements(*b.layers[i].gate_up));
      EXPECT_EQ(elements(*a.layers[i].down), elements(*b.layers[i].down));
    }
  }

  std::unique_ptr<Device> device_ = make_device({});
  std::unique_ptr<Kernels> kernels_ = make_reference_kernels();  // which fill by themselves
  std::unique_ptr<Communicator> self_ = make_self_communicator();
};

TEST_F(LoadModel, IsTheSameFilledAndRead) {
  for (const Architecture& architecture : {test::grouped_model(), test::odd_model()}) {
    for (const DType dtype : every_dtype) {
      const auto source = make_random_weights(architecture, 17, 1);
      Unread filled(*source);
      Unseeded read(*source);
      expect_same(*load(filled, dtype), *load(read, dtype));
      EXPECT_GT(read.reads, 0);
    }
  }
}

TEST_F(LoadModel, IsReadWhereTheBackendDoesNotFill) {
  const auto source = make_random_weights(test::grouped_model(), 17, 1);
  const auto filled = load(*source, DType::f32);
  kernels_ = make_cpu_kernels(1);
  const auto read = load(*source, DType::f32);
  EXPECT_EQ(bytes(*read->embedding), bytes(*filled->embedding));
  EXPECT_EQ(bytes(*read->final_norm), bytes(*filled->final_norm));
}

// Keeps weights as they are given, on the device.
class PlacedWeight final : public PackedWeight {
 public:
  PlacedWeight(std::int64_t out, std::int64_t in, std::unique_ptr<Buffer> values)
      : buffer(std::move(values)), out_(out), in_(in) {}
  std::int64_t in() const override { return in_; }
  std::int64_t out() const override { return out_; }
  std::size_t bytes() const override { return buffer->bytes(); }
  std::unique_ptr<Buffer> buffer;

 private:
  std::int64_t out_, in_;
};

class PlacingKernels final : public test::NoKernels {
 public:
  explicit PlacingKernels(Device& device) : device_(device) {}
  UnfilledWeight allocate_weight(WeightLayout, std::int64_t out, std::int64_t in, DType dtype) override {
    auto buffer = device_.allocate(static_cast<std::size_t>(out * in) * size_of(dtype));
    void* data = buffer->data();
    return {std::make_unique<PlacedWeight>(out, in, std::move(buffer)), data};
  }

 private:
  Device& device_;
};

// Every tensor at its place, q, k and v one behind the other.
TEST_F(LoadModel, IsCopiedBesideTheHostWhereTheDeviceDoes) {
  const test::TemporaryFolder folder;
  const Architecture architecture = test::grouped_model();
  const auto truth = make_random_weights(architecture, 17, 1);
  write_model_file(folder.path() / "model.h5", *truth, DType::bf16);
  const auto file = open_model_file(folder.path() / "model.h5", 2);
  test::LateDevice device;
  PlacingKernels kernels(device);
  const auto model = load_model(*file, DType::bf16, 4, {&device, &kernels, self_.get()});
  const auto expect = [&](Buffer& buffer, const std::vector<std::string>& names) {
    Bytes expected;
    for (const std::string& name : names) {
      const Bytes part = test::read_whole(*truth, test::find_tensor(architecture, name), DType::bf16);
      expected.insert(expected.end(), part.begin(), part.end());
    }
    EXPECT_EQ(bytes(buffer), expected) << names.front();
  };
  const auto expect_weight = [&](const PackedWeight& weight, const std::vector<std::string>& names) {
    expect(*static_cast<const PlacedWeight&>(weight).buffer, names);
  };
  expect(*model->embedding, {"embedding"});
  expect(*model->final_norm, {"final_norm"});
  expect_weight(*model->lm_head, {"lm_head"});
  for (std::size_t i = 0; i < model->layers.size(); ++i) {
    const std::string p = "layers." + std::to_string(i) + ".";
    const Layer& layer = model->layers[i];
    expect(*layer.attention_norm, {p + "attention_norm"});
    expect_weight(*layer.qkv, {p + "attention.q", p + "attention.k", p + "attention.v"});
    expect_weight(*layer.o, {p + "attention.o"});
    expect(*layer.mlp_norm, {p + "mlp_norm"});
    expect_weight(*layer.gate_up, {p + "mlp.gate", p + "mlp.up"});
    expect_weight(*layer.down, {p + "mlp.down"});
  }
}

}  // namespace
}  // namespace hydrajob
