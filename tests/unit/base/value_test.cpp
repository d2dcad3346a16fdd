#include "base/value.hpp"

#include <cmath>
#include <cstdlib>
#include <iostream>
#include <random>

#include <gtest/gtest.h>

namespace hydrajob {
namespace {

TEST(Value, ShortestText) {
  EXPECT_EQ(to_string(Value{std::int64_t{1024}}), "1024");
  EXPECT_EQ(to_string(Value{0.7}), "0.7");
  EXPECT_EQ(to_string(Value{std::string("hydragen")}), "hydragen");
}

TEST(Value, AnyDoubleReadsBackAsItself) {
  const auto seed = std::random_device{}();
  std::cout << "seed " << seed << '\n';
  std::mt19937_64 random(seed);
  for (int i = 0; i < 10000; ++i) {
    const double value = std::ldexp(static_cast<double>(random()), static_cast<int>(random() % 600) - 300);
    EXPECT_EQ(std::strtod(to_string(Value{value}).c_str(), nullptr), value);
  }
}

TEST(Value, ParametersAreOneLineInTheOrderOfNames) {
  const Parameters parameters{
      {"prefix", std::int64_t{1024}}, {"batch", std::int64_t{32}}, {"mode", "hydragen"}};
  EXPECT_EQ(to_string(parameters), "batch=32 mode=hydragen prefix=1024");
  EXPECT_EQ(to_string(Parameters{}), "");
}

}  // namespace
}  // namespace hydrajob
