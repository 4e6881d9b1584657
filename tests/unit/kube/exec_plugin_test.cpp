#include "kube/exec_plugin.h"

#include <gmock/gmock.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <latch>
#include <mutex>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <thread>
#include <utility>

#include "fake_clock.h"
#include "kube/token_source.h"
#include "temporary_folder.h"

namespace sessmtp::kube {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::string printed(const json& status) {
  return json{{"apiVersion", kExecV1}, {"kind", "ExecCredential"}, {"status", status}}.dump();
}

std::string problem_with(const std::string& output) {
  const auto credential = parse_exec_credential(output, kExecV1);
  return credential ? "(none)" : credential.error().message;
}

TEST(ExecCredentialTest, EveryFieldIsRead) {
  const auto credential = parse_exec_credential(printed({{"token", "t"},
                                                         {"clientCertificateData", "CERT"},
                                                         {"clientKeyData", "KEY"},
                                                         {"expirationTimestamp", "2026-11-22T09:00:00Z"}}),
                                                kExecV1);
  ASSERT_TRUE(credential) << credential.error().message;
  EXPECT_EQ(credential->token.expose(), "t");
  EXPECT_EQ(credential->certificate, "CERT");
  EXPECT_EQ(credential->key.expose(), "KEY");
  EXPECT_EQ(credential->expires, WallTime(FakeClock::kDay) + 9h);
}

TEST(ExecCredentialTest, ExpiryMayHaveAnOffsetAndAFraction) {
  const auto expires = [](const char* time) {
    const auto credential =
        parse_exec_credential(printed({{"token", "t"}, {"expirationTimestamp", time}}), kExecV1);
    return credential ? credential->expires : std::nullopt;
  };
  const WallTime nine = WallTime(FakeClock::kDay) + 9h;
  EXPECT_EQ(expires("2026-11-22T10:30:00+01:30"), nine);
  EXPECT_EQ(expires("2026-11-22T01:00:00-08:00"), nine);
  EXPECT_EQ(expires("2026-11-22T09:00:00.123456789Z"), nine + 123456us);
  EXPECT_EQ(expires("2026-11-22T10:00:00.5+01:00"), nine + 500ms);
  EXPECT_EQ(expires(""), std::nullopt);
  for (const char* nonsense :
       {"tomorrow", "2026-11-22", "2026-11-22T09:00:00", "2026-11-22T09:00:00+0100",
        "2026-11-22T09:00:00+aa:bb", "+01:00", "2026-11-22T09:00:00+24:00", "2026-11-22T09:00:00-01:60"}) {
    EXPECT_THAT(problem_with(printed({{"token", "t"}, {"expirationTimestamp", nonsense}})),
                HasSubstr("not a time"))
        << nonsense;
  }
}

TEST(ExecCredentialTest, WhatIsWrongIsSaidAndNotQuoted) {
  struct Case {
    std::string output;
    const char* problem;
  };
  const Case cases[] = {
      {"", "did not print a JSON object"},
      {"hunter2", "did not print a JSON object"},
      {"[\"hunter2\"]", "did not print a JSON object"},
      {R"({"kind":"Secret","apiVersion":"client.authentication.k8s.io/v1"})",
       "did not print an ExecCredential"},
      {R"({"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1beta1","status":{"token":"hunter2"}})",
       "another apiVersion than client.authentication.k8s.io/v1"},
      {R"({"kind":"ExecCredential","status":{"token":"hunter2"}})", "another apiVersion"},
      {R"({"kind":"ExecCredential","apiVersion":"client.authentication.k8s.io/v1"})", "without status"},
      {printed(json::object()), "neither a token nor a client certificate"},
      {printed({{"token", ""}}), "neither a token nor a client certificate"},
      {printed({{"token", 7}}), "not a text"},
      {printed({{"token", "hunter2\nX: y"}}), "control characters"},
      {printed({{"clientKeyData", "hunter2"}}), "not both"},
      {printed({{"token", "hunter2"}, {"clientCertificateData", "c"}}), "not both"},
  };
  for (const Case& one : cases) {
    EXPECT_THAT(problem_with(one.output), AllOf(HasSubstr(one.problem), Not(HasSubstr("hunter2"))))
        << one.output;
  }
}

// A plugin whose runs are scripted.
class ExecPluginTest : public testing::Test {
 protected:
  ExecPluginTest() {
    cluster_.server = "https://10.0.0.1:6443";
    cluster_.origin = "the test";
    cluster_.exec = ExecConfig{.command = "plugin",
                               .arguments = {"-a"},
                               .environment = {{"A", "b"}},
                               .api_version = kExecV1,
                               .install_hint = {},
                               .cluster_config = {}};
  }

