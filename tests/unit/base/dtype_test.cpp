#include "base/dtype.hpp"

#include <string>

#include <gtest/gtest.h>

#include "base/error.hpp"

namespace hydrajob {
namespace {

TEST(DType, NamesReadBack) {
  for (const DType dtype : {DType::f32, DType::bf16}) EXPECT_EQ(parse_dtype(name_of(dtype)), dtype);
  EXPECT_EQ(size_of(DType::f32), 4u);
  EXPECT_EQ(size_of(DType::bf16), 2u);
}

TEST(DType, AnUnknownNameSaysWhatIsExpected) {
  try {
    parse_dtype("fp16");
    FAIL() << "accepted";
  } catch (const UsageError& e) {
    EXPECT_EQ(std::string(e.what()), "dtype 'fp16': expected f32 or bf16");
    EXPECT_EQ(e.code(), ExitCode::usage);
  }
}

}  // namespace
}  // namespace hydrajob
