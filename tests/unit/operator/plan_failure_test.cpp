// Rows 7, 8, 42 of the behaviour matrix: what cannot work leaves the last good target and says why.
#include <gmock/gmock.h>

#include "api/names.h"
#include "api/reason.h"
#include "base/base64.h"
#include "operator/write_failure.h"
#include "world.h"

namespace sessmtp::operator_ {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::Optional;

struct Fault {
  const char* what;
  Data source;
  json spec;
  const char* reason;
};

Data with(Data data, const std::string& key, const std::string& value) {
  data[key] = value;
  return data;
}

Data without(Data data, const std::string& key) {
  data.erase(key);
  return data;
}

const Data kGood = plain(kKey);

std::vector<Fault> faults() {
  const json none = json::object();
  const Data both = [] {
    Data data = kGood;
    data["AWS_ACCESS_KEY_ID"] = kOldKey.id;
    data["AWS_SECRET_ACCESS_KEY"] = kOldKey.secret;
    return data;
  }();
  const json own_keys = {
      {"source", {{"keys", {{"accessKeyId", "my-id"}, {"secretAccessKey", "my-secret"}}}}}};
  return {
      {"no keys", {}, none, "SourceKeysNotFound"},
      {"half a key", without(kGood, "secretAccessKey"), none, "SourceKeysNotFound"},
      {"the named keys are not there", kGood, own_keys, "SourceKeysNotFound"},
      {"two keys", both, none, "SourceKeysAmbiguous"},
      {"empty id", with(kGood, "accessKeyId", ""), none, "SourceValueEmpty"},
      {"blank secret", with(kGood, "secretAccessKey", " \n"), none, "SourceValueEmpty"},
      {"temporary id", with(kGood, "accessKeyId", "ASIAIOSFODNN7EXAMPLE"), none, "TemporaryCredentials"},
      {"session token", with(kGood, "sessionToken", "IQoJb3JpZ2luX2VjSENTINEL"), none,
       "TemporaryCredentials"},
      {"derived password", with(kGood, "secretAccessKey", password_of(kKey, "us-east-1")), none,
       "AlreadyDerivedPassword"},
      {"console csv",
       with(kGood, "secretAccessKey",
            "IAM user name,SMTP user name,SMTP password\nme,AKIASENTINEL,BSENTINEL"),
       none, "AlreadyDerivedPassword"},
      {"swapped",
       {{"accessKeyId", kKey.secret}, {"secretAccessKey", kKey.id}, {"region", "us-east-1"}},
       none,
       "SourceKeysSwapped"},
      {"user id", with(kGood, "accessKeyId", "AIDACKCEVSQ6C2SENTINEL"), none, "NotAnAccessKeyId"},
      {"arn", with(kGood, "accessKeyId", "arn:aws:iam::123456789012:user/sentinel"), none,
       "NotAnAccessKeyId"},
      {"inner blank", with(kGood, "secretAccessKey", "wJalrXUtnFEMI/K7MDENG bPxRfiCYSENTINELKEY"), none,
       "SourceValueMalformed"},
      {"not ASCII", with(kGood, "secretAccessKey", "wJalrXUtnFEMI/K7MDENG\xc3\xa4PxRfiCYSENTINELKEY"), none,
       "SourceValueMalformed"},
      {"encoded twice", with(kGood, "secretAccessKey", base64_encode(kKey.secret)), none,
       "SourceValueDoubleEncoded"},
      {"no region", plain(kKey, ""), none, "RegionMissing"},
      {"a zone", plain(kKey, "us-east-1a"), none, "RegionInvalid"},
      {"a secret where the region should be", plain(kKey, kOldKey.secret), none, "RegionInvalid"},
      {"a spec that is no region", kGood, {{"region", "US-EAST-1"}}, "RegionInvalid"},
      {"another partition", plain(kKey, "cn-north-1"), none, "EndpointUnknown"},
  };
}

// No value of any Secret, not even a part that tells something.
void expect_no_secret_in(const std::string& text, const Data& source) {
  for (const auto& [key, value] : source) {
    if (value.size() > 4 && key != "region") {
      EXPECT_THAT(text, Not(HasSubstr(value))) << "the value of " << key;
    }
  }
  for (const std::string& secret : {kKey.secret, kOldKey.secret, kKey.id, password_of(kKey, "us-east-1")}) {
    EXPECT_THAT(text, Not(HasSubstr(secret)));
  }
  EXPECT_THAT(text, Not(HasSubstr("SENTINEL")));
}

TEST(SourceFault, StallsWithItsReasonLeavesTheTargetAndClearsWhenMended) {
  for (const Fault& fault : faults()) {
    SCOPED_TRACE(fault.what);
    World world;
    world.source(kGood).credential();
    world.reconcile();
    const json target = world.secret_object("mail");

    world.source(fault.source).change_spec(fault.spec);
    const Turn turn = world.reconcile();
    const std::string reason = fault.reason;
    EXPECT_EQ(world.says(), "Ready=False " + reason + ", Stalled=True " + reason);
    EXPECT_THAT(turn.events, ElementsAre("Warning " + reason));
    EXPECT_EQ(turn.retry, Retry::kNo) << "a watch tells when it is mended";
    EXPECT_EQ(world.secret_object("mail"), target);
    EXPECT_EQ(world.status()["source"]["resourceVersion"], world.version("iam"));
    EXPECT_EQ(world.status()["target"]["resourceVersion"], world.version());
    EXPECT_EQ(world.status()["accessKeyId"], "AKIA************MPLE") << "of the pair in the target";
    expect_no_secret_in(world.status().dump() + testing::PrintToString(turn.notes), fault.source);
    EXPECT_TRUE(world.reconcile().quiet()) << "nothing is due until the source changes";

    EXPECT_THAT(world.touch("iam").reconcile().events, IsEmpty()) << "said once";

    world.source(kGood).change_spec({{"region", nullptr}, {"source", {{"keys", nullptr}}}});
    EXPECT_THAT(world.reconcile().events, ElementsAre("Synced"));
    EXPECT_EQ(world.says(), "Ready=True Synced");
    EXPECT_THAT(world.data(), Optional(target_data(kKey)));
  }
}

TEST(SourceFault, WithoutATargetWritesNone) {
  for (const Fault& fault : faults()) {
    SCOPED_TRACE(fault.what);
    World world;
    const Turn turn = world.source(fault.source).credential("mail", fault.spec).reconcile();
    EXPECT_EQ(world.says().find("Ready=False " + std::string(fault.reason)), 0U) << world.says();
    EXPECT_THAT(turn.writes, IsEmpty());
    EXPECT_EQ(world.data(), std::nullopt);
    EXPECT_FALSE(world.status().contains("target")) << world.status();
  }
}

TEST(SourceFault, AnotherFaultIsSaidAgain) {
  SyncedWorld world;
  EXPECT_THAT(world.source(without(kGood, "region")).reconcile().events,
              ElementsAre("Warning RegionMissing"));
  world.later(1h);
  EXPECT_THAT(world.source(with(kGood, "accessKeyId", "")).reconcile().events,
              ElementsAre("Warning SourceValueEmpty"));
  const json status = world.status();
  for (const json& condition : status["conditions"]) {
    EXPECT_EQ(condition["lastTransitionTime"], "2026-11-22T09:00:00Z") << "False all along: " << condition;
  }
}

TEST(SourceFault, TheMessageNamesTheKeysThatWereFound) {
  World world;
  world.source(Data{{"user", "SENTINEL-1"}, {"pass", "SENTINEL-2"}}).credential().reconcile();
  EXPECT_THAT(world.message(), HasSubstr("found pass, user"));
  EXPECT_THAT(world.message(), HasSubstr("spec.source.keys"));
}

TEST(ReadFailure, OfTheServerIsTriedAgainAndChangesNoStatus) {
  for (const char* secret : {"iam", "mail"}) {
    for (const int code : {401, 429, 500, 503}) {
      SyncedWorld world;
      world.touch("iam");
      world.refuse_read[secret] = refusal(code, "SomeReason", "SENTINEL");
      const Turn turn = world.reconcile();
      EXPECT_EQ(turn.retry, Retry::kBackoff) << secret << code;
      EXPECT_FALSE(turn.status_changed) << secret << code;
      EXPECT_EQ(world.says(), "Ready=True Synced");
    }
  }
}

TEST(ReadFailure, ThatIsForbiddenIsReportedAndTriedSlowly) {
  for (const char* secret : {"iam", "mail"}) {
    SyncedWorld world;
    world.touch("iam");
    world.refuse_read[secret] = refusal(403, "Forbidden", "SENTINEL");
    const Turn turn = world.reconcile();
    EXPECT_EQ(world.says(), "Ready=False Forbidden, Reconciling=True Forbidden");
    EXPECT_EQ(turn.retry, Retry::kSlowly);
    EXPECT_THAT(turn.events, IsEmpty()) << "not for a person to mend in this object";
    EXPECT_THAT(world.message(),
                HasSubstr(std::string("reading Secret \"") + secret + "\": HTTP 403 Forbidden"));
    EXPECT_THAT(world.status().dump(), Not(HasSubstr("SENTINEL")));
    world.refuse_read.clear();
    EXPECT_THAT(world.reconcile().events, ElementsAre("Synced"));
  }
}

TEST(ReadFailure, OfAnotherKindIsAnApiError) {
  SyncedWorld world;
  world.touch("iam").refuse_read["iam"] = refusal(400, "BadRequest", "SENTINEL");
  world.reconcile();
  EXPECT_EQ(world.says(), "Ready=False ApiError, Reconciling=True ApiError");
  EXPECT_THAT(world.status().dump(), Not(HasSubstr("SENTINEL")));
}

struct Refused {
  Answer answer;
  const char* says;
  Retry retry;
};

TEST(WriteRefused, LeavesTheTargetSaysWhyAndHeals) {
  const std::string words = "SENTINEL " + kKey.secret + ' ' + base64_encode(password_of(kKey, "us-east-1"));
  const std::vector<Refused> cases = {
      {refusal(403, "Forbidden", "exceeded quota: q, requested: secrets=1 " + words),
       "Ready=False QuotaExceeded, Reconciling=True QuotaExceeded", Retry::kSlowly},
      {refusal(403, "Forbidden", "User \"x\" cannot patch resource \"secrets\" " + words),
       "Ready=False Forbidden, Reconciling=True Forbidden", Retry::kSlowly},
      {refusal(422, "Invalid", "ValidatingAdmissionPolicy 'p' denied request: " + words),
       "Ready=False AdmissionDenied, Reconciling=True AdmissionDenied", Retry::kSlowly},
      {refusal(400, "BadRequest", "admission webhook \"w\" denied the request: " + words),
       "Ready=False AdmissionDenied, Reconciling=True AdmissionDenied", Retry::kSlowly},
      {refusal(413, "RequestEntityTooLarge", words),
       "Ready=False TargetTooLarge, Stalled=True TargetTooLarge", Retry::kSlowly},
      {refusal(422, "Invalid", words, {{"metadata.name", "FieldValueInvalid"}}),
       "Ready=False ApiError, Reconciling=True ApiError", Retry::kSlowly},
  };
  for (const Refused& one : cases) {
    for (const bool existing : {true, false}) {
      SCOPED_TRACE(std::string(one.says) + (existing ? ", rotating" : ", creating"));
      World world;
      world.source(kOldKey).credential();
      if (existing) {
        world.reconcile();
      }
      const json target = world.secret_object("mail");
      world.refuse_write = one.answer;
      const Turn turn = world.source(kKey).reconcile();
      EXPECT_EQ(world.says(), one.says);
      EXPECT_EQ(turn.retry, one.retry);
      EXPECT_EQ(world.secret_object("mail"), target);
      expect_no_secret_in(world.status().dump() + testing::PrintToString(turn.notes), {});
      const Turn again = world.reconcile();
      EXPECT_FALSE(again.status_changed) << "said once";
      EXPECT_EQ(again.retry, one.retry);
      world.refuse_write.reset();
      world.reconcile();
      EXPECT_EQ(world.says(), "Ready=True Synced");
      EXPECT_THAT(world.data(), Optional(target_data(kKey)));
    }
  }
}

TEST(WriteRefused, ByAServerInTroubleIsTriedAgainAndChangesNoStatus) {
  for (const int code : {429, 500, 503, 504}) {
    SyncedWorld world(kOldKey);
    world.refuse_write = refusal(code, "SomeReason", "SENTINEL");
    const Turn turn = world.source(kKey).reconcile();
    EXPECT_EQ(turn.retry, Retry::kBackoff) << code;
    EXPECT_FALSE(turn.status_changed) << code;
    EXPECT_EQ(world.says(), "Ready=True Synced");
  }
}

TEST(WriteRefused, ByAServerInTroubleForLongIsToldInStatusAndTriedAgain) {
  for (const int code : {429, 500, 503, 504}) {
    SyncedWorld world(kOldKey);
    world.refuse_write = refusal(code, "InternalError", "SENTINEL");
    world.failed_looks = 8;
    const Turn turn = world.source(kKey).reconcile();
    EXPECT_EQ(turn.retry, Retry::kBackoff) << code;
    EXPECT_EQ(world.says(), "Ready=False ApiError, Reconciling=True ApiError") << code;
    EXPECT_THAT(world.data(), Optional(target_data(kOldKey))) << "the last good target survives";
    world.refuse_write.reset();
    world.reconcile();
    EXPECT_EQ(world.says(), "Ready=True Synced");
    EXPECT_THAT(world.data(), Optional(target_data(kKey)));
  }
}

TEST(Upgrade, ABadSourceIsJudgedAnewByTheNewRules) {
  World world;
  world.source(without(kGood, "region")).credential().reconcile();
  EXPECT_TRUE(world.reconcile().quiet());
  world.api.edit(api::credential_path("shop", "mail"), [](json& o) { o["status"]["renderVersion"] = 0; });
  EXPECT_THAT(world.reconcile().reads, ElementsAre("iam"));
  EXPECT_TRUE(world.reconcile().quiet());
}

TEST(ConditionTimes, MoveOnlyWhenTheStatusOfTheConditionDoes) {
  SyncedWorld world;
  world.later(1h).remove("iam").reconcile();
  EXPECT_EQ(world.status()["conditions"][0]["lastTransitionTime"], "2026-11-22T10:00:00Z");
  world.later(1h).source(without(kGood, "region")).reconcile();
  EXPECT_EQ(world.status()["conditions"][0]["lastTransitionTime"], "2026-11-22T10:00:00Z") << "still False";
  EXPECT_EQ(world.status()["conditions"][1]["type"], "Stalled");
  EXPECT_EQ(world.status()["conditions"][1]["lastTransitionTime"], "2026-11-22T11:00:00Z") << "just begun";
  world.later(1h).source(kGood).reconcile();
  EXPECT_EQ(world.status()["conditions"][0]["lastTransitionTime"], "2026-11-22T12:00:00Z");
}

}  // namespace
}  // namespace sessmtp::operator_
