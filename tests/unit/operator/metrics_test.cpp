#include "operator/metrics.h"

#include <gmock/gmock.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <ctime>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "operator/credential_metrics.h"
#include "operator/process_metrics.h"

namespace sessmtp::operator_ {
namespace {

using namespace std::chrono_literals;
using prometheus::Registry;
using testing::IsEmpty;
using testing::UnorderedElementsAre;
using Series = std::map<std::string, double>;

// "name{labels}" -> value. Fails the test wherever the page breaks the rules of
// https://prometheus.io/docs/instrumenting/exposition_formats/: each family once and in one piece, with HELP
// and TYPE in front, values escaped, no series twice.
Series read_page(const std::string& page) {
  static const std::regex comment(R"(# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+))");
  static const std::regex sample(
      R"re(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{[a-zA-Z_][a-zA-Z0-9_]*="([^"\\]|\\["\\n])*"(,[a-zA-Z_][a-zA-Z0-9_]*="([^"\\]|\\["\\n])*")*\})? (-?[0-9.]+(e[+-]?[0-9]+)?|[+-]Inf|NaN))re");
  Series series;
  std::set<std::string> families;
  std::string family;
  std::string type;
  EXPECT_TRUE(page.empty() || page.ends_with('\n'));
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    std::smatch match;
    if (std::regex_match(line, match, comment)) {
      if (match[1] == "HELP") {
        family = match[2];
        EXPECT_TRUE(families.insert(family).second) << "twice: " << family;
        type.clear();
      } else {
        EXPECT_EQ(match[2], family) << "TYPE without HELP";
        EXPECT_EQ(type, "") << "TYPE twice";
        type = match[3];
        EXPECT_THAT(type, testing::AnyOf("counter", "gauge", "histogram"));
        EXPECT_EQ(type == "counter", family.ends_with("_total")) << family;
      }
    } else if (std::regex_match(line, match, sample)) {
      const std::string name = match[1];
      const bool part = type == "histogram" &&
                        (name == family + "_bucket" || name == family + "_sum" || name == family + "_count");
      EXPECT_TRUE(part || (type != "histogram" && name == family)) << name << " stands among " << family;
      EXPECT_TRUE(series.emplace(name + match[2].str(), std::stod(match[6])).second) << "twice: " << line;
    } else {
      ADD_FAILURE() << "not understood: " << line;
    }
  }
  return series;
}

Series read_page_of(const std::vector<const prometheus::Collectable*>& sources) {
  return read_page(scrape(sources));
}

TEST(ReconcileMetrics, AreThereFromTheStart) {
  Registry registry;
  const ReconcileMetrics metrics(registry, 8);
  const Series series = read_page_of({&registry});
  for (const char* result : {"success", "error", "requeue", "requeue_after"}) {
    EXPECT_EQ(series.at(R"(controller_runtime_reconcile_total{controller="sessmtpcredential",result=")" +
                        std::string(result) + "\"}"),
              0);
  }
  for (const char* name : {"reconcile_errors_total", "terminal_reconcile_errors_total",
                           "reconcile_panics_total", "active_workers", "reconcile_time_seconds_count"}) {
    EXPECT_EQ(series.at("controller_runtime_" + std::string(name) + R"({controller="sessmtpcredential"})"),
              0);
  }
  EXPECT_EQ(series.at(R"(controller_runtime_max_concurrent_reconciles{controller="sessmtpcredential"})"), 8);
}

// The values that differ from those at the start, without the prefix, the controller and the histogram.
Series after(ReconcileResult result) {
  Registry registry;
  ReconcileMetrics metrics(registry, 1);
  metrics.begun();
  metrics.ended(result, 7ms);
  Series changed;
  for (const auto& [name, value] : read_page_of({&registry})) {
    if (value != 0 && !name.contains("_time_") && !name.contains("max_concurrent")) {
      changed[std::regex_replace(name, std::regex(R"(controller_runtime_|controller="sessmtpcredential",?)"),
                                 "")] = value;
    }
  }
  return changed;
}

TEST(ReconcileMetrics, CountAsControllerRuntimeDoes) {
  EXPECT_EQ(after(ReconcileResult::kSuccess), (Series{{R"(reconcile_total{result="success"})", 1}}));
  EXPECT_EQ(after(ReconcileResult::kRequeue), (Series{{R"(reconcile_total{result="requeue"})", 1}}));
  EXPECT_EQ(after(ReconcileResult::kRequeueAfter),
            (Series{{R"(reconcile_total{result="requeue_after"})", 1}}));
  EXPECT_EQ(after(ReconcileResult::kError),
            (Series{{R"(reconcile_total{result="error"})", 1}, {"reconcile_errors_total{}", 1}}));
  EXPECT_EQ(after(ReconcileResult::kTerminalError), (Series{{R"(reconcile_total{result="error"})", 1},
                                                            {"reconcile_errors_total{}", 1},
                                                            {"terminal_reconcile_errors_total{}", 1}}));
  EXPECT_EQ(after(ReconcileResult::kPanic), (Series{{R"(reconcile_total{result="error"})", 1},
                                                    {"reconcile_errors_total{}", 1},
                                                    {"reconcile_panics_total{}", 1}}));
}