  ExecPlugin& plugin() {
    if (!plugin_) {
      plugin_ = std::make_unique<ExecPlugin>(
          cluster_, clock_,
          [this](const ChildProcess& program, const std::stop_token& stop) { return run(program, stop); });
    }
    return *plugin_;
  }
  std::string token() {
    const auto given = plugin().token({});
    return given ? std::string(given->value.expose()) : "(error) " + given.error().message;
  }
  // The next run prints a token that is good for `lifetime`.
  void then(const std::string& value, std::chrono::seconds lifetime) {
    answers_.emplace_back(
        printed({{"token", value}, {"expirationTimestamp", to_rfc3339(clock_.now() + lifetime)}}));
  }
  void then_fail() { answers_.emplace_back(fail(ErrorCode::kIo, "ended with exit code 1")); }

  Result<std::string> run(const ChildProcess& program, const std::stop_token&) {
    last_ = program;
    ++runs_;
    runs_.notify_all();
    if (answers_.empty()) {
      return fail(ErrorCode::kIo, "ended with exit code 1");
    }
    auto answer = std::move(answers_.front());
    answers_.pop_front();
    return answer;
  }

  FakeClock clock_;
  ClusterConfig cluster_;
  std::deque<Result<std::string>> answers_;
  std::atomic<int> runs_ = 0;
  ChildProcess last_;
  std::unique_ptr<ExecPlugin> plugin_;
};

TEST_F(ExecPluginTest, ATokenIsKeptUntilShortlyBeforeItExpires) {
  then("first", 60s);
  EXPECT_EQ(token(), "first");
  clock_.advance(49s);
  EXPECT_EQ(token(), "first");
  EXPECT_EQ(runs_, 1);
  clock_.advance(1s);
  then("second", 60s);
  EXPECT_EQ(token(), "first") << "good for ten seconds more: nobody waits";
  clock_.advance(10s);
  EXPECT_EQ(token(), "second");
  EXPECT_EQ(runs_, 2);
}

TEST_F(ExecPluginTest, WhenTheTimeOfDayIsSetForwardATokenThatSeemsOldIsReplacedOnce) {
  then("first", 1h);
  EXPECT_EQ(token(), "first");
  clock_.set_ahead(5h);
  then("second", 1h);
  EXPECT_EQ(token(), "second");
  EXPECT_EQ(token(), "second");
  EXPECT_EQ(runs_, 2);
}

TEST_F(ExecPluginTest, WhenTheTimeOfDayIsAheadOfThatOfThePluginItIsNotRunAtEveryCall) {
  then("first", 1h);
  EXPECT_EQ(token(), "first");
  clock_.set_ahead(5h);
  for (int call = 0; call < 1000; ++call) {
    then("late", -4h);
    EXPECT_THAT(token(), HasSubstr("clock"));
    clock_.advance(10ms);
  }
  EXPECT_EQ(runs_, 1 + 4) << "at once and after 1, 3 and 7 of ten seconds";
  answers_.clear();
  clock_.set_ahead(-5h);
  clock_.advance(1h);
  then("second", 1h);
  EXPECT_EQ(token(), "second");
}

TEST_F(ExecPluginTest, WhenTheTimeOfDayIsSetBackTheServersRefusalTellsThatATokenIsOld) {
  then("first", 1h);
  EXPECT_EQ(token(), "first");
  clock_.set_ahead(-5h);
  clock_.advance(1h);
  EXPECT_EQ(token(), "first");
  const auto given = plugin().token({});
  ASSERT_TRUE(given);
  then("second", 1h);
  plugin().reject(given->credential);
  EXPECT_EQ(token(), "second");
  EXPECT_EQ(runs_, 2);
}

TEST_F(ExecPluginTest, ATokenWithoutExpiryIsKept) {
  answers_.emplace_back(printed({{"token", "forever"}}));
  EXPECT_EQ(token(), "forever");
  clock_.advance(1000h);
  EXPECT_EQ(token(), "forever");
  EXPECT_EQ(runs_, 1);
}

TEST_F(ExecPluginTest, ARunThatFailsLeavesTheLastTokenWhileItIsGood) {
  then("first", 60s);
  EXPECT_EQ(token(), "first");
  clock_.advance(55s);
  EXPECT_EQ(token(), "first") << "the run fails, but there are five seconds left";
  runs_.wait(1);
  EXPECT_EQ(token(), "first");
  clock_.advance(5s);
  EXPECT_THAT(token(), HasSubstr("exit code 1"));
  clock_.advance(30s);
  then("second", 60s);
  EXPECT_EQ(token(), "second");
}

TEST_F(ExecPluginTest, FailuresAreNotRepeatedAtEveryCall) {
  int expected = 0;
  for (const auto pause : {1s, 2s, 4s, 8s, 16s, 30s, 30s}) {
    EXPECT_THAT(token(), HasSubstr("exit code 1"));
    EXPECT_EQ(runs_, ++expected);
    clock_.advance(pause - 1ms);
    EXPECT_THAT(token(), HasSubstr("exit code 1"));
    EXPECT_EQ(runs_, expected) << pause.count();
    clock_.advance(1ms);
  }
}

TEST_F(ExecPluginTest, ARefusedTokenIsReplacedOnce) {
  then("first", 3600s);
  const auto first = plugin().token({});
  ASSERT_TRUE(first);
  clock_.advance(60s);
  plugin().reject(first->credential);
  plugin().reject(first->credential);
  then("second", 3600s);
  EXPECT_EQ(token(), "second");
  clock_.advance(60s);
  plugin().reject(first->credential);  // a call that began before
  EXPECT_EQ(token(), "second");
  EXPECT_EQ(runs_, 2);
}

TEST_F(ExecPluginTest, AYoungTokenThatIsRefusedIsNotAskedForAgain) {
  then("first", 3600s);
  const auto first = plugin().token({});
  ASSERT_TRUE(first);
  clock_.advance(9s);
  plugin().reject(first->credential);
  EXPECT_EQ(token(), "first");
  EXPECT_EQ(runs_, 1);
}

TEST_F(ExecPluginTest, ARefusedTokenIsUsedOnWhenThereIsNoOther) {
  then("first", 3600s);
  const auto first = plugin().token({});
  ASSERT_TRUE(first);
  clock_.advance(60s);
  plugin().reject(first->credential);
  EXPECT_EQ(token(), "first");
  EXPECT_EQ(runs_, 2);
}

TEST_F(ExecPluginTest, WhatHasExpiredAlreadyIsNoCredential) {
  then("late", 0s);
  EXPECT_THAT(token(), AllOf(HasSubstr("clock is wrong"), Not(HasSubstr("late"))));
}

TEST_F(ExecPluginTest, ShortLivedTokensDoNotMakeAStorm) {
  then("a", 1s);
  EXPECT_EQ(token(), "a");
  EXPECT_EQ(token(), "a");
  clock_.advance(1s);
  then("b", 1s);
  EXPECT_EQ(token(), "b");
  EXPECT_EQ(runs_, 2);
}

TEST_F(ExecPluginTest, ClientCertificateHasARevisionOfItsOwn) {
  EXPECT_FALSE(plugin().identity());
  EXPECT_EQ(runs_, 0) << "TLS must not wait for a program";
  const auto with = [](const char* value, const char* certificate) {
    return printed({{"token", value}, {"clientCertificateData", certificate}, {"clientKeyData", "k"}});
  };
  answers_.emplace_back(with("t1", "c1"));
  auto given = plugin().token({});
  ASSERT_TRUE(given);
  ASSERT_TRUE(plugin().identity());
  EXPECT_EQ(plugin().identity()->certificate, "c1");
  EXPECT_EQ(plugin().identity()->key.expose(), "k");
  const auto revision = plugin().identity_revision();

  clock_.advance(60s);
  plugin().reject(given->credential);
  answers_.emplace_back(with("t2", "c1"));
  given = plugin().token({});
  EXPECT_EQ(plugin().identity_revision(), revision) << "only the token is new: connections stay";

  clock_.advance(60s);
  plugin().reject(given->credential);
  answers_.emplace_back(with("t3", "c2"));
  EXPECT_EQ(token(), "t3");
  EXPECT_NE(plugin().identity_revision(), revision);
}

TEST_F(ExecPluginTest, TheProgramIsToldWhatItMayKnow) {
  then("t", 60s);
  EXPECT_EQ(token(), "t");
  EXPECT_EQ(last_.command, "plugin");
  EXPECT_THAT(last_.arguments, testing::ElementsAre("-a"));
  ASSERT_EQ(last_.environment.size(), 2U);
  EXPECT_THAT(last_.environment[0], testing::Pair("A", "b"));
  EXPECT_EQ(last_.environment[1].first, "KUBERNETES_EXEC_INFO");
  EXPECT_EQ(json::parse(last_.environment[1].second),
            (json{{"kind", "ExecCredential"}, {"apiVersion", kExecV1}, {"spec", {{"interactive", false}}}}));
}

TEST_F(ExecPluginTest, TheClusterIsShownOnRequest) {
  cluster_.exec->provide_cluster_info = true;
  cluster_.exec->cluster_config = R"({"region":"eu"})";
  cluster_.certificate_authority.data = "CA";
  cluster_.tls_server_name = "kubernetes";
  cluster_.proxy_url = "http://p:1";
  then("t", 60s);
  EXPECT_EQ(token(), "t");
  EXPECT_EQ(json::parse(last_.environment.back().second).at("spec").at("cluster"),
            (json{{"server", "https://10.0.0.1:6443"},
                  {"certificate-authority-data", "Q0E="},
                  {"tls-server-name", "kubernetes"},
                  {"proxy-url", "http://p:1"},
                  {"config", {{"region", "eu"}}}}));
}

TEST_F(ExecPluginTest, AMissingProgramShowsItsHint) {
  cluster_.exec->install_hint = "install it from example.org";
  answers_.emplace_back(fail(ErrorCode::kNotFound, "was not started: No such file or directory"));
  EXPECT_THAT(token(), AllOf(HasSubstr("credential plugin \"plugin\" of the test was not started"),
                             HasSubstr("install it from example.org")));
}

TEST_F(ExecPluginTest, OneRunServesAllWhoWait) {
  constexpr int kCallers = 8;
  std::latch asking(kCallers);
  ExecPlugin plugin(cluster_, clock_,
                    [&](const ChildProcess&, const std::stop_token&) -> Result<std::string> {
                      asking.wait();  // until the others are at it
                      ++runs_;
                      return printed({{"token", "shared"}});
                    });
  std::atomic<int> good = 0;
  {
    std::vector<std::jthread> callers;
    for (int i = 0; i < kCallers; ++i) {
      callers.emplace_back([&] {
        asking.count_down();
        const auto given = plugin.token({});
        good += given && given->value.expose() == "shared" ? 1 : 0;
      });
    }
  }
  EXPECT_EQ(good, kCallers);
  EXPECT_EQ(runs_, 1);
}

// A plugin whose runs after the first take until the test lets them go on, or they are told to stop.
class SlowPluginTest : public ExecPluginTest {
 protected:
  SlowPluginTest() {
    plugin_ = std::make_unique<ExecPlugin>(
        cluster_, clock_, [this](const ChildProcess& program, const std::stop_token& stop) {
          if (runs_ >= fast_runs_) {
            started_.count_down();
            std::unique_lock lock(mutex_);
            stopped_ = !changed_.wait(lock, stop, [this] { return going_on_; });
          }
          return run(program, stop);
        });
  }
  void TearDown() override { plugin_.reset(); }  // before what its runs use

