// The calls that a look costs, and what becomes of their answers: over the fake API, by way of a Transport.
#include "operator/reconciler.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "api/names.h"
#include "fake_probe.h"
#include "fake_server.h"

namespace sessmtp::operator_ {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Not;

class Events final : public kube::EventSink {
 public:
  void publish(const kube::ObjectReference& regarding, kube::Event event) override {
    said.push_back(regarding.key.name + ": " + event.reason);
  }
  std::vector<std::string> said;
};

const std::string kGetSource = "GET shop/secrets/iam";
const std::string kGetTarget = "GET shop/secrets/mail";
const std::string kWrite = "PATCH shop/secrets/mail";
const std::string kStatus = "PATCH shop/sessmtpcredentials/mail/status";

class ReconcilerTest : public testing::Test {
 protected:
  // What the watches bring.
  void watch() {
    world.show(cache);
    queue.clear();
  }
  Reconciler::Outcome reconcile() {
    connection.forget_calls();
    events.said.clear();
    return reconciler.reconcile({"shop", "mail"}, {});
  }
  void sync(const Key& key) {
    world.source(key).credential();
    watch();
    reconcile();
    ASSERT_EQ(world.says(), "Ready=True Synced");
  }

  FakeServer server;
  World& world = server.world();
  FakeConnection connection{server};
  kube::ClusterConfig config;
  kube::TokenSource tokens{config, world.clock};
  kube::Client client{connection, tokens};
  std::vector<kube::NamespacedName> queue;
  Cache cache{
      {""}, world.clock, [this](const kube::NamespacedName& key, kube::Priority) { queue.push_back(key); }};
  Events events;
  prometheus::Registry metrics;
  RotationMetrics rotations{metrics};
  FakeProbe probe;
  LoginChecks logins{probe, world.clock, metrics,
                     [this](const kube::NamespacedName& key) { queue.push_back(key); }};
  Restarter restarter{client, world.clock, metrics};
  Reconciler reconciler{client, cache, logins, restarter, events, rotations, world.clock};
};

TEST_F(ReconcilerTest, CreationCostsOneReadAndTwoWrites) {
  world.source(kKey).credential();
  watch();
  EXPECT_EQ(reconcile().retry, Retry::kNo);
  EXPECT_THAT(connection.calls(), ElementsAre(kGetSource, kWrite, kStatus));
  EXPECT_THAT(events.said, ElementsAre("mail: Synced"));
  EXPECT_THAT(world.data(), testing::Optional(target_data(kKey)));
}

TEST_F(ReconcilerTest, AnUnchangedWorldCostsNoCall) {
  sync(kKey);
  reconcile();
  EXPECT_THAT(connection.calls(), IsEmpty()) << "on the echo of our own writes";
  watch();
  reconcile();
  EXPECT_THAT(connection.calls(), IsEmpty()) << "and after a restart";
  EXPECT_THAT(events.said, IsEmpty());
}

TEST_F(ReconcilerTest, ARotationToAnotherIdCostsOneReadAndTwoWrites) {
  sync(kOldKey);
  world.source(kKey);
  watch();
  reconcile();
  EXPECT_THAT(connection.calls(), ElementsAre(kGetSource, kWrite, kStatus));
  EXPECT_THAT(events.said, ElementsAre("mail: Rotated"));
}

TEST_F(ReconcilerTest, ATakenNameCostsOneMoreRead) {
  world.source(kKey).credential();
  watch();
  connection.before(kWrite, [this](std::stop_token) { world.secret("mail", {{"theirs", "x"}}); });
  reconcile();
  EXPECT_THAT(connection.calls(), ElementsAre(kGetSource, kWrite, kGetTarget, kStatus));
  EXPECT_THAT(events.said, ElementsAre("mail: TargetConflict"));
  EXPECT_THAT(world.data(), testing::Optional(Data{{"theirs", "x"}}));
}

TEST_F(ReconcilerTest, ATargetThatKeepsChangingEndsInBackoffWithABoundedNumberOfCalls) {
  world.source(kKey).credential();
  watch();
  connection.refuse(kWrite, refusal(409, "Conflict", "the object has been modified"));
  EXPECT_EQ(reconcile().retry, Retry::kBackoff);
  EXPECT_LE(connection.calls().size(), 5U) << testing::PrintToString(connection.calls());
}

TEST_F(ReconcilerTest, ATouchedSourceReachesStatusAtMostOnceInTenSeconds) {
  sync(kKey);
  const auto touch = [this] {
    world.touch("iam");
    watch();
    return reconcile();
  };
  EXPECT_FALSE(touch().again);
  EXPECT_THAT(connection.calls(), ElementsAre(kGetSource, kGetTarget, kStatus)) << "the first one at once";
  world.clock.advance(4s);
  EXPECT_EQ(touch().again, std::optional<std::chrono::milliseconds>(6s));
  EXPECT_THAT(connection.calls(), ElementsAre(kGetSource, kGetTarget));
  world.clock.advance(6s);
  EXPECT_FALSE(reconcile().again);
  EXPECT_THAT(connection.calls(), ElementsAre(kGetSource, kGetTarget, kStatus));
  EXPECT_EQ(world.status()["source"]["resourceVersion"], world.version("iam"));
  EXPECT_THAT(events.said, IsEmpty());
  world.clock.advance(1s);
  EXPECT_EQ(touch().again, std::optional<std::chrono::milliseconds>(9s)) << "counted from the last one";
}

TEST_F(ReconcilerTest, ARotationIsNeverHeldBack) {
  sync(kOldKey);
  world.touch("iam");
  watch();
  reconcile();
  world.source(kKey);
  watch();
  EXPECT_FALSE(reconcile().again);
  EXPECT_THAT(connection.calls(), ElementsAre(kGetSource, kWrite, kStatus));
}

TEST_F(ReconcilerTest, ARepairIsNeverHeldBack) {
  sync(kKey);
  for (int i = 0; i < 2; ++i) {
    world.edit("mail", [](json& o) { o["data"].erase("password"); });
    watch();
    EXPECT_FALSE(reconcile().again);
    EXPECT_THAT(events.said, ElementsAre("mail: TargetRepaired"));
    EXPECT_EQ(world.status()["target"]["resourceVersion"], world.version());
  }
}

TEST_F(ReconcilerTest, ACredentialThatIsGoneCostsNothing) {
  const Reconciler::Outcome outcome = reconcile();
  EXPECT_THAT(connection.calls(), IsEmpty());
  EXPECT_EQ(outcome.retry, Retry::kNo);
}

TEST_F(ReconcilerTest, ACredentialDeletedMeanwhileIsNoError) {
  for (const Answer& answer : {refusal(404, "NotFound", "gone"), refusal(409, "Conflict", "modified")}) {
    world.source(kKey).credential();
    watch();
    connection.refuse(kStatus, answer);
    EXPECT_EQ(reconcile().retry, Retry::kNo) << answer.body;
    world.remove("mail").remove_credential();
    watch();
  }
}

TEST_F(ReconcilerTest, AStatusThatCannotBeWrittenIsTriedAgainAndSaysNothingYet) {
  world.source(kKey).credential();
  watch();
  connection.refuse(kStatus, refusal(500, "InternalError", "etcd"));
  EXPECT_EQ(reconcile().retry, Retry::kBackoff);
  EXPECT_THAT(events.said, IsEmpty());
  connection.heal();
  EXPECT_EQ(reconcile().retry, Retry::kNo);
  EXPECT_THAT(events.said, ElementsAre("mail: Synced"));
  EXPECT_THAT(connection.calls(), ElementsAre(kGetSource, kGetTarget, kStatus))
      << "the target is written already";
}

TEST_F(ReconcilerTest, AServerInTroubleIsTriedAgainWithoutTouchingStatus) {
  for (const std::string& call : {kGetSource, kWrite}) {
    world.source(kKey).credential();
    watch();
    connection.cut(call);
    EXPECT_EQ(reconcile().retry, Retry::kBackoff) << call;
    EXPECT_THAT(connection.calls(), Not(testing::Contains(kStatus)));
    connection.heal();
    connection.refuse(call, refusal(503, "ServiceUnavailable", "later"));
    EXPECT_EQ(reconcile().retry, Retry::kBackoff) << call;
    EXPECT_THAT(connection.calls(), Not(testing::Contains(kStatus)));
    connection.heal();
  }
}

TEST_F(ReconcilerTest, ASecretThatCannotBeDecodedIsTriedAgain) {
  world.source(kKey).credential();
  watch();
  connection.refuse(
      kGetSource,
      {200, {{"kind", "Secret"}, {"data", {{"x", "***"}}}, {"metadata", {{"name", "iam"}, {"uid", "u"}}}}});
  EXPECT_EQ(reconcile().retry, Retry::kBackoff);
}

TEST_F(ReconcilerTest, AnAnswerToAWriteThatCannotBeReadIsTriedAgain) {
  world.source(kKey).credential();
  watch();
  connection.refuse(kWrite, {200, {{"kind", "Secret"}}});
  EXPECT_EQ(reconcile().retry, Retry::kBackoff);
  EXPECT_EQ(world.says(), "");
}

TEST_F(ReconcilerTest, OurOwnWritesWakeNobodyElseThanThoseTheyConcern) {
  sync(kKey);
  EXPECT_THAT(queue, IsEmpty());
}

TEST_F(ReconcilerTest, ACredentialThatGoesWhileWeReadIsNoOwnerAnyMore) {
  world.source(kKey).credential();
  watch();
  connection.before(kGetSource, [this](std::stop_token) {
    world.remove_credential();
    world.show(cache);
  });
  reconcile();
  EXPECT_THAT(connection.calls(), ElementsAre(kGetSource));
}

TEST_F(ReconcilerTest, ASpecChangedWhileWeWroteIsLookedAtOnceMore) {
  world.source(kKey).credential();
  watch();
  connection.before(kStatus, [this](std::stop_token) { world.change_spec({{"endpoint", {{"port", 465}}}}); });
  EXPECT_EQ(reconcile().retry, Retry::kNo) << "the watch will wake it";
  EXPECT_THAT(events.said, IsEmpty()) << "for nobody can read of it in status";
  world.show(cache);
  EXPECT_THAT(queue, testing::Contains(kube::NamespacedName{"shop", "mail"}));
  reconcile();
  EXPECT_THAT(events.said, ElementsAre("mail: Synced"));
  EXPECT_THAT(world.data(), testing::Optional(target_data(kKey, "us-east-1", "", 465, "smtps")));
  EXPECT_EQ(world.status()["observedGeneration"], 2);
}

TEST_F(ReconcilerTest, ACredentialMadeAnewDoesNotInheritTheStatusOfTheDeadOne) {
  world.source(kKey).credential();
  watch();
  connection.before(kStatus, [this](std::stop_token) { world.remove_credential().credential(); });
  reconcile();
  EXPECT_EQ(world.status(), json({{"observedGeneration", -1}})) << "as the CRD begins it";
}

}  // namespace
}  // namespace sessmtp::operator_
