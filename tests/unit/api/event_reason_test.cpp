#include "api/event_reason.h"

#include <gmock/gmock.h>

#include <set>
#include <string_view>

#include "api/reason.h"

namespace sessmtp::api {
namespace {

TEST(EventReasons, HaveNamesOfTheirOwn) {
  std::set<std::string_view> names;
  for (const EventReasonInfo& info : event_reasons()) {
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    EXPECT_EQ(info_of(info.reason).name, info.name);
    EXPECT_EQ(to_string(info.reason), info.name);
    EXPECT_FALSE(info.meaning.empty()) << info.name;
    // That of a reason that waits for a person would be told twice.
    const auto reason = reason_from_string(info.name);
    EXPECT_FALSE(reason && is_stalled(*reason)) << info.name;
  }
}

TEST(EventReasons, AreWarningsWhereSomethingMayBeWrong) {
  EXPECT_EQ(info_of(EventReason::kResumed).type, kube::EventType::kNormal);
  EXPECT_EQ(info_of(EventReason::kWhitespaceTrimmed).type, kube::EventType::kWarning);
  EXPECT_EQ(info_of(EventReason::kPortThrottled).name, "PortThrottled");
}

}  // namespace
}  // namespace sessmtp::api
