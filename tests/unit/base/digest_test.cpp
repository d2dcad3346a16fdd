#include "base/digest.hpp"

#include <algorithm>
#include <random>
#include <string>

#include <gtest/gtest.h>

namespace hydrajob {
namespace {

// Of XXH3's own specification: the empty input with seed 0.
TEST(Digest, IsXxh3) {
  EXPECT_EQ(digest64("", 0), 0x2d06800538d394c2u);
  EXPECT_EQ(digest128(""), "99aa06d3014798d86001c324468d497f");
}

TEST(Digest, DependsOnEveryByteAndTheLength) {
  const std::string text(1000, 'a');
  const std::string first = digest128(text);
  EXPECT_EQ(first.size(), 32u);
  for (std::size_t i = 0; i < text.size(); i += 37) {
    std::string other = text;
    other[i] = 'b';
    EXPECT_NE(digest128(other), first);
    EXPECT_NE(digest64(other.data(), other.size()), digest64(text.data(), text.size()));
  }
  EXPECT_NE(digest128(text + "a"), first);
}

TEST(Digest, OfPiecesIsThatOfTheWhole) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  Digest64 digest;
  for (int i = 0; i < 20; ++i) {
    std::string text(random() % 100000, '\0');
    for (char& c : text) c = static_cast<char>(random());
    digest.reset();
    for (std::size_t at = 0, bytes = 0; at < text.size(); at += bytes) {
      bytes = std::min<std::size_t>(text.size() - at, random() % 5000);
      digest.add(text.data() + at, bytes);
    }
    EXPECT_EQ(digest.value(), digest64(text.data(), text.size())) << text.size() << " bytes";
  }
}

TEST(Digest, HexIsSixteenLowerCaseDigits) {
  EXPECT_EQ(hex(0), "0000000000000000");
  EXPECT_EQ(hex(0xABCDEF0123456789u), "abcdef0123456789");
}

}  // namespace
}  // namespace hydrajob
