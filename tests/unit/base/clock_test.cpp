#include "base/clock.h"

#include <gmock/gmock.h>

#include <chrono>
#include <string_view>

namespace sessmtp {
namespace {

using namespace std::chrono_literals;
using std::chrono::sys_days;
using testing::Optional;

constexpr WallTime kMorning = sys_days(2026y / 11 / 22) + 8h + 5min + 9s;

TEST(Rfc3339, TimeIsWrittenInWholeSecondsOfUtc) {
  EXPECT_EQ(to_rfc3339(kMorning), "2026-11-22T08:05:09Z");
  EXPECT_EQ(to_rfc3339(kMorning + 999'999us), "2026-11-22T08:05:09Z");
  EXPECT_EQ(to_rfc3339(sys_days(2028y / 2 / 29) + 23h + 59min + 59s), "2028-02-29T23:59:59Z");
}

TEST(Rfc3339, MicroTimeHasSixDigits) {
  EXPECT_EQ(to_rfc3339_micro(kMorning + 42us), "2026-11-22T08:05:09.000042Z");
  EXPECT_EQ(to_rfc3339_micro(kMorning), "2026-11-22T08:05:09.000000Z");
}

TEST(Rfc3339, BeforeTheEpochToo) {
  EXPECT_EQ(to_rfc3339_micro(WallTime(-1us)), "1969-12-31T23:59:59.999999Z");
}

TEST(Rfc3339, WhatWasWrittenCanBeRead) {
  EXPECT_THAT(parse_rfc3339(to_rfc3339(kMorning)), Optional(kMorning));
  EXPECT_THAT(parse_rfc3339(to_rfc3339_micro(kMorning + 123'456us)), Optional(kMorning + 123'456us));
}

TEST(Rfc3339, FractionsOfOtherLengthsAreRead) {
  EXPECT_THAT(parse_rfc3339("2026-11-22T08:05:09.5Z"), Optional(kMorning + 500ms));
  EXPECT_THAT(parse_rfc3339("2026-11-22T08:05:09.123456789Z"), Optional(kMorning + 123'456us));
}

TEST(Rfc3339, WhatIsNoTimeInUtcIsRefused) {
  for (const std::string_view text : {"",
                                      "now",
                                      "2026-11-22",
                                      "2026-11-22T08:05:09",
                                      "2026-11-22T08:05:09+01:00",
                                      "2026-11-22 08:05:09Z",
                                      "2026-02-30T00:00:00Z",
                                      "2026-13-01T00:00:00Z",
                                      "2026-00-01T00:00:00Z",
                                      "2026-11-22T24:00:00Z",
                                      "2026-11-22T08:60:09Z",
                                      "2026-11-22T08:05:61Z",
                                      "2026-11-22T08:05:09Zx",
                                      "2026-11-22T08:05:09.5",
                                      "2026-11-22T08:05Z",
                                      "2026-11-22T8:5:9Z",
                                      "2026-11-22T08:05:0.5Z",
                                      "2026-+1-22T08:05:09Z",
                                      "2026-11-22T-0:05:09Z",
                                      "2026-11-22T 8:05:09Z",
                                      "2026-11-22T08:05:09.Z",
                                      "9999-12-31T23:59:60Z"}) {
    EXPECT_EQ(parse_rfc3339(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace sessmtp
