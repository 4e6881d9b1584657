#include "kube/event_series.h"

#include <gmock/gmock.h>

#include <set>

#include "fake_clock.h"

namespace sessmtp::kube {
namespace {

using namespace std::chrono_literals;
using testing::MatchesRegex;

const ObjectReference kMail{.api_version = "ses-smtp.dev/v1alpha1",
                            .kind = "SesSmtpCredential",
                            .key = {"shop", "mail"},
                            .uid = "u",
                            .resource_version = "7"};
const Event kRepaired{
    .type = EventType::kNormal, .reason = "TargetRepaired", .action = "Repair", .note = "password"};

class EventSeriesTest : public testing::Test {
 protected:
  bool happens(const Event& event = kRepaired, const ObjectReference& regarding = kMail) {
    return series_.add(regarding, event, clock_.now(), clock_.steady());
  }
  bool happens(const std::string& note) {
    Event event = kRepaired;
    event.note = note;
    return happens(event);
  }
  // "POST 1", "PATCH 2": the call made now, with the count it tells of.
  std::string call() {
    const auto record = series_.take(clock_.steady());
    if (!record) {
      return "";
    }
    series_.told(*record, clock_.steady());
    return (record->told == 0 ? "POST " : "PATCH ") + std::to_string(record->count);
  }
  // As far as there is anything to do, at its time, up to a limit; empty when there is nothing.
  std::string next_call(std::chrono::minutes limit) {
    const SteadyTime end = clock_.steady() + limit;
    while (series_.next() && *series_.next() <= end) {
      clock_.advance(std::chrono::duration_cast<std::chrono::microseconds>(
          std::max(*series_.next() - clock_.steady(), SteadyTime::duration{})));
      if (std::string made = call(); !made.empty()) {
        return made;
      }
    }
    return "";
  }

