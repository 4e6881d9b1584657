#include "operator/cache.h"

#include <gmock/gmock.h>

#include <set>
#include <thread>

#include "../kube/fake_clock.h"
#include "api/names.h"

namespace sessmtp::operator_ {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::IsEmpty;

struct Named {
  std::string name;
  std::string source = "iam";
  std::string target = "";  // the credential's own name
  std::string uid = "";     // "uid of <name>"
  int version = 10;
  std::string namespace_ = "shop";
  std::string status_target = "";
  int generation = 1;
};

api::SesSmtpCredential credential(const Named& n) {
  api::SesSmtpCredential result;
  result.meta.namespace_ = n.namespace_;
  result.meta.name = n.name;
  result.meta.uid = n.uid.empty() ? "uid of " + n.name : n.uid;
  result.meta.resource_version = std::to_string(n.version);
  result.meta.generation = n.generation;
  result.spec.source.secret_name = n.source;
  result.spec.target.name = n.target.empty() ? n.name : n.target;
  if (!n.status_target.empty()) {
    result.status.target = api::SecretVersion{.uid = n.status_target, .resource_version = "1"};
  }
  return result;
}

kube::ObjectMeta secret(const std::string& name, int version = 10, const std::string& uid = "s",
                        const std::string& namespace_ = "shop") {
  kube::ObjectMeta meta;
  meta.namespace_ = namespace_;
  meta.name = name;
  meta.uid = uid;
  meta.resource_version = std::to_string(version);
  return meta;
}

void end_list(Cache& cache, const std::string& scope, const std::vector<api::SesSmtpCredential>& credentials,
              const std::set<kube::NamespacedName>& unreadable = {}) {
  for (const api::SesSmtpCredential& listed : credentials) {
    cache.listed_credential(scope, listed);
  }
  cache.end_credential_list(scope, unreadable);
}

void list_credentials(Cache& cache, const std::string& scope,
                      const std::vector<api::SesSmtpCredential>& credentials,
                      const std::set<kube::NamespacedName>& unreadable = {}) {
  cache.begin_credential_list(scope);
  end_list(cache, scope, credentials, unreadable);
}

void list_secrets(Cache& cache, const std::string& scope, const std::vector<kube::ObjectMeta>& secrets) {
  cache.begin_secret_list(scope);
  for (const kube::ObjectMeta& meta : secrets) {
    cache.listed_secret(scope, meta);
  }
  cache.end_secret_list(scope);
}

class CacheTest : public testing::Test {
 protected:
  // What was enqueued since the last call, as "name" or "namespace/name" outside of shop; each once.
  std::set<std::string> woken() {
    std::set<std::string> names;
    for (const kube::NamespacedName& key : queue_) {
      names.insert((key.namespace_ == "shop" ? "" : key.namespace_ + '/') + key.name);
    }
    queue_.clear();
    return names;
  }

  std::string source_version(Cache& cache, const std::string& name) {
    const auto observation = cache.observe({"shop", name});
    return observation && observation->source.presence == Presence::kKnown
               ? observation->source.record.version.uid + '@' +
                     observation->source.record.version.resource_version
               : "unknown";
  }

  std::vector<kube::NamespacedName> queue_;
  FakeClock clock_;
  Cache cache_{
      {""}, clock_, [this](const kube::NamespacedName& key, kube::Priority) { queue_.push_back(key); }};

