// Rows 27, 28 and 47 of the behaviour matrix: spec.verify, and what a login changes.
#include <gmock/gmock.h>

#include "api/names.h"
#include "base/base64.h"
#include "world.h"

namespace sessmtp::operator_ {
namespace {

using namespace std::chrono_literals;
using smtp::LoginVerdict;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Ge;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Le;
using testing::Not;
using testing::Optional;

const std::string kHost = "email-smtp.us-east-1.amazonaws.com";
const std::string kPending = "Ready=False Verifying, Reconciling=True Verifying, Verified=Unknown Verifying";
const std::string kProved = "Ready=True Synced, Verified=True Authenticated";
const std::string kRefused =
    "Ready=False Verifying, Reconciling=True Verifying, Verified=False CredentialsInvalid";
const std::string kFailed =
    "Ready=False VerificationFailed, Stalled=True VerificationFailed, Verified=False CredentialsInvalid";
const json kEnforce = {{"verify", {{"mode", "Enforce"}}}};
const json kReport = {{"verify", {{"mode", "Report"}}}};
const json kDisabled = {{"verify", {{"mode", "Disabled"}}}};
// Of the same id, with another secret.
const Key kSameId{kOldKey.id, kKey.secret};

std::string login_of(const Key& key, int port = 587) {
  return kHost + ':' + std::to_string(port) + ' ' + key.id + ' ' + password_of(key, "us-east-1");
}

Login verdict(LoginVerdict verdict, int code = 0, std::optional<std::chrono::milliseconds> ask_again = {}) {
  return {.verdict = verdict, .reply_code = code, .detail = {}, .ask_again = ask_again};
}
Login accepted() {
  return verdict(LoginVerdict::kAuthenticated, 235);
}
Login refused(std::optional<std::chrono::milliseconds> ask_again = {}) {
  return verdict(LoginVerdict::kCredentialsInvalid, 535, ask_again);
}

struct VerifyWorld : World {
  explicit VerifyWorld(const json& spec = kEnforce, const Key& key = kOldKey) {
    source(key).credential("mail", spec);
  }
  [[nodiscard]] json verified() const {
    const json conditions = status().at("conditions");
    for (const json& condition : conditions) {
      if (condition["type"] == "Verified") {
        return condition;
      }
    }
    return {};
  }
};

// A look that a login's end has caused.
Turn hear(World& world, const Login& of) {
  world.login = of;
  world.login_news = true;
  Turn turn = world.reconcile();
  world.login_news = false;
  return turn;
}

// A look while nothing is known of any login: also what the first one after a restart is.
Turn look(World& world) {
  world.login = {};
  return world.reconcile();
}

struct ProvedWorld : VerifyWorld {
  explicit ProvedWorld(const json& spec = kEnforce, const Key& key = kOldKey) : VerifyWorld(spec, key) {
    look(*this);
    hear(*this, accepted());
    EXPECT_EQ(says(), kProved);
    EXPECT_TRUE(look(*this).quiet());
    later(1h);
  }
};

// ---- Enforce

TEST(Enforce, ATargetIsMadeOnceItsLoginIsAccepted) {
  VerifyWorld world;
  const Turn first = look(world);
  EXPECT_THAT(first.logins, ElementsAre(login_of(kOldKey)));
  EXPECT_THAT(first.writes, IsEmpty());
  EXPECT_EQ(first.retry, Retry::kNo) << "the end of the login wakes it";
  EXPECT_EQ(world.says(), kPending);
  EXPECT_THAT(world.message(), HasSubstr("until the login is proved"));
  EXPECT_FALSE(world.data());
  EXPECT_THAT(look(world).status_changed, false) << "looked at again meanwhile";

  const Turn second = hear(world, accepted());
  EXPECT_EQ(second.writes.size(), 1U);
  EXPECT_THAT(second.events, ElementsAre("Synced"));
  EXPECT_EQ(world.says(), kProved);
  EXPECT_EQ(world.verified()["message"], kHost + ":587 accepted the login of key AKIA************LD01");
  EXPECT_THAT(world.data(), Optional(target_data(kOldKey)));
  EXPECT_TRUE(look(world).quiet());
}

TEST(Enforce, NobodyIsWarnedOfAKeyThatMayBeTooYoung) {
  ProvedWorld world;
  world.source(kKey);
  look(world);
  Login young = refused();
  young.may_be_young = true;
  EXPECT_THAT(hear(world, young).events, IsEmpty());
  EXPECT_EQ(world.says(), kRefused);
  EXPECT_THAT(world.message(), HasSubstr("new key"));
  EXPECT_THAT(hear(world, refused(5s)).events, ElementsAre("Warning VerifyFailed"));
  EXPECT_THAT(world.message(), Not(HasSubstr("tried each second")));
  EXPECT_THAT(hear(world, refused(10s)).events, IsEmpty()) << "once";
}

TEST(Enforce, ARefusalKeepsTheOldTarget) {
  ProvedWorld world;
  const json before = world.secret_object("mail");
  world.source(kKey);
  EXPECT_THAT(look(world).logins, ElementsAre(login_of(kKey)));
  EXPECT_EQ(world.says(), kPending);
  const Turn turn = hear(world, refused());
  EXPECT_EQ(world.says(), kRefused);
  EXPECT_THAT(turn.events, ElementsAre("Warning VerifyFailed"));
  EXPECT_THAT(world.verified()["message"], AllOf(HasSubstr("535"), HasSubstr("AKIA************MPLE")));
  EXPECT_EQ(world.status()["accessKeyId"], "AKIA************LD01") << "that of the target";
  EXPECT_EQ(world.secret_object("mail"), before);
  EXPECT_FALSE(world.reconcile().status_changed);

  EXPECT_THAT(hear(world.later(1min), accepted()).events, ElementsAre("Rotated"));
  EXPECT_EQ(world.says(), kProved);
  EXPECT_THAT(world.data(), Optional(target_data(kKey)));
  EXPECT_EQ(world.status()["accessKeyId"], "AKIA************MPLE");
}

TEST(Enforce, ARotationOfTheSecretAloneIsProvedToo) {
  ProvedWorld world;
  EXPECT_THAT(look(world.source(kSameId)).logins, ElementsAre(login_of(kSameId)));
  EXPECT_THAT(world.data(), Optional(target_data(kOldKey)));
  EXPECT_EQ(world.says(), kPending);
  EXPECT_THAT(hear(world, accepted()).events, ElementsAre("Rotated"));
  EXPECT_THAT(world.data(), Optional(target_data(kSameId)));
}

TEST(Enforce, AfterTenMinutesARefusalIsForAPerson) {
  VerifyWorld world;
  look(world);
  const Turn first = hear(world.later(3s), refused());
  EXPECT_THAT(first.look_again, Optional(AllOf(Ge(10min - 1s), Le(10min))));
  world.later(10min - 2s).reconcile();
  EXPECT_EQ(world.says(), kRefused);
  world.login = refused(5min);
  const Turn turn = world.later(2s).reconcile();
  EXPECT_EQ(world.says(), kFailed);
  EXPECT_THAT(turn.events, ElementsAre("Warning VerificationFailed"));
  EXPECT_THAT(turn.look_again, Optional(5min)) << "it is still tried";
  EXPECT_FALSE(world.later(20min).reconcile().status_changed);
  hear(world, accepted());
  EXPECT_EQ(world.says(), kProved);
  EXPECT_THAT(world.data(), Optional(target_data(kOldKey)));
}

TEST(Enforce, AnotherKeyHasTenMinutesOfItsOwn) {
  VerifyWorld world;
  look(world);
  hear(world, refused());
  world.later(11min).reconcile();
  EXPECT_EQ(world.says(), kFailed);
  look(world.source(kKey));
  EXPECT_EQ(world.says(), kPending);
  hear(world, refused());
  EXPECT_EQ(world.says(), kRefused);
}

TEST(Enforce, ATouchOfTheSourceDoesNotGiveTenMinutesMore) {
  VerifyWorld world;
  look(world);
  hear(world, refused());
  world.later(6min).touch("iam").reconcile();
  EXPECT_EQ(world.says(), kRefused);
  world.later(5min).touch("iam").reconcile();
  EXPECT_EQ(world.says(), kFailed);
}

TEST(Enforce, WhatSaysNothingAboutThePairIsNoFailureOfIt) {
  for (const auto& [outcome, reason] :
       {std::pair(verdict(LoginVerdict::kTemporaryFailure, 454, 5s), "TemporaryFailure"),
        std::pair(verdict(LoginVerdict::kEndpointUnreachable, 0, 5s), "EndpointUnreachable")}) {
    VerifyWorld world;
    look(world);
    const Turn turn = hear(world, outcome);
    const std::string says =
        std::string("Ready=False Verifying, Reconciling=True Verifying, Verified=Unknown ") + reason;
    EXPECT_EQ(world.says(), says);
    EXPECT_THAT(turn.events, IsEmpty());
    EXPECT_THAT(turn.look_again, Optional(5s));
    world.later(1h).reconcile();
    EXPECT_EQ(world.says(), says) << "however long";
    EXPECT_FALSE(world.data());
  }
}

TEST(Enforce, OtherFailuresAreForAPersonAfterTenMinutesToo) {
  VerifyWorld world;
  look(world);
  hear(world, verdict(LoginVerdict::kCertificateInvalid, 0, 5s));
  EXPECT_EQ(world.says(),
            "Ready=False Verifying, Reconciling=True Verifying, Verified=False CertificateInvalid");
  world.later(11min).reconcile();
  EXPECT_EQ(world.says(),
            "Ready=False VerificationFailed, Stalled=True VerificationFailed, Verified=False "
            "CertificateInvalid");
}

TEST(Enforce, AnEndpointThatIsNotAllowedIsForAPersonAtOnce) {
  ProvedWorld world;
  const json before = world.secret_object("mail");
  look(world.change_spec({{"endpoint", {{"host", "mail.example.com"}}}}));
  EXPECT_EQ(world.says(), kPending);
  const Turn turn = hear(world, verdict(LoginVerdict::kEndpointNotAllowed, 0, 20min));
  const std::string says =
      "Ready=False EndpointNotAllowed, Stalled=True EndpointNotAllowed, Verified=False EndpointNotAllowed";
  EXPECT_EQ(world.says(), says);
  EXPECT_THAT(turn.events, Contains("Warning EndpointNotAllowed"));
  EXPECT_EQ(world.secret_object("mail"), before);
  EXPECT_THAT(look(world), testing::Field(&Turn::status_changed, false)) << "after a restart";
  EXPECT_EQ(world.says(), says);
}

// ---- while it is proved

TEST(Enforce, ATouchedSourceIsNotTriedAgain) {
  for (const char* format : {"Default", "BasicAuth", "Env", "ServiceBinding"}) {
    json spec = kEnforce;
    spec["target"]["format"] = format;
    ProvedWorld world(spec);
    const std::string version = world.version();
    const Turn turn = look(world.touch("iam"));
    EXPECT_THAT(turn.logins, IsEmpty()) << format;
    EXPECT_EQ(world.says(), kProved);
    EXPECT_EQ(world.status()["source"]["resourceVersion"], world.version("iam"));
    EXPECT_EQ(world.version(), version);
    EXPECT_TRUE(look(world).quiet());
  }
}

TEST(Enforce, AnEditedTargetIsRepairedAtOnce) {
  ProvedWorld world;
  world.edit("mail", [](json& secret) { secret["data"]["password"] = base64_encode("edited"); });
  const Turn turn = look(world);
  EXPECT_THAT(turn.logins, IsEmpty());
  EXPECT_THAT(turn.events, ElementsAre("TargetRepaired"));
  EXPECT_EQ(world.says(), kProved);
  EXPECT_THAT(look(world.remove("mail")).events, ElementsAre("TargetRepaired"));
  EXPECT_THAT(world.data(), Optional(target_data(kOldKey)));
}

TEST(Enforce, AnotherFormatOrLabelNeedsNoLogin) {
  ProvedWorld world;
  const json other = {{"target", {{"format", "Env"}, {"labels", {{"team", "a"}}}}}};
  const Turn turn = look(world.change_spec(other));
  EXPECT_THAT(turn.logins, IsEmpty());
  EXPECT_EQ(turn.writes.size(), 1U);
  EXPECT_EQ(world.says(), kProved);
  EXPECT_EQ(world.verified()["observedGeneration"], 2);
}

// The target holds neither host nor port, so it looks as it did.
TEST(Enforce, AnotherPortIsProvedAnew) {
  json spec = kEnforce;
  spec["target"]["format"] = "BasicAuth";
  ProvedWorld world(spec);
  const Turn turn = look(world.change_spec({{"endpoint", {{"port", 2587}}}}));
  EXPECT_THAT(turn.logins, ElementsAre(login_of(kOldKey, 2587)));
  EXPECT_EQ(world.says(), kPending);
  EXPECT_EQ(world.status()["endpoint"]["port"], 587) << "that of the target";
  hear(world, accepted());
  EXPECT_EQ(world.says(), kProved);
  EXPECT_EQ(world.status()["endpoint"]["port"], 2587);
  EXPECT_TRUE(look(world).quiet());
}

TEST(Enforce, AnotherRegionBehindTheSameHostIsProvedAnew) {
  json spec = kEnforce;
  spec["endpoint"]["host"] = "vpce-0.email-smtp.us-east-1.vpce.amazonaws.com";
  ProvedWorld world(spec, kKey);
  world.change_spec({{"region", "eu-west-1"}});
  EXPECT_EQ(look(world).logins.size(), 1U);
  EXPECT_EQ(world.says(), kPending);
  EXPECT_THAT(world.data(), Optional(Contains(testing::Pair("region", "us-east-1"))));
}

// Neither source nor spec has changed, but what follows from them.
TEST(Enforce, AnotherEndpointAfterAnUpgradeIsProvedAnew) {
  ProvedWorld world;
  world.api.edit(api::credential_path("shop", "mail"), [](json& credential) {
    credential["status"]["endpoint"]["host"] = "smtp.us-east-1.amazonaws.com";
    credential["status"]["renderVersion"] = 0;
  });
  const std::string version = world.version();
  EXPECT_THAT(look(world).logins, ElementsAre(login_of(kOldKey)));
  EXPECT_EQ(world.says(), kPending);
  EXPECT_EQ(world.version(), version);
}

// What the target holds does not tell of the pair, or not enough: another one must not pass for it.
TEST(Enforce, APairThatTheTargetDoesNotShowIsProvedAnew) {
  for (const char* text : {"$(host)", "$(username)"}) {
    json spec = kEnforce;
    spec["target"] = {{"format", "None"}, {"data", {{"file", text}}}};
    ProvedWorld world(spec);
    EXPECT_THAT(look(world.source(kSameId)).logins, ElementsAre(login_of(kSameId))) << text;
    EXPECT_EQ(world.says(), kPending) << text;
  }
}

// By somebody who wrote the new pair into both, before it was proved.
TEST(Enforce, AnEditedTargetProvesNothing) {
  ProvedWorld world;
  world.source(kSameId).edit("mail", [](json& secret) {
    for (const auto& [key, value] : target_data(kSameId)) {
      secret["data"][key] = base64_encode(value);
    }
  });
  EXPECT_THAT(look(world).logins, ElementsAre(login_of(kSameId)));
  EXPECT_EQ(world.verified()["status"], "Unknown");
}

TEST(Enforce, ARequestLogsInAnewAndStaysReadyUntilTheVerdict) {
  ProvedWorld world;
  const Turn turn = look(world.annotate("ses-smtp.dev/reconcile-requested-at", "now"));
  EXPECT_THAT(turn.logins, ElementsAre(login_of(kOldKey)));
  EXPECT_EQ(world.says(), kProved);
  EXPECT_EQ(world.status()["lastHandledReconcileAt"], "now");
  EXPECT_THAT(hear(world, accepted()).events, IsEmpty());
  EXPECT_TRUE(look(world).quiet());

  look(world.annotate("ses-smtp.dev/reconcile-requested-at", "again"));
  const std::string version = world.version();
  hear(world, refused());
  EXPECT_EQ(world.says(), kRefused) << "the key was switched off meanwhile";
  EXPECT_EQ(world.version(), version);
}

// A request to log in anew must not cost what is proved when the server happens to be away.
TEST(Enforce, AServerThatIsAwayTakesNoProofBack) {
  for (const LoginVerdict outcome : {LoginVerdict::kTemporaryFailure, LoginVerdict::kEndpointUnreachable}) {
    ProvedWorld world;
    look(world.annotate("ses-smtp.dev/reconcile-requested-at", "now"));
    EXPECT_THAT(hear(world, verdict(outcome, 0, 5s)).look_again, Optional(5s)) << "it is tried again";
    EXPECT_EQ(world.says(), kProved);
    world.remove("mail");
    hear(world, verdict(outcome, 0, 5s));
    EXPECT_THAT(world.data(), Optional(target_data(kOldKey))) << "made anew all the same";
    hear(world, refused());
    EXPECT_EQ(world.says(), kRefused);
  }
}

// ---- restarts: nothing is known in memory, status is

TEST(Enforce, ARestartWhileProvedAsksForNothing) {
  ProvedWorld world;
  EXPECT_TRUE(look(world).quiet());
}

TEST(Enforce, ARestartWhilePendingAsksAgain) {
  VerifyWorld world;
  look(world);
  const Turn turn = look(world);
  EXPECT_THAT(turn.logins, ElementsAre(login_of(kOldKey)));
  EXPECT_THAT(turn.writes, IsEmpty());
  EXPECT_FALSE(turn.status_changed);
}

TEST(Enforce, ARestartWhileRefusedStartsNothingAnew) {
  VerifyWorld world;
  look(world);
  hear(world, refused());
  world.later(6min);
  EXPECT_FALSE(look(world).status_changed);
  EXPECT_EQ(world.says(), kRefused);
  const Turn turn = look(world.later(5min));
  EXPECT_EQ(world.says(), kFailed) << "the ten minutes have gone on";
  EXPECT_THAT(turn.logins, ElementsAre(login_of(kOldKey)));
  EXPECT_FALSE(look(world).status_changed);
}

TEST(Enforce, ARestartBetweenVerdictAndWriteProvesItAgain) {
  VerifyWorld world;
  look(world);
  world.refuse_write = refusal(503, "ServiceUnavailable", "away");
  hear(world, accepted());
  EXPECT_FALSE(world.data());
  world.refuse_write.reset();
  EXPECT_THAT(look(world).writes, IsEmpty());
  EXPECT_FALSE(world.data());
  hear(world, accepted());
  EXPECT_EQ(world.says(), kProved);
}

// ---- failures beside the login

TEST(Enforce, AFailureBeforeTheLoginDoesNotLetAProofStand) {
  ProvedWorld world;
  look(world.edit("mail", [](json& secret) { secret["immutable"] = true; }).source(kKey));
  EXPECT_EQ(world.says(), "Ready=False TargetImmutable, Stalled=True TargetImmutable")
      << "nobody has tried the new pair";
  world.edit("mail", [](json& secret) { secret.erase("immutable"); });
  EXPECT_THAT(look(world).logins, ElementsAre(login_of(kKey)));
  EXPECT_EQ(world.says(), kPending);
}

TEST(Enforce, AHiccupOfTheApiServerLetsTheProofStand) {
  ProvedWorld world;
  world.refuse_read["iam"] = refusal(503, "ServiceUnavailable", "away");
  world.failed_looks = 20;
  look(world.edit("mail", [](json& secret) { secret["data"].erase("password"); }));
  EXPECT_EQ(world.says(), "Ready=False ApiError, Reconciling=True ApiError, Verified=True Authenticated");
  world.refuse_read.clear();
  EXPECT_THAT(look(world).logins, IsEmpty());
  EXPECT_EQ(world.says(), kProved);
  EXPECT_THAT(world.data(), Optional(target_data(kOldKey)));
}

TEST(Enforce, ARefusedWriteIsNotALoginThatFailed) {
  ProvedWorld world;
  look(world.source(kKey));
  world.refuse_write = refusal(403, "Forbidden", "exceeded quota: few");
  hear(world, accepted());
  EXPECT_EQ(world.verified()["status"], "True");
  EXPECT_THAT(world.says(), Not(HasSubstr("Verifying")));
  world.refuse_write.reset();
  world.reconcile();
  EXPECT_EQ(world.says(), kProved);
  EXPECT_THAT(world.data(), Optional(target_data(kKey)));
}

TEST(Enforce, ALostProofOfAWriteThatFailedIsSoughtAgain) {
  ProvedWorld world;
  look(world.source(kKey));
  world.refuse_write = refusal(403, "Forbidden", "exceeded quota: few");
  hear(world, accepted());
  look(world.source(kOldKey));  // back to what the target holds
  EXPECT_NE(world.verified().value("message", ""),
            kHost + ":587 accepted the login of key AKIA************MPLE")
      << "that is another pair";
}

TEST(Enforce, WhatWasKeptOfThePairBeforeIsKeptByARotationThatWasProved) {
  json spec = kEnforce;
  spec["keepPreviousFor"] = "1h";
  ProvedWorld world(spec);
  look(world.source(kKey));
  EXPECT_FALSE(world.data()->contains("previous-password"));
  hear(world.later(5min), refused());
  hear(world.later(5min), accepted());
  EXPECT_EQ(world.data()->at("previous-password"), password_of(kOldKey, "us-east-1"));
  EXPECT_EQ(world.data()->at("password"), password_of(kKey, "us-east-1"));
  world.later(30min).touch("iam");
  EXPECT_THAT(look(world).logins, IsEmpty());
  EXPECT_EQ(world.says(), kProved);
  EXPECT_THAT(look(world.later(31min)).events, ElementsAre("PreviousExpired"));
  EXPECT_EQ(world.says(), kProved);
}

TEST(Enforce, SuspendKeepsWhatWasProved) {
  ProvedWorld world;
  world.change_spec({{"suspend", true}});
  EXPECT_THAT(look(world).logins, IsEmpty());
  EXPECT_EQ(world.says(), "Ready=True Synced, Verified=True Authenticated, Suspended=True Suspended");
  EXPECT_THAT(look(world.later(1h).change_spec({{"suspend", nullptr}})).logins, IsEmpty());
  EXPECT_EQ(world.says(), kProved);
}

// ---- Report

TEST(Report, TheTargetIsWrittenAtOnceAndReadyDoesNotDependOnTheLogin) {
  VerifyWorld world(kReport);
  const Turn turn = look(world);
  EXPECT_THAT(turn.logins, ElementsAre(login_of(kOldKey)));
  EXPECT_THAT(world.data(), Optional(target_data(kOldKey)));
  EXPECT_EQ(world.says(), "Ready=True Synced, Verified=Unknown Verifying");
  EXPECT_THAT(hear(world, refused(20min)).events, ElementsAre("Warning VerifyFailed"));
  EXPECT_EQ(world.says(), "Ready=True Synced, Verified=False CredentialsInvalid");
  EXPECT_THAT(world.later(1h).reconcile().look_again, Optional(20min));
  EXPECT_EQ(world.says(), "Ready=True Synced, Verified=False CredentialsInvalid");
  EXPECT_THAT(hear(world, accepted()).events, IsEmpty());
  EXPECT_EQ(world.says(), kProved);
  EXPECT_TRUE(look(world).quiet());
}

TEST(Report, ARotationIsWrittenAtOnceToo) {
  ProvedWorld world(kReport);
  const Turn turn = look(world.source(kKey));
  EXPECT_THAT(turn.logins, ElementsAre(login_of(kKey)));
  EXPECT_THAT(turn.events, ElementsAre("Rotated"));
  EXPECT_THAT(world.data(), Optional(target_data(kKey)));
  EXPECT_EQ(world.says(), "Ready=True Synced, Verified=Unknown Verifying");
}

TEST(Report, AnEndpointThatIsNotAllowedIsReported) {
  json spec = kReport;
  spec["endpoint"]["host"] = "mail.example.com";
  VerifyWorld world(spec);
  look(world);
  hear(world, verdict(LoginVerdict::kEndpointNotAllowed, 0, 20min));
  EXPECT_EQ(world.says(), "Ready=True Synced, Verified=False EndpointNotAllowed");
  EXPECT_THAT(world.data(), Optional(target_data(kOldKey, "us-east-1", "mail.example.com")));
  EXPECT_THAT(world.verified()["message"].get<std::string>(), HasSubstr("mail.example.com:587"));
}

TEST(Report, AServerThatIsAwaySaysNothing) {
  VerifyWorld world(kReport);
  look(world);
  EXPECT_THAT(hear(world, verdict(LoginVerdict::kEndpointUnreachable, 0, 5s)).events, IsEmpty());
  EXPECT_EQ(world.says(), "Ready=True Synced, Verified=Unknown EndpointUnreachable");
}

TEST(Report, ATouchedSourceIsNotTriedAgainWhileProved) {
  ProvedWorld world(kReport);
  EXPECT_THAT(look(world.touch("iam")).logins, IsEmpty());
  EXPECT_EQ(world.says(), kProved);
}

// ---- from one mode to another

TEST(VerifyMode, DisabledPublishesAtOnce) {
  ProvedWorld world;
  look(world.source(kKey));
  hear(world, refused());
  const Turn turn = look(world.change_spec(kDisabled));
  EXPECT_THAT(turn.logins, IsEmpty());
  EXPECT_EQ(world.says(), "Ready=True Synced");
  EXPECT_THAT(world.data(), Optional(target_data(kKey)));
  EXPECT_TRUE(look(world).quiet());
}

TEST(VerifyMode, EnforceAsksAboutATargetThatIsThere) {
  SyncedWorld synced(kOldKey);
  VerifyWorld world(json::object());
  look(world);
  EXPECT_EQ(world.says(), "Ready=True Synced");
  const json before = world.secret_object("mail");
  EXPECT_THAT(look(world.later(1h).change_spec(kEnforce)).logins, ElementsAre(login_of(kOldKey)));
  EXPECT_EQ(world.says(), kPending);
  EXPECT_THAT(world.message(), HasSubstr("holds a login that is not proved"));
  hear(world, refused());
  EXPECT_EQ(world.says(), kRefused);
  hear(world, accepted());
  EXPECT_EQ(world.says(), kProved);
  EXPECT_EQ(world.secret_object("mail"), before);
}

TEST(VerifyMode, EnforceTakesTheProofOfReport) {
  ProvedWorld world(kReport);
  EXPECT_THAT(look(world.change_spec(kEnforce)).logins, IsEmpty());
  EXPECT_EQ(world.says(), kProved);
}

TEST(VerifyMode, EnforceAfterReportOfARefusalIsNotReady) {
  VerifyWorld world(kReport);
  look(world);
  hear(world, refused());
  world.change_spec(kEnforce).reconcile();
  EXPECT_EQ(world.says(), kRefused);
  world.change_spec(kReport).reconcile();
  EXPECT_EQ(world.says(), "Ready=True Synced, Verified=False CredentialsInvalid");
}

TEST(VerifyMode, ASourceThatIsRefusedIsNotLoggedInWith) {
  ProvedWorld world;
  world.source(Data{{"accessKeyId", "ASIAIOSFODNN7EXAMPLE"}, {"secretAccessKey", kKey.secret}});
  EXPECT_THAT(look(world).logins, IsEmpty());
  EXPECT_EQ(world.says(), "Ready=False TemporaryCredentials, Stalled=True TemporaryCredentials");
  EXPECT_TRUE(look(world).quiet());
}

}  // namespace
}  // namespace sessmtp::operator_
