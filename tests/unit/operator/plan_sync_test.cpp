// Rows 1, 2, 5, 6, 9-12, 18, 23, 29, 30, 33, 43, 45 of the behaviour matrix: the ordinary life of a
// credential.
#include <gmock/gmock.h>

#include "api/names.h"
#include "base/base64.h"
#include "world.h"

namespace sessmtp::operator_ {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Optional;

const std::string kReady = "Ready=True Synced";

TEST(Sync, ANewCredentialGetsItsTarget) {
  World world;
  world.source(kKey).credential();
  const Turn turn = world.reconcile();
  EXPECT_THAT(world.data(), Optional(target_data(kKey)));
  EXPECT_THAT(turn.events, ElementsAre("Synced"));
  EXPECT_THAT(turn.reads, ElementsAre("iam"));
  EXPECT_EQ(turn.retry, Retry::kNo);
}

TEST(Sync, TheTargetCarriesOurLabelsAnnotationsAndOwnerAndNothingElse) {
  const SyncedWorld world;
  json metadata = world.secret_object("mail").at("metadata");
  metadata.erase("uid");
  metadata.erase("resourceVersion");
  metadata.erase("creationTimestamp");
  EXPECT_EQ(metadata, (json{{"namespace", "shop"},
                            {"name", "mail"},
                            {"labels",
                             {{"app.kubernetes.io/managed-by", "ses-smtp-operator"},
                              {"ses-smtp.dev/owner-uid", world.credential_uid()}}},
                            {"annotations",
                             {{"ses-smtp.dev/credential", "mail"},
                              {"ses-smtp.dev/region", "us-east-1"},
                              {"ses-smtp.dev/key-since", "2026-11-22T08:00:00Z"}}},
                            {"ownerReferences",
                             {{{"apiVersion", "ses-smtp.dev/v1alpha1"},
                               {"kind", "SesSmtpCredential"},
                               {"name", "mail"},
                               {"uid", world.credential_uid()},
                               {"controller", true}}}}}));
}

TEST(Sync, StatusSaysWhatIsInForce) {
  const SyncedWorld world;
  json status = world.status();
  EXPECT_EQ(status.at("conditions").size(), 1U) << status;
  status.erase("conditions");
  EXPECT_EQ(status,
            (json{{"observedGeneration", 1},
                  {"accessKeyId", "AKIA************MPLE"},
                  {"region", "us-east-1"},
                  {"endpoint",
                   {{"host", "email-smtp.us-east-1.amazonaws.com"}, {"port", 587}, {"tls", "StartTls"}}},
                  {"keySince", "2026-11-22T08:00:00Z"},
                  {"source", {{"uid", world.uid("iam")}, {"resourceVersion", world.version("iam")}}},
                  {"target", {{"name", "mail"}, {"uid", world.uid()}, {"resourceVersion", world.version()}}},
                  {"renderVersion", 1}}));
}

TEST(Sync, TheFirstWriteCanOnlyCreate) {
  World world;
  world.source(kKey).credential();
  const Turn turn = world.reconcile();
  ASSERT_EQ(turn.writes.size(), 1U);
  EXPECT_EQ(turn.writes[0].at("metadata").value("resourceVersion", ""), "1");
  EXPECT_FALSE(turn.writes[0].at("metadata").contains("uid"));
}

TEST(Sync, EveryLaterWriteNamesTheSecretThatIsOurs) {
  SyncedWorld world;
  const std::string uid = world.uid();
  world.source(kOldKey);
  const Turn turn = world.reconcile();
  ASSERT_EQ(turn.writes.size(), 1U);
  EXPECT_EQ(turn.writes[0].at("metadata").value("uid", ""), uid);
  EXPECT_FALSE(turn.writes[0].at("metadata").contains("resourceVersion"));
}

TEST(Sync, AnUnchangedWorldNeedsNothing) {
  SyncedWorld world;
  const Turn turn = world.reconcile();
  EXPECT_EQ(turn.needs, Needs::kNothing);
  EXPECT_TRUE(turn.quiet()) << testing::PrintToString(turn);
}

TEST(Sync, AnAbsentSourceIsWaitedFor) {
  World world;
  const Turn turn = world.credential().reconcile();
  EXPECT_EQ(world.says(), "Ready=False SourceNotFound, Reconciling=True SourceNotFound");
  EXPECT_THAT(turn.reads, ElementsAre("iam")) << "it may be there, of a type that is not watched";
  EXPECT_THAT(turn.events, IsEmpty());
  EXPECT_EQ(world.data(), std::nullopt);
  EXPECT_TRUE(world.reconcile().quiet()) << "nobody looks a second time";

  EXPECT_THAT(world.source(kKey).reconcile().events, ElementsAre("Synced"));
  EXPECT_THAT(world.data(), Optional(target_data(kKey)));
}

TEST(Sync, ASourceOfATypeThatIsNotWatchedIsNotFoundAndTheTypeIsNamed) {
  World world;
  world.source(kKey).credential();
  world.edit("iam", [](json& secret) { secret["type"] = "helm.sh/release.v1"; });
  world.reconcile();
  EXPECT_EQ(world.says(), "Ready=False SourceNotFound, Reconciling=True SourceNotFound");
  EXPECT_THAT(world.message(), HasSubstr("\"helm.sh/release.v1\""));
  EXPECT_EQ(world.data(), std::nullopt);
  EXPECT_TRUE(world.reconcile().quiet());
}

TEST(Sync, ATargetNameHeldByASecretThatIsNotWatchedIsAConflict) {
  World world;
  world.source(kKey).secret("mail", {{"release", "x"}}).credential();
  world.edit("mail", [](json& secret) { secret["type"] = "helm.sh/release.v1"; });
  world.reconcile();
  EXPECT_THAT(world.says(), HasSubstr("Ready=False TargetConflict"));
  EXPECT_EQ(world.data(), (Data{{"release", "x"}}));
}

TEST(Sync, ASourceThatVanishesBeforeItIsReadIsAbsent) {
  World world;
  world.source(kKey).credential();
  world.meanwhile = [&world] { world.remove("iam"); };
  world.reconcile();
  EXPECT_EQ(world.says(), "Ready=False SourceNotFound, Reconciling=True SourceNotFound");
  EXPECT_EQ(world.data(), std::nullopt);
}

TEST(Sync, ATouchedSourceChangesItsVersionInStatusAndNothingElse) {
  SyncedWorld world;
  json expected = world.status();
  const std::string version = world.version();
  world.touch("iam");
  const Turn turn = world.reconcile();
  expected["source"]["resourceVersion"] = world.version("iam");
  EXPECT_EQ(world.status(), expected);
  EXPECT_EQ(world.version(), version);
  EXPECT_THAT(turn.writes, IsEmpty());
  EXPECT_THAT(turn.events, IsEmpty());
  EXPECT_TRUE(world.reconcile().quiet());
}

TEST(Sync, ADeletedSourceLeavesTheTarget) {
  SyncedWorld world;
  const json target = world.secret_object("mail");
  const Turn turn = world.remove("iam").reconcile();
  EXPECT_EQ(world.secret_object("mail"), target);
  EXPECT_EQ(world.says(), "Ready=False SourceNotFound, Reconciling=True SourceNotFound");
  EXPECT_THAT(turn.events, IsEmpty());
  EXPECT_TRUE(world.reconcile().quiet());

  const Turn back = world.source(kKey).reconcile();
  EXPECT_EQ(world.says(), kReady);
  EXPECT_THAT(back.writes, IsEmpty());
  EXPECT_THAT(back.events, ElementsAre("Synced"));
}

struct Edit {
  const char* what;
  std::function<void(json&)> change;
  const char* restored;
};

TEST(Sync, AnEditedTargetIsRepairedAndTheEventNamesWhatWasRestored) {
  const std::vector<Edit> edits = {
      {"value", [](json& o) { o["data"]["password"] = base64_encode("wrong"); }, "restored: password"},
      {"values", [](json& o) { o["data"] = {{"username", base64_encode("AKIAEDITEDBYHAND0000")}}; },
       "restored: host, password, port, region, url, username"},
      {"missing key", [](json& o) { o["data"].erase("url"); }, "restored: url"},
      {"labels", [](json& o) { o["metadata"].erase("labels"); },
       "restored: app.kubernetes.io/managed-by, ses-smtp.dev/owner-uid"},
      {"annotation", [](json& o) { o["metadata"]["annotations"].erase("ses-smtp.dev/region"); },
       "restored: ses-smtp.dev/region"},
      {"owner", [](json& o) { o["metadata"].erase("ownerReferences"); }, "restored: ownerReferences"},
      {"not controller any more", [](json& o) { o["metadata"]["ownerReferences"][0]["controller"] = false; },
       "restored: ownerReferences"},
  };
  for (const Edit& edit : edits) {
    SCOPED_TRACE(edit.what);
    SyncedWorld world;
    json before = world.secret_object("mail");
    const Turn turn = world.edit("mail", edit.change).reconcile();
    EXPECT_THAT(turn.events, ElementsAre("TargetRepaired"));
    EXPECT_THAT(turn.notes, ElementsAre(HasSubstr(edit.restored)));
    json after = world.secret_object("mail");
    for (json* object : {&before, &after}) {
      object->at("metadata").erase("resourceVersion");
    }
    EXPECT_EQ(after, before);
    EXPECT_EQ(world.says(), kReady);
    EXPECT_FALSE(world.status().contains("lastRotationTime")) << world.status();
    EXPECT_TRUE(world.reconcile().quiet());
  }
}

TEST(Sync, AForgedKeySinceAnnotationIsNotARotation) {
  SyncedWorld world;
  world.edit("mail", [](json& o) { o["metadata"]["annotations"]["ses-smtp.dev/key-since"] = "soon"; });
  const Turn turn = world.reconcile();
  EXPECT_EQ(world.secret_object("mail")["metadata"]["annotations"]["ses-smtp.dev/key-since"],
            "2026-11-22T08:00:00Z");
  EXPECT_THAT(turn.events, ElementsAre("TargetRepaired"));
}

TEST(Sync, KeysLabelsAndAnnotationsOfOthersOnTheTargetAreLeftAlone) {
  SyncedWorld world;
  world.edit("mail", [](json& o) {
    o["data"]["theirs"] = base64_encode("x");
    o["metadata"]["labels"]["team"] = "shop";
    o["metadata"]["annotations"]["note"] = "hello";
  });
  const Turn turn = world.reconcile();
  EXPECT_THAT(turn.writes, IsEmpty());
  EXPECT_THAT(turn.events, IsEmpty());
  world.source(kOldKey).reconcile();
  Data expected = target_data(kOldKey);
  expected["theirs"] = "x";
  EXPECT_THAT(world.data(), Optional(expected));
  EXPECT_EQ(world.secret_object("mail")["metadata"]["labels"]["team"], "shop");
  EXPECT_EQ(world.secret_object("mail")["metadata"]["annotations"]["note"], "hello");
}

TEST(Sync, ADeletedTargetIsMadeAnewAndKeepsItsKeyAge) {
  SyncedWorld world;
  const Turn turn = world.remove("mail").reconcile();
  EXPECT_THAT(world.data(), Optional(target_data(kKey)));
  EXPECT_THAT(turn.events, ElementsAre("TargetRepaired"));
  EXPECT_EQ(world.status()["keySince"], "2026-11-22T08:00:00Z");
  EXPECT_FALSE(world.status().contains("lastRotationTime")) << world.status();
  EXPECT_EQ(world.status()["target"]["uid"], world.uid());
  EXPECT_TRUE(world.reconcile().quiet());
}

TEST(Sync, ATargetDeletedWhileItIsBeingWrittenIsMadeAnew) {
  SyncedWorld world;
  world.source(kOldKey);
  world.meanwhile = [&world] { world.remove("mail"); };
  world.reconcile();
  EXPECT_THAT(world.data(), Optional(target_data(kOldKey)));
  EXPECT_EQ(world.says(), kReady);
}

TEST(Sync, ATerminatingTargetIsWaitedForAndMadeAnewWhenItIsGone) {
  SyncedWorld world;
  world.edit("mail", [](json& o) { o["metadata"]["deletionTimestamp"] = "2026-11-22T09:00:00Z"; });
  const Turn turn = world.source(kOldKey).reconcile();
  EXPECT_EQ(world.says(), "Ready=False TargetTerminating, Reconciling=True TargetTerminating");
  EXPECT_THAT(turn.writes, IsEmpty());
  EXPECT_THAT(world.data(), Optional(target_data(kKey)));
  world.remove("mail").reconcile();
  EXPECT_THAT(world.data(), Optional(target_data(kOldKey)));
}

TEST(Sync, ATerminatingCredentialIsLeftAlone) {
  for (const bool synced_before : {false, true}) {
    World world;
    world.source(kKey).credential();
    if (synced_before) {
      world.reconcile();
    }
    world.api.edit(api::credential_path("shop", "mail"),
                   [](json& o) { o["metadata"]["deletionTimestamp"] = "2026-11-22T09:00:00Z"; });
    world.remove("mail").source(kOldKey);
    EXPECT_TRUE(world.reconcile().quiet());
    EXPECT_EQ(world.data(), std::nullopt);
  }
}

TEST(Sync, ATerminatingCredentialIsNotEvenToldWhatIsWrong) {
  SyncedWorld world;
  world.api.edit(api::credential_path("shop", "mail"),
                 [](json& o) { o["metadata"]["deletionTimestamp"] = "2026-11-22T09:00:00Z"; });
  EXPECT_TRUE(world.remove("iam").reconcile().quiet());
}

TEST(Sync, ATerminatingNamespaceIsNoError) {
  World world;
  world.source(kKey).credential();
  for (const Answer& answer :
       {refusal(403, "Forbidden",
                "secrets \"mail\" is forbidden: unable to create new content in namespace shop",
                {{"metadata.namespace", "NamespaceTerminating"}}),
        refusal(404, "NotFound", "namespaces \"shop\" not found")}) {
    world.refuse_write = answer;
    const Turn turn = world.reconcile();
    EXPECT_FALSE(turn.status_changed) << world.says();
    EXPECT_EQ(turn.retry, Retry::kNo);
  }
}

TEST(Sync, AnotherRegionInTheSpecIsNoRotation) {
  World world;
  world.source(kKey, "").credential("mail", {{"region", "us-east-1"}});
  world.reconcile();
  world.later(1h);
  const Turn turn = world.change_spec({{"region", "us-east-2"}}).reconcile();
  EXPECT_THAT(world.data(), Optional(target_data(kKey, "us-east-2")));
  EXPECT_THAT(turn.events, ElementsAre("Synced"));
  EXPECT_EQ(world.status()["keySince"], "2026-11-22T08:00:00Z");
  EXPECT_FALSE(world.status().contains("lastRotationTime")) << world.status();
  EXPECT_EQ(world.status()["observedGeneration"], 2);
  EXPECT_EQ(world.status()["region"], "us-east-2");
}

TEST(Sync, AnotherRegionInTheSourceIsNoRotation) {
  SyncedWorld world;
  const Turn turn = world.source(kKey, "us-west-2").reconcile();
  EXPECT_THAT(world.data(), Optional(target_data(kKey, "us-west-2")));
  EXPECT_EQ(world.status()["keySince"], "2026-11-22T08:00:00Z");
  EXPECT_FALSE(world.status().contains("lastRotationTime")) << world.status();
  EXPECT_EQ(turn.events.size(), 1U) << testing::PrintToString(turn);
}

TEST(Sync, TheSpecsRegionWinsAndTheDifferenceIsSaidOnce) {
  World world;
  world.source(kKey, "us-west-2").credential("mail", {{"region", "us-east-2"}});
  EXPECT_THAT(world.reconcile().events, ElementsAre("Warning RegionDiffers", "Synced"));
  EXPECT_THAT(world.data(), Optional(target_data(kKey, "us-east-2")));
  EXPECT_THAT(world.edit("mail", [](json& o) { o["data"].erase("url"); }).reconcile().events,
              ElementsAre("TargetRepaired"));
}

TEST(Sync, WarningsDoNotStopTheWork) {
  struct Case {
    Data source;
    json spec;
    const char* event;
  };
  Data padded = plain(kKey);
  padded["secretAccessKey"] = " " + kKey.secret + "\r\n";
  const std::vector<Case> cases = {
      {padded, {}, "Warning WhitespaceTrimmed"},
      {plain(kOldKey), {}, "Warning UnusualKeyLength"},
      {plain(kKey), {{"endpoint", {{"port", 25}}}}, "Warning PortThrottled"},
      {plain(kKey), {{"region", "us-east-2"}}, "Warning RegionDiffers"},
  };
  for (const Case& one : cases) {
    World world;
    const Turn turn = world.source(one.source)
                          .credential("mail", one.spec.is_null() ? json::object() : one.spec)
                          .reconcile();
    EXPECT_THAT(turn.events, ElementsAre(one.event, "Synced"));
    EXPECT_EQ(world.says(), kReady);
  }
  World world;  // not in the dated list of regions
  const Key key{"AKIAIOSFODNN7EXAMPLE", "fTVzfAxW5/IASHBnzfrAw/tFC5+Y8vtHQdwr1vGt"};
  EXPECT_THAT(world.source(key, "ap-southeast-3").credential().reconcile().events,
              ElementsAre("Warning RegionUnknown", "Synced"));
  EXPECT_THAT(world.data(), Optional(target_data(key, "ap-southeast-3")));
}

TEST(Sync, EndpointsAreRenderedAsTheSpecSays) {
  struct Case {
    json endpoint;
    const char* host;
    int port;
    const char* scheme;
  };
  const std::vector<Case> cases = {
      {{{"port", 465}}, "", 465, "smtps"},
      {{{"port", 2587}}, "", 2587, "smtp"},
      {{{"fips", true}}, "email-smtp-fips.us-east-1.amazonaws.com", 587, "smtp"},
      {{{"host", "relay.example"}, {"port", 8465}, {"tls", "Implicit"}}, "relay.example", 8465, "smtps"},
  };
  for (const Case& one : cases) {
    World world;
    world.source(kKey).credential("mail", {{"endpoint", one.endpoint}}).reconcile();
    EXPECT_THAT(world.data(), Optional(target_data(kKey, "us-east-1", one.host, one.port, one.scheme)));
  }
}

TEST(Sync, AnotherNameAndTypeForTheTarget) {
  World world;
  const json spec = {{"target", {{"name", "login"}, {"type", "kubernetes.io/basic-auth"}}}};
  world.source(kKey).credential("mail", spec).reconcile();
  EXPECT_THAT(world.data("login"), Optional(target_data(kKey)));
  EXPECT_EQ(world.secret_object("login").at("type"), "kubernetes.io/basic-auth");
  EXPECT_EQ(world.status()["target"]["name"], "login");
  EXPECT_EQ(world.data("mail"), std::nullopt);
}

TEST(Sync, AStatusThatWasLostIsMadeAgainWithoutAWrite) {
  SyncedWorld world;
  json expected = world.status();
  world.api.edit(api::credential_path("shop", "mail"),
                 [](json& o) { o["status"] = {{"observedGeneration", -1}}; });
  const Turn turn = world.reconcile();
  EXPECT_THAT(turn.writes, IsEmpty());
  json status = world.status();
  for (json* each : {&expected, &status}) {
    for (json& condition : each->at("conditions")) {
      condition.erase("lastTransitionTime");
    }
  }
  EXPECT_EQ(status, expected);
}

TEST(Sync, ANewRenderVersionLooksAtTheTargetOnceMore) {
  SyncedWorld world;
  world.api.edit(api::credential_path("shop", "mail"), [](json& o) { o["status"]["renderVersion"] = 0; });
  EXPECT_EQ(world.reconcile().needs, Needs::kSourceAndTarget);
  EXPECT_EQ(world.status()["renderVersion"], 1);
  EXPECT_TRUE(world.reconcile().quiet());
}

TEST(Sync, AFirstWriteWhoseAnswerWasLostIsRecognisedAsOurs) {
  World world;
  world.source(kKey).credential();
  world.lose_write_answers = true;
  EXPECT_EQ(world.reconcile().retry, Retry::kBackoff);
  EXPECT_EQ(world.says(), "");
  world.lose_write_answers = false;
  const std::string version = world.version();
  EXPECT_THAT(world.later(1h).reconcile().events, ElementsAre("Synced"));
  EXPECT_EQ(world.version(), version) << "nothing to write";
  EXPECT_EQ(world.status()["keySince"], "2026-11-22T08:00:00Z");
  EXPECT_EQ(world.says(), kReady);
}

TEST(Sync, WithoutTheRightToListSecretsTheCredentialSaysSo) {
  SyncedWorld world;
  world.may_not_list_secrets = true;
  const Turn turn = world.reconcile();
  EXPECT_EQ(world.says(), "Ready=False Forbidden, Reconciling=True Forbidden");
  EXPECT_THAT(turn.reads, IsEmpty());
  EXPECT_THAT(world.message(), HasSubstr("deploy/base/rbac.yaml"));
}

TEST(Sync, SecretsNobodyHasListedYetAreReadLive) {
  Observation o;
  o.credential.meta = {.namespace_ = "shop",
                       .name = "mail",
                       .uid = "u",
                       .resource_version = "1",
                       .generation = 1,
                       .creation_timestamp = {},
                       .terminating = false,
                       .labels = {},
                       .annotations = {},
                       .owner_references = {}};
  o.credential.spec.source.secret_name = "iam";
  o.credential.spec.target.name = "mail";
  EXPECT_EQ(needs(o), Needs::kSource);
}

}  // namespace
}  // namespace sessmtp::operator_
