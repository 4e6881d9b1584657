// Rows 39 and 40 of the behaviour matrix: spec.rolloutRestartTargets, by what status says.
#include <gmock/gmock.h>

#include "world.h"

namespace sessmtp::operator_ {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Optional;
using testing::SizeIs;
using testing::StartsWith;

const api::Workload kWeb{.kind = "Deployment", .name = "web"};
const api::Workload kJobs{.kind = "StatefulSet", .name = "jobs"};

json targets(const std::vector<api::Workload>& workloads) {
  json list = json::array();
  for (const api::Workload& workload : workloads) {
    list.push_back({{"kind", workload.kind}, {"name", workload.name}});
  }
  return {{"rolloutRestartTargets", list}};
}

// Synced with kOldKey at 8:00; it is 9:00.
struct RestartWorld : World {
  explicit RestartWorld(const std::vector<api::Workload>& workloads = {kWeb},
                        const json& spec = json::object()) {
    json all = targets(workloads);
    all.merge_patch(spec);
    first = source(kOldKey).credential("mail", all).reconcile();
    later(1h);
  }
  [[nodiscard]] json rollout(std::size_t i = 0) const { return status().at("rollouts").at(i); }
  [[nodiscard]] std::string digest(std::size_t i = 0) const { return rollout(i).at("digest"); }
  [[nodiscard]] std::string reason(std::size_t i = 0) const { return rollout(i).value("reason", ""); }
  Turn rotate(const Key& key = kKey) { return source(key).reconcile(); }
  // The look that is due next.
  Turn next(const Turn& before) {
    EXPECT_TRUE(before.look_again);
    return later(before.look_again.value_or(0ms)).reconcile();
  }
  void fail(const api::Workload& workload, const std::string& with) {
    restarts[workload] = {.result = RestartResult::kFailed, .reason = with, .message = "why " + with};
  }

