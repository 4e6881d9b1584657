#include "api/target.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <utility>

namespace sessmtp::api {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

using Data = std::map<std::string, std::string>;

const WallTime kSince = WallTime(std::chrono::sys_days{std::chrono::year{2026} / 11 / 22}) + 8h;

// Of the example key of the AWS documentation, from tests/vectors.json.
const std::string kId = "AKIAIOSFODNN7EXAMPLE";
const std::string kPassword = "BLBM/9hSUELfq8Gw+rU1YcBjkOxGbhT2XG763xVLGWL9";
const std::string kUrl =
    "smtp://AKIAIOSFODNN7EXAMPLE:BLBM%2F9hSUELfq8Gw%2BrU1YcBjkOxGbhT2XG763xVLGWL9@"
    "email-smtp.us-east-1.amazonaws.com:587";
const std::string kPasswordInTheWest = "BF2PynzbSCAjX08zhZZnP/kW+T9P5zs/1Er0pi5vTEmd";
// Some other pair of the right shape.
const std::string kOldId = "AKIAI44QH8DHBEXAMPLE";
const std::string kOldPassword = "BJz+OldOldOldOldOldOldOldOldOldOldOldOldOld/";

SesSmtpCredential credential(TargetFormat format = TargetFormat::kDefault, const Data& templates = {}) {
  SesSmtpCredential c;
  c.meta.namespace_ = "shop";
  c.meta.name = "mail";
  c.meta.uid = "u";
  c.meta.labels = {{"team", "shop"}};
  c.spec.target.name = "login";
  c.spec.target.format = format;
  c.spec.target.data = templates;
  return c;
}

ses::IamKey key(const std::string& secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                const std::string& id = kId) {
  return {.access_key_id = SecretBytes(id), .secret_access_key = SecretBytes(secret), .warnings = {}};
}

ses::Endpoint endpoint(const std::string& region) {
  return {.host = "email-smtp." + region + ".amazonaws.com", .port = 587, .tls = ses::Tls::kStartTls};
}

PreviousPair old_pair() {
  PreviousPair pair{.username = SecretBytes(kOldId),
                    .password = SecretBytes(kOldPassword),
                    .regional_passwords = {},
                    .expires_at = kSince + 24h};
  pair.regional_passwords.emplace("us-west-2", SecretBytes(kOldPassword));
  return pair;
}

// What the target is made of; a test changes what it is about.
struct Kitchen {
  SesSmtpCredential credential;
  ses::IamKey iam_key = key();
  std::string region = "us-east-1";
  ses::Endpoint primary = endpoint("us-east-1");
  std::map<std::string, ses::Endpoint> additional = {};
  std::optional<PreviousPair> previous = std::nullopt;

