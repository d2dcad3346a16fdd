// Which runs find a model loaded, and which must not.
#include "workload/model_cache.hpp"

#include <gtest/gtest.h>

#include "unit/no_kernels.hpp"
#include "unit/workload/support.hpp"

namespace hydrajob {
namespace {

// Packs, and keeps what it was asked to pack for; does nothing else.
class PackingKernels final : public test::NoKernels {
 public:
  std::vector<std::int64_t> expected;  // rows, of each weight

  std::unique_ptr<PackedWeight> pack(const void*, WeightLayout, std::int64_t, std::int64_t, std::int64_t rows,
                                     DType) override {
    expected.push_back(rows);
    return nullptr;
  }
};

// What the weights are packed for when a run of this batch comes first.
std::vector<std::int64_t> packed_for(std::int64_t batch) {
  OneRank rank;
  PackingKernels kernels;
  EngineContext engine = rank.engine();
  engine.kernels = &kernels;
  Recorder recorder(*rank.device, *rank.self);
  RunSpec spec = generate_run(2).spec;
  spec.batch = batch;
  rank.models.load(spec, engine, 1, recorder);
  return kernels.expected;
}

TEST(ModelCache, PacksAlikeWhicheverRunComesFirst) {
  EXPECT_FALSE(packed_for(1).empty());
  EXPECT_EQ(packed_for(1), packed_for(300));
}

TEST(ModelCache, IsLeftByRunsThatNeedNoModel) {
  OneRank rank;
  Recorder recorder(*rank.device, *rank.self);
  const std::weak_ptr<const Model> model = rank.models.load(generate_run(2).spec, rank.engine(), 1, recorder);
  EXPECT_EQ(rank.models.load(generate_run(5).spec, rank.engine(), 1, recorder), model.lock());
  PlannedRun attention;
  attention.spec.workload = WorkloadKind::attention;
  attention.spec.n_heads = attention.spec.n_kv_heads = 1;
  attention.spec.head_dim = 8;
  attention.spec.suffix = 4;
  attention.spec.l2 = L2State::warm;
  make_workload(attention, rank.context())->prepare();
  EXPECT_TRUE(model.expired());
}

}  // namespace
}  // namespace hydrajob
