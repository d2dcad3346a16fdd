// The ceilings of several ranks that measure at once, more than there are cores too.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include "mpi/mpi_main.hpp"
#include "timing/ceilings.hpp"

namespace hydrajob {
namespace {

using test::world;

TEST(Ceilings, AreTheSameOnAllRanks) {
  const auto device = make_device({});
  const auto kernels = make_cpu_kernels(1);
  const Ceilings ceilings = measure_ceilings(*device, *kernels, world(), DType::f32);
  EXPECT_GT(ceilings.matmul_flops_per_s, 1e8) << "a pocket calculator";
  EXPECT_GT(ceilings.memory_bytes_per_s, 1e7);
  const std::string mine =
      fmt::format("{} {} {} {} {}", ceilings.matmul_flops_per_s, ceilings.memory_bytes_per_s,
                  ceilings.memory_bytes, ceilings.cache_bytes, ceilings.packed_element_bytes);
  for (const std::string& theirs : world().all_gather(mine)) EXPECT_EQ(theirs, mine);
}

}  // namespace
}  // namespace hydrajob

HJ_MPI_TEST_MAIN()
