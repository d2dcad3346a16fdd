#include "sched/json.hpp"

#include <limits>

#include <gtest/gtest.h>

namespace hydrajob {
namespace {

TEST(Json, EscapesWhatJsonReserves) {
  EXPECT_EQ(json_string("plain ü"), "\"plain ü\"");
  EXPECT_EQ(json_string("a\"b\\c\n\t"), "\"a\\\"b\\\\c\\u000a\\u0009\"");
}

TEST(Json, WritesObjectsInOrder) {
  const std::string inner = JsonObject().add("x", 1).text();
  EXPECT_EQ(JsonObject().add("b", true).add("a", "t").add("r", 0.5).add_json("o", inner).text(),
            "{\"b\": true, \"a\": \"t\", \"r\": 0.5, \"o\": {\"x\": 1}}");
  EXPECT_EQ(JsonObject().add("n", std::numeric_limits<double>::quiet_NaN()).text(), "{\"n\": null}");
  EXPECT_EQ(JsonObject().text(), "{}");
  EXPECT_EQ(json_array({"1", "{}"}), "[1, {}]");
  EXPECT_EQ(json_array({}), "[]");
}

}  // namespace
}  // namespace hydrajob