  [[nodiscard]] Result<kube::Secret, Problem> render() {
    return render_target(credential, {.key = iam_key,
                                      .region = region,
                                      .endpoint = primary,
                                      .additional_endpoints = additional,
                                      .key_since = kSince,
                                      .previous = std::move(previous)});
  }
};

Kitchen kitchen(TargetFormat format = TargetFormat::kDefault, const Data& templates = {}) {
  return {.credential = credential(format, templates)};
}

Data data_of(const Result<kube::Secret, Problem>& secret) {
  if (!secret) {
    return {{"problem", secret.error().message}};
  }
  Data data;
  for (const auto& [name, value] : secret->data) {
    data.emplace(name, value.expose());
  }
  return data;
}

Problem problem_of(const Result<kube::Secret, Problem>& secret) {
  return secret ? Problem{Reason::kSynced, ""} : secret.error();
}

// As the API server shows it after our apply.
kube::Secret applied(Result<kube::Secret, Problem> rendered) {
  kube::Secret live = std::move(rendered.value());
  for (const auto& [name, value] : live.data) {
    live.applied.data.insert(name);
  }
  for (const auto& [name, value] : live.meta.labels) {
    live.applied.labels.insert(name);
  }
  for (const auto& [name, value] : live.meta.annotations) {
    live.applied.annotations.insert(name);
  }
  for (const auto& owner : live.meta.owner_references) {
    live.applied.owners.insert(owner.uid);
  }
  return live;
}

kube::Secret target(const std::string& region = "us-east-1", const std::string& secret_key = "") {
  Kitchen k = kitchen();
  k.region = region;
  k.primary = endpoint(region);
  k.iam_key = secret_key.empty() ? key() : key(secret_key);
  return std::move(k.render().value());
}

void set(kube::Secret& secret, const std::string& name, const std::string& value) {
  secret.data.insert_or_assign(name, SecretBytes(value));
}

TEST(RenderTarget, IsTheWholeIntent) {
  // The password is one of the published vectors.
  EXPECT_EQ(encode_secret(target()), nlohmann::json::parse(R"({
    "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
    "metadata": {
      "namespace": "shop", "name": "login",
      "labels": {"app.kubernetes.io/managed-by": "ses-smtp-operator", "ses-smtp.dev/owner-uid": "u"},
      "annotations": {"ses-smtp.dev/credential": "mail", "ses-smtp.dev/region": "us-east-1",
                      "ses-smtp.dev/key-since": "2026-11-22T08:00:00Z"},
      "ownerReferences": [{"apiVersion": "ses-smtp.dev/v1alpha1", "kind": "SesSmtpCredential", "name": "mail",
                           "uid": "u", "controller": true}]},
    "data": {
      "username": "QUtJQUlPU0ZPRE5ON0VYQU1QTEU=",
      "password": "QkxCTS85aFNVRUxmcThHdytyVTFZY0Jqa094R2JoVDJYRzc2M3hWTEdXTDk=",
      "host": "ZW1haWwtc210cC51cy1lYXN0LTEuYW1hem9uYXdzLmNvbQ==",
      "port": "NTg3",
      "region": "dXMtZWFzdC0x",
      "url": "c210cDovL0FLSUFJT1NGT0ROTjdFWEFNUExFOkJMQk0lMkY5aFNVRUxmcThHdyUyQnJVMVljQmprT3hHYmhUMlhHNzYzeFZMR1dMOUBlbWFpbC1zbXRwLnVzLWVhc3QtMS5hbWF6b25hd3MuY29tOjU4Nw=="}})"))
      << encode_secret(target());
}

TEST(RenderTarget, DefaultHasEveryRegion) {
  Kitchen k = kitchen();
  k.additional.emplace("us-west-2", endpoint("us-west-2"));
  EXPECT_EQ(data_of(k.render()),
            (Data{{"username", kId},
                  {"password", kPassword},
                  {"host", "email-smtp.us-east-1.amazonaws.com"},
                  {"port", "587"},
                  {"region", "us-east-1"},
                  {"url", kUrl},
                  {"password.us-west-2", kPasswordInTheWest},
                  {"host.us-west-2", "email-smtp.us-west-2.amazonaws.com"},
                  {"url.us-west-2",
                   "smtp://AKIAIOSFODNN7EXAMPLE:BF2PynzbSCAjX08zhZZnP%2FkW%2BT9P5zs%2F1Er0pi5vTEmd@"
                   "email-smtp.us-west-2.amazonaws.com:587"}}));
}

TEST(RenderTarget, TheOtherFormats) {
  EXPECT_EQ(data_of(kitchen(TargetFormat::kBasicAuth).render()),
            (Data{{"username", kId}, {"password", kPassword}}));
  EXPECT_EQ(data_of(kitchen(TargetFormat::kEnv).render()),
            (Data{{"SMTP_HOST", "email-smtp.us-east-1.amazonaws.com"},
                  {"SMTP_PORT", "587"},
                  {"SMTP_USERNAME", kId},
                  {"SMTP_PASSWORD", kPassword},
                  {"SMTP_URL", kUrl},
                  {"SMTP_TLS", "starttls"}}));
  EXPECT_EQ(data_of(kitchen(TargetFormat::kServiceBinding).render()),
            (Data{{"type", "smtp"},
                  {"provider", "aws-ses"},
                  {"host", "email-smtp.us-east-1.amazonaws.com"},
                  {"port", "587"},
                  {"username", kId},
                  {"password", kPassword},
                  {"uri", kUrl}}));
  EXPECT_EQ(data_of(kitchen(TargetFormat::kNone).render()), Data{});
  EXPECT_EQ(data_of(kitchen(TargetFormat::kNone, {{"only", "$(host)"}}).render()),
            (Data{{"only", "email-smtp.us-east-1.amazonaws.com"}}));
}

TEST(RenderTarget, ImplicitTlsShowsInUrlAndTls) {
  Kitchen k = kitchen(TargetFormat::kEnv);
  k.primary = {.host = "relay.example", .port = 465, .tls = ses::Tls::kImplicit};
  const Data data = data_of(k.render());
  EXPECT_EQ(data.at("SMTP_TLS"), "implicit");
  EXPECT_THAT(data.at("SMTP_URL"),
              AllOf(testing::StartsWith("smtps://"), testing::EndsWith("@relay.example:465")));
}

TEST(RenderTarget, TemplatesAddAndReplace) {
  Kitchen k =
      kitchen(TargetFormat::kBasicAuth, {{"password", "$(password|base64)"},
                                         {"sasl_passwd", "[$(host)]:$(port) $(username):$(password)\n"},
                                         {"west", "$(password@us-west-2) $(host@us-west-2)"},
                                         {"primary", "$(password@us-east-1) $(host@us-east-1)"},
                                         {"nothing", "$(previousUsername)$(previousPassword)"}});
  k.primary.host = "relay.example";
  k.additional.emplace("us-west-2", endpoint("us-west-2"));
  EXPECT_EQ(data_of(k.render()),
            (Data{{"username", kId},
                  {"password", "QkxCTS85aFNVRUxmcThHdytyVTFZY0Jqa094R2JoVDJYRzc2M3hWTEdXTDk="},
                  {"sasl_passwd", "[relay.example]:587 " + kId + ':' + kPassword + '\n'},
                  {"west", kPasswordInTheWest + " email-smtp.us-west-2.amazonaws.com"},
                  {"primary", kPassword + " relay.example"},
                  {"nothing", ""}}));
}

TEST(RenderTarget, ABadTemplateIsToldWithKeyAndPosition) {
  EXPECT_EQ(
      problem_of(kitchen(TargetFormat::kNone, {{"my.cnf", "[client]\npassword=$(pasword)\n"}}).render()),
      (Problem{Reason::kTemplateInvalid,
               "spec.target.data[\"my.cnf\"]: line 2, column 12: \"pasword\" is not the name of a "
               "value; it may be one of username, password, host, port, region, tls, url, "
               "previousUsername, previousPassword"}));
  EXPECT_EQ(
      problem_of(kitchen(TargetFormat::kNone, {{"a", "$(host)"}, {"b", "x $(url@eu-west-1)"}}).render()),
      (Problem{Reason::kTemplateInvalid,
               "spec.target.data[\"b\"]: line 1, column 9: region \"eu-west-1\" is neither the "
               "credential's region nor one of spec.additionalRegions; add it there"}));
}

TEST(RenderTarget, ThePairBeforeARotationStaysReadable) {
  for (const auto format :
       {TargetFormat::kDefault, TargetFormat::kBasicAuth, TargetFormat::kServiceBinding}) {
    Kitchen k = kitchen(format, {{"both", "$(previousUsername) $(previousPassword|urlencode)"}});
    k.credential.spec.keep_previous_for = 24h;
    k.previous = old_pair();
    const auto secret = k.render();
    const Data data = data_of(secret);
    EXPECT_EQ(data.at("previous-username"), kOldId);
    EXPECT_EQ(data.at("previous-password"), kOldPassword);
    EXPECT_EQ(data.at("previous-password.us-west-2"), kOldPassword);
    EXPECT_EQ(data.at("both"), kOldId + " BJz%2BOldOldOldOldOldOldOldOldOldOldOldOldOld%2F");
    EXPECT_EQ(data.at("password"), kPassword);
    EXPECT_EQ(secret->meta.annotation("ses-smtp.dev/previous-expires-at"), "2026-11-23T08:00:00Z");
  }
}

TEST(RenderTarget, WhatASecretCannotHoldIsToldWithTheLargestKeys) {
  constexpr std::size_t kMost = 1024UL * 1024;
  const std::string half(kMost / 2, 'x');
  EXPECT_TRUE(kitchen(TargetFormat::kNone, {{"a", half}, {"b", half}}).render());
  EXPECT_EQ(
      problem_of(kitchen(TargetFormat::kNone, {{"a", half}, {"b", half}, {"c", "x"}, {"d", ""}}).render()),
      (Problem{Reason::kTargetTooLarge,
               "the target would hold 1048577 bytes, and a Secret can hold 1048576; the largest keys are "
               "b (524288), a (524288), c (1): shorten their templates in spec.target.data"}));
}

TEST(RenderTarget, LabelsAndAnnotationsOfTheSpecNeverReplaceOurs) {
  Kitchen k = kitchen();
  k.credential.spec.target.labels = {{"team", "mail"}, {"ses-smtp.dev/owner-uid", "x"}};
  k.credential.spec.target.annotations = {{"note", "text"}, {"ses-smtp.dev/key-since", "x"}};
  const kube::Secret secret = k.render().value();
  EXPECT_EQ(secret.meta.labels, (Data{{"app.kubernetes.io/managed-by", "ses-smtp-operator"},
                                      {"ses-smtp.dev/owner-uid", "u"},
                                      {"team", "mail"}}));
  EXPECT_EQ(secret.meta.annotations, (Data{{"note", "text"},
                                           {"ses-smtp.dev/credential", "mail"},
                                           {"ses-smtp.dev/key-since", "2026-11-22T08:00:00Z"},
                                           {"ses-smtp.dev/region", "us-east-1"}}));
}

TEST(RenderTarget, ATargetToRetainHasNoOwner) {
  Kitchen k = kitchen();
  k.credential.spec.target.deletion_policy = DeletionPolicy::kRetain;
  const kube::Secret secret = k.render().value();
  EXPECT_THAT(secret.meta.owner_references, IsEmpty());
  EXPECT_EQ(secret.meta.label("ses-smtp.dev/owner-uid"), "u");
}

TEST(RenderTarget, IntoASecretOfOthersGoDataAndTimesOnly) {
  Kitchen k = kitchen(TargetFormat::kBasicAuth);
  k.credential.spec.target.conflict_policy = ConflictPolicy::kMerge;
  k.credential.spec.target.labels = {{"team", "mail"}};
  k.credential.spec.target.annotations = {{"note", "text"}};
  k.previous = old_pair();
  const nlohmann::json secret = encode_secret(k.render().value());
  EXPECT_EQ(secret.at("metadata"),
            (nlohmann::json{{"namespace", "shop"},
                            {"name", "login"},
                            {"annotations",
                             {{"ses-smtp.dev/key-since", "2026-11-22T08:00:00Z"},
                              {"ses-smtp.dev/previous-expires-at", "2026-11-23T08:00:00Z"}}}}));
  EXPECT_FALSE(secret.contains("type"));
}

TEST(Drift, OfATargetAsWrittenIsNone) {
  const Drift result = drift(target(), target());
  EXPECT_FALSE(result.any());
}

TEST(Drift, NamesWhatIsMissingOrDifferent) {
  kube::Secret live = target();
  set(live, "password", "wrong");
  live.data.erase("url");
  live.meta.labels.erase("ses-smtp.dev/owner-uid");
  live.meta.annotations["ses-smtp.dev/region"] = "eu-west-1";
  live.meta.owner_references.clear();
  const Drift result = drift(live, target());
  EXPECT_THAT(result.keys, ElementsAre("password", "url"));
  EXPECT_THAT(result.metadata,
              UnorderedElementsAre("ses-smtp.dev/owner-uid", "ses-smtp.dev/region", "ownerReferences"));
  EXPECT_TRUE(result.any());
}

TEST(Drift, LooksPastWhatBelongsToOthers) {
  kube::Secret live = target();
  set(live, "theirs", "x");
  live.meta.labels["team"] = "shop";
  live.meta.annotations["note"] = "x";
  live.meta.owner_references.insert(
      live.meta.owner_references.begin(),
      {.api_version = "v1", .kind = "ConfigMap", .name = "x", .uid = "y", .controller = false});
  EXPECT_FALSE(drift(live, target()).any());
}

TEST(Drift, NamesWhatWeAppliedAndDoNotWantAnyMore) {
  Kitchen before = kitchen();
  before.credential.spec.target.labels = {{"team", "mail"}};
  before.credential.spec.target.annotations = {{"note", "text"}};
  before.previous = old_pair();
  const kube::Secret live = applied(before.render());
  Kitchen after = kitchen(TargetFormat::kBasicAuth);
  after.credential.spec.target.deletion_policy = DeletionPolicy::kRetain;
  const Drift result = drift(live, after.render().value());
  EXPECT_THAT(result.keys, UnorderedElementsAre("host", "port", "region", "url", "previous-username",
                                                "previous-password", "previous-password.us-west-2"));
  EXPECT_THAT(result.metadata,
              UnorderedElementsAre("team", "note", "ses-smtp.dev/previous-expires-at", "ownerReferences"));
}

// Names leave our part of managedFields when another manager takes them, or has them too after our next
// apply.
TEST(Drift, WhatOthersHoldIsNotObsolete) {
  Kitchen before = kitchen();
  before.credential.spec.target.labels = {{"team", "mail"}};
  kube::Secret live = applied(before.render());
  live.applied = {};
  Kitchen after = kitchen(TargetFormat::kBasicAuth);
  after.credential.spec.target.deletion_policy = DeletionPolicy::kRetain;
  EXPECT_FALSE(drift(live, after.render().value()).any());
  live.applied = {.data = {"gone"}, .labels = {"gone"}, .annotations = {"gone"}, .owners = {"gone"}};
  EXPECT_FALSE(drift(live, after.render().value()).any()) << "it is not there any more";
}

TEST(PairOf, ReadsBackWhatTheFormatsShow) {
  for (const auto format : {TargetFormat::kDefault, TargetFormat::kBasicAuth, TargetFormat::kServiceBinding,
                            TargetFormat::kEnv}) {
    Kitchen k = kitchen(format);
    k.additional.emplace("us-west-2", endpoint("us-west-2"));
    const auto pair = pair_of(applied(k.render()), kSince);
    ASSERT_TRUE(pair);
    EXPECT_EQ(pair->username.expose(), kId);
    EXPECT_EQ(pair->password.expose(), kPassword);
    EXPECT_EQ(pair->expires_at, kSince);
    EXPECT_EQ(pair->regional_passwords.size(), format == TargetFormat::kDefault ? 1U : 0U);
    if (format == TargetFormat::kDefault) {
      EXPECT_EQ(pair->regional_passwords.at("us-west-2").expose(), kPasswordInTheWest);
    }
  }
}

TEST(PairOf, IsNoneWhereNoPairOfOursStands) {
  const auto changed = [](const std::string& name, const std::string& value) {
    kube::Secret live = target();
    set(live, name, value);
    return live;
  };
  EXPECT_TRUE(pair_of(changed("other", "x")));
  EXPECT_FALSE(pair_of(changed("password", "changed by hand")));
  EXPECT_FALSE(pair_of(changed("username", "apikey")));
  EXPECT_FALSE(pair_of(changed("username", kId + ' ')));
  EXPECT_FALSE(pair_of(kube::Secret{}));
  EXPECT_FALSE(pair_of(kitchen(TargetFormat::kNone, {{"url", "$(url)"}}).render().value()));
  EXPECT_FALSE(pair_of(kitchen(TargetFormat::kBasicAuth, {{"password", "{$(password)}"}}).render().value()));
  // Another's pair in a Secret into which we merge other keys.
  Kitchen k = kitchen(TargetFormat::kEnv);
  kube::Secret merged = applied(k.render());
  set(merged, "username", kOldId);
  set(merged, "password", kOldPassword);
  EXPECT_EQ(pair_of(merged).value().username.expose(), kId);
}

TEST(PairOf, TakesNoOtherKeyForARegions) {
  kube::Secret live = target();
  set(live, "password.txt", kOldPassword);
  set(live, "password.eu-west-1", "something else");
  set(live, "password.us-west-2", kPasswordInTheWest);
  const auto pair = pair_of(live);
  ASSERT_EQ(pair.value().regional_passwords.size(), 1U);
  EXPECT_TRUE(pair->regional_passwords.contains("us-west-2"));
}

TEST(PreviousPairOf, ReadsBackWhatWasWritten) {
  Kitchen k = kitchen();
  k.previous = old_pair();
  kube::Secret live = applied(k.render());
  const auto pair = previous_pair_of(live);
  ASSERT_TRUE(pair);
  EXPECT_EQ(pair->username.expose(), kOldId);
  EXPECT_EQ(pair->password.expose(), kOldPassword);
  EXPECT_EQ(pair->regional_passwords.at("us-west-2").expose(), kOldPassword);
  EXPECT_EQ(pair->expires_at, kSince + 24h);
  // And once more the same.
  k.previous = previous_pair_of(live);
  EXPECT_FALSE(drift(live, k.render().value()).any());

  live.meta.annotations["ses-smtp.dev/previous-expires-at"] = "soon";
  EXPECT_FALSE(previous_pair_of(live)) << "nobody knows how long it may stay";
  EXPECT_FALSE(previous_pair_of(target()));
}

TEST(HoldsPairOf, ComparesInTheRegionTheTargetWasWrittenFor) {
  EXPECT_TRUE(holds_pair_of(target("us-east-1"), key()));
  EXPECT_TRUE(holds_pair_of(target("us-east-2"), key()));
  EXPECT_FALSE(holds_pair_of(target(), key("7kSJoISq+H7OAfQs6zT2eB8epZ1eqkUuVyhZMkr")));
  EXPECT_FALSE(
      holds_pair_of(target(), key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "AKIAI44QH8DHBEXAMPLE")));
  EXPECT_FALSE(holds_pair_of(kube::Secret{}, key()));
}

