// Rows 3, 4, 30 of the behaviour matrix: another key in the source.
#include <gmock/gmock.h>

#include "api/names.h"
#include "base/base64.h"
#include "world.h"

namespace sessmtp::operator_ {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Optional;

const std::string kReady = "Ready=True Synced";
const std::string kNine = "2026-11-22T09:00:00Z";
// Of the same id, with another secret, as a person makes them who corrects a typing mistake.
const Key kSameId{kOldKey.id, kKey.secret};

std::string annotated_key_since(const World& world) {
  return world.secret_object("mail")["metadata"]["annotations"]["ses-smtp.dev/key-since"];
}

void expect_rotated(const World& world, const Turn& turn, const Key& key) {
  EXPECT_THAT(world.data(), Optional(target_data(key)));
  EXPECT_THAT(turn.events, ElementsAre("Rotated"));
  EXPECT_EQ(world.says(), kReady);
  EXPECT_EQ(world.status().value("lastRotationTime", ""), kNine);
  EXPECT_EQ(world.status().value("keySince", ""), kNine);
  EXPECT_EQ(annotated_key_since(world), kNine);
}

TEST(Rotation, AnotherPairReplacesEveryKeyInOneWrite) {
  SyncedWorld world(kOldKey);
  const Turn turn = world.source(kKey).reconcile();
  expect_rotated(world, turn, kKey);
  EXPECT_EQ(turn.writes.size(), 1U);
  EXPECT_THAT(turn.reads, ElementsAre("iam")) << "the ids tell, so the target need not be read";
  EXPECT_EQ(world.status()["accessKeyId"], "AKIA************MPLE");
  EXPECT_TRUE(world.reconcile().quiet());
}

TEST(Rotation, AnotherSecretOfTheSameIdIsARotation) {
  SyncedWorld world(kOldKey);
  const Turn turn = world.source(kSameId).reconcile();
  expect_rotated(world, turn, kSameId);
}

TEST(Rotation, AnIdThatIsNotShownIsComparedInTheTargetItself) {
  const Key before{"user_key_of_sixteen", kOldKey.secret};
  const Key after{"another_user_key_id", kKey.secret};
  World world;
  world.source(before).credential("mail", {{"source", {{"preset", "Plain"}}}}).reconcile();
  world.later(1h);
  EXPECT_EQ(world.status()["accessKeyId"], "****");
  EXPECT_THAT(world.touch("iam").reconcile().events, Not(Contains("Rotated")));
  const Turn turn = world.source(after).reconcile();
  EXPECT_THAT(turn.reads, ElementsAre("iam", "mail"));
  expect_rotated(world, turn, after);
}

TEST(Rotation, IdsThatLookTheSameWhenMaskedAreComparedInTheTargetItself) {
  const Key twin{"AKIAI44QH8DHBEXAMPLE", kOldKey.secret};
  SyncedWorld world(twin);
  EXPECT_EQ(world.status()["accessKeyId"], "AKIA************MPLE");
  const Turn turn = world.source(kKey).reconcile();
  EXPECT_THAT(turn.reads, ElementsAre("iam", "mail"));
  expect_rotated(world, turn, kKey);
}

TEST(Rotation, IsNotSaidAgainWhenTheTargetIsRepairedLater) {
  SyncedWorld world(kOldKey);
  world.source(kKey).reconcile();
  world.later(1h).edit("mail", [](json& o) { o["data"].erase("password"); });
  EXPECT_THAT(world.reconcile().events, ElementsAre("TargetRepaired"));
  EXPECT_EQ(world.status()["lastRotationTime"], kNine);
  EXPECT_EQ(world.status()["keySince"], kNine);
}

TEST(Rotation, ARepeatedRotationMovesItsTimes) {
  SyncedWorld world(kKey);
  world.source(kOldKey).reconcile();
  world.later(1h);
  EXPECT_THAT(world.source(kThirdKey).reconcile().events, Contains("Rotated"));
  EXPECT_EQ(world.status()["lastRotationTime"], "2026-11-22T10:00:00Z");
  EXPECT_THAT(world.data(), Optional(target_data(kThirdKey)));
}

TEST(Rotation, WithTheTargetDeletedAtTheSameTime) {
  SyncedWorld world(kOldKey);
  const Turn turn = world.remove("mail").source(kKey).reconcile();
  expect_rotated(world, turn, kKey);
}

TEST(Rotation, WithTheSpecChangedAtTheSameTime) {
  SyncedWorld world(kOldKey);
  world.change_spec({{"endpoint", {{"port", 465}}}}).source(kKey);
  const Turn turn = world.reconcile();
  EXPECT_THAT(turn.events, ElementsAre("Rotated"));
  EXPECT_THAT(world.data(), Optional(target_data(kKey, "us-east-1", "", 465, "smtps")));
  EXPECT_EQ(world.status()["keySince"], kNine);
}

TEST(Rotation, WithTheTargetEditedAtTheSameTime) {
  SyncedWorld world(kOldKey);
  world.source(kKey).edit("mail", [](json& o) { o["data"]["password"] = base64_encode("wrong"); });
  expect_rotated(world, world.reconcile(), kKey);
}

TEST(Rotation, AnEditWithATouchOfTheSourceIsNoRotation) {
  for (const char* key : {"username", "password"}) {
    SyncedWorld world;
    world.touch("iam").edit("mail",
                            [key](json& o) { o["data"][key] = base64_encode("AKIAEDITEDBYHAND0000"); });
    const Turn turn = world.reconcile();
    EXPECT_THAT(turn.events, ElementsAre("TargetRepaired")) << key;
    EXPECT_EQ(world.status()["keySince"], "2026-11-22T08:00:00Z") << key;
    EXPECT_FALSE(world.status().contains("lastRotationTime")) << key;
  }
}

TEST(Rotation, BackAndForthBetweenValidAndInvalidIsNoRotation) {
  SyncedWorld world;
  world.source(Data{{"README", "nothing here"}}).reconcile();
  EXPECT_THAT(world.says(), HasSubstr("SourceKeysNotFound"));
  EXPECT_THAT(world.source(kKey).reconcile().events, ElementsAre("Synced"));
  EXPECT_EQ(world.status()["keySince"], "2026-11-22T08:00:00Z");
  EXPECT_FALSE(world.status().contains("lastRotationTime"));
}

TEST(Rotation, ThroughAnInvalidSource) {
  SyncedWorld world(kOldKey);
  world.source(Data{{"README", "nothing here"}}).reconcile();
  expect_rotated(world, world.source(kKey).reconcile(), kKey);
}

TEST(Rotation, ThroughAnAbsentSource) {
  SyncedWorld world(kOldKey);
  world.remove("iam").reconcile();
  expect_rotated(world, world.source(kKey).reconcile(), kKey);
}

// The first attempt leaves a status that names the new source; the second still has to know the pair as new.
TEST(Rotation, ThatIsRefusedAtFirstIsStillARotationWhenItSucceeds) {
  const std::vector<Answer> refusals = {
      refusal(403, "Forbidden",
              "secrets \"mail\" is forbidden: User \"x\" cannot patch resource \"secrets\""),
      refusal(422, "Invalid", "admission policy says no"),
      refusal(500, "InternalError", "etcd is away"),
  };
  for (const Key& key : {kKey, kSameId}) {
    for (const Answer& answer : refusals) {
      SCOPED_TRACE(key.id + answer.body.dump());
      SyncedWorld world(kOldKey);
      world.refuse_write = answer;
      world.source(key).reconcile();
      EXPECT_THAT(world.data(), Optional(target_data(kOldKey)));
      world.refuse_write.reset();
      expect_rotated(world, world.reconcile(), key);
    }
  }
}

TEST(Rotation, WhoseAnswerWasLostIsSettledByTheNextLook) {
  SyncedWorld world(kOldKey);
  world.source(kKey);
  world.lose_write_answers = true;
  EXPECT_EQ(world.reconcile().retry, Retry::kBackoff);
  world.lose_write_answers = false;
  const std::string version = world.version();
  const Turn turn = world.later(1h).reconcile();
  EXPECT_EQ(world.version(), version);
  EXPECT_EQ(world.says(), kReady);
  EXPECT_EQ(world.status()["keySince"], annotated_key_since(world));
  EXPECT_EQ(world.status()["keySince"], kNine);
  EXPECT_EQ(world.status().value("lastRotationTime", ""), kNine);
  EXPECT_THAT(turn.events, ElementsAre("Rotated"));
}

TEST(Rotation, WhileTheOperatorWasDownIsSeenOnStart) {
  SyncedWorld world(kOldKey);
  world.touch("iam").source(kThirdKey).touch("iam").source(kKey);
  expect_rotated(world, world.reconcile(), kKey);
}

TEST(Rotation, TheEventShowsTheNewIdMasked) {
  SyncedWorld world(kOldKey);
  EXPECT_THAT(world.source(kKey).reconcile().notes, ElementsAre(HasSubstr("AKIA************MPLE")));
}

}  // namespace
}  // namespace sessmtp::operator_