TEST(ReconcileMetrics, MeasureTimeInTheBucketsOfControllerRuntime) {
  Registry registry;
  ReconcileMetrics metrics(registry, 1);
  metrics.begun();
  metrics.begun();
  metrics.ended(ReconcileResult::kSuccess, 7ms);
  const Series series = read_page_of({&registry});
  const auto bucket = [&series](const char* le) {
    return series.at(
        R"(controller_runtime_reconcile_time_seconds_bucket{controller="sessmtpcredential",le=")" +
        std::string(le) + "\"}");
  };
  EXPECT_EQ(bucket("0.005"), 0);
  EXPECT_EQ(bucket("0.01"), 1);
  EXPECT_EQ(bucket("0.15"), 1);
  EXPECT_EQ(bucket("1.25"), 1);
  EXPECT_EQ(bucket("60"), 1);
  EXPECT_EQ(bucket("+Inf"), 1);
  EXPECT_EQ(series.at(R"(controller_runtime_active_workers{controller="sessmtpcredential"})"), 1);
}

TEST(RotationMetrics, CountRotationsAndTheirLag) {
  Registry registry;
  const RotationMetrics metrics(registry);
  metrics.rotations.Increment();
  metrics.lag.Observe(599);
  const Series series = read_page_of({&registry});
  EXPECT_EQ(series.at("ses_smtp_rotations_total"), 1);
  EXPECT_EQ(series.at(R"(ses_smtp_rotation_lag_seconds_bucket{le="0.001"})"), 0);
  EXPECT_EQ(series.at(R"(ses_smtp_rotation_lag_seconds_bucket{le="300"})"), 0);
  EXPECT_EQ(series.at(R"(ses_smtp_rotation_lag_seconds_bucket{le="600"})"), 1);
}

TEST(BuildInfo, SaysTheVersion) {
  Registry registry;
  register_build_info(registry, "1.2.3");
  EXPECT_EQ(read_page_of({&registry}),
            (Series{{R"(ses_smtp_build_info{render_version="1",version="1.2.3"})", 1}}));
}

WallTime at(const char* time) {
  return *parse_rfc3339(time);
}

api::SesSmtpCredential credential(const char* name, const char* ready, const char* reason) {
  api::SesSmtpCredential c;
  c.meta.namespace_ = "shop";
  c.meta.name = name;
  c.status.conditions = {{.type = "Ready",
                          .status = ready,
                          .reason = reason,
                          .message = "for people",
                          .observed_generation = 1,
                          .last_transition_time = at("2026-11-22T08:00:00Z")}};
  return c;
}

Series series_of(const std::vector<api::SesSmtpCredential>& credentials) {
  const CredentialMetrics metrics(
      [&credentials](const auto& use) { std::ranges::for_each(credentials, use); });
  return read_page_of({&metrics});
}

// 2026-11-22T08:00:00Z, as `date +%s` says.
constexpr double kEight = 1795334400;

TEST(CredentialMetrics, TellTheStateOfEachCredential) {
  api::SesSmtpCredential rotated = credential("mail", "True", "Synced");
  rotated.status.key_since = at("2026-11-22T09:00:00Z");
  rotated.status.last_rotation_time = at("2026-11-22T09:00:00Z");
  EXPECT_EQ(
      series_of({rotated}),
      (Series{
          {R"(ses_smtp_credential_ready{namespace="shop",name="mail"})", 1},
          {R"(ses_smtp_credential_condition{namespace="shop",name="mail",type="Ready",status="True",reason="Synced"})",
           1},
          {R"(ses_smtp_credential_key_since_timestamp_seconds{namespace="shop",name="mail"})", kEight + 3600},
          {R"(ses_smtp_credential_last_rotation_timestamp_seconds{namespace="shop",name="mail"})",
           kEight + 3600},
          {R"(ses_smtp_credential_last_sync_timestamp_seconds{namespace="shop",name="mail"})",
           kEight + 3600}}));
}

TEST(CredentialMetrics, OfOneThatIsNotReadySayWhyAndNotWhenItWasInLine) {
  api::SesSmtpCredential stalled = credential("mail", "False", "RegionMissing");
  api::Condition more = stalled.status.conditions.front();
  more.type = "Stalled";
  more.status = "True";
  stalled.status.conditions.push_back(more);
  EXPECT_EQ(
      series_of({stalled}),
      (Series{
          {R"(ses_smtp_credential_ready{namespace="shop",name="mail"})", 0},
          {R"(ses_smtp_credential_condition{namespace="shop",name="mail",type="Ready",status="False",reason="RegionMissing"})",
           1},
          {R"(ses_smtp_credential_condition{namespace="shop",name="mail",type="Stalled",status="True",reason="RegionMissing"})",
           1}}));
}

