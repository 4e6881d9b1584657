// Row 26 of the behaviour matrix: spec.keepPreviousFor, from a rotation to its end.
#include <gmock/gmock.h>

#include "base/base64.h"
#include "world.h"

namespace sessmtp::operator_ {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::Eq;
using testing::Optional;

const char* const kExpiresAt = "ses-smtp.dev/previous-expires-at";

Data with_previous(Data data, const Key& key, const std::string& region = "us-east-1") {
  data["previous-username"] = key.id;
  data["previous-password"] = password_of(key, region);
  return data;
}

std::string annotation(const World& world) {
  return world.secret_object("mail")["metadata"]["annotations"].value(kExpiresAt, "none");
}

// The target was written from kOldKey at 8:00; at 9:00 the source got kKey, and the old pair is to stay for
// two hours.
struct RotatedWorld : World {
  RotatedWorld() {
    source(kOldKey).credential("mail", {{"keepPreviousFor", "2h"}}).reconcile();
    turn = later(1h).source(kKey).reconcile();
  }
  Turn turn;
};

TEST(Previous, ThePairBeforeStaysReadableAfterARotation) {
  RotatedWorld world;
  EXPECT_THAT(world.turn.events, ElementsAre("Rotated"));
  EXPECT_THAT(world.turn.reads, ElementsAre("iam", "mail"));
  EXPECT_EQ(world.turn.writes.size(), 1U);
  EXPECT_THAT(world.data(), Optional(with_previous(target_data(kKey), kOldKey)));
  EXPECT_EQ(annotation(world), "2026-11-22T11:00:00Z");
  EXPECT_EQ(world.status()["previous"],
            json({{"accessKeyId", "AKIA************LD01"}, {"expiresAt", "2026-11-22T11:00:00Z"}}));
  EXPECT_THAT(world.turn.look_again, Optional(2h));
}

TEST(Previous, NothingIsReadWhileItStays) {
  RotatedWorld world;
  const Turn turn = world.later(30min).reconcile();
  EXPECT_TRUE(turn.quiet());
  EXPECT_THAT(turn.look_again, Optional(90min)) << "also after a restart";
}

TEST(Previous, GoesOnTimeAndNotBefore) {
  RotatedWorld world;
  const Turn early = world.later(2h - 1us).reconcile();
  EXPECT_TRUE(early.quiet());
  EXPECT_THAT(early.look_again, Optional(1ms)) << "rounded up";
  const Turn turn = world.later(1us).reconcile();
  EXPECT_THAT(turn.events, ElementsAre("PreviousExpired"));
  EXPECT_THAT(world.data(), Optional(target_data(kKey)));
  EXPECT_EQ(annotation(world), "none");
  EXPECT_FALSE(world.status().contains("previous"));
  EXPECT_THAT(turn.look_again, Eq(std::nullopt));
  EXPECT_TRUE(world.reconcile().quiet());
}

TEST(Previous, GoesWhenTheTimeOfDayJumpsPastItsEnd) {
  RotatedWorld world;
  const Turn turn = world.later(9h).reconcile();
  EXPECT_THAT(turn.events, ElementsAre("PreviousExpired"));
  EXPECT_THAT(world.data(), Optional(target_data(kKey)));
  EXPECT_TRUE(world.reconcile().quiet());
}

TEST(Previous, StaysUntilTheTimeItWasSaidToThoughTheTimeOfDayIsSetBack) {
  RotatedWorld world;
  const Turn turn = world.later(-5h).reconcile();
  EXPECT_TRUE(turn.quiet());
  EXPECT_THAT(turn.look_again, Optional(7h)) << "one look, not many";
  EXPECT_THAT(world.later(7h).reconcile().events, ElementsAre("PreviousExpired"));
}

TEST(Previous, OfTwoRotationsInTheWindowTheLastCounts) {
  RotatedWorld world;
  world.later(1h).source(kThirdKey).reconcile();
  EXPECT_THAT(world.data(), Optional(with_previous(target_data(kThirdKey), kKey)));
  EXPECT_EQ(annotation(world), "2026-11-22T12:00:00Z");
}

TEST(Previous, ARepairKeepsIt) {
  RotatedWorld world;
  world.later(1h).edit("mail", [](json& o) { o["data"]["password"] = base64_encode("wrong"); });
  EXPECT_THAT(world.reconcile().events, ElementsAre("TargetRepaired"));
  EXPECT_THAT(world.data(), Optional(with_previous(target_data(kKey), kOldKey)));
  EXPECT_EQ(annotation(world), "2026-11-22T11:00:00Z");
}

TEST(Previous, SurvivesAnAnswerThatWasLost) {
  World world;
  world.source(kOldKey).credential("mail", {{"keepPreviousFor", "2h"}}).reconcile();
  world.later(1h).source(kKey).lose_write_answers = true;
  world.reconcile();
  world.lose_write_answers = false;
  EXPECT_THAT(world.reconcile().events, ElementsAre("Rotated"));
  EXPECT_THAT(world.data(), Optional(with_previous(target_data(kKey), kOldKey)));
  EXPECT_EQ(world.status()["previous"]["accessKeyId"], "AKIA************LD01");
}

TEST(Previous, IsKeptThoughStatusIsBehind) {
  World world;
  world.source(kOldKey).credential("mail", {{"keepPreviousFor", "2h"}}).reconcile();
  world.later(1h).source(kThirdKey).lose_write_answers = true;
  world.reconcile();  // written, but nobody heard of it
  world.lose_write_answers = false;
  EXPECT_THAT(world.source(kKey).reconcile().events, ElementsAre("Rotated"));
  EXPECT_THAT(world.data(), Optional(with_previous(target_data(kKey), kThirdKey)));
}

TEST(Previous, AnAnnotationThatNobodyCanReadMeansItIsOver) {
  for (const char* text : {"tomorrow", ""}) {
    RotatedWorld world;
    world.edit("mail", [text](json& o) { o["metadata"]["annotations"][kExpiresAt] = text; });
    world.reconcile();
    EXPECT_THAT(world.data(), Optional(target_data(kKey))) << text;
    EXPECT_FALSE(world.status().contains("previous")) << text;
  }
}

TEST(Previous, TheAnnotationIsTheTruth) {
  RotatedWorld world;
  world.edit("mail", [](json& o) { o["metadata"]["annotations"][kExpiresAt] = "2026-11-22T10:00:00Z"; });
  const Turn turn = world.reconcile();
  EXPECT_EQ(world.status()["previous"]["expiresAt"], "2026-11-22T10:00:00Z");
  EXPECT_THAT(turn.look_again, Optional(1h));
  EXPECT_THAT(world.later(1h).reconcile().events, ElementsAre("PreviousExpired"));
}

TEST(Previous, EndsAtOnceWhenTheAnnotationSaysSo) {
  RotatedWorld world;
  world.edit("mail", [](json& o) { o["metadata"]["annotations"][kExpiresAt] = "2026-11-22T08:30:00Z"; });
  EXPECT_THAT(world.reconcile().events, ElementsAre("PreviousExpired"));
  EXPECT_THAT(world.data(), Optional(target_data(kKey)));
}

TEST(Previous, AShorterTimeShortensIt) {
  RotatedWorld world;
  world.change_spec({{"keepPreviousFor", "1h"}}).reconcile();
  EXPECT_EQ(annotation(world), "2026-11-22T10:00:00Z");
  world.later(10min).change_spec({{"keepPreviousFor", "24h"}}).reconcile();
  EXPECT_EQ(annotation(world), "2026-11-22T10:00:00Z") << "what was promised stays promised";
}

TEST(Previous, GoesAtOnceWithTheField) {
  RotatedWorld world;
  const Turn turn = world.change_spec({{"keepPreviousFor", nullptr}}).reconcile();
  EXPECT_THAT(world.data(), Optional(target_data(kKey)));
  EXPECT_THAT(turn.look_again, Eq(std::nullopt));
}

TEST(Previous, APairOfAnotherRegionIsOfNoUse) {
  RotatedWorld world;
  world.source(kKey, "us-west-2").reconcile();
  EXPECT_THAT(world.data(), Optional(target_data(kKey, "us-west-2")));
}

TEST(Previous, HasThePasswordsOfAdditionalRegions) {
  World world;
  const json spec = {{"keepPreviousFor", "2h"}, {"additionalRegions", {"us-east-2", "us-west-2"}}};
  world.source(kKey).credential("mail", spec).reconcile();
  EXPECT_EQ(world.status()["additionalRegions"], spec["additionalRegions"]);
  const auto before = world.data().value();
  world.later(1h).source(kOldKey).reconcile();
  const auto after = world.data().value();
  for (const char* region : {"us-east-2", "us-west-2"}) {
    EXPECT_EQ(before.at("password." + std::string(region)), password_of(kKey, region));
    EXPECT_EQ(after.at("previous-password." + std::string(region)), password_of(kKey, region));
    EXPECT_NE(after.at("password." + std::string(region)), password_of(kKey, region));
  }
  world.change_spec({{"additionalRegions", {"us-west-2"}}}).reconcile();
  EXPECT_FALSE(world.data()->contains("previous-password.us-east-2"));
  EXPECT_FALSE(world.data()->contains("password.us-east-2"));
  EXPECT_TRUE(world.data()->contains("previous-password.us-west-2"));
}

TEST(Previous, WhatSomebodyWroteThereIsNotKept) {
  World world;
  world.source(kOldKey).credential("mail", {{"keepPreviousFor", "2h"}}).reconcile();
  world.edit("mail", [](json& o) { o["data"]["username"] = base64_encode("AKIASOMEBODYELSE0001"); });
  world.source(kKey).reconcile();
  EXPECT_THAT(world.data(), Optional(target_data(kKey)));
}

TEST(Previous, StaysAsItIsWhileTheSourceIsAway) {
  RotatedWorld world;
  world.remove("iam").reconcile();
  const auto before = world.data();
  EXPECT_TRUE(world.later(3h).reconcile().quiet());
  EXPECT_EQ(world.data(), before) << "a failure changes status only";
  world.source(kKey).reconcile();
  EXPECT_THAT(world.data(), Optional(target_data(kKey)));
}

}  // namespace
}  // namespace sessmtp::operator_
