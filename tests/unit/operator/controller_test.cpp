// The whole operator on an API server in memory, with the threads it has in a cluster.
#include "operator/controller.h"

#include <gmock/gmock.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "fake_probe.h"
#include "fake_server.h"
#include "gate.h"
#include "scraped.h"

namespace sessmtp::operator_ {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::AnyOf;
using testing::Each;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Optional;
using testing::StartsWith;

const std::string kLease = "/apis/coordination.k8s.io/v1/namespaces/ops/leases/operator";

// The system's, which a test can put forward.
class ShiftedClock final : public Clock {
 public:
  [[nodiscard]] WallTime now() const override { return system_.now() + shift_.load(); }
  [[nodiscard]] SteadyTime steady() const override { return system_.steady() + shift_.load(); }
  void advance(std::chrono::seconds by) { shift_ = shift_.load() + by; }

 private:
  SystemClock system_;
  std::atomic<std::chrono::seconds> shift_{0s};
};

// One operator process.
class Process {
 public:
  explicit Process(FakeServer& server, const std::string& name = "a", std::vector<std::string> scopes = {})
      : Process(server,
                ControllerOptions{
                    .watch_namespaces = std::move(scopes),
                    .workers = 2,
                    .instance = name,
                    .election = kube::ElectionOptions{
                        .namespace_ = "ops", .name = "operator", .identity = name, .retry_period = 100ms}}) {}
  Process(FakeServer& server, ControllerOptions options)
      : connection(server),
        election_connection(server),
        controller(client_, election_client_, probe_, answers_, clock, metrics_, std::move(options)) {}

  Process& start() {
    thread_ = std::jthread([this](std::stop_token stop) { controller.run(std::move(stop)); });
    return *this;
  }
  void ask_to_stop() { thread_.request_stop(); }
  void stop() {
    ask_to_stop();
    thread_.join();
  }

  [[nodiscard]] double metric(const std::string& series) const {
    return sum_of(controller.metrics(), series);
  }
  [[nodiscard]] bool leads() const { return metric("leader_election_master_status") == 1; }
  [[nodiscard]] double looks() const { return metric("controller_runtime_reconcile_total"); }
  // Credentials that wait for a worker.
  [[nodiscard]] double waiting() const { return metric("workqueue_depth"); }

 private:
  kube::ClusterConfig config_;
  prometheus::Registry metrics_;
  Answers answers_;

 public:
  ShiftedClock clock;
  FakeConnection connection;
  FakeConnection election_connection;

 private:
  kube::TokenSource tokens_{config_, clock};
  kube::Client client_{connection, tokens_};
  kube::Client election_client_{election_connection, tokens_};
  FakeProbe probe_;

 public:
  Controller controller;

 private:
  std::jthread thread_;  // last: ends before what it uses
};

class ControllerTest : public testing::Test {
 protected:
  void make_world(const Key& key) {
    server.use([&](World& world) {
      world.source(key);
      for (const char* name : {"mail", "news", "shop", "bills", "alerts"}) {
        world.credential(name);
      }
    });
  }
  [[nodiscard]] bool all_hold(const Key& key) {
    return server.eventually([expected = target_data(key)](const World& world) {
      const Names names = world.credentials();
      return std::ranges::all_of(names, [&](const std::string& name) {
        return world.data(name) == expected && world.says(name) == "Ready=True Synced";
      });
    });
  }
  void rotate(const Key& key) {
    server.use([&](World& world) { world.source(key); });
  }
  void set_holder(const std::string& holder) {
    server.use([&](World& world) {
      world.api.edit(kLease, [&](json& lease) { lease["spec"]["holderIdentity"] = holder; });
    });
  }
  [[nodiscard]] std::string holder() {
    return server.use([](World& world) -> std::string {
      const json* lease = world.api.find(kLease);
      return lease == nullptr ? "" : lease->at("spec").value("holderIdentity", "");
    });
  }
  [[nodiscard]] bool eventually(const std::function<bool()>& condition) {
    return server.eventually([&](World&) { return condition(); });
  }