TEST(CredentialMetrics, CountWorkloadsWhoseRestartIsDue) {
  api::SesSmtpCredential waiting = credential("mail", "True", "Synced");
  waiting.status.rollouts = {
      {.workload = {.kind = "Deployment", .name = "web"}, .digest = "0", .reason = "RestartPending"},
      {.workload = {.kind = "Deployment", .name = "jobs"}, .digest = "1"},
      {.workload = {.kind = "StatefulSet", .name = "db"}, .digest = "0", .reason = "Forbidden"}};
  api::SesSmtpCredential done = credential("news", "True", "Synced");
  done.status.rollouts = {{.workload = {.kind = "Deployment", .name = "web"}, .digest = "1"}};
  const Series series = series_of({waiting, done, credential("none", "True", "Synced")});
  const char* const kPending = "ses_smtp_credential_rollouts_pending";
  EXPECT_EQ(series.at(kPending + std::string(R"({namespace="shop",name="mail"})")), 2);
  EXPECT_EQ(series.at(kPending + std::string(R"({namespace="shop",name="news"})")), 0);
  EXPECT_FALSE(series.contains(kPending + std::string(R"({namespace="shop",name="none"})")));
}

TEST(CredentialMetrics, ReadySinceItIsInLine) {
  EXPECT_EQ(series_of({credential("mail", "True", "Synced")})
                .at(R"(ses_smtp_credential_last_sync_timestamp_seconds{namespace="shop",name="mail"})"),
            kEight);
}

TEST(CredentialMetrics, OfOneThatNobodyHasLookedAtSayThatItIsNotReady) {
  api::SesSmtpCredential fresh = credential("mail", "True", "Synced");
  fresh.status = {};
  EXPECT_EQ(series_of({fresh}), (Series{{R"(ses_smtp_credential_ready{namespace="shop",name="mail"})", 0}}));
  EXPECT_THAT(series_of({}), IsEmpty());
}

TEST(CredentialMetrics, SayNothingOfOneThatIsBeingDeleted) {
  api::SesSmtpCredential going = credential("mail", "False", "SourceNotFound");
  going.meta.terminating = true;
  EXPECT_THAT(series_of({going}), IsEmpty());
}

TEST(CredentialMetrics, KeepToTheFormatWhateverStatusHolds) {
  const Series series =
      series_of({credential("a", "True", "quote\" and \\ and\nline"), credential("b", "True", "")});
  EXPECT_EQ(
      series.count(R"(ses_smtp_credential_condition{namespace="shop",name="a",type="Ready",status="True",)"
                   R"(reason="quote\" and \\ and\nline"})"),
      1U);
  api::SesSmtpCredential twice = credential("mail", "True", "Synced");
  twice.status.conditions.push_back(twice.status.conditions.front());
  EXPECT_EQ(series_of({twice}).size(), 3U) << "a condition that stands there twice is one series";
}

TEST(ProcessMetrics, AreThoseOfThisProcess) {
  while (std::clock() < CLOCKS_PER_SEC / 20) {  // CPU time comes in ticks of 10 ms
  }
  const ProcessMetrics metrics;
  const Series series = read_page_of({&metrics});
  std::set<std::string> names;
  for (const auto& [name, value] : series) {
    names.insert(name);
    EXPECT_GT(value, 0) << name;
  }
  EXPECT_THAT(names, UnorderedElementsAre("process_cpu_seconds_total", "process_resident_memory_bytes",
                                          "process_virtual_memory_bytes", "process_open_fds",
                                          "process_max_fds", "process_start_time_seconds"));
  EXPECT_GT(series.at("process_virtual_memory_bytes"), series.at("process_resident_memory_bytes"));
  EXPECT_NEAR(series.at("process_cpu_seconds_total"),
              static_cast<double>(std::clock()) / static_cast<double>(CLOCKS_PER_SEC), 0.05);
  const auto now = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  EXPECT_NEAR(series.at("process_start_time_seconds"), now, 600);
}

TEST(ProcessMetrics, CountDescriptors) {
  const ProcessMetrics metrics;
  const double before = read_page_of({&metrics}).at("process_open_fds");
  const int one_more = ::dup(0);
  EXPECT_EQ(read_page_of({&metrics}).at("process_open_fds"), before + 1);
  ::close(one_more);
  EXPECT_EQ(read_page_of({&metrics}).at("process_open_fds"), before);
}

// forbid_core_dumps() gives the files in /proc to root; what a thread may read of its own process stays.
TEST(ProcessMetrics, AreReadableInAHardenedProcess) {
  const ProcessMetrics metrics;
  const auto before = read_page_of({&metrics}).size();
  ASSERT_EQ(::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0), 0);
  EXPECT_EQ(read_page_of({&metrics}).size(), before);
  ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
}

TEST(Scrape, IsOnePageOfAllSources) {
  Registry registry;
  register_build_info(registry, "1.2.3");
  const ReconcileMetrics reconcile(registry, 8);
  const RotationMetrics rotation(registry);
  const ProcessMetrics process;
  const CredentialMetrics credentials([](const auto& use) { use(credential("a", "True", "Synced")); });
  EXPECT_GT(read_page_of({&registry, &process, &credentials}).size(), 80U);
  EXPECT_STREQ(kMetricsContentType, "text/plain; version=0.0.4; charset=utf-8");
}

}  // namespace
}  // namespace sessmtp::operator_
