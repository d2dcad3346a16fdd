#include "kernels/cpu/isa.hpp"

#include <string>

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace hydrajob::cpu {
namespace {

TEST(Isa, AskingForLessGivesLess) {
  EXPECT_EQ(capped_isa(Isa::avx512_bf16, "avx2"), Isa::avx2);
  EXPECT_EQ(capped_isa(Isa::avx512_bf16, "portable"), Isa::portable);
}

TEST(Isa, AskingForMoreGivesWhatThereIs) {
  EXPECT_EQ(capped_isa(Isa::avx2, "avx512_bf16"), Isa::avx2);
}

TEST(Isa, AWrongNameIsAnsweredWithTheKnownOnes) {
  try {
    capped_isa(Isa::avx512, "avx51");
    FAIL() << "accepted";
  } catch (const UsageError& e) {
    const std::string message = e.what();
    EXPECT_EQ(
        message,
        "HYDRAJOB_ISA='avx51': expected one of portable, avx2, avx512, avx512_bf16; did you mean 'avx512'?");
  }
}

}  // namespace
}  // namespace hydrajob::cpu