  FakeServer server;
};

TEST_F(ControllerTest, TargetsAreWrittenAndFollowTheirSource) {
  make_world(kOldKey);
  Process process(server);
  process.start();
  ASSERT_TRUE(all_hold(kOldKey));
  rotate(kKey);
  EXPECT_TRUE(all_hold(kKey));
  server.use(
      [](World& world) { world.remove("mail").edit("news", [](json& o) { o["data"].erase("password"); }); });
  EXPECT_TRUE(all_hold(kKey)) << "deleted or edited by hand";
  server.use([](World& world) { world.credential("late"); });
  EXPECT_TRUE(all_hold(kKey)) << "made later";
}

TEST_F(ControllerTest, WhatChangesWhileAWatchIsBrokenIsFollowed) {
  make_world(kOldKey);
  Process process(server);
  process.start();
  ASSERT_TRUE(all_hold(kOldKey));
  server.cut_watches();
  rotate(kKey);
  EXPECT_TRUE(all_hold(kKey));
}

TEST_F(ControllerTest, ARestartReadsNoSecretAndWritesNothing) {
  make_world(kKey);
  {
    Process first(server);
    first.start();
    ASSERT_TRUE(all_hold(kKey));
    first.stop();
  }
  Process second(server, "b");
  second.start();
  ASSERT_TRUE(eventually([&] { return second.looks() >= 5 && second.waiting() == 0; }));
  second.stop();
  EXPECT_THAT(second.connection.calls(),
              Each(AnyOf(StartsWith("LIST "), StartsWith("WATCH "), "GET openapi")));
  EXPECT_THAT(second.election_connection.calls(), Each(HasSubstr(" ops/leases")));
}

TEST_F(ControllerTest, OfTwoProcessesOneWrites) {
  make_world(kOldKey);
  Process leader(server, "a");
  leader.start();
  ASSERT_TRUE(eventually([&] { return leader.leads(); }));
  Process standby(server, "b");
  standby.start();
  ASSERT_TRUE(eventually([&] { return standby.controller.readiness().ok; }));
  ASSERT_TRUE(all_hold(kOldKey));
  rotate(kKey);
  EXPECT_TRUE(all_hold(kKey));
  EXPECT_FALSE(standby.connection.called("PATCH"));
  EXPECT_FALSE(standby.connection.called("GET shop/secrets"));
  EXPECT_FALSE(standby.leads());
}

TEST_F(ControllerTest, WhatChangesWhileLeadershipChangesHandsIsNotLost) {
  make_world(kOldKey);
  Process leader(server, "a");
  leader.start();
  ASSERT_TRUE(eventually([&] { return leader.leads(); }));
  Process standby(server, "b");
  standby.start();
  ASSERT_TRUE(eventually([&] { return standby.controller.readiness().ok; }));
  ASSERT_TRUE(all_hold(kOldKey));
  rotate(kKey);
  leader.stop();
  EXPECT_TRUE(all_hold(kKey));
  ASSERT_TRUE(eventually([&] { return standby.leads(); }));
  rotate(kThirdKey);
  EXPECT_TRUE(all_hold(kThirdKey));
  EXPECT_TRUE(standby.connection.called("PATCH"));
}

TEST_F(ControllerTest, WithoutTheLeaseNothingIsWrittenAndWithItWhatWasMissedIs) {
  make_world(kOldKey);
  Process process(server);
  process.start();
  ASSERT_TRUE(all_hold(kOldKey));
  process.election_connection.forget_calls();
  set_holder("another");
  // It campaigns again only after its work has ended.
  ASSERT_TRUE(eventually([&] { return process.election_connection.called("WATCH ops/leases"); }));
  EXPECT_FALSE(process.leads());
  process.connection.forget_calls();
  rotate(kKey);
  server.use([](World& world) { world.credential("later"); });
  ASSERT_TRUE(eventually([&] { return process.controller.metrics().contains("\"later\""); }))
      << "the watches go on";
  EXPECT_TRUE(process.controller.readiness().ok);
  EXPECT_FALSE(process.connection.called("PATCH"));
  EXPECT_FALSE(process.connection.called("GET"));
  set_holder("");
  EXPECT_TRUE(all_hold(kKey));
  EXPECT_EQ(holder(), "a");
}

TEST_F(ControllerTest, WorkInHandIsFinishedAndTheLeaseGivenUpWhenAskedToStop) {
  make_world(kKey);
  Process process(server);
  std::stop_source asked;
  process.connection.before("PATCH shop/secrets/mail", [&](std::stop_token) {
    process.ask_to_stop();
    asked.request_stop();
  });
  process.start();
  ASSERT_TRUE(eventually([&] { return asked.stop_requested(); }));
  process.stop();
  EXPECT_EQ(holder(), "");
  server.use([](World& world) {
    EXPECT_THAT(world.data("mail"), Optional(target_data(kKey)));
    EXPECT_EQ(world.says("mail"), "Ready=True Synced");
  });
}

TEST_F(ControllerTest, IsReadyWhenItHasSeenEverythingAndAliveAllTheTime) {
  make_world(kKey);
  Process process(server);
  EXPECT_TRUE(process.controller.liveness().ok) << process.controller.liveness().text;
  EXPECT_FALSE(process.controller.readiness().ok);
  Gate gate;
  process.connection.before("LIST secrets", [&](std::stop_token stop) { gate.pass(std::move(stop)); });
  process.start();
  ASSERT_TRUE(eventually([&] { return gate.waiting() == 1; }));
  ASSERT_TRUE(eventually([&] { return process.controller.readiness().text.starts_with("[+]crd ok\n"); }));
  EXPECT_THAT(process.controller.readiness().text, HasSubstr("[-]lists: not listed yet"));
  EXPECT_FALSE(process.leads());
  gate.open();
  ASSERT_TRUE(eventually([&] { return process.controller.readiness().ok; }));
  ASSERT_TRUE(all_hold(kKey));
  EXPECT_TRUE(process.controller.liveness().ok) << process.controller.liveness().text;
  EXPECT_THAT(process.controller.liveness().text,
              AllOf(HasSubstr("[+]watch sessmtpcredentials ok"), HasSubstr("[+]watch secrets ok"),
                    HasSubstr("[+]workers ok"), HasSubstr("[+]leader election ok")));
  process.stop();
  EXPECT_TRUE(process.controller.liveness().ok) << process.controller.liveness().text;
}

TEST_F(ControllerTest, AWorkerThatHangsIsNotAlive) {
  make_world(kKey);
  Process process(server, ControllerOptions{
                              .watch_namespaces = {}, .instance = "a", .election = {}});  // always the leader
  Gate gate;
  process.connection.before("GET shop/secrets/iam",
                            [&](std::stop_token stop) { gate.pass(std::move(stop)); });
  process.start();
  ASSERT_TRUE(eventually([&] { return gate.waiting() == 1; }));
  EXPECT_TRUE(process.controller.liveness().ok);
  process.clock.advance(16min);
  EXPECT_THAT(process.controller.liveness().text, HasSubstr("[-]workers: one key has been worked on for"));
  gate.open();
  EXPECT_TRUE(all_hold(kKey));
  EXPECT_TRUE(eventually([&] { return process.controller.liveness().text.contains("[+]workers ok"); }));
}

TEST_F(ControllerTest, AnOutdatedCrdIsNotReadyAndNothingIsWritten) {
  make_world(kKey);
  server.set_schema(crd_schema({"spec.region"}));
  Process process(server);
  process.start();
  ASSERT_TRUE(eventually([&] {
    const std::string text = process.controller.readiness().text;
    return text.contains("lacks spec.region") && text.contains("[+]lists ok");
  }));
  EXPECT_FALSE(process.controller.readiness().ok);
  EXPECT_TRUE(process.controller.liveness().ok);
  process.stop();
  EXPECT_THAT(process.election_connection.calls(), IsEmpty()) << "another may do better";
  EXPECT_FALSE(process.connection.called("PATCH"));
}

TEST_F(ControllerTest, AScopeThatIsRefusedDoesNotStopTheOther) {
  make_world(kKey);
  for (const char* resource : {"secrets", "sessmtpcredentials"}) {
    Process process(server, "a", {"bank", "shop"});
    process.connection.refuse("LIST bank/" + std::string(resource), refusal(403, "Forbidden", "no"));
    process.start();
    EXPECT_TRUE(all_hold(kKey)) << resource;
    EXPECT_TRUE(process.controller.readiness().ok) << process.controller.readiness().text;
    process.stop();
    server.use([](World& world) { world.remove("mail"); });
  }
}

}  // namespace
}  // namespace sessmtp::operator_
