// The recall model (docs/recall.md) through the whole engine: every needle is found, in every mode that
// attends, in both types, at every degree. HYDRAJOB_TEST_DEVICE=cuda: on GPUs, one a rank. HJ_TEST_SEED
// repeats a run.
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <string>
#include <tuple>
#include <utility>

#include <gtest/gtest.h>

#include "comm/device_group.hpp"
#include "comm/threads.hpp"
#include "engine/engine.hpp"
#include "mpi/mpi_main.hpp"
#include "support/needles.hpp"

namespace hydrajob {
namespace {

using test::NeedleBatch;
using test::NeedleMaker;
using test::world;

constexpr std::int64_t prefix = 1000;
constexpr std::int64_t sequences = 16;

bool on_gpus() {
  const char* device = std::getenv("HYDRAJOB_TEST_DEVICE");
  return device != nullptr && std::string(device) == "cuda";
}

std::uint64_t seed() {
  static const std::uint64_t value = [] {
    const char* given = std::getenv("HJ_TEST_SEED");
    std::uint64_t mine = given != nullptr ? std::stoull(given) : std::random_device{}();
    world().broadcast(&mine, sizeof mine, 0);
    if (world().rank() == 0) std::cout << "HJ_TEST_SEED=" << mine << std::endl;
    return mine;
  }();
  return value;
}

// The same model with some rows of a tensor zero.
class Lesion final : public WeightSource {
 public:
  Lesion(WeightSource& source, std::string tensor, RowRange rows)
      : source_(source), tensor_(std::move(tensor)), rows_(rows) {}
  const Architecture& architecture() const override { return source_.architecture(); }
  std::string digest() const override { return source_.digest(); }
  void read(const TensorInfo& tensor, RowRange rows, DType dtype, void* target) override {
    source_.read(tensor, rows, dtype, target);
    const std::size_t row_bytes = static_cast<std::size_t>(tensor.cols) * size_of(dtype);
    for (std::int64_t row = rows.begin; row < rows.end; ++row) {
      const bool hit = tensor.name == tensor_ && row >= rows_.begin && row < rows_.end;
      auto* at = static_cast<std::byte*>(target) + static_cast<std::size_t>(row - rows.begin) * row_bytes;
      if (hit) std::memset(at, 0, row_bytes);
    }
  }

 private:
  WeightSource& source_;
  std::string tensor_;
  RowRange rows_;
};

class Recall : public testing::TestWithParam<std::tuple<std::string, DType>> {
 protected:
  void SetUp() override {
    if (on_gpus() && !all_true(world(), visible_gpus() >= world().size()))
      GTEST_SKIP() << world().size() << " ranks, " << visible_gpus() << " GPUs";
    const int threads = threads_per_rank(world(), 0);
    const DeviceKind kind = on_gpus() ? DeviceKind::cuda : DeviceKind::cpu;
    device_ = make_device({kind, world().rank(), world().size(), threads});
    kernels_ = make_kernels(*device_, threads);
    group_ = std::make_unique<DeviceGroup>(world().split(0));
    source_ = make_recall_weights(
        load_architecture(HJ_SOURCE_DIR "/configs/models/" + std::get<0>(GetParam()) + ".yaml"));
    load(*source_);
  }

  void load(WeightSource& source) {
    const EngineContext context{device_.get(), kernels_.get(), &group_->on(*device_)};
    engine_ =
        std::make_unique<Engine>(load_model(source, std::get<1>(GetParam()), sequences, context), context);
  }

  NeedleBatch needles() const {
    const auto vocab = static_cast<std::int32_t>(source_->architecture().vocab);
    return NeedleMaker(vocab, sequences + 2, seed()).make(prefix, sequences);
  }

  // Passes of a length that divides nothing: needles stand across their ends.
  double accuracy(const NeedleBatch& needles, Mode mode) {
    GenerateOptions options;
    options.mode = mode;
    options.prefill_chunk = 93;
    engine_->prepare(needles.batch, options);
    engine_->connect();
    engine_->prefill();
    for (std::int64_t step = 1; step < needles.batch.new_tokens; ++step) engine_->decode();
    return test::accuracy(needles, engine_->tokens());
  }

  std::unique_ptr<WeightSource> source_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<Kernels> kernels_;
  std::unique_ptr<DeviceGroup> group_;
  std::unique_ptr<Engine> engine_;
};

TEST_P(Recall, FindsEveryNeedleWhereItAttends) {
  const NeedleBatch needles = this->needles();
  for (const Mode mode : {Mode::hydragen, Mode::noshared, Mode::paged, Mode::automatic}) {
    EXPECT_EQ(accuracy(needles, mode), 1.0) << to_string(mode) << ", HJ_TEST_SEED=" << seed();
  }
  EXPECT_LE(accuracy(needles, Mode::noattention), 0.1) << "by chance, HJ_TEST_SEED=" << seed();
}

class RecallLesion : public Recall {};

// At one rank: more would show no more.
TEST_P(RecallLesion, IsMissedWhicheverHeadOrUnitsItIs) {
  if (world().size() > 1) GTEST_SKIP() << "at one rank";
  const Architecture& a = source_->architecture();
  const NeedleBatch needles = this->needles();
  const auto expect_worse = [&](const std::string& tensor, RowRange rows) {
    Lesion lesion(*source_, tensor, rows);
    load(lesion);
    EXPECT_LT(accuracy(needles, Mode::hydragen), 1.0)
        << tensor << " without rows from " << rows.begin << ", HJ_TEST_SEED=" << seed();
  };
  for (const std::string layer : {"layers.0.", "layers.1."}) {
    for (std::int64_t head = 0; head < a.n_heads; ++head)
      expect_worse(layer + "attention.o", {head * a.head_dim, (head + 1) * a.head_dim});
    for (std::int64_t rank = 0; rank < 8; ++rank)
      expect_worse(layer + "mlp.down", {a.intermediate * rank / 8, a.intermediate * (rank + 1) / 8});
  }
}

const auto name_of_case = [](const auto& instance) {
  return (std::get<0>(instance.param) == "recall" ? "Heads64" : "Heads128") +
         std::string(name_of(std::get<1>(instance.param)));
};
INSTANTIATE_TEST_SUITE_P(, Recall,
                         testing::Values(std::make_tuple("recall", DType::f32),
                                         std::make_tuple("recall", DType::bf16),
                                         std::make_tuple("recall", DType::f16),
                                         std::make_tuple("recall-128", DType::bf16)),
                         name_of_case);
INSTANTIATE_TEST_SUITE_P(, RecallLesion, testing::Values(std::make_tuple("recall", DType::bf16)),
                         name_of_case);

}  // namespace
}  // namespace hydrajob

HJ_MPI_TEST_MAIN()
