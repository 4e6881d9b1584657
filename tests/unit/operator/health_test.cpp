#include "operator/health.h"

#include <gmock/gmock.h>

#include <functional>

namespace sessmtp::operator_ {
namespace {

using namespace std::chrono_literals;

constexpr SteadyTime kStart{1000h};

// Half an hour after the start; all has gone well until now.
constexpr SteadyTime kNow = kStart + 30min;

LivenessInputs healthy() {
  const Heard always{.since = kStart, .last = kNow - 1min};
  return {
      .readers = {{.name = "watch sessmtpcredentials",
                   .started = kStart,
                   .heard = always,
                   .last_round = kNow - 9min},
                  {.name = "watch secrets", .started = kStart, .heard = always, .last_round = kNow - 9min}},
      .others_heard = {always, std::nullopt},
      .work = {.without_a_take = 0ms, .longest_running = 2s, .working_since = kStart},
      .renewal_overdue = false};
}

struct Case {
  const char* name;
  std::function<void(LivenessInputs&)> change;
  const char* failure;  // the line of the report; empty: alive
};
void PrintTo(const Case& one, std::ostream* out) {
  *out << one.name;
}

// The lines of the checks that failed.
std::string failures(const HealthReport& report) {
  std::string lines;
  for (std::size_t begin = 0; begin < report.text.size();) {
    const std::size_t end = report.text.find('\n', begin);
    if (const std::string line = report.text.substr(begin, end - begin); line.starts_with("[-]")) {
      lines += (lines.empty() ? "" : "\n") + line;
    }
    begin = end + 1;
  }
  return lines;
}

class Liveness : public testing::TestWithParam<Case> {};

TEST_P(Liveness, IsJudged) {
  LivenessInputs inputs = healthy();
  GetParam().change(inputs);
  const HealthReport report = judge_liveness(inputs, kNow);
  EXPECT_EQ(failures(report), GetParam().failure);
  EXPECT_EQ(report.ok, failures(report).empty());
}

const Case kCases[] = {
    {"AllIsWell", [](auto&) {}, ""},
    {"JustStarted",
     [](auto& in) {
       for (ReaderProgress& reader : in.readers) {
         reader = {.name = reader.name, .started = kNow, .heard = std::nullopt, .last_round = std::nullopt};
       }
       in.others_heard = {std::nullopt};
       in.work = {};
     },
     ""},

    // Readers.
    {"ReaderHearsNothingWhileCallsAreAnswered", [](auto& in) { in.readers[0].heard->last = kNow - 14min; },
     "[-]watch sessmtpcredentials: has heard nothing for 840 s while others have"},
    {"ReaderHearsNothingWhileAnotherReaderDoes",
     [](auto& in) {
       in.others_heard.clear();
       in.readers[1].heard->last = kNow - 14min;
     },
     "[-]watch secrets: has heard nothing for 840 s while others have"},
    {"ReaderHasNeverHeardAnything", [](auto& in) { in.readers[1].heard.reset(); },
     "[-]watch secrets: has heard nothing for 1800 s while others have"},
    {"ReaderIsQuietForLessThanAWatchLasts", [](auto& in) { in.readers[0].heard->last = kNow - 12min; }, ""},
    {"ApiServerIsAway",
     [](auto& in) {
       in.readers[0].heard->last = kNow - 29min;
       in.readers[1].heard->last = kNow - 25min;
       in.others_heard = {Heard{.since = kStart, .last = kNow - 24min}};
     },
     ""},
    {"ApiServerWasAwayAndOthersHearItFirst",
     [](auto& in) {
       in.readers[0].heard->last = kNow - 29min;
       in.others_heard = {Heard{.since = kNow - 1min, .last = kNow}};
       in.readers[1].heard = Heard{.since = kNow - 1min, .last = kNow};
     },
     ""},
    {"ApiServerIsBackForLongButOneReaderIsNot",
     [](auto& in) {
       in.readers[0].heard->last = kNow - 29min;
       in.others_heard = {Heard{.since = kNow - 13min, .last = kNow}};
     },
     "[-]watch sessmtpcredentials: has heard nothing for 1740 s while others have"},
    {"ApiServerWasNeverThere",
     [](auto& in) {
       in.readers[0].heard.reset();
       in.readers[1].heard.reset();
       in.others_heard = {std::nullopt};
     },
     ""},
    {"LoopOfAReaderHangs",
     [](auto& in) { in.readers[1].heard->last = in.readers[1].last_round.emplace(kNow - 13min); },
     "[-]watch secrets: hangs since 780 s"},
    {"LoopOfAReaderNeverBegan",
     [](auto& in) {
       in.readers[1].heard.reset();
       in.readers[1].last_round.reset();
     },
     "[-]watch secrets: hangs since 1800 s"},
    {"LoopOfAReaderHangsWhileTheApiServerIsAway",
     [](auto& in) {
       in.readers[0].heard->last = in.readers[1].heard->last = kNow - 20min;
       in.others_heard.clear();
       in.readers[0].last_round = kNow - 20min;
     },
     "[-]watch sessmtpcredentials: hangs since 1200 s"},
    {"AWatchThatGoesOnForLong", [](auto& in) { in.readers[0].last_round = kNow - 20min; }, ""},
    {"ApiServerVanishedLateInAWatchWithoutAWord",
     [](auto& in) {
       for (ReaderProgress& reader : in.readers) {
         reader.heard->last = kNow - 10min;
         reader.last_round = kNow - 19min;
       }
       in.others_heard = {Heard{.since = kStart, .last = kNow - 10min}};
     },
     ""},

    // Workers.
    {"KeysWaitAndNoWorkerTakesOne", [](auto& in) { in.work.without_a_take = 912s; },
     "[-]workers: no progress for 912 s"},
    {"KeysWaitALittle", [](auto& in) { in.work.without_a_take = 14min; }, ""},
    {"KeysOfAStandbyWait",
     [](auto& in) {
       in.work.without_a_take = 30min;
       in.work.working_since.reset();
     },
     ""},
    {"AStandbyHasJustBecomeLeader",
     [](auto& in) {
       in.work.without_a_take = 30min;
       in.work.working_since = kNow - 1s;
     },
     ""},
    {"ALeaderHasTakenNothingSinceItLeads",
     [](auto& in) {
       in.work.without_a_take = 30min;
       in.work.working_since = kNow - 16min;
     },
     "[-]workers: no progress for 960 s"},
    {"OneKeyIsWorkedOnForEver", [](auto& in) { in.work.longest_running = 16min; },
     "[-]workers: one key has been worked on for 960 s"},
    {"OneKeyIsWorkedOnForEverAlsoByWhoLeadsNoMore",
     [](auto& in) {
       in.work.longest_running = 16min;
       in.work.working_since.reset();
     },
     "[-]workers: one key has been worked on for 960 s"},
    {"OneKeyTakesLong", [](auto& in) { in.work.longest_running = 14min; }, ""},

    // Election.
    {"TheLeaseIsOverAndItsWorkRuns", [](auto& in) { in.renewal_overdue = true; },
     "[-]leader election: still at work, but the lease is over"},
};
INSTANTIATE_TEST_SUITE_P(Cases, Liveness, testing::ValuesIn(kCases),
                         [](const auto& one) { return std::string(one.param.name); });

TEST(LivenessReport, HasALineForEachCheck) {
  LivenessInputs inputs = healthy();
  inputs.work.without_a_take = 912s;
  const HealthReport report = judge_liveness(inputs, kNow);
  EXPECT_EQ(report.text,
            "[+]watch sessmtpcredentials ok\n[+]watch secrets ok\n[-]workers: no progress for 912 s\n"
            "[+]leader election ok\nhealthz check failed\n");
  EXPECT_EQ(report.status(), 503U);
  inputs = healthy();
  inputs.renewal_overdue.reset();
  EXPECT_EQ(judge_liveness(inputs, kNow).text,
            "[+]watch sessmtpcredentials ok\n[+]watch secrets ok\n[+]workers ok\nhealthz check passed\n");
  EXPECT_EQ(judge_liveness(inputs, kNow).status(), 200U);
}

TEST(HeardTimes, TellsAPauseFromAQuietMinute) {
  kube::HeardTimes times;
  EXPECT_FALSE(times.get());
  times.note(kStart);
  times.note(kStart + 1min);
  times.note(kStart + 3min);
  EXPECT_EQ(times.get()->since, kStart);
  EXPECT_EQ(times.get()->last, kStart + 3min);
  times.note(kStart + 6min);
  EXPECT_EQ(times.get()->since, kStart + 6min) << "an outage lay between";
  times.note(kStart + 5min);
  EXPECT_EQ(times.get()->last, kStart + 6min) << "threads may note out of order";
}

TEST(Readiness, WantsEveryScopeListedOrRefused) {
  ReadinessInputs inputs{.scopes = {{.name = "watch secrets in shop", .filled = true},
                                    {.name = "watch secrets in blog", .filled = false}},
                         .crd = CrdState::kCurrent,
                         .crd_lacks = {}};
  EXPECT_EQ(judge_readiness(inputs).text,
            "[+]crd ok\n[+]watch secrets in shop ok\n[-]watch secrets in blog: not listed yet\n"
            "readyz check failed\n");
  EXPECT_EQ(judge_readiness(inputs).status(), 503U);
  inputs.scopes[1].filled = true;
  inputs.scopes[1].refused = true;
  EXPECT_TRUE(judge_readiness(inputs).ok) << "the others are served";
  inputs.scopes[0].refused = true;
  EXPECT_FALSE(judge_readiness(inputs).ok) << "nobody is";
  inputs.scopes[0].refused = false;
  inputs.scopes[1].refused = false;
  EXPECT_EQ(judge_readiness(inputs).status(), 200U);
}

TEST(Readiness, WantsACrdThatIsNotOlderThanTheProgram) {
  const auto judge = [](CrdState state) {
    return judge_readiness(
        {.scopes = {}, .crd = state, .crd_lacks = {"spec.region", "status.renderVersion"}});
  };
  EXPECT_FALSE(judge(CrdState::kUnknown).ok);
  EXPECT_FALSE(judge(CrdState::kMissing).ok);
  EXPECT_EQ(judge(CrdState::kOutdated).text,
            "[-]crd: older than this program, lacks spec.region, status.renderVersion; apply the one of this "
            "release\nreadyz check failed\n");
  EXPECT_TRUE(judge(CrdState::kCurrent).ok);
  EXPECT_TRUE(judge(CrdState::kUnreadable).ok) << "a cluster may hide its schemas; that must not stop mail";
}

}  // namespace
}  // namespace sessmtp::operator_
