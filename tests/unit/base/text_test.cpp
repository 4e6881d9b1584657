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

}  // namespace
}  // namespace sessmtp
