#include "base/duration.h"

#include <gtest/gtest.h>

namespace sessmtp {
namespace {

using namespace std::chrono_literals;

TEST(Duration, IsReadAsGoReadsIt) {
  EXPECT_EQ(parse_duration("15s"), 15s);
  EXPECT_EQ(parse_duration("1h30m"), 90min);
  EXPECT_EQ(parse_duration("1h0m0s"), 1h);
  EXPECT_EQ(parse_duration("1.5h"), 90min);
  EXPECT_EQ(parse_duration(".5s"), 500ms);
  EXPECT_EQ(parse_duration("250ms"), 250ms);
  EXPECT_EQ(parse_duration("2m5ms"), 120'005ms);
  EXPECT_EQ(parse_duration("0"), 0ms);
  EXPECT_EQ(parse_duration("0s"), 0ms);
}

TEST(Duration, WhatIsNoneIsRefused) {
  for (const char* text : {"", "s", "15", "15 s", "-1s", "+1s", "1d", "1.2.3s", "1s2", "ms", ".s", "1e3s",
                           "15S", "99999999999999h", "1h-30m"}) {
    EXPECT_EQ(parse_duration(text), std::nullopt) << text;
  }
}

TEST(RetryAfter, IsANumberOfSeconds) {
  EXPECT_EQ(parse_retry_after("0"), 0s);
  EXPECT_EQ(parse_retry_after("120"), 120s);
  for (const char* text :
       {"", "soon", "1.5", "-1", "+1", " 1", "1 ", "1s", "4294967296", "Wed, 21 Oct 2026 07:28:00 GMT"}) {
    EXPECT_EQ(parse_retry_after(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace sessmtp
