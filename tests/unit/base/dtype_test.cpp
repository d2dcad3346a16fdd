#include "base/dtype.hpp"

#include <cstddef>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "base/element.hpp"
#include "base/error.hpp"

namespace hydrajob {
namespace {

TEST(DType, NamesReadBack) {
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    EXPECT_EQ(parse_dtype(name_of(dtype)), dtype);
  }
  EXPECT_EQ(size_of(DType::f32), 4u);
  EXPECT_EQ(size_of(DType::bf16), 2u);
  EXPECT_EQ(size_of(DType::f16), 2u);
}

// 1 + 2^-10 is one in f16, and none in bf16.
TEST(DType, ElementsAreOfIt) {
  const auto kept = [](DType dtype) {
    return with_element(dtype, [](auto element) {
      return std::pair(sizeof element, static_cast<float>(decltype(element)(1.0009765625f)));
    });
  };
  EXPECT_EQ(kept(DType::f32), std::pair(std::size_t{4}, 1.0009765625f));
  EXPECT_EQ(kept(DType::bf16), std::pair(std::size_t{2}, 1.0f));
  EXPECT_EQ(kept(DType::f16), std::pair(std::size_t{2}, 1.0009765625f));
}

TEST(DType, AnUnknownNameSaysWhatIsExpected) {
  try {
    parse_dtype("fp16");
    FAIL() << "accepted";
  } catch (const UsageError& e) {
    EXPECT_EQ(std::string(e.what()), "dtype 'fp16': expected f32, bf16 or f16");
    EXPECT_EQ(e.code(), ExitCode::usage);
  }
}

}  // namespace
}  // namespace hydrajob