TEST(HoldsPairOf, TriesTheRegionsOfStatusAndSpecToo) {
  kube::Secret merged = target("us-west-2");
  merged.meta.annotations.clear();
  EXPECT_FALSE(holds_pair_of(merged, key()));
  EXPECT_FALSE(holds_pair_of(merged, key(), {"us-east-1", "us-east-2"}));
  EXPECT_TRUE(holds_pair_of(merged, key(), {"us-east-1", "us-west-2"}));
  kube::Secret edited = target("us-west-2");
  edited.meta.annotations["ses-smtp.dev/region"] = "us-east-1";
  EXPECT_TRUE(holds_pair_of(edited, key(), {"us-west-2"}));
}

TEST(HoldsPairOf, FindsThePasswordWhereATemplatePutIt) {
  for (const std::string text : {"[$(host)]:587 $(username):$(password)", "$(url)", "<$(password|base64)>",
                                 "$(password|urlencode)", "\"$(url|json)\""}) {
    const kube::Secret live = applied(kitchen(TargetFormat::kNone, {{"file", text}}).render());
    EXPECT_TRUE(holds_pair_of(live, key())) << text;
    EXPECT_FALSE(holds_pair_of(live, key("7kSJoISq+H7OAfQs6zT2eB8epZ1eqkUuVyhZMkr"))) << text;
  }
  EXPECT_TRUE(holds_pair_of(kitchen(TargetFormat::kEnv).render().value(), key()));
  // There it cannot be seen; the rendering has to be compared.
  for (const std::string text : {"$(username)", "$(url|base64)"}) {
    EXPECT_FALSE(holds_pair_of(kitchen(TargetFormat::kNone, {{"file", text}}).render().value(), key()))
        << text;
  }
}

TEST(HoldsPairOf, LooksNeitherAtThePairBeforeNorAtKeysOfOthers) {
  Kitchen k = kitchen();
  k.iam_key = key("7kSJoISq+H7OAfQs6zT2eB8epZ1eqkUuVyhZMkr");
  k.previous = old_pair();
  kube::Secret live = applied(k.render());
  set(live, "previous-password", kPassword);
  EXPECT_FALSE(holds_pair_of(live, key())) << "rotated back to the key before";
  live.data.erase("password");
  live.applied.data.erase("password");
  EXPECT_FALSE(holds_pair_of(live, key()));
  set(live, "theirs", kPassword);
  EXPECT_FALSE(holds_pair_of(live, key()));
}

}  // namespace
}  // namespace sessmtp::api
