// docs/configuration.md lists every parameter exactly as the program knows it.
#include <fstream>
#include <iterator>
#include <string>

#include <gtest/gtest.h>

#include "config/parameters.hpp"

namespace hydrajob {
namespace {

TEST(Documentation, HoldsTheParameterTable) {
  std::ifstream file(HJ_SOURCE_DIR "/docs/configuration.md");
  ASSERT_TRUE(file);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const std::string table = parameter_table_markdown();
  EXPECT_NE(text.find(table), std::string::npos) << "docs/configuration.md should hold this table:\n"
                                                 << table;
}

TEST(ParameterTable, DefaultsAreAllowed) {
  for (const ParameterInfo& info : parameter_table()) {
    EXPECT_FALSE(info.doc.empty()) << info.name;
    EXPECT_EQ(info.fallback.has_value(), info.without.empty()) << info.name;
    EXPECT_EQ(&info, find_parameter(info.name));
  }
}

}  // namespace
}  // namespace hydrajob