  FakeClock clock_;
  EventSeries series_{1};
};

TEST_F(EventSeriesTest, OneEventIsToldOnceAndForgottenSixMinutesLater) {
  EXPECT_TRUE(happens());
  EXPECT_EQ(call(), "POST 1");
  EXPECT_EQ(call(), "");
  clock_.advance(6min - 1ms);
  EXPECT_EQ(call(), "");
  EXPECT_EQ(series_.size(), 1U);
  clock_.advance(1ms);
  EXPECT_EQ(call(), "");
  EXPECT_EQ(series_.size(), 0U);
  happens();
  EXPECT_EQ(call(), "POST 1");
}

TEST_F(EventSeriesTest, TheSecondIsToldAtOnceAndTheOthersWhenItIsOver) {
  happens();
  EXPECT_EQ(call(), "POST 1");
  clock_.advance(5min);
  happens();
  EXPECT_EQ(call(), "PATCH 2");
  for (int i = 0; i < 10; ++i) {
    clock_.advance(1s);
    happens();
    EXPECT_EQ(call(), "");
  }
  clock_.advance(6min - 1ms);
  EXPECT_EQ(call(), "");
  clock_.advance(1ms);
  EXPECT_EQ(call(), "PATCH 12");
  EXPECT_EQ(next_call(1h), "");
  EXPECT_EQ(series_.size(), 0U) << "over and told";
}

TEST_F(EventSeriesTest, ATimeOfDayThatJumpsDoesNotEndASeriesOrKeepItForEver) {
  EXPECT_TRUE(happens());
  EXPECT_EQ(call(), "POST 1");
  clock_.set_ahead(3h);
  EXPECT_EQ(call(), "") << "nothing is due for that";
  EXPECT_TRUE(happens());
  EXPECT_EQ(call(), "PATCH 2") << "still one series";
  clock_.set_ahead(-6h);
  EXPECT_TRUE(happens());
  EXPECT_EQ(call(), "");
  EXPECT_EQ(next_call(7min), "PATCH 3") << "it ends after six minutes";
  EXPECT_EQ(next_call(7min), "");
  EXPECT_EQ(series_.size(), 0U);
}

TEST_F(EventSeriesTest, ASeriesThatGoesOnIsToldEachHalfHour) {
  happens();
  EXPECT_EQ(call(), "POST 1");
  happens();
  EXPECT_EQ(call(), "PATCH 2");
  std::vector<std::string> calls;
  for (int minute = 1; minute <= 65; ++minute) {
    clock_.advance(1min);
    if (std::string made = call(); !made.empty()) {
      calls.push_back(std::to_string(minute) + ": " + made);
    }
    happens();
  }
  EXPECT_THAT(calls, testing::ElementsAre("30: PATCH 31", "60: PATCH 61"));
}

TEST_F(EventSeriesTest, WhatHappensWhileACallIsMadeOrWaitsIsToldByTheNext) {
  happens();
  happens();
  EXPECT_EQ(call(), "POST 2") << "both before the first call";
  happens("other");
  const auto record = series_.take(clock_.steady());
  ASSERT_TRUE(record);
  happens("other");
  EXPECT_EQ(call(), "") << "never two calls at once for one series";
  series_.told(*record, clock_.steady());
  EXPECT_EQ(call(), "PATCH 2");
}

TEST_F(EventSeriesTest, OneSeriesIsWhatDiffersInTimeAndResourceVersionOnly) {
  ObjectReference regarding = kMail;
  Event event = kRepaired;
  happens();
  EXPECT_EQ(call(), "POST 1");

  regarding.resource_version = "8";
  happens(kRepaired, regarding);
  EXPECT_EQ(call(), "PATCH 2") << "the object's version";
  regarding.uid = "another";
  happens(kRepaired, regarding);
  EXPECT_EQ(call(), "POST 1") << "another object of that name";
  regarding = kMail;
  regarding.key.name = "other";
  happens(kRepaired, regarding);
  EXPECT_EQ(call(), "POST 1") << "another object";
  event.note = "username";
  happens(event);
  EXPECT_EQ(call(), "POST 1") << "note: it could not be seen otherwise";
  event = kRepaired;
  event.type = EventType::kWarning;
  happens(event);
  EXPECT_EQ(call(), "POST 1") << "type";
  event = kRepaired;
  event.action = "Sync";
  happens(event);
  EXPECT_EQ(call(), "POST 1") << "action";
  event = kRepaired;
  event.reason = "Synced";
  happens(event);
  EXPECT_EQ(call(), "POST 1") << "reason";
}

TEST_F(EventSeriesTest, TheFirstAndTheLastTimeAreTold) {
  const WallTime first = clock_.now();
  happens();
  clock_.advance(3s);
  const WallTime last = clock_.now();
  happens();
  const auto record = series_.take(clock_.steady());
  ASSERT_TRUE(record);
  EXPECT_EQ(record->first, first);
  EXPECT_EQ(record->last, last);
  EXPECT_EQ(record->regarding, kMail);
}

TEST_F(EventSeriesTest, AFailedCallIsMadeAgainAndOthersGoOnMeanwhile) {
  happens("first");
  const auto failed = series_.take(clock_.steady());
  ASSERT_TRUE(failed);
  series_.retry(*failed, clock_.steady() + 10s);
  happens("second");
  happens("first");
  clock_.advance(EventSeries::kLull);
  EXPECT_EQ(call(), "POST 1");
  EXPECT_EQ(call(), "");
  clock_.advance(10s);
  const auto again = series_.take(clock_.steady());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->tries, 2);
  EXPECT_EQ(again->count, 2) << "it tells of what happened since";
  EXPECT_EQ(again->name, failed->name);
}

TEST_F(EventSeriesTest, OneAloneIsToldAtOnceManyWhenNoMoreCome) {
  happens("alone");
  EXPECT_EQ(call(), "POST 1");
  for (int i = 0; i < 50; ++i) {
    happens(std::to_string(2 * i));
    happens(std::to_string(2 * i + 1));
    EXPECT_EQ(call(), "") << i;
    clock_.advance(10ms);
  }
  EXPECT_EQ(series_.next(), clock_.steady() - 10ms + EventSeries::kLull);
  clock_.advance(EventSeries::kLull);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(call(), "POST 1");
  }
  EXPECT_EQ(call(), "");
}

TEST_F(EventSeriesTest, ABurstThatDoesNotEndIsToldAllTheSame) {
  int told = 0;
  for (int i = 0; i < 1000; ++i) {
    happens(std::to_string(i));
    clock_.advance(10ms);
    told += call().empty() ? 0 : 1;
    told += call().empty() ? 0 : 1;
  }
  EXPECT_GT(told, 400) << "10 s long, of which the first 5 are waited for";
}

TEST_F(EventSeriesTest, NoCallIsMadeWhileTheServerIsAway) {
  happens();
  series_.hold(clock_.steady() + 10s);
  EXPECT_EQ(series_.next(), clock_.steady() + 10s);
  clock_.advance(9s);
  EXPECT_EQ(call(), "");
  clock_.advance(1s);
  EXPECT_EQ(call(), "POST 1");
}

