// Axes: ranges against an independent oracle of Python's range, and what is refused.
#include "config/axis.hpp"

#include <random>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "unit/config/failure.hpp"

namespace hydrajob {
namespace {

const Place here{"f:1:1"};

std::vector<std::int64_t> range(const std::string& text) {
  return expand_range(text, here);
}
std::string refusal(const std::string& text) {
  return failure([&] { range(text); });
}

// Python: r[i] = start + step * i for i in 0 … len - 1, len = ceil((end - start) / step), at least 0.
std::vector<std::int64_t> python_range(std::int64_t start, std::int64_t end, std::int64_t step) {
  const std::int64_t span = step > 0 ? end - start : start - end;
  const std::int64_t stride = step > 0 ? step : -step;
  std::vector<std::int64_t> values;
  const std::int64_t length = span <= 0 ? 0 : (span + stride - 1) / stride;
  for (std::int64_t i = 0; i < length; ++i) values.push_back(start + step * i);
  return values;
}

TEST(Range, IsPythonsRange) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  std::uniform_int_distribution<std::int64_t> bound(-300, 300);
  std::uniform_int_distribution<std::int64_t> stride(-40, 40);
  for (int i = 0; i < 5000; ++i) {
    const std::int64_t start = bound(random);
    const std::int64_t end = bound(random);
    const std::int64_t step = stride(random);
    if (step == 0) continue;
    const std::string text = fmt::format("{}:{}:{}", start, end, step);
    ASSERT_EQ(range(text), python_range(start, end, step)) << text;
  }
}

TEST(Range, MultiplyingStaysBelowItsEnd) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(fmt::format("seed {}", seed));
  std::mt19937 random(seed);
  std::uniform_int_distribution<std::int64_t> start_of(1, 50);
  std::uniform_int_distribution<std::int64_t> end_of(0, 100000);
  std::uniform_int_distribution<std::int64_t> factor_of(2, 7);
  for (int i = 0; i < 5000; ++i) {
    const std::int64_t start = start_of(random);
    const std::int64_t end = end_of(random);
    const std::int64_t factor = factor_of(random);
    std::vector<std::int64_t> expected;
    for (std::int64_t power = 1; start * power < end; power *= factor) expected.push_back(start * power);
    const std::string text = fmt::format("{}:{}:x{}", start, end, factor);
    ASSERT_EQ(range(text), expected) << text;
  }
}

TEST(Range, ReferenceExamples) {
  using List = std::vector<std::int64_t>;
  EXPECT_EQ(range("32:129:x2"), (List{32, 64, 128}));
  EXPECT_EQ(range("32:65:x2"), (List{32, 64}));
  EXPECT_EQ(range("32:64:x2"), (List{32}));
  EXPECT_EQ(range("256:2049:x2"), (List{256, 512, 1024, 2048}));
  const List suffixes = range("0:513:16");
  EXPECT_EQ(suffixes.size(), 33u);
  EXPECT_EQ(suffixes.back(), 512);
  EXPECT_EQ(range("0:512:16").back(), 496);
}

TEST(Range, EndsAtTheLargestNumber) {
  EXPECT_EQ(range("9223372036854775806:9223372036854775807:5").size(), 1u);
  EXPECT_EQ(range("4611686018427387904:9223372036854775807:x2").size(), 1u);
}

TEST(Range, RefusesWhatNeverEnds) {
  EXPECT_EQ(refusal("1:9:0"), "f:1:1: range '1:9:0': a step of 0 never ends");
  EXPECT_EQ(refusal("1:9:x1"), "f:1:1: range '1:9:x1': x1 never ends: expected x2 or more");
  EXPECT_EQ(refusal("1:9:x0"), "f:1:1: range '1:9:x0': x0 never ends: expected x2 or more");
  EXPECT_EQ(refusal("0:9:x2"),
            "f:1:1: range '0:9:x2': multiplying from 0 never ends: expected a start of 1 or more");
  EXPECT_EQ(refusal("0:2000000:1"), "f:1:1: range '0:2000000:1': more than 1000000 values");
}

TEST(Range, RefusesWhatIsNone) {
  const std::string expected = "expected three parts, start:end:step or start:end:xK";
  EXPECT_EQ(refusal("1:9"), "f:1:1: range '1:9': " + expected);
  EXPECT_EQ(refusal("1:9:2:3"), "f:1:1: range '1:9:2:3': " + expected);
  EXPECT_EQ(refusal("1:b:2"), "f:1:1: range '1:b:2': 'b' is no whole number");
  EXPECT_EQ(refusal("1:9:x"), "f:1:1: range '1:9:x': '' is no whole number");
  EXPECT_EQ(refusal("1.5:9:1"), "f:1:1: range '1.5:9:1': '1.5' is no whole number");
}

Axis axis(const std::string& parameter, const std::string& yaml) {
  return parse_axis(*find_parameter(parameter), *parse_document("v: " + yaml, "f").find("v"));
}

TEST(Axis, TakesScalarsListsCommasAndRanges) {
  const std::vector<Value> batches{std::int64_t{4}, std::int64_t{16}};
  EXPECT_EQ(axis("batch", "[4, 16]").values, batches);
  EXPECT_EQ(axis("batch", "4, 16").values, batches);
  EXPECT_EQ(axis("batch", "4:17:x4").values, batches);
  EXPECT_EQ(axis("batch", "\n- 4\n- 16").values, batches);
  EXPECT_EQ(axis("batch", "4").values, std::vector<Value>{std::int64_t{4}});
}

TEST(Axis, HasTheParametersType) {
  EXPECT_EQ(axis("temperature", "1").values, std::vector<Value>{1.0});
  EXPECT_EQ(axis("temperature", "0.5,1e-3").values, (std::vector<Value>{0.5, 1e-3}));
  EXPECT_EQ(axis("mode", "paged").values, std::vector<Value>{std::string("paged")});
  // Free text keeps its commas and colons.
  EXPECT_EQ(axis("weights", "a:b,c.h5").values, std::vector<Value>{std::string("a:b,c.h5")});
}

}  // namespace
}  // namespace hydrajob
