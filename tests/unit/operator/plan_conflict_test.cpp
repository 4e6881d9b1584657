// Rows 13, 16, 17, 41, 44 of the behaviour matrix, and races: who may write which Secret.
#include <gmock/gmock.h>

#include "api/names.h"
#include "base/base64.h"
#include "world.h"

namespace sessmtp::operator_ {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Optional;

const std::string kReady = "Ready=True Synced";
const std::string kConflict = "Ready=False TargetConflict, Stalled=True TargetConflict";
const Data kTheirs{{"username", "theirs"}, {"password", "theirs-too"}};

const char* const kOwnerLabel = "ses-smtp.dev/owner-uid";

TEST(Conflict, AForeignSecretIsLeftAloneAndItsGoingClearsTheConflict) {
  World world;
  world.source(kKey).secret("mail", kTheirs).credential();
  const json before = world.secret_object("mail");
  const Turn turn = world.reconcile();
  EXPECT_EQ(world.secret_object("mail"), before);
  EXPECT_EQ(world.says(), kConflict);
  EXPECT_THAT(turn.events, ElementsAre("Warning TargetConflict"));
  EXPECT_THAT(turn.reads, IsEmpty()) << "metadata decides alone";
  EXPECT_FALSE(world.status().contains("target")) << world.status();
  EXPECT_TRUE(world.reconcile().quiet());

  EXPECT_THAT(world.remove("mail").reconcile().events, ElementsAre("Synced"));
  EXPECT_THAT(world.data(), Optional(target_data(kKey)));
}

TEST(Conflict, ATargetWithoutLabelsThatNoStatusNamesYetIsKnownByItsOwnerReference) {
  World world;
  world.source(kKey).credential().reconcile();
  // As after an end between the write of the target and that of the status.
  world.api.edit(api::credential_path("shop", "mail"), [](json& o) { o.erase("status"); });
  world.edit("mail", [](json& o) {
    o["metadata"].erase("labels");
    o["metadata"].erase("annotations");
    o["data"]["password"] = base64_encode("by hand");
  });
  world.reconcile();
  EXPECT_EQ(world.says(), kReady);
  EXPECT_THAT(world.data(), Optional(target_data(kKey)));
  EXPECT_TRUE(world.secret_object("mail")["metadata"]["labels"].contains(kOwnerLabel));
}

TEST(Conflict, ASecretThatAnotherToolManagesIsForeign) {
  World world;
  world.source(kKey).credential().secret("mail", kTheirs,
                                         {{"labels", {{"app.kubernetes.io/managed-by", "Helm"}}},
                                          {"annotations", {{"ses-smtp.dev/credential", "mail"}}}});
  world.reconcile();
  EXPECT_EQ(world.says(), kConflict);
  EXPECT_THAT(world.data(), Optional(kTheirs));
}

TEST(Conflict, AForeignSecretPutThereBetweenLookingAndWritingIsLeftAlone) {
  World world;
  world.source(kKey).credential();
  world.meanwhile = [&world] { world.secret("mail", kTheirs); };
  const Turn turn = world.reconcile();
  EXPECT_THAT(world.data(), Optional(kTheirs));
  EXPECT_EQ(world.says(), kConflict);
  EXPECT_THAT(turn.reads, ElementsAre("iam", "mail")) << "the name is taken, so it is read";
  EXPECT_FALSE(world.status().contains("target")) << world.status();
}

TEST(Conflict, OurTargetReplacedByAForeignOneBetweenLookingAndWritingIsLeftAlone) {
  SyncedWorld world(kOldKey);
  world.source(kKey);
  world.meanwhile = [&world] { world.remove("mail").secret("mail", kTheirs); };
  world.reconcile();
  EXPECT_THAT(world.data(), Optional(kTheirs));
  EXPECT_EQ(world.says(), kConflict);
  EXPECT_FALSE(world.status().contains("target")) << world.status();
  EXPECT_FALSE(world.status().contains("accessKeyId")) << world.status();
}

TEST(Conflict, StatusForgetsATargetThatWasReplacedByAForeignOne) {
  SyncedWorld world;
  world.remove("mail").secret("mail", kTheirs).reconcile();
  EXPECT_EQ(world.says(), kConflict);
  for (const char* field : {"target", "accessKeyId", "keySince"}) {
    EXPECT_FALSE(world.status().contains(field)) << world.status();
  }
  EXPECT_THAT(world.remove("mail").reconcile().events, ElementsAre("Synced"));
  EXPECT_EQ(world.says(), kReady);
}

TEST(Conflict, TheMessageSaysWhatToDoAndQuotesNoValue) {
  World world;
  world.source(kKey).secret("mail", kTheirs).credential().reconcile();
  EXPECT_THAT(world.message(),
              AllOf(HasSubstr("\"mail\""), HasSubstr("left alone"), HasSubstr("spec.target.name")));
}

// ---- two credentials ------------------------------------------------------------------------------------

class TwoCredentials : public testing::Test {
 protected:
  TwoCredentials() {
    const json spec = {{"target", {{"name", "login"}}}};
    world.source(kKey).credential("elder", spec).later(1min).credential("younger", spec);
  }
  World world;
};

TEST_F(TwoCredentials, TheElderWritesAndTheYoungerNamesIt) {
  const Turn younger = world.reconcile("younger");
  world.reconcile("elder");
  EXPECT_EQ(world.says("elder"), kReady);
  EXPECT_EQ(world.says("younger"), kConflict);
  EXPECT_THAT(world.message("younger"), HasSubstr("\"elder\""));
  EXPECT_THAT(younger.events, ElementsAre("Warning TargetConflict"));
  EXPECT_EQ(world.api.written_for(api::secret_path("shop", "login")), world.credential_uid("elder"));
  EXPECT_TRUE(world.reconcile("younger").quiet());
  EXPECT_TRUE(world.reconcile("elder").quiet());
}

TEST_F(TwoCredentials, TheYoungerTakesOverWhenTheElderAndItsSecretAreGone) {
  world.reconcile("elder");
  world.reconcile("younger");
  world.remove_credential("elder").remove("login");
  EXPECT_THAT(world.reconcile("younger").events, ElementsAre("Synced"));
  EXPECT_THAT(world.data("login"), Optional(target_data(kKey)));
}

TEST_F(TwoCredentials, TheYoungerKeepsATargetThatItHad) {
  World other;
  const json spec = {{"target", {{"name", "login"}}}};
  other.source(kKey).credential("younger", spec).reconcile("younger");
  // The elder of them was restored from a backup: its creation is earlier.
  other.credential("elder", spec);
  other.api.edit(api::credential_path("shop", "elder"),
                 [](json& o) { o["metadata"]["creationTimestamp"] = "2020-01-01T00:00:00Z"; });
  other.reconcile("elder");
  EXPECT_EQ(other.says("elder"), kConflict);
  EXPECT_TRUE(other.reconcile("younger").quiet());
}

TEST_F(TwoCredentials, AStolenOwnerLabelMovesTheTargetOnceAndNoStatusNamesItTwice) {
  world.reconcile("elder");
  world.reconcile("younger");
  const std::string uid = world.credential_uid("younger");
  world.edit("login", [&uid](json& o) { o["metadata"]["labels"][kOwnerLabel] = uid; });
  world.reconcile("younger");
  world.reconcile("elder");
  EXPECT_EQ(world.says("younger"), kReady);
  EXPECT_EQ(world.says("elder"), kConflict);
  EXPECT_FALSE(world.status("elder").contains("target")) << world.status("elder");
  // And with the label gone, status decides.
  world.edit("login", [](json& o) { o["metadata"].erase("labels"); });
  world.reconcile("elder");
  world.reconcile("younger");
  EXPECT_EQ(world.says("elder"), kConflict);
  EXPECT_EQ(world.says("younger"), kReady);
}

// ---- the source -----------------------------------------------------------------------------------------

TEST(SourceOwnership, ATargetOfOursIsNoSource) {
  SyncedWorld world;
  world.credential("second", {{"source", {{"secretName", "mail"}}}});
  const Turn turn = world.reconcile("second");
  EXPECT_EQ(world.says("second"), "Ready=False SourceIsTarget, Stalled=True SourceIsTarget");
  EXPECT_THAT(turn.events, ElementsAre("Warning SourceIsTarget"));
  EXPECT_THAT(turn.reads, IsEmpty());
  EXPECT_EQ(world.data("second"), std::nullopt);
}

TEST(SourceOwnership, IsSeenInTheLiveSecretEvenWhenTheWatchIsLate) {
  World world;
  world.source(kKey).credential();
  world.meanwhile = [&world] {
    world.edit("iam", [](json& o) { o["metadata"]["labels"] = {{kOwnerLabel, "somebody"}}; });
  };
  world.reconcile();
  EXPECT_EQ(world.says(), "Ready=False SourceIsTarget, Stalled=True SourceIsTarget");
  EXPECT_EQ(world.data(), std::nullopt);
}

TEST(SourceOwnership, WhoeverNamesASourceAsItsTargetStopsNobody) {
  World world;
  world.source(kKey).secret("other", plain(kOldKey)).credential();
  world.credential("thief", {{"source", {{"secretName", "other"}}}, {"target", {{"name", "iam"}}}});
  for (int i = 0; i < 2; ++i) {
    world.reconcile("thief");
    world.reconcile("mail");
  }
  EXPECT_EQ(world.says("thief"), kConflict);
  EXPECT_EQ(world.says("mail"), kReady);
  EXPECT_THAT(world.data("iam"), Optional(plain(kKey)));
}

TEST(SourceOwnership, ARingOfTwoSettles) {
  World world;
  world.credential("a", {{"source", {{"secretName", "b"}}}})
      .credential("b", {{"source", {{"secretName", "a"}}}});
  world.secret("a", plain(kKey));
  std::size_t writes = 0;
  for (int i = 0; i < 5; ++i) {
    writes += world.reconcile("a").writes.size() + world.reconcile("b").writes.size();
  }
  EXPECT_LE(writes, 1U);
  EXPECT_TRUE(world.reconcile("a").quiet());
  EXPECT_TRUE(world.reconcile("b").quiet());
  EXPECT_THAT(world.data("a"), Optional(plain(kKey)));
}

// ---- an earlier life ------------------------------------------------------------------------------------

TEST(FormerLife, ATargetLeftByADeletedCredentialOfOurNameIsTakenBack) {
  SyncedWorld world;
  const std::string target = world.uid();
  world.remove_credential().credential();
  const Turn turn = world.reconcile();
  EXPECT_THAT(turn.events, ElementsAre("Adopted"));
  EXPECT_EQ(world.says(), kReady);
  EXPECT_EQ(world.uid(), target);
  EXPECT_EQ(world.secret_object("mail")["metadata"]["labels"][kOwnerLabel], world.credential_uid());
  EXPECT_EQ(world.secret_object("mail")["metadata"]["ownerReferences"].size(), 1U);
  EXPECT_EQ(world.status()["keySince"], "2026-11-22T08:00:00Z") << "the pair is as old as it was";
  ASSERT_EQ(turn.writes.size(), 1U);
  EXPECT_EQ(turn.writes[0]["metadata"]["uid"], target);
  EXPECT_TRUE(turn.writes[0]["metadata"].contains("resourceVersion")) << "nobody may have come in between";
  EXPECT_TRUE(world.reconcile().quiet());
}

TEST(FormerLife, WhoseLabelsChangeUnderTheTakingBackIsDecidedAnew) {
  SyncedWorld world;
  world.remove_credential().credential();
  world.meanwhile = [&world] {
    world.edit("mail", [](json& o) { o["metadata"]["labels"] = {{"app.kubernetes.io/managed-by", "Helm"}}; });
  };
  const json before = world.secret_object("mail").at("data");
  world.reconcile();
  EXPECT_EQ(world.says(), kConflict);
  EXPECT_EQ(world.secret_object("mail").at("data"), before);
}

TEST(FormerLife, OfAnotherNameIsForeign) {
  SyncedWorld world;
  world.remove_credential().credential("post", {{"target", {{"name", "mail"}}}});
  world.reconcile("post");
  EXPECT_EQ(world.says("post"), kConflict);
}

TEST(FormerLife, WithAnotherKeyInTheSourceHoldsTheNewKeyAfterwards) {
  SyncedWorld world(kOldKey);
  world.remove_credential().credential().source(kKey);
  const Turn turn = world.reconcile();
  EXPECT_THAT(turn.events, ElementsAre("Adopted"));
  EXPECT_THAT(world.data(), Optional(target_data(kKey)));
  EXPECT_EQ(world.status()["keySince"], "2026-11-22T09:00:00Z");
}

TEST(FormerLife, WithADeadControllerOfAnotherManagerWaitsForTheGarbageCollector) {
  SyncedWorld world;
  world.edit("mail", [](json& o) { o["metadata"]["ownerReferences"][0]["uid"] = "of-a-backup-tool"; });
  world.remove_credential().credential();
  const Turn turn = world.reconcile();
  EXPECT_EQ(world.says(), kConflict);
  EXPECT_THAT(turn.writes, IsEmpty()) << "the other manager may well be alive";
  world.edit("mail", [](json& o) { o["metadata"].erase("ownerReferences"); });
  EXPECT_THAT(world.reconcile().events, ElementsAre("Adopted"));
  EXPECT_EQ(world.says(), kReady);
}

// ---- what cannot be changed -----------------------------------------------------------------------------

TEST(Immutable, ATargetMadeImmutableStaysUntilItIsDeleted) {
  const std::string stalled = "Ready=False TargetImmutable, Stalled=True TargetImmutable";
  for (const Key& key : {kKey, Key{kOldKey.id, kKey.secret}}) {
    SyncedWorld world(kOldKey);
    world.edit("mail", [](json& o) { o["immutable"] = true; });
    world.reconcile();
    EXPECT_EQ(world.says(), kReady) << "it holds what it should";
    EXPECT_THAT(world.source(key).reconcile().events, ElementsAre("Warning TargetImmutable"));
    EXPECT_EQ(world.says(), stalled);
    EXPECT_THAT(world.data(), Optional(target_data(kOldKey)));
    world.reconcile();  // having read it, the message is another one
    EXPECT_FALSE(world.reconcile().status_changed);
    EXPECT_EQ(world.status()["accessKeyId"], "AKIA************LD01");
    world.remove("mail").reconcile();
    EXPECT_EQ(world.says(), kReady);
    EXPECT_THAT(world.data(), Optional(target_data(key)));
  }
}

TEST(Immutable, ATargetMadeImmutableBetweenLookingAndWritingIsReported) {
  SyncedWorld world(kOldKey);
  world.source(kKey);
  world.meanwhile = [&world] { world.edit("mail", [](json& o) { o["immutable"] = true; }); };
  world.reconcile();
  EXPECT_EQ(world.says(), "Ready=False TargetImmutable, Stalled=True TargetImmutable");
  EXPECT_THAT(world.data(), Optional(target_data(kOldKey)));
}

TEST(Immutable, ATypeThatCannotBeChangedIsReported) {
  SyncedWorld world;
  world.remove_credential().credential("mail", {{"target", {{"type", "kubernetes.io/basic-auth"}}}});
  world.reconcile();
  EXPECT_EQ(world.says(), "Ready=False TargetTypeImmutable, Stalled=True TargetTypeImmutable");
  EXPECT_EQ(world.secret_object("mail").at("type"), "Opaque");
  world.remove("mail").reconcile();
  EXPECT_EQ(world.says(), kReady);
}

TEST(Immutable, ANameThatKeepsChangingHandsIsTriedAgainLater) {
  World world;
  world.source(kKey).credential();
  world.refuse_write = refusal(409, "Conflict", "the object has been modified");
  const Turn turn = world.reconcile();
  EXPECT_EQ(turn.retry, Retry::kBackoff);
  EXPECT_FALSE(turn.status_changed);
  EXPECT_LE(turn.writes.size(), 2U);
}

}  // namespace
}  // namespace sessmtp::operator_