  Turn first;
};

TEST(Restart, NeverAtTheFirstSync) {
  RestartWorld world({kWeb, kJobs});
  EXPECT_THAT(world.first.restarts, IsEmpty());
  EXPECT_EQ(world.first.look_again, std::nullopt);
  EXPECT_THAT(world.status()["rollouts"], SizeIs(2));
  EXPECT_THAT(world.digest(), SizeIs(16));
  EXPECT_EQ(world.rollout(), json({{"kind", "Deployment"}, {"name", "web"}, {"digest", world.digest()}}));
  EXPECT_TRUE(world.reconcile().quiet()) << "nor when the operator is started again";
}

TEST(Restart, FiveSecondsAfterARotation) {
  RestartWorld world({kWeb, kJobs});
  const std::string before = world.digest();
  const Turn rotation = world.rotate();
  EXPECT_THAT(rotation.events, ElementsAre("Rotated"));
  EXPECT_THAT(rotation.restarts, IsEmpty()) << "status has to know of it first";
  EXPECT_EQ(world.rollout(), json({{"kind", "Deployment"},
                                   {"name", "web"},
                                   {"digest", before},
                                   {"requestedAt", "2026-11-22T09:00:00Z"},
                                   {"reason", "RestartPending"}}));
  EXPECT_THAT(rotation.look_again, Optional(5s));
  const Turn early = world.later(4s).reconcile();
  EXPECT_TRUE(early.quiet());
  EXPECT_THAT(early.look_again, Optional(1s));
  const Turn due = world.later(1s).reconcile();
  EXPECT_EQ(world.digest(), world.digest(1));
  EXPECT_NE(world.digest(), before);
  EXPECT_THAT(due.restarts,
              ElementsAre("Deployment/web " + world.digest(), "StatefulSet/jobs " + world.digest()));
  EXPECT_THAT(due.writes, IsEmpty());
  EXPECT_THAT(due.events, ElementsAre("RestartTriggered", "RestartTriggered"));
  EXPECT_THAT(due.notes[0],
              StartsWith("Deployment \"web\" was restarted, since Secret \"mail\" has changed"));
  EXPECT_EQ(world.rollout(), json({{"kind", "Deployment"},
                                   {"name", "web"},
                                   {"digest", world.digest()},
                                   {"restartedAt", "2026-11-22T09:00:05Z"}}));
  EXPECT_EQ(world.says(), "Ready=True Synced");
  EXPECT_TRUE(world.later(1h).reconcile().quiet());
}

TEST(Restart, ATimeOfDayThatIsSetBackDoesNotPutItOff) {
  RestartWorld world;
  EXPECT_THAT(world.rotate().look_again, Optional(5s));
  const Turn after = world.later(-6h).reconcile();
  EXPECT_THAT(after.restarts, SizeIs(1));
  EXPECT_EQ(world.reason(), "");
  EXPECT_EQ(world.rollout()["restartedAt"], "2026-11-22T03:00:00Z");
  EXPECT_EQ(after.look_again, std::nullopt);
  EXPECT_TRUE(world.reconcile().quiet());
}

TEST(Restart, AClockThatIsALittleBehindWaitsALittleLonger) {
  RestartWorld world;
  world.rotate();
  EXPECT_THAT(world.later(-2s).reconcile().look_again, Optional(7s));
  EXPECT_THAT(world.later(7s).reconcile().restarts, SizeIs(1));
}

TEST(Restart, ATimeOfDayThatIsSetForwardMakesItDue) {
  RestartWorld world;
  world.rotate();
  EXPECT_THAT(world.later(6h).reconcile().restarts, SizeIs(1));
  EXPECT_TRUE(world.reconcile().quiet());
}

TEST(Restart, AFailureIsTriedAgainThoughTheTimeOfDayIsSetBack) {
  RestartWorld world;
  world.rotate();
  world.fail(kWeb, "WorkloadNotFound");
  world.later(5s).reconcile();
  const Turn after = world.later(-6h).reconcile();
  EXPECT_THAT(after.restarts, SizeIs(1));
  EXPECT_THAT(after.look_again, Optional(1min));
}

TEST(Restart, SeveralChangesAreOne) {
  RestartWorld world;
  world.rotate();
  world.later(3s);
  const Turn second = world.rotate(kThirdKey);
  EXPECT_THAT(second.look_again, Optional(5s)) << "from the last";
  EXPECT_EQ(world.rollout()["requestedAt"], "2026-11-22T09:00:03Z");
  EXPECT_THAT(world.later(2s).reconcile().restarts, IsEmpty());
  EXPECT_THAT(world.later(3s).reconcile().restarts, SizeIs(1));
}

TEST(Restart, DataThatSoonIsWhatItWasNeedsNone) {
  RestartWorld world;
  const json before = world.rollout();
  world.rotate();
  world.later(3s);
  const Turn back = world.rotate(kOldKey);
  EXPECT_EQ(back.look_again, std::nullopt);
  EXPECT_EQ(world.rollout(), before);
  EXPECT_TRUE(world.later(1h).reconcile().quiet());
}

TEST(Restart, DataThatIsWhatItWasAfterAWhileNeedsOne) {
  RestartWorld world;
  world.fail(kWeb, "Forbidden");
  world.next(world.rotate());
  world.later(1h);
  world.rotate(kOldKey);
  world.restarts.clear();
  EXPECT_THAT(world.later(5s).reconcile().restarts, SizeIs(1))
      << "a pod may have started while the data was another";
  EXPECT_EQ(world.reason(), "");
}

TEST(Restart, NoneForARepair) {
  RestartWorld world;
  const json before = world.rollout();
  world.edit("mail", [](json& secret) { secret["data"]["password"] = "eA=="; });
  EXPECT_THAT(world.reconcile().events, ElementsAre("TargetRepaired"));
  world.remove("mail");
  EXPECT_THAT(world.reconcile().events, ElementsAre("TargetRepaired"));
  EXPECT_EQ(world.rollout(), before);
  EXPECT_TRUE(world.later(1h).reconcile().quiet());
}

TEST(Restart, NoneWhenThePairBeforeExpires) {
  RestartWorld world({kWeb}, {{"keepPreviousFor", "2h"}});
  const Turn due = world.next(world.rotate());
  EXPECT_THAT(due.restarts, SizeIs(1));
  const Turn expiry = world.later(2h).reconcile();
  EXPECT_THAT(expiry.events, ElementsAre("PreviousExpired"));
  EXPECT_EQ(world.reason(), "");
  EXPECT_TRUE(world.later(1h).reconcile().quiet());
}

TEST(Restart, AnyChangeOfTheDataIsAReason) {
  RestartWorld world;
  const Turn changed = world.change_spec({{"endpoint", {{"port", 2587}}}}).reconcile();
  EXPECT_EQ(world.reason(), "RestartPending");
  EXPECT_THAT(world.next(changed).restarts, SizeIs(1));
}

TEST(Restart, AWorkloadNamedLaterHasTheDataOfThen) {
  RestartWorld world;
  world.change_spec(targets({kWeb, kJobs})).reconcile();
  EXPECT_EQ(world.digest(1), world.digest());
  EXPECT_EQ(world.reason(1), "");
}

TEST(Restart, AWorkloadNamedTogetherWithAChangeHasSeenTheDataBefore) {
  RestartWorld world;
  json change = targets({kWeb, kJobs});
  change["target"]["format"] = "Env";
  const Turn changed = world.change_spec(change).reconcile();
  EXPECT_EQ(world.reason(1), "RestartPending");
  EXPECT_THAT(world.next(changed).restarts, SizeIs(2));
  EXPECT_EQ(world.digest(1), world.digest());
}

TEST(Restart, AWorkloadNamedTogetherWithTheEndOfThePairBeforeHasNotMissedAnything) {
  RestartWorld world({}, {{"keepPreviousFor", "2h"}});
  world.rotate();
  json change = targets({kWeb});
  change["keepPreviousFor"] = nullptr;
  EXPECT_THAT(world.change_spec(change).reconcile().writes, SizeIs(1));
  EXPECT_EQ(world.reason(), "");
}

TEST(Restart, WhatIsTakenOffTheListIsForgotten) {
  RestartWorld world;
  world.rotate();
  world.change_spec(targets({})).reconcile();
  EXPECT_FALSE(world.status().contains("rollouts"));
  world.change_spec(targets({kWeb})).reconcile();
  EXPECT_EQ(world.reason(), "") << "and has the data of now when it comes back";
  EXPECT_THAT(world.later(1h).reconcile().restarts, IsEmpty());
}

TEST(Restart, OneThatFailsStopsNoOther) {
  RestartWorld world({kWeb, kJobs});
  const std::string before = world.digest();
  world.fail(kWeb, "WorkloadNotFound");
  const Turn due = world.next(world.rotate());
  EXPECT_THAT(due.restarts, SizeIs(2));
  EXPECT_THAT(due.events, ElementsAre("Warning RestartFailed", "RestartTriggered"));
  EXPECT_EQ(due.notes[0], "Deployment \"web\": why WorkloadNotFound");
  EXPECT_EQ(world.reason(), "WorkloadNotFound");
  EXPECT_EQ(world.digest(), before);
  EXPECT_EQ(world.reason(1), "");
  EXPECT_EQ(world.says(), "Ready=True Synced");
  EXPECT_EQ(due.retry, Retry::kNo);
}

TEST(Restart, AFailureIsTriedEverLessOftenAndToldOnce) {
  RestartWorld world;
  world.fail(kWeb, "Forbidden");
  Turn turn = world.next(world.rotate());
  std::vector<std::chrono::minutes> waits;
  for (int i = 0; i < 7; ++i) {
    waits.push_back(std::chrono::floor<std::chrono::minutes>(*turn.look_again));
    turn = world.next(turn);
    EXPECT_THAT(turn.restarts, SizeIs(1));
    EXPECT_FALSE(turn.status_changed);
  }
  EXPECT_THAT(waits, ElementsAre(1min, 1min, 2min, 4min, 8min, 15min, 15min));
  world.fail(kWeb, "TargetNotReferenced");
  EXPECT_THAT(world.next(turn).events, ElementsAre("Warning RestartFailed")) << "another reason is news";
  world.restarts.clear();
  EXPECT_THAT(world.later(15min).reconcile().events, ElementsAre("RestartTriggered"));
  EXPECT_TRUE(world.later(1h).reconcile().quiet());
}

TEST(Restart, TooSoonWaitsQuietly) {
  RestartWorld world;
  world.restarts[kWeb] = {.result = RestartResult::kTooSoon, .wait = 42s};
  const Turn due = world.next(world.rotate());
  EXPECT_FALSE(due.status_changed);
  EXPECT_THAT(due.look_again, Optional(42s));
  EXPECT_EQ(world.reason(), "RestartPending");
  world.restarts.clear();
  EXPECT_THAT(world.next(due).events, ElementsAre("RestartTriggered"));
}

TEST(Restart, AYoungerWorkloadIsNoNews) {
  RestartWorld world;
  world.restarts[kWeb] = {.result = RestartResult::kUpToDate};
  const Turn due = world.next(world.rotate());
  EXPECT_THAT(due.events, IsEmpty());
  EXPECT_EQ(world.reason(), "");
  EXPECT_FALSE(world.rollout().contains("restartedAt"));
  EXPECT_TRUE(world.later(1h).reconcile().quiet());
}

TEST(Restart, AHiccupOfTheApiServerIsTriedAgainWithoutAWord) {
  RestartWorld world({kWeb, kJobs});
  world.restarts[kWeb] = {.result = RestartResult::kTryAgain,
                          .wait = 7s,
                          .reason = "ApiError",
                          .message = "patching it: HTTP 503"};
  const Turn due = world.next(world.rotate());
  EXPECT_EQ(due.retry, Retry::kBackoff);
  EXPECT_THAT(due.events, ElementsAre("RestartTriggered")) << "of the other";
  EXPECT_EQ(world.reason(), "RestartPending");
  world.failed_looks = 8;
  EXPECT_THAT(world.reconcile().events, ElementsAre("Warning RestartFailed")) << "more than a hiccup";
  EXPECT_EQ(world.reason(), "ApiError");
  EXPECT_FALSE(world.reconcile().status_changed);
  world.restarts.clear();
  EXPECT_THAT(world.reconcile().events, ElementsAre("RestartTriggered"));
}

TEST(Restart, WhatWasDueBeforeTheOperatorWentIsCaughtUpWith) {
  RestartWorld world;
  world.rotate();
  EXPECT_THAT(world.later(24h).reconcile().restarts, SizeIs(1));
}

TEST(Restart, ARotationNobodyNotedInStatusIsSeenByTheData) {
  RestartWorld world;
  const json before = world.status();
  world.rotate();
  world.api.edit("/apis/ses-smtp.dev/v1alpha1/namespaces/shop/sessmtpcredentials/mail",
                 [&before](json& credential) { credential["status"] = before; });  // killed in between
  const Turn again = world.later(1min).reconcile();
  EXPECT_THAT(again.writes, IsEmpty());
  EXPECT_EQ(world.reason(), "RestartPending");
  EXPECT_THAT(world.next(again).restarts, SizeIs(1));
}

TEST(Restart, WaitsWhileTheCredentialIsNotReady) {
  RestartWorld world;
  world.rotate();
  const Turn gone = world.later(1s).remove("iam").reconcile();
  EXPECT_EQ(world.says(), "Ready=False SourceNotFound, Reconciling=True SourceNotFound");
  EXPECT_EQ(gone.look_again, std::nullopt);
  EXPECT_EQ(world.reason(), "RestartPending");
  EXPECT_THAT(world.later(1h).reconcile().restarts, IsEmpty());
  world.source(kKey);
  EXPECT_THAT(world.reconcile().restarts, SizeIs(1)) << "at once";
  EXPECT_EQ(world.says(), "Ready=True Synced");
}

TEST(Restart, WaitsWhileSuspended) {
  RestartWorld world;
  world.rotate();
  world.change_spec({{"suspend", true}}).reconcile();
  EXPECT_EQ(world.reason(), "RestartPending");
  EXPECT_TRUE(world.later(1h).reconcile().quiet());
  const Turn resumed = world.change_spec({{"suspend", false}}).reconcile();
  EXPECT_THAT(resumed.restarts, SizeIs(1));
  EXPECT_THAT(resumed.events, ElementsAre("Resumed", "RestartTriggered"));
}

TEST(Restart, OfAMergedTargetCountsWhatWeMerge) {
  World world;
  world.secret("mail", {{"theirs", "1"}}, {{"annotations", {{"ses-smtp.dev/allow-takeover-by", "mail"}}}});
  json spec = targets({kWeb});
  spec["target"] = {{"conflictPolicy", "Merge"}, {"deletionPolicy", "Retain"}};
  world.source(kOldKey).credential("mail", spec).reconcile();
  ASSERT_EQ(world.says(), "Ready=True Synced");
  world.edit("mail", [](json& secret) { secret["data"]["theirs"] = "Mg=="; });
  EXPECT_EQ(world.later(1h).reconcile().look_again, std::nullopt);
  EXPECT_THAT(world.source(kKey).reconcile().look_again, Optional(5s));
  EXPECT_THAT(world.later(5s).reconcile().restarts, SizeIs(1));
}

TEST(Restart, TwoCredentialsOfOneWorkloadDoNotWakeEachOther) {
  RestartWorld world;
  world.credential("other", targets({kWeb})).reconcile("other");
  EXPECT_NE(world.digest(), world.status("other")["rollouts"][0]["digest"].get<std::string>())
      << "of the same data";
  world.rotate();
  world.reconcile("other");
  world.later(5s);
  EXPECT_THAT(world.reconcile().restarts, SizeIs(1));
  EXPECT_THAT(world.reconcile("other").restarts, SizeIs(1));
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(world.later(1h).reconcile().quiet());
    EXPECT_TRUE(world.reconcile("other").quiet());
  }
}

TEST(Restart, TheDigestTellsNothing) {
  RestartWorld world;
  for (const std::string& value : {kOldKey.id, kOldKey.secret, password_of(kOldKey, "us-east-1")}) {
    EXPECT_THAT(world.status().dump(), Not(HasSubstr(value)));
  }
}

}  // namespace
}  // namespace sessmtp::operator_