  void go_on() {
    const std::scoped_lock lock(mutex_);
    going_on_ = true;
    changed_.notify_all();
  }

  int fast_runs_ = 0;
  std::latch started_{1};
  std::atomic<bool> stopped_ = false;
  std::stop_source stop_;  // of a caller

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  bool going_on_ = false;
};

// Otherwise a plugin that is slower than the lease's requests would never come to its end.
TEST_F(SlowPluginTest, WhoGivesUpWaitingDoesNotEndTheRun) {
  then("slow", 60s);
  std::jthread impatient([&] {
    started_.wait();
    stop_.request_stop();
  });
  EXPECT_FALSE(plugin().token(stop_.get_token()));
  impatient.join();
  go_on();
  EXPECT_EQ(token(), "slow");
  EXPECT_EQ(runs_, 1);
  EXPECT_FALSE(stopped_);
}

TEST_F(SlowPluginTest, AnAgeingTokenIsUsedWhileTheNextIsOnItsWay) {
  fast_runs_ = 1;
  then("first", 60s);
  EXPECT_EQ(token(), "first");
  clock_.advance(55s);
  then("second", 60s);
  EXPECT_EQ(token(), "first");
  started_.wait();
  EXPECT_EQ(token(), "first") << "nobody waits for a run that is not over";
  EXPECT_EQ(runs_, 1);
  clock_.advance(5s);  // now there is nothing else
  go_on();
  EXPECT_EQ(token(), "second");
  EXPECT_EQ(runs_, 2);
}

TEST_F(SlowPluginTest, TheEndStopsARun) {
  stop_.request_stop();
  EXPECT_FALSE(plugin().token(stop_.get_token()));
  started_.wait();
  plugin_.reset();
  EXPECT_TRUE(stopped_);
}

TEST_F(ExecPluginTest, ARunThatThrowsIsAFailureLikeAnyOther) {
  bool thrown = false;
  ExecPlugin plugin(cluster_, clock_,
                    [&](const ChildProcess&, const std::stop_token&) -> Result<std::string> {
                      if (!std::exchange(thrown, true)) {
                        throw std::runtime_error("hunter2");
                      }
                      return printed({{"token", "t"}});
                    });
  const auto failed = plugin.token({});
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().message, AllOf(HasSubstr("\"plugin\""), Not(HasSubstr("hunter2"))));
  clock_.advance(1s);
  const auto given = plugin.token({});
  ASSERT_TRUE(given) << given.error().message;
  EXPECT_EQ(given->value.expose(), "t");
}

TEST_F(ExecPluginTest, ARealProgramIsRun) {
  const TemporaryFolder folder;
  cluster_.exec = ExecConfig{
      .command = folder.script("plugin",
                               "printf '{\"kind\":\"ExecCredential\",\"apiVersion\":\"%s\",\"status\":"
                               "{\"token\":\"%s\"}}' \"$1\" \"$TOKEN\""),
      .arguments = {kExecV1},
      .environment = {{"TOKEN", "of the environment"}},
      .api_version = kExecV1,
      .install_hint = {},
      .cluster_config = {}};
  TokenSource tokens(cluster_, clock_, make_exec_plugin(cluster_, clock_));
  Headers headers;
  const auto credential = tokens.authorize(headers);
  ASSERT_TRUE(credential) << credential.error().message;
  EXPECT_THAT(headers, testing::ElementsAre(testing::Pair("Authorization", "Bearer of the environment")));
}

}  // namespace
}  // namespace sessmtp::kube