  void fill(const std::vector<Named>& credentials, const std::vector<kube::ObjectMeta>& secrets) {
    std::vector<api::SesSmtpCredential> list;
    for (const Named& n : credentials) {
      list.push_back(credential(n));
    }
    list_credentials(cache_, "", list);
    list_secrets(cache_, "", secrets);
    queue_.clear();
  }
};

TEST_F(CacheTest, ObservesACredentialWithItsSourceAndTarget) {
  kube::ObjectMeta target = secret("mail", 12, "t");
  target.labels = {{std::string(api::kManagedByLabel), std::string(api::kManagedBy)},
                   {std::string(api::kOwnerUidLabel), "uid of mail"}};
  target.annotations = {{std::string(api::kCredentialAnnotation), "mail"}};
  fill({{.name = "mail"}}, {secret("iam", 11, "s"), target});
  const auto observation = cache_.observe({"shop", "mail"});
  ASSERT_TRUE(observation);
  EXPECT_EQ(observation->source.record.version, (api::SecretVersion{.uid = "s", .resource_version = "11"}));
  EXPECT_EQ(observation->target.record, (SecretRecord{.version = {.uid = "t", .resource_version = "12"},
                                                      .terminating = false,
                                                      .managed = true,
                                                      .owner_uid = "uid of mail",
                                                      .credential_name = "mail"}));
  EXPECT_EQ(observation->claims.rival, "");
  EXPECT_FALSE(observation->written);
}

TEST_F(CacheTest, AnUnknownCredentialIsNotObserved) {
  fill({{.name = "mail"}}, {});
  EXPECT_FALSE(cache_.observe({"shop", "other"}));
  EXPECT_FALSE(cache_.observe({"elsewhere", "mail"}));
}

TEST_F(CacheTest, ASecretNotInTheListIsAbsent) {
  fill({{.name = "mail"}}, {secret("iam")});
  EXPECT_EQ(cache_.observe({"shop", "mail"})->target.presence, Presence::kAbsent);
}

TEST_F(CacheTest, BeforeTheSecretsAreListedNothingIsKnown) {
  cache_.put_credential(credential({.name = "mail"}));
  EXPECT_EQ(cache_.observe({"shop", "mail"})->source.presence, Presence::kUnknown);
}

// ---- who is woken ---------------------------------------------------------------------------------------

TEST_F(CacheTest, AChangedSecretWakesThoseThatReadOrWriteIt) {
  fill({{.name = "a"},
        {.name = "b"},
        {.name = "c", .source = "other", .target = "iam"},
        {.name = "d", .source = "x"}},
       {secret("iam"), secret("other")});
  cache_.put_secret(secret("iam", 11));
  EXPECT_THAT(woken(), ElementsAre("a", "b", "c"));
  cache_.put_secret(secret("other", 11));
  EXPECT_THAT(woken(), ElementsAre("c"));
  cache_.remove_secret(secret("iam", 12));
  EXPECT_THAT(woken(), ElementsAre("a", "b", "c"));
  cache_.put_secret(secret("unrelated", 13));
  cache_.put_secret(secret("iam", 13, "s", "elsewhere"));
  EXPECT_THAT(woken(), IsEmpty());
}

TEST_F(CacheTest, AChangedCredentialWakesItselfAndItsRivals) {
  fill({{.name = "a", .target = "t"}, {.name = "b", .target = "t"}, {.name = "c"}}, {});
  cache_.put_credential(credential({.name = "a", .target = "t", .version = 11}));
  EXPECT_THAT(woken(), ElementsAre("a", "b"));
}

TEST_F(CacheTest, ADeletedCredentialWakesItsRivalsAndIsForgotten) {
  fill({{.name = "a", .target = "t"}, {.name = "b", .target = "t"}, {.name = "c"}}, {});
  cache_.remove_credential(credential({.name = "a"}).meta);
  EXPECT_THAT(woken(), ElementsAre("a", "b")) << "a, so that what is remembered of it goes";
  EXPECT_FALSE(cache_.observe({"shop", "a"}));
  cache_.put_secret(secret("iam", 11));
  EXPECT_THAT(woken(), ElementsAre("b", "c"));
}

TEST_F(CacheTest, WhoReadsWhatAnotherWritesWakesItAndIsWokenByIt) {
  fill({{.name = "reader", .source = "t"}, {.name = "writer", .target = "t"}, {.name = "c"}}, {});
  cache_.remove_credential(credential({.name = "reader"}).meta);
  EXPECT_THAT(woken(), ElementsAre("reader", "writer"));
  cache_.put_credential(credential({.name = "reader", .source = "t", .version = 11}));
  EXPECT_THAT(woken(), ElementsAre("reader", "writer"));
  cache_.put_credential(credential({.name = "writer", .target = "t", .version = 12}));
  EXPECT_THAT(woken(), ElementsAre("reader", "writer"));
}

TEST_F(CacheTest, AnotherSourceInTheSpecMovesTheWakeUps) {
  fill({{.name = "mail"}}, {secret("iam"), secret("other")});
  cache_.put_credential(credential({.name = "mail", .source = "other", .version = 11, .generation = 2}));
  woken();
  cache_.put_secret(secret("iam", 11));
  EXPECT_THAT(woken(), IsEmpty());
  cache_.put_secret(secret("other", 11));
  EXPECT_THAT(woken(), ElementsAre("mail"));
}

TEST_F(CacheTest, AListWakesEverybodyItIsAboutAndThoseThatAreGone) {
  fill({{.name = "a"}, {.name = "b", .target = "t"}, {.name = "c", .target = "t"}}, {});
  list_credentials(cache_, "", {credential({.name = "c", .target = "t"})});
  EXPECT_THAT(woken(), ElementsAre("a", "b", "c"));
  EXPECT_EQ(cache_.credential_count(), 1U);

  list_secrets(cache_, "", {secret("unrelated")});
  EXPECT_THAT(woken(), ElementsAre("c"));
}

TEST_F(CacheTest, ASecretMissingFromTheListIsGone) {
  fill({{.name = "mail"}}, {secret("iam")});
  list_secrets(cache_, "", {});
  EXPECT_EQ(cache_.observe({"shop", "mail"})->source.presence, Presence::kAbsent);
}

// ---- versions -------------------------------------------------------------------------------------------

TEST_F(CacheTest, AnOlderOrEqualVersionOfASecretIsNoNews) {
  fill({{.name = "mail"}}, {secret("iam", 100)});
  cache_.put_secret(secret("iam", 99));
  cache_.put_secret(secret("iam", 100));
  EXPECT_THAT(woken(), IsEmpty());
  EXPECT_EQ(source_version(cache_, "mail"), "s@100");
  cache_.put_secret(secret("iam", 1000));
  EXPECT_THAT(woken(), ElementsAre("mail")) << "compared as numbers, not as text";
  EXPECT_EQ(source_version(cache_, "mail"), "s@1000");
}

TEST_F(CacheTest, ALateEventOfAnEarlierSecretDoesNotReplaceTheOneThatWasReadLive) {
  fill({{.name = "mail"}}, {});
  cache_.note_secret(secret("iam", 100, "second"), {"shop", "mail"});
  cache_.put_secret(secret("iam", 50, "first"));
  cache_.remove_secret(secret("iam", 60, "first"));
  EXPECT_THAT(woken(), IsEmpty());
  EXPECT_EQ(source_version(cache_, "mail"), "second@100");
}

TEST_F(CacheTest, AListCountsWhateverItsVersions) {
  fill({{.name = "mail", .version = 100}}, {secret("iam", 100, "s")});
  list_credentials(cache_, "", {credential({.name = "mail", .source = "old", .version = 40})});
  EXPECT_EQ(cache_.observe({"shop", "mail"})->credential.spec.source.secret_name, "old")
      << "etcd was restored";
  list_credentials(cache_, "", {credential({.name = "mail", .version = 41})});
  list_secrets(cache_, "", {secret("iam", 30, "s")});
  EXPECT_EQ(source_version(cache_, "mail"), "s@30");
}

TEST_F(CacheTest, WhatWeWroteDuringAListIsNewerThanTheList) {
  fill({{.name = "mail", .version = 10}}, {secret("iam", 10), secret("mail", 10, "t")});
  cache_.begin_credential_list("");
  cache_.begin_secret_list("");
  cache_.listed_secret("", secret("mail", 10, "t"));
  cache_.note_secret(secret("mail", 20, "t"), {"shop", "mail"});
  cache_.note_written_credential(credential({.name = "mail", .version = 21, .status_target = "t"}));
  cache_.end_secret_list("");
  end_list(cache_, "", {credential({.name = "mail", .version = 10})});
  EXPECT_EQ(cache_.observe({"shop", "mail"})->target.record.version.resource_version, "20");
  EXPECT_EQ(cache_.observe({"shop", "mail"})->credential.meta.resource_version, "21");
  EXPECT_EQ(cache_.observe({"shop", "mail"})->source.presence, Presence::kAbsent)
      << "the list did not bring it";
}

// ---- names that are known, absent or unknown --------------------------------------------------------------

TEST_F(CacheTest, ANameThatALaterCredentialBringsIsUnknownAndNotAbsent) {
  fill({{.name = "mail"}}, {secret("iam"), secret("other")});
  cache_.put_credential(credential({.name = "news", .source = "other"}));
  EXPECT_EQ(cache_.observe({"shop", "news"})->source.presence, Presence::kUnknown)
      << "when it came by, nobody asked for it";
  cache_.put_secret(secret("other", 11));
  EXPECT_EQ(cache_.observe({"shop", "news"})->source.presence, Presence::kKnown);
}

TEST_F(CacheTest, AListThatBeganBeforeTheNameWasKnownDoesNotMakeItAbsent) {
  fill({{.name = "mail"}}, {});
  cache_.begin_secret_list("");
  cache_.listed_secret("", secret("other"));
  cache_.put_credential(credential({.name = "news", .source = "other"}));
  cache_.end_secret_list("");
  EXPECT_EQ(cache_.observe({"shop", "news"})->source.presence, Presence::kUnknown);
  list_secrets(cache_, "", {});
  EXPECT_EQ(cache_.observe({"shop", "news"})->source.presence, Presence::kAbsent);
}

TEST_F(CacheTest, ALiveReadTellsWhatTheWatchCannot) {
  fill({}, {});
  cache_.put_credential(credential({.name = "mail"}));
  woken();
  cache_.note_secret(secret("iam", 10), {"shop", "mail"});
  cache_.note_missing_secret({"shop", "mail"});
  EXPECT_THAT(woken(), IsEmpty()) << "who asked knows";
  EXPECT_EQ(source_version(cache_, "mail"), "s@10");
  EXPECT_EQ(cache_.observe({"shop", "mail"})->target.presence, Presence::kAbsent);
}

TEST_F(CacheTest, ALiveReadThatFindsNothingIsOlderThanWhatTheWatchBroughtMeanwhile) {
  fill({}, {});
  cache_.put_credential(credential({.name = "mail"}));
  cache_.put_secret(secret("iam", 10));
  cache_.note_missing_secret({"shop", "iam"});
  EXPECT_EQ(source_version(cache_, "mail"), "s@10");
}

TEST_F(CacheTest, ALiveReadThatIsNewsToOthersWakesThem) {
  fill({{.name = "a"}, {.name = "b"}}, {secret("iam", 10)});
  cache_.note_secret(secret("iam", 11), {"shop", "a"});
  EXPECT_THAT(woken(), ElementsAre("b"));
}

TEST_F(CacheTest, ASecretThatNoCredentialNamesIsNotRemembered) {
  fill({{.name = "mail"}}, {secret("iam")});
  cache_.put_secret(secret("other", 11));
  cache_.put_credential(credential({.name = "mail", .source = "other", .version = 12, .generation = 2}));
  EXPECT_EQ(cache_.observe({"shop", "mail"})->source.presence, Presence::kUnknown);
  cache_.put_credential(credential({.name = "mail", .version = 13, .generation = 3}));
  EXPECT_EQ(cache_.observe({"shop", "mail"})->source.presence, Presence::kUnknown)
      << "it went with the last reference to it";
}

TEST_F(CacheTest, ANewStatusForgetsNothing) {
  fill({{.name = "mail"}}, {secret("iam"), secret("mail", 10, "t")});
  cache_.note_written_credential(credential({.name = "mail", .version = 11, .status_target = "t"}));
  cache_.put_credential(credential({.name = "mail", .version = 12, .status_target = "t"}));
  EXPECT_EQ(cache_.observe({"shop", "mail"})->source.presence, Presence::kKnown);
  EXPECT_EQ(cache_.observe({"shop", "mail"})->target.presence, Presence::kKnown);
}

TEST_F(CacheTest, ASecretOfATypeThatIsNotWatchedIsLookedAtAgainByResyncOnly) {
  fill({{.name = "mail"}}, {});
  cache_.note_unwatched_secret({"shop", "iam"}, "helm.sh/release.v1");
  EXPECT_EQ(cache_.observe({"shop", "mail"})->source.presence, Presence::kUnwatched);
  EXPECT_EQ(cache_.observe({"shop", "mail"})->source.type, "helm.sh/release.v1");
  cache_.resync();
  EXPECT_THAT(woken(), ElementsAre("mail"));
  EXPECT_EQ(cache_.observe({"shop", "mail"})->source.presence, Presence::kUnknown);
}

TEST_F(CacheTest, AResyncDoubtsOnlyWhatNoEventWouldTell) {
  fill({{.name = "mail"}}, {secret("iam")});
  cache_.resync();
  EXPECT_THAT(woken(), ElementsAre("mail"));
  EXPECT_EQ(source_version(cache_, "mail"), "s@10");
}

TEST_F(CacheTest, WithoutACrdThereAreNoCredentials) {
  fill({{.name = "mail"}}, {secret("iam")});
  cache_.forget_credentials("");
  EXPECT_EQ(cache_.credential_count(), 0U) << "or their targets would be made again when they go";
  EXPECT_FALSE(cache_.filled(""));
}

TEST_F(CacheTest, ShowsEachCredentialOnce) {
  std::vector<Named> names;
  for (int i = 0; i < 200; ++i) {
    names.push_back({.name = "mail-" + std::to_string(i)});
  }
  fill(names, {});
  std::multiset<std::string> shown;
  cache_.each_credential([&](const api::SesSmtpCredential& each) { shown.insert(each.meta.name); });
  ASSERT_EQ(shown.size(), names.size());
  for (const Named& n : names) {
    EXPECT_EQ(shown.count(n.name), 1U) << n.name;
  }
}

TEST_F(CacheTest, AListThatWasNotFinishedLeavesNothing) {
  fill({{.name = "a"}}, {});
  cache_.begin_credential_list("");
  cache_.listed_credential("", credential({.name = "b"}));
  list_credentials(cache_, "", {credential({.name = "a"})});
  EXPECT_FALSE(cache_.observe({"shop", "b"})) << "it was deleted before the second list began";
}

TEST_F(CacheTest, ACredentialThatCannotBeReadStaysAsItWasKnown) {
  fill({{.name = "a"}, {.name = "b"}}, {});
  list_credentials(cache_, "", {credential({.name = "a"})}, {{"shop", "b"}});
  EXPECT_TRUE(cache_.observe({"shop", "b"}));
}

TEST_F(CacheTest, AfterALostEventNothingIsKnown) {
  fill({{.name = "mail"}}, {secret("iam")});
  cache_.lost_secrets("");
  EXPECT_THAT(woken(), ElementsAre("mail"));
  EXPECT_EQ(cache_.observe({"shop", "mail"})->source.presence, Presence::kUnknown);
}

TEST_F(CacheTest, TheTimeOfAnEventIsKept) {
  fill({{.name = "mail"}}, {secret("iam")});
  EXPECT_EQ(cache_.observe({"shop", "mail"})->source.changed, std::nullopt) << "nobody knows when";
  clock_.advance(5s);
  cache_.put_secret(secret("iam", 11));
  EXPECT_EQ(cache_.observe({"shop", "mail"})->source.changed, clock_.steady());
}

// ---- versions of credentials ----------------------------------------------------------------------------

TEST_F(CacheTest, TheEndOfAnEarlierSecretDoesNotEndTheOneThatReplacedIt) {
  fill({{.name = "mail"}}, {secret("iam", 100, "second")});
  cache_.remove_secret(secret("iam", 101, "first"));
  EXPECT_THAT(woken(), IsEmpty());
  EXPECT_EQ(source_version(cache_, "mail"), "second@100");
}

TEST_F(CacheTest, AnOlderVersionOfACredentialIsNoNews) {
  fill({{.name = "mail", .version = 100}}, {});
  cache_.put_credential(credential({.name = "mail", .source = "old", .version = 99}));
  cache_.put_credential(credential({.name = "mail", .source = "old", .version = 100}));
  EXPECT_THAT(woken(), IsEmpty());
  EXPECT_EQ(cache_.observe({"shop", "mail"})->credential.spec.source.secret_name, "iam");
}

TEST_F(CacheTest, ACredentialMadeAnewReplacesTheEarlierOne) {
  fill({{.name = "mail", .uid = "first", .version = 100}}, {});
  cache_.put_credential(credential({.name = "mail", .uid = "second", .version = 90}));
  EXPECT_THAT(woken(), ElementsAre("mail"));
  cache_.remove_credential(credential({.name = "mail", .uid = "first", .version = 101}).meta);
  EXPECT_EQ(cache_.observe({"shop", "mail"})->credential.meta.uid, "second");
}

// ---- our own writes -------------------------------------------------------------------------------------

TEST_F(CacheTest, OurOwnStatusIsKnownAtOnceAndItsEchoIsNoNews) {
  fill({{.name = "mail"}}, {});
  cache_.note_written_credential(credential({.name = "mail", .version = 11, .status_target = "t"}));
  EXPECT_THAT(woken(), IsEmpty());
  EXPECT_EQ(cache_.observe({"shop", "mail"})->credential.meta.resource_version, "11");
  cache_.put_credential(credential({.name = "mail", .version = 11, .status_target = "t"}));
  EXPECT_THAT(woken(), IsEmpty());
}

TEST_F(CacheTest, OurOwnWritesBringNoDeletedCredentialBack) {
  fill({{.name = "mail", .uid = "second"}}, {});
  cache_.note_written_credential(credential({.name = "gone", .version = 11}));
  cache_.note_written_credential(credential({.name = "mail", .uid = "first", .version = 11}));
  EXPECT_EQ(cache_.credential_count(), 1U);
  EXPECT_EQ(cache_.observe({"shop", "mail"})->credential.meta.uid, "second");
}

TEST_F(CacheTest, AnAnswerOlderThanWhatTheWatchBroughtIsIgnored) {
  fill({{.name = "mail", .version = 20}}, {});
  cache_.note_written_credential(credential({.name = "mail", .source = "old", .version = 11}));
  EXPECT_EQ(cache_.observe({"shop", "mail"})->credential.spec.source.secret_name, "iam");
}

TEST_F(CacheTest, OurOwnTargetIsKnownAtOnceAndWakesOnlyOthers) {
  fill({{.name = "mail"}, {.name = "reads", .source = "mail"}, {.name = "rival", .target = "mail"}},
       {secret("iam")});
  cache_.note_secret(secret("mail", 20, "t"), {"shop", "mail"});
  EXPECT_THAT(woken(), ElementsAre("reads", "rival"));
  EXPECT_EQ(cache_.observe({"shop", "mail"})->target.record.version.resource_version, "20");
  cache_.put_secret(secret("mail", 20, "t"));
  EXPECT_THAT(woken(), IsEmpty()) << "the echo";
  cache_.put_secret(secret("mail", 21, "t"));
  EXPECT_THAT(woken(), ElementsAre("mail", "reads", "rival")) << "somebody else's edit";
}

// ---- claims ---------------------------------------------------------------------------------------------

TEST_F(CacheTest, TheLoserOfTwoClaimsSeesItsRival) {
  fill({{.name = "a", .target = "t"}, {.name = "b", .target = "t"}}, {});
  EXPECT_EQ(cache_.observe({"shop", "a"})->claims.rival, "");
  EXPECT_EQ(cache_.observe({"shop", "b"})->claims.rival, "a");
  kube::ObjectMeta target = secret("t");
  target.labels = {{std::string(api::kOwnerUidLabel), "uid of b"}};
  cache_.put_secret(target);
  EXPECT_EQ(cache_.observe({"shop", "a"})->claims.rival, "b");
  EXPECT_EQ(cache_.observe({"shop", "b"})->claims.rival, "");
}

TEST_F(CacheTest, TheSameTargetNameInAnotherNamespaceIsNoClaim) {
  fill({{.name = "a", .target = "t"}, {.name = "b", .target = "t", .namespace_ = "other"}}, {});
  EXPECT_EQ(cache_.observe({"shop", "a"})->claims.rival, "");
  EXPECT_EQ(cache_.observe({"other", "b"})->claims.rival, "");
}

// ---- scopes ---------------------------------------------------------------------------------------------

TEST_F(CacheTest, IsFilledWhenEveryScopeIsListedOrRefused) {
  Cache cache({"shop", "blog"}, clock_, [](const kube::NamespacedName&, kube::Priority) {});
  std::jthread feeder([&cache] {
    list_credentials(cache, "shop", {});
    list_secrets(cache, "shop", {});
    cache.refuse_secrets("blog");
    cache.refuse_credentials("blog");
  });
  EXPECT_TRUE(cache.wait_until_filled({}));
}

TEST_F(CacheTest, WaitingToBeFilledEndsWhenAskedToStop) {
  Cache cache({"shop"}, clock_, [](const kube::NamespacedName&, kube::Priority) {});
  std::stop_source stop;
  stop.request_stop();
  EXPECT_FALSE(cache.wait_until_filled(stop.get_token()));
}

TEST_F(CacheTest, AScopeWithoutTheRightToListSecretsIsForbiddenAndOthersAreNot) {
  Cache cache({"shop", "blog"}, clock_,
              [this](const kube::NamespacedName& key, kube::Priority) { queue_.push_back(key); });
  cache.put_credential(credential({.name = "mail"}));
  cache.put_credential(credential({.name = "news", .namespace_ = "blog"}));
  list_secrets(cache, "shop", {secret("iam")});
  list_secrets(cache, "blog", {secret("iam", 10, "s", "blog")});
  woken();
  cache.refuse_secrets("blog");
  EXPECT_THAT(woken(), ElementsAre("blog/news"));
  EXPECT_EQ(cache.observe({"shop", "mail"})->source.presence, Presence::kKnown);
  EXPECT_EQ(cache.observe({"blog", "news"})->source.presence, Presence::kForbidden);
  cache.refuse_secrets("blog");
  EXPECT_THAT(woken(), IsEmpty()) << "nothing new";
  list_secrets(cache, "blog", {secret("iam", 10, "s", "blog")});
  EXPECT_THAT(woken(), ElementsAre("blog/news"));
  EXPECT_EQ(cache.observe({"blog", "news"})->source.presence, Presence::kKnown);
}

TEST_F(CacheTest, AListOfOneScopeLeavesTheOthersAlone) {
  Cache cache({"shop", "blog"}, clock_, [](const kube::NamespacedName&, kube::Priority) {});
  cache.put_credential(credential({.name = "mail"}));
  list_secrets(cache, "shop", {secret("iam")});
  list_secrets(cache, "blog", {});
  list_credentials(cache, "blog", {});
  EXPECT_EQ(cache.credential_count(), 1U);
  EXPECT_EQ(cache.observe({"shop", "mail"})->source.presence, Presence::kKnown);
}

TEST_F(CacheTest, WithoutTheRightToListCredentialsWhatWasKnownIsForgotten) {
  fill({{.name = "mail"}}, {secret("iam")});
  cache_.refuse_credentials("");
  EXPECT_EQ(cache_.credential_count(), 0U) << "a deleted one would be written for, for ever";
  woken();
  cache_.put_secret(secret("iam", 11));
  EXPECT_THAT(woken(), IsEmpty());
}

}  // namespace
}  // namespace sessmtp::operator_
