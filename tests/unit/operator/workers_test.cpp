#include "operator/workers.h"

#include <gmock/gmock.h>

#include <new>
#include <stdexcept>
#include <thread>

#include "fake_probe.h"
#include "fake_server.h"
#include "gate.h"
#include "scraped.h"

namespace sessmtp::operator_ {
namespace {

using namespace std::chrono_literals;
using kube::NamespacedName;
using testing::Contains;
using testing::Not;
using testing::Optional;

const NamespacedName kMail{"shop", "mail"};
const NamespacedName kNews{"shop", "news"};
const std::string kGetSource = "GET shop/secrets/iam";
const std::string kWrite = "PATCH shop/secrets/mail";
const std::string kStatus = "PATCH shop/sessmtpcredentials/mail/status";

class NoEvents final : public kube::EventSink {
 public:
  void publish(const kube::ObjectReference&, kube::Event) override {}
};

class WorkersTest : public testing::Test {
 protected:
  WorkersTest() {
    server.world().source(kKey).credential("mail").credential("news");
    server.world().show(cache);
  }

  // On a thread of its own, until it is destroyed.
  [[nodiscard]] std::jthread run(std::chrono::milliseconds drain_limit = 1min) {
    return std::jthread(
        [this, drain_limit](std::stop_token stop) { workers.run(std::move(stop), drain_limit); });
  }
  [[nodiscard]] bool eventually(const std::function<bool()>& condition) {
    return server.eventually([&](World&) { return condition(); });
  }
  [[nodiscard]] bool is_synced(const NamespacedName& key) {
    return server.use([&](World& world) { return world.says(key.name) == "Ready=True Synced"; });
  }
  [[nodiscard]] double counted(const std::string& what) const {
    return sum_of(scrape({&metrics}), "controller_runtime_" + what);
  }
  [[nodiscard]] double ended(const std::string& result) const {
    return counted("reconcile_total{controller=\"sessmtpcredential\",result=\"" + result + '"');
  }
  // Lets the workers do one look at "mail".
  void look() {
    const double before = counted("reconcile_total");
    queue.add(kMail);
    const std::jthread running = run();
    ASSERT_TRUE(eventually([&] { return counted("reconcile_total") > before; }));
  }
  // When the key comes again by itself, within ten minutes.
  [[nodiscard]] std::optional<std::chrono::milliseconds> comes_again() {
    for (auto waited = 0ms; waited <= 10min; waited += 1ms) {
      if (const auto key = queue.try_get()) {
        queue.done(*key);
        return waited;
      }
      server.world().clock.advance(1ms);
    }
    return std::nullopt;
  }

