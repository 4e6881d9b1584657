// Rows 14, 15, 17, 21, 22 of the behaviour matrix: Secrets of others, what stays, and rings.
#include <gmock/gmock.h>

#include "api/names.h"
#include "base/base64.h"
#include "world.h"

namespace sessmtp::operator_ {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Optional;

const std::string kReady = "Ready=True Synced";
const std::string kConflict = "Ready=False TargetConflict, Stalled=True TargetConflict";
const Data kTheirs{{"username", "theirs"}, {"smtp.conf", "SENTINEL"}};
const json kConsent = {{"annotations", {{"ses-smtp.dev/allow-takeover-by", "mail"}}}};
const json kAdopt = {{"target", {{"conflictPolicy", "Adopt"}}}};
const json kMerge = {{"target", {{"conflictPolicy", "Merge"}, {"deletionPolicy", "Retain"}}}};

json with_controller(json metadata) {
  metadata["ownerReferences"] = {{{"apiVersion", "cert-manager.io/v1"},
                                  {"kind", "Certificate"},
                                  {"name", "web"},
                                  {"uid", "web-uid"},
                                  {"controller", true}}};
  return metadata;
}

void withdraw_consent(World& world) {
  world.edit("mail", [](json& o) { o["metadata"]["annotations"].erase("ses-smtp.dev/allow-takeover-by"); });
}

json metadata_of(const World& world) {
  return world.secret_object("mail")["metadata"];
}

void expect_untouched_conflict(World& world) {
  const json before = world.secret_object("mail");
  world.reconcile();
  EXPECT_EQ(world.says(), kConflict);
  EXPECT_EQ(world.secret_object("mail"), before);
  EXPECT_FALSE(world.status().contains("target")) << world.status();
}

void expect_ours_beside_theirs(const World& world) {
  Data expected = target_data(kKey);
  expected["smtp.conf"] = "SENTINEL";
  EXPECT_THAT(world.data(), Optional(expected));
}

// ---- Adopt -----------------------------------------------------------------------------------------------

TEST(Adopt, WithConsentTheSecretIsOursFromNowOn) {
  World world;
  world.source(kKey).secret("mail", kTheirs, kConsent).credential("mail", kAdopt);
  EXPECT_THAT(world.reconcile().events, ElementsAre("Adopted"));
  expect_ours_beside_theirs(world);
  EXPECT_EQ(metadata_of(world)["labels"]["ses-smtp.dev/owner-uid"], world.credential_uid());
  EXPECT_EQ(metadata_of(world)["ownerReferences"][0]["uid"], world.credential_uid());
  EXPECT_TRUE(world.reconcile().quiet());

  withdraw_consent(world);
  world.reconcile();
  EXPECT_EQ(world.says(), kReady) << "what was taken over stays so";
}

TEST(Adopt, ConsentToAnotherHasToBeOverwritten) {
  World world;
  world.source(kKey).secret("mail", kTheirs,
                            {{"annotations", {{"ses-smtp.dev/allow-takeover-by", "other"}}}});
  world.credential("mail", kAdopt);
  expect_untouched_conflict(world);
  EXPECT_THAT(world.message(), HasSubstr("ses-smtp.dev/allow-takeover-by=mail --overwrite"));
}

TEST(Adopt, WithoutConsentSaysHowToGiveIt) {
  World world;
  world.source(kKey).secret("mail", kTheirs).credential("mail", kAdopt);
  expect_untouched_conflict(world);
  EXPECT_THAT(world.message(),
              HasSubstr("kubectl annotate secret -n shop mail ses-smtp.dev/allow-takeover-by=mail"));
  world.edit("mail", [](json& o) { o["metadata"].merge_patch(kConsent); });
  EXPECT_THAT(world.reconcile().events, ElementsAre("Adopted"));
}

TEST(Adopt, ConsentForAnotherIsNone) {
  World world;
  world.source(kKey)
      .credential("mail", kAdopt)
      .secret("mail", kTheirs, {{"annotations", {{"ses-smtp.dev/allow-takeover-by", "other"}}}});
  expect_untouched_conflict(world);
}

TEST(Adopt, ConsentAloneIsNotEnough) {
  World world;
  world.source(kKey).secret("mail", kTheirs, kConsent).credential();
  expect_untouched_conflict(world);
}

TEST(Adopt, NeverFromAnotherController) {
  World world;
  world.source(kKey).secret("mail", kTheirs, with_controller(kConsent)).credential("mail", kAdopt);
  expect_untouched_conflict(world);
  EXPECT_THAT(world.message(), HasSubstr("Certificate \"web\""));
}

TEST(Adopt, NeverWhatIsImmutable) {
  World world;
  world.source(kKey).secret("mail", kTheirs, kConsent).credential("mail", kAdopt);
  world.edit("mail", [](json& o) { o["immutable"] = true; });
  expect_untouched_conflict(world);
  EXPECT_THAT(world.message(), HasSubstr("immutable"));
}

TEST(Adopt, ConsentWithdrawnBetweenReadingAndWritingCounts) {
  World world;
  world.source(kKey).secret("mail", kTheirs, kConsent).credential("mail", kAdopt);
  world.meanwhile = [&world] { withdraw_consent(world); };
  world.reconcile();
  EXPECT_THAT(world.data(), Optional(kTheirs));
  EXPECT_EQ(world.says(), kConflict);
}

TEST(Adopt, TheOneWithConsentComesBeforeAnElder) {
  World world;
  world.source(kKey).credential("elder", {{"target", {{"name", "mail"}}}});
  world.later(std::chrono::minutes(1)).credential("mail", kAdopt).secret("mail", kTheirs, kConsent);
  world.reconcile("elder");
  EXPECT_THAT(world.reconcile("mail").events, ElementsAre("Adopted"));
  EXPECT_EQ(world.says("elder"), kConflict);
}

// ---- Merge -----------------------------------------------------------------------------------------------

TEST(Merge, WritesOurKeysAndNothingElseIntoASecretOfOthers) {
  World world;
  world.source(kKey).secret("mail", kTheirs, with_controller(json::object())).credential("mail", kMerge);
  expect_untouched_conflict(world);
  world.edit("mail", [](json& o) {
    o["metadata"].erase("ownerReferences");
    o["metadata"].merge_patch(kConsent);
  });
  EXPECT_THAT(world.reconcile().events, ElementsAre("Synced"));
  expect_ours_beside_theirs(world);
  EXPECT_FALSE(metadata_of(world).contains("labels")) << metadata_of(world);
  EXPECT_FALSE(metadata_of(world).contains("ownerReferences")) << metadata_of(world);
  EXPECT_TRUE(world.reconcile().quiet());
}

TEST(Merge, WaitsForTheSecret) {
  World world;
  world.source(kKey).credential("mail", kMerge);
  const Turn turn = world.reconcile();
  EXPECT_EQ(world.says(), "Ready=False TargetNotFound, Reconciling=True TargetNotFound");
  EXPECT_THAT(turn.writes, IsEmpty());
  EXPECT_TRUE(world.reconcile().quiet());
  world.secret("mail", kTheirs, kConsent).reconcile();
  EXPECT_EQ(world.says(), kReady);
}

TEST(Merge, NeverCreatesTheSecretWhenTheWatchHasNotShownItYet) {
  Observation o;
  o.credential.meta.name = "mail";
  o.credential.meta.generation = 1;
  o.credential.spec.source.secret_name = "iam";
  o.credential.spec.target.name = "other";
  o.credential.spec.target.conflict_policy = api::ConflictPolicy::kMerge;
  o.credential.spec.target.deletion_policy = api::DeletionPolicy::kRetain;
  o.source.presence = Presence::kKnown;
  o.target.presence = Presence::kUnknown;
  EXPECT_EQ(needs(o), Needs::kSourceAndTarget);
  o.live_source = Missing{};
  o.live_target = Missing{};
  const Plan decided = plan(o);
  EXPECT_FALSE(decided.write);
  ASSERT_TRUE(decided.status);
  EXPECT_EQ(find_condition(decided.status->conditions, "Ready")->reason, "TargetNotFound");
  o.live_source = NotRead{};
  o.live_target = NotRead{};
  o.credential.spec.target.conflict_policy = api::ConflictPolicy::kFail;
  EXPECT_EQ(needs(o), Needs::kSource) << "a write that can only create tells";
}

TEST(Merge, StatusForgetsTheSecretThatIsGone) {
  World world;
  world.source(kKey).secret("mail", kTheirs, kConsent).credential("mail", kMerge).reconcile();
  ASSERT_TRUE(world.status().contains("target"));
  world.remove("mail").reconcile();
  EXPECT_EQ(world.says(), "Ready=False TargetNotFound, Reconciling=True TargetNotFound");
  EXPECT_FALSE(world.status().contains("target"));
  EXPECT_TRUE(world.reconcile().quiet());
}

TEST(Merge, RepairsOurKeysAndFollowsARotation) {
  World world;
  world.source(kOldKey).secret("mail", kTheirs, kConsent).credential("mail", kMerge).reconcile();
  world.later(std::chrono::hours(1)).source(kKey);
  EXPECT_THAT(world.reconcile().events, ElementsAre("Rotated"));
  expect_ours_beside_theirs(world);
  world.edit("mail", [](json& o) { o["data"].erase("password"); });
  EXPECT_THAT(world.reconcile().events, ElementsAre("TargetRepaired"));
  expect_ours_beside_theirs(world);
}

TEST(Merge, ConsentMustStandAtEveryWriteAndTheKeysStayWithoutIt) {
  World world;
  world.source(kOldKey).secret("mail", kTheirs, kConsent).credential("mail", kMerge).reconcile();
  withdraw_consent(world);
  const auto before = world.data();
  world.source(kKey).reconcile();
  EXPECT_EQ(world.says(), kConflict);
  EXPECT_EQ(world.data(), before);
  EXPECT_THAT(world.message(), HasSubstr("does not consent any more"));
  EXPECT_TRUE(world.reconcile().quiet()) << "and goes on saying so";
}

TEST(Merge, WithdrawnBetweenReadingAndWritingCounts) {
  World world;
  world.source(kKey).secret("mail", kTheirs, kConsent).credential("mail", kMerge);
  world.meanwhile = [&world] { withdraw_consent(world); };
  world.reconcile();
  EXPECT_THAT(world.data(), Optional(kTheirs));
  EXPECT_EQ(world.says(), kConflict);
}

TEST(Merge, DoesNotMakeTheSecretOursWhenThePolicyChanges) {
  World world;
  world.source(kKey).secret("mail", kTheirs, kConsent).credential("mail", kMerge).reconcile();
  world.change_spec({{"target", {{"conflictPolicy", "Fail"}, {"deletionPolicy", "Delete"}}}}).reconcile();
  EXPECT_EQ(world.says(), kConflict);
  EXPECT_FALSE(metadata_of(world).contains("ownerReferences"));
}

TEST(Merge, ASecretThatWeMadeNeedsConsentToBecomeOneOfOthers) {
  SyncedWorld world;
  world.change_spec(kMerge).reconcile();
  EXPECT_EQ(world.says(), kConflict);
  EXPECT_THAT(world.message(), HasSubstr("kubectl annotate"));
  world.edit("mail", [](json& o) { o["metadata"].merge_patch(kConsent); }).reconcile();
  EXPECT_EQ(world.says(), kReady);
  EXPECT_THAT(metadata_of(world).value("ownerReferences", json::array()), IsEmpty());
}

TEST(Merge, ASecretOfATypeThatIsNotLookedAtIsLeftAlone) {
  World world;
  world.source(kKey).credential("mail", kMerge).secret("mail", kTheirs, kConsent);
  world.edit("mail", [](json& o) { o["type"] = "helm.sh/release.v1"; });
  EXPECT_THAT(world.reconcile().writes, IsEmpty());
  EXPECT_THAT(world.data(), Optional(kTheirs));
}

TEST(Merge, ConsentThatWentToAnotherCountsForTheOther) {
  World world;
  json other = kMerge;
  other["target"]["name"] = "mail";
  world.source(kKey).secret("mail", kTheirs, kConsent).credential("mail", kMerge).reconcile("mail");
  world.change_spec({{"suspend", true}}).reconcile("mail");
  world.credential("other", other);
  world.edit("mail",
             [](json& o) { o["metadata"]["annotations"]["ses-smtp.dev/allow-takeover-by"] = "other"; });
  world.reconcile("other");
  EXPECT_EQ(world.says("other"), kReady);
}

TEST(Merge, ARotationWhileConsentWasAwayIsSaidWhenItIsBack) {
  World world;
  json keeping = kMerge;
  keeping["keepPreviousFor"] = "2h";
  world.source(kOldKey).secret("mail", kTheirs, kConsent).credential("mail", keeping).reconcile();
  withdraw_consent(world);
  world.reconcile();
  world.later(std::chrono::hours(1)).source(kKey).reconcile();
  world.edit("mail", [](json& o) { o["metadata"].merge_patch(kConsent); });
  EXPECT_THAT(world.reconcile().events, ElementsAre("Rotated"));
  EXPECT_EQ(world.data()->at("previous-username"), kOldKey.id);
}

TEST(FormerLife, IsNotTakenFromAnotherWhoControlsItNow) {
  World world;
  const json retain = {{"target", {{"deletionPolicy", "Retain"}}}};
  world.source(kKey).credential("mail", retain).reconcile();
  world.remove_credential();
  world.edit("mail", [](json& o) { o["metadata"].merge_patch(with_controller(json::object())); });
  world.credential("mail", retain);
  EXPECT_THAT(world.reconcile().writes, IsEmpty());
  EXPECT_EQ(world.says(), kConflict);
}

// ---- what stays, and rings -------------------------------------------------------------------------------

TEST(DeletionPolicy, FlipsTheOwnerReference) {
  SyncedWorld world;
  EXPECT_EQ(metadata_of(world)["ownerReferences"].size(), 1U);
  world.change_spec({{"target", {{"deletionPolicy", "Retain"}}}}).reconcile();
  EXPECT_THAT(metadata_of(world).value("ownerReferences", json::array()), IsEmpty());
  EXPECT_EQ(world.says(), kReady);
  EXPECT_TRUE(world.reconcile().quiet());
  world.change_spec({{"target", {{"deletionPolicy", "Delete"}}}}).reconcile();
  EXPECT_EQ(metadata_of(world)["ownerReferences"].size(), 1U);
}

TEST(DeletionPolicy, TheFlipIsMadeUpForWhenItFailedAtFirst) {
  SyncedWorld world;
  world.refuse_write = refusal(403, "Forbidden", "exceeded quota");
  world.change_spec({{"target", {{"deletionPolicy", "Retain"}}}}).reconcile();
  EXPECT_EQ(world.says(), "Ready=False QuotaExceeded, Reconciling=True QuotaExceeded");
  world.refuse_write.reset();
  world.reconcile();
  EXPECT_THAT(metadata_of(world).value("ownerReferences", json::array()), IsEmpty());
}

TEST(Keys, ThoseOfAnEarlierFormatGoAndThoseOfOthersStay) {
  SyncedWorld world;
  world.edit("mail", [](json& o) { o["data"]["theirs"] = base64_encode("x"); });
  world.change_spec({{"target", {{"format", "BasicAuth"}}}}).reconcile();
  EXPECT_THAT(
      world.data(),
      Optional(Data{{"username", kKey.id}, {"password", password_of(kKey, "us-east-1")}, {"theirs", "x"}}));
  EXPECT_TRUE(world.reconcile().quiet());
}

TEST(Rings, ACredentialThatOnlyNamesASourceStopsNobody) {
  World world;
  world.credential("good", {{"target", {{"name", "login"}}}});
  world.credential("bad", {{"source", {{"secretName", "other"}}}, {"target", {{"name", "iam"}}}});
  world.secret("other", plain(kOldKey));
  world.reconcile("bad");
  EXPECT_EQ(world.says("bad"), kConflict);
  EXPECT_THAT(world.message("bad"), HasSubstr("\"good\""));
  world.source(kKey).reconcile("good");
  EXPECT_EQ(world.says("good"), kReady);
}

TEST(Rings, OurOwnTargetIsMadeAnewThoughAnotherReadsIt) {
  SyncedWorld world;
  world.credential("reader", {{"source", {{"secretName", "mail"}}}}).reconcile("reader");
  EXPECT_EQ(world.says("reader"), "Ready=False SourceIsTarget, Stalled=True SourceIsTarget");
  world.remove("mail").reconcile("mail");
  EXPECT_EQ(world.says("mail"), kReady);
}

TEST(Rings, TheElderOfTwoInARingWritesOnce) {
  World world;
  world.credential("one", {{"target", {{"name", "two"}}}}).later(std::chrono::minutes(1));
  world.credential("two", {{"source", {{"secretName", "two"}}}, {"target", {{"name", "iam"}}}});
  world.source(kKey);
  EXPECT_THAT(world.reconcile("two").writes, IsEmpty());
  EXPECT_EQ(world.reconcile("one").writes.size(), 1U);
  EXPECT_THAT(world.reconcile("two").writes, IsEmpty());
  EXPECT_EQ(world.says("one"), kReady);
  EXPECT_EQ(world.says("two"), "Ready=False SourceIsTarget, Stalled=True SourceIsTarget");
  EXPECT_TRUE(world.reconcile("one").quiet());
  EXPECT_TRUE(world.reconcile("two").quiet());
}

TEST(Rings, AYoungerOneThatNamesOurTargetAsItsSourceDoesNotStopUs) {
  World world;
  world.credential()
      .later(std::chrono::minutes(1))
      .credential("chain", {{"source", {{"secretName", "mail"}}}});
  world.reconcile("mail");
  EXPECT_EQ(world.says(), "Ready=False SourceNotFound, Reconciling=True SourceNotFound");
  world.source(kKey).reconcile("mail");
  EXPECT_EQ(world.says(), kReady);
}

TEST(Rings, ASourceIntoWhichAnotherMergesIsNoSource) {
  World world;
  world.source(kKey).credential("reader");
  world.secret("other", plain(kOldKey));
  json merging = kMerge;
  merging["source"]["secretName"] = "other";
  merging["target"]["name"] = "iam";
  world.credential("writer", merging).reconcile("reader");
  EXPECT_EQ(world.says("reader"), kReady) << "nobody consented";
  world.edit("iam",
             [](json& o) { o["metadata"]["annotations"]["ses-smtp.dev/allow-takeover-by"] = "writer"; });
  world.reconcile("reader");
  EXPECT_EQ(world.says("reader"), "Ready=False SourceIsTarget, Stalled=True SourceIsTarget");
  EXPECT_THAT(world.message("reader"), HasSubstr("\"writer\""));
}

TEST(Spec, WhatTheCrdWouldRefuseIsRefusedHereToo) {
  SyncedWorld world;
  const json before = world.secret_object("mail");
  world.change_spec({{"endpoint", {{"port", 465}, {"tls", "StartTls"}}}}).source(kOldKey).reconcile();
  EXPECT_EQ(world.says(), "Ready=False InvalidSpec, Stalled=True InvalidSpec");
  EXPECT_THAT(world.message(), AllOf(HasSubstr("spec.endpoint.tls"), HasSubstr("465")));
  EXPECT_EQ(world.secret_object("mail"), before);
  EXPECT_TRUE(world.reconcile().quiet());
  EXPECT_THAT(world.change_spec({{"endpoint", nullptr}}).reconcile().events, Contains("Rotated"));
}

}  // namespace
}  // namespace sessmtp::operator_
