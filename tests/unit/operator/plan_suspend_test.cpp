// Rows 24 and 38 of the behaviour matrix: spec.suspend, and a look on request.
#include <gmock/gmock.h>

#include "base/base64.h"
#include "world.h"

namespace sessmtp::operator_ {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Optional;

const char* const kRequestedAt = "ses-smtp.dev/reconcile-requested-at";

TEST(Suspend, NothingIsReadOrWrittenAndReadyKeepsItsValue) {
  SyncedWorld world(kOldKey);
  const json before = world.secret_object("mail");
  const Turn turn = world.change_spec({{"suspend", true}}).source(kKey).reconcile();
  EXPECT_THAT(turn.reads, IsEmpty());
  EXPECT_THAT(turn.writes, IsEmpty());
  EXPECT_THAT(turn.events, ElementsAre("Suspended"));
  EXPECT_EQ(world.says(), "Ready=True Synced, Suspended=True Suspended");
  EXPECT_EQ(world.status()["observedGeneration"], 2);
  EXPECT_EQ(world.status()["conditions"][0]["observedGeneration"], 1) << "Ready speaks of the spec before";
  EXPECT_EQ(world.secret_object("mail"), before);
  EXPECT_TRUE(world.reconcile().quiet());
  EXPECT_TRUE(world.remove("mail").reconcile().quiet());
}

TEST(Suspend, EndsWithAFullLook) {
  SyncedWorld world(kOldKey);
  world.change_spec({{"suspend", true}}).reconcile();
  world.source(kKey).reconcile();
  const Turn turn = world.later(1h).change_spec({{"suspend", nullptr}}).reconcile();
  EXPECT_THAT(turn.events, ElementsAre("Resumed", "Rotated"));
  EXPECT_EQ(world.says(), "Ready=True Synced");
  EXPECT_THAT(world.data(), Optional(target_data(kKey)));
  EXPECT_TRUE(world.reconcile().quiet());
}

TEST(Suspend, FromTheStart) {
  World world;
  world.source(kKey).credential("mail", {{"suspend", true}}).reconcile();
  EXPECT_EQ(world.says(), "Ready=Unknown Suspended, Suspended=True Suspended");
  EXPECT_FALSE(world.data());
  EXPECT_TRUE(world.reconcile().quiet());
  world.change_spec({{"suspend", false}}).reconcile();
  EXPECT_EQ(world.says(), "Ready=True Synced");
}

TEST(Suspend, NothingIsInProgressMeanwhile) {
  World world;
  world.credential().reconcile();
  EXPECT_EQ(world.says(), "Ready=False SourceNotFound, Reconciling=True SourceNotFound");
  world.change_spec({{"suspend", true}}).reconcile();
  EXPECT_EQ(world.says(), "Ready=False SourceNotFound, Suspended=True Suspended");
}

TEST(Suspend, ARequestWaitsForItsEnd) {
  SyncedWorld world;
  world.change_spec({{"suspend", true}}).annotate(kRequestedAt, "now").reconcile();
  EXPECT_FALSE(world.status().contains("lastHandledReconcileAt"));
  world.change_spec({{"suspend", false}}).reconcile();
  EXPECT_EQ(world.status()["lastHandledReconcileAt"], "now");
}

TEST(Request, IsHandledOnceAndSaysSo) {
  SyncedWorld world;
  const Turn turn = world.annotate(kRequestedAt, "2026-11-22T09:00:00Z").reconcile();
  EXPECT_THAT(turn.reads, ElementsAre("iam", "mail"));
  EXPECT_THAT(turn.writes, IsEmpty()) << "it was as it should be";
  EXPECT_EQ(world.status()["lastHandledReconcileAt"], "2026-11-22T09:00:00Z");
  EXPECT_TRUE(world.reconcile().quiet());
  EXPECT_THAT(world.annotate(kRequestedAt, "again").reconcile().reads, ElementsAre("iam", "mail"));
  EXPECT_EQ(world.status()["lastHandledReconcileAt"], "again");
}

TEST(Request, IsAnsweredByAFailureToo) {
  World world;
  world.credential().annotate(kRequestedAt, "x").reconcile();
  EXPECT_EQ(world.status()["lastHandledReconcileAt"], "x");
  EXPECT_TRUE(world.reconcile().quiet());
}

TEST(Request, WaitsWhileTheApiServerIsAway) {
  SyncedWorld world;
  world.refuse_read["iam"] = refusal(503, "ServiceUnavailable", "away");
  EXPECT_EQ(world.annotate(kRequestedAt, "x").reconcile().retry, Retry::kBackoff);
  EXPECT_FALSE(world.status().contains("lastHandledReconcileAt"));
  world.refuse_read.clear();
  world.reconcile();
  EXPECT_EQ(world.status()["lastHandledReconcileAt"], "x");
}

TEST(Request, ThatIsTakenBackIsNone) {
  SyncedWorld world;
  world.annotate(kRequestedAt, "x").reconcile();
  EXPECT_TRUE(world.annotate(kRequestedAt, "").reconcile().quiet());
}

}  // namespace
}  // namespace sessmtp::operator_
