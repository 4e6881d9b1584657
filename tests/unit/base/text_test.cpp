#include "base/text.h"

#include <gtest/gtest.h>

namespace sessmtp {
namespace {

TEST(Text, TrimmedLosesWhatIsAroundItAndNothingInside) {
  EXPECT_EQ(trimmed(" \t a b\r\n\n"), "a b");
  EXPECT_EQ(trimmed("a"), "a");
  EXPECT_EQ(trimmed(" \r\n"), "");
  EXPECT_EQ(trimmed(""), "");
}

TEST(Text, JsonEscapedIsTheInsideOfAJsonString) {
  std::string text = "=";
  append_json_escaped(text, "a\"b\\c/\b\f\n\r\t\x01\x1f\x7f ü");
  EXPECT_EQ(text, "=a\\\"b\\\\c/\\b\\f\\n\\r\\t\\u0001\\u001F\x7f ü");
}

}  // namespace
}  // namespace sessmtp