  FakeServer server;
  FakeConnection connection{server};
  const Clock& clock = server.world().clock;
  kube::ClusterConfig config;
  kube::TokenSource tokens{config, clock};
  kube::Client client{connection, tokens};
  Cache cache{{""}, clock, [](const NamespacedName&, kube::Priority) {}};
  NoEvents events;
  prometheus::Registry metrics;
  RotationMetrics rotations{metrics};
  ReconcileMetrics reconciles{metrics, 1};
  FakeProbe probe;
  LoginChecks logins{probe, clock, metrics, [](const NamespacedName&) {}};
  Restarter restarter{client, clock, metrics};
  Reconciler reconciler{client, cache, logins, restarter, events, rotations, clock};
  kube::WorkQueue queue{clock, metrics, "test"};
  Workers workers{queue, reconciler, reconciles, clock, 1};
};

TEST_F(WorkersTest, AnExceptionEndsNeitherTheWorkerNorTheKey) {
  connection.before(kGetSource, [](std::stop_token) { throw std::runtime_error("from a library"); });
  queue.add(kMail);
  const std::jthread running = run();
  ASSERT_TRUE(eventually([&] { return counted("reconcile_panics_total") == 1; }));
  connection.before(kGetSource, [](std::stop_token) { throw std::bad_alloc(); });
  server.use([](World& world) { world.later(5ms); });
  ASSERT_TRUE(eventually([&] { return counted("reconcile_panics_total") == 2; })) << "the key comes again";
  EXPECT_FALSE(is_synced(kMail));
  queue.add(kNews);
  EXPECT_TRUE(eventually([&] { return ended("success") == 1; })) << "the worker goes on";
  server.use([](World& world) { world.later(10ms); });
  EXPECT_TRUE(eventually([&] { return ended("success") == 2; }));
  EXPECT_TRUE(is_synced(kMail));
  EXPECT_EQ(ended("error"), 2);
  EXPECT_EQ(counted("active_workers"), 0);
}

TEST_F(WorkersTest, WhenAskedToStopWorkInHandIsFinishedAndNothingNewIsTaken) {
  Gate gate;
  connection.before(kWrite, [&](std::stop_token stop) { gate.pass(std::move(stop)); });
  queue.add(kMail);
  std::jthread running = run();
  ASSERT_TRUE(eventually([&] { return gate.waiting() == 1; }));
  queue.add(kNews);
  running.request_stop();
  gate.open();
  running.join();
  EXPECT_TRUE(is_synced(kMail));
  EXPECT_THAT(server.world().data(), Optional(target_data(kKey)));
  EXPECT_FALSE(is_synced(kNews));
  EXPECT_EQ(queue.size(), 1U) << "for the next leader, be it this process";
}

TEST_F(WorkersTest, WhatIsNotFinishedInTimeIsCancelledAndDoneByTheNextRun) {
  Gate gate;
  connection.before(kGetSource, [&](std::stop_token stop) { gate.pass(std::move(stop)); });
  queue.add(kMail);
  std::jthread running = run(/*drain_limit=*/1ms);
  ASSERT_TRUE(eventually([&] { return gate.waiting() == 1; }));
  running.request_stop();
  running.join();
  EXPECT_EQ(gate.waiting(), 0);
  EXPECT_THAT(connection.calls(), Not(Contains(kWrite)));
  server.use([](World& world) { world.later(5ms); });
  running = run();
  EXPECT_TRUE(eventually([&] { return ended("success") == 1; }));
  EXPECT_TRUE(is_synced(kMail));
}

TEST_F(WorkersTest, AWriteCutShortByTheLossOfLeadershipIsRepeated) {
  Gate gate;
  connection.before(kStatus, [&](std::stop_token stop) { gate.pass(std::move(stop)); });
  queue.add(kMail);
  std::jthread running = run(/*drain_limit=*/1ms);
  ASSERT_TRUE(eventually([&] { return gate.waiting() == 1; }));
  running.request_stop();
  running.join();
  EXPECT_THAT(server.world().data(), Optional(target_data(kKey))) << "written before that";
  EXPECT_FALSE(is_synced(kMail));
  server.use([](World& world) { world.later(5ms); });
  running = run();
  EXPECT_TRUE(eventually([&] { return ended("success") == 1; }));
  EXPECT_TRUE(is_synced(kMail));
}

TEST_F(WorkersTest, SaysSinceWhenItIsAtWork) {
  EXPECT_EQ(workers.working_since(), std::nullopt);
  std::jthread running = run();
  EXPECT_TRUE(eventually([&] { return workers.working_since() == clock.steady(); }));
  running.request_stop();
  running.join();
  EXPECT_EQ(workers.working_since(), std::nullopt);
}

TEST_F(WorkersTest, AnIdleRunStopsWithoutUsingItsTimeToDrain) {
  std::jthread running = run(/*drain_limit=*/24h);
  running.request_stop();
  running.join();
}

TEST_F(WorkersTest, ASuccessIsNotLookedAtAgain) {
  look();
  EXPECT_EQ(ended("success"), 1);
  EXPECT_EQ(counted("reconcile_errors_total"), 0);
  EXPECT_EQ(counted("reconcile_time_seconds_count"), 1);
  EXPECT_EQ(comes_again(), std::nullopt);
}

TEST_F(WorkersTest, AFailureIsTriedAgainSoonAndLaterEachTime) {
  connection.cut(kGetSource);
  look();
  EXPECT_EQ(comes_again(), 5ms);
  look();
  EXPECT_EQ(comes_again(), 10ms);
  EXPECT_EQ(ended("error"), 2);
  EXPECT_EQ(counted("terminal_reconcile_errors_total"), 0);
  connection.heal();
  look();
  EXPECT_EQ(ended("success"), 1);
  EXPECT_EQ(queue.failures(kMail), 0U) << "the next one starts from 5 ms";
}

TEST_F(WorkersTest, AnApiServerThatIsAwayIsAskedEveryHalfMinuteAtLeast) {
  connection.cut(kGetSource);
  for (int i = 0; i < 20; ++i) {
    queue.add_rate_limited(kMail);
    (void)comes_again();
  }
  look();
  EXPECT_EQ(comes_again(), 30s);
}

TEST_F(WorkersTest, TheApiServerSaysWhenToAskAgain) {
  connection.refuse(kGetSource, refusal(429, "TooManyRequests", "slowly"), 7s);
  look();
  EXPECT_EQ(ended("error"), 1);
  EXPECT_EQ(comes_again(), 7s);
}

TEST_F(WorkersTest, AStatusThatTheCrdRefusesIsTriedAgainSlowly) {
  connection.refuse(kStatus, refusal(422, "Invalid", "status.region: Invalid value",
                                     {{"status.region", "FieldValueInvalid"}}));
  look();
  EXPECT_EQ(ended("error"), 1);
  EXPECT_EQ(counted("terminal_reconcile_errors_total"), 1);
  EXPECT_EQ(comes_again(), 30s);
}

TEST_F(WorkersTest, WhatAPersonHasToRepairIsTerminal) {
  server.world().secret("mail", {{"theirs", "x"}});
  server.world().show(cache);
  look();
  EXPECT_EQ(server.world().says(), "Ready=False TargetConflict, Stalled=True TargetConflict");
  EXPECT_EQ(counted("terminal_reconcile_errors_total"), 1);
  EXPECT_EQ(comes_again(), std::nullopt) << "its event will tell";
}

}  // namespace
}  // namespace sessmtp::operator_