TEST_F(EventSeriesTest, ForgettingSaysHowManyWereNeverTold) {
  happens();
  EXPECT_EQ(call(), "POST 1");
  happens();
  const auto record = series_.take(clock_.steady());
  ASSERT_TRUE(record);
  happens();
  EXPECT_EQ(series_.forget(*record), 2);
  EXPECT_EQ(series_.size(), 0U);
}

TEST_F(EventSeriesTest, AtTheEndAllThatIsUntoldIsDue) {
  happens("retried later");
  series_.retry(series_.take(clock_.steady()).value(), clock_.steady() + 10s);
  happens("told");
  clock_.advance(EventSeries::kLull);
  EXPECT_EQ(call(), "POST 1");
  for (const char* made : {"POST 1", "PATCH 2", ""}) {
    happens("counted");
    clock_.advance(EventSeries::kLull);
    EXPECT_EQ(call(), made);
  }
  series_.hold(clock_.steady() + 1min);
  std::vector<std::string> calls;
  while (const auto record = series_.take(SteadyTime::max())) {
    calls.push_back(record->event.note + " " + std::to_string(record->count));
    series_.told(*record, clock_.steady());
  }
  EXPECT_THAT(calls, testing::UnorderedElementsAre("retried later 1", "counted 3"));
}

TEST_F(EventSeriesTest, TooManyThatWaitAreDroppedButNotThoseThatRepeat) {
  for (std::size_t i = 0; i < EventSeries::kMaxWaiting; ++i) {
    EXPECT_TRUE(happens(std::to_string(i)));
  }
  EXPECT_FALSE(happens("one more"));
  EXPECT_TRUE(happens("0"));
  EXPECT_EQ(call(), "POST 2");
  EXPECT_TRUE(happens("one more"));
}

TEST_F(EventSeriesTest, MemoryIsBounded) {
  for (std::size_t i = 0; i < EventSeries::kMaxRemembered + 100; ++i) {
    happens(std::to_string(i));
    EXPECT_EQ(call(), "POST 1");
  }
  EXPECT_EQ(series_.size(), EventSeries::kMaxRemembered);
  happens("0");
  EXPECT_EQ(call(), "POST 1") << "the oldest went first";
  happens(std::to_string(EventSeries::kMaxRemembered + 95));
  EXPECT_EQ(call(), "PATCH 2");
}

// Limits of kubernetes:pkg/apis/core/validation/events.go.
TEST_F(EventSeriesTest, WhatIsTooLongIsCutToWhatTheServerAccepts) {
  ObjectReference regarding = kMail;
  regarding.key.name = std::string(235, 'm') + ".-x" + std::string(15, 'm');
  happens({.type = EventType::kNormal,
           .reason = std::string(200, 'R'),
           .action = std::string(200, 'A'),
           .note = std::string(2000, 'n')},
          regarding);
  const auto record = series_.take(clock_.steady());
  ASSERT_TRUE(record);
  EXPECT_EQ(record->event.reason.size(), 128U);
  EXPECT_EQ(record->event.action.size(), 128U);
  EXPECT_EQ(record->event.note.size(), 1024U);
  EXPECT_THAT(record->name, MatchesRegex("m{235}\\.[0-9a-f]{16}")) << "a DNS name, so no '..' or '-.'";
}

TEST_F(EventSeriesTest, TextIsCutWithoutCuttingACharacterInTwo) {
  for (std::size_t lead = 0; lead < 4; ++lead) {
    std::string text(lead, 'x');
    while (text.size() < 2000) {
      text += "…";  // three bytes
    }
    const std::string shorter = cut(text, 1024);
    EXPECT_LE(shorter.size(), 1024U);
    EXPECT_GT(shorter.size(), 1021U);
    EXPECT_EQ((shorter.size() - lead) % 3, 0U);
    EXPECT_TRUE(text.starts_with(shorter));
  }
}

TEST_F(EventSeriesTest, NamesDiffer) {
  std::set<std::string> names;
  for (int i = 0; i < 100; ++i) {
    happens(std::to_string(i));
    names.insert(series_.take(clock_.steady()).value().name);
  }
  EXPECT_EQ(names.size(), 100U);
}

}  // namespace
}  // namespace sessmtp::kube
