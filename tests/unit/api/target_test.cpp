#include "api/target.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

namespace sessmtp::api {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::UnorderedElementsAre;

const WallTime kSince = WallTime(std::chrono::sys_days{std::chrono::year{2026} / 11 / 22}) + 8h;

SesSmtpCredential credential() {
  SesSmtpCredential c;
  c.meta.namespace_ = "shop";
  c.meta.name = "mail";
  c.meta.uid = "u";
  c.meta.labels = {{"team", "shop"}};
  c.spec.target.name = "login";
  c.spec.target.type = "Opaque";
  return c;
}

ses::IamKey key(const std::string& secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                const std::string& id = "AKIAIOSFODNN7EXAMPLE") {
  return {.access_key_id = SecretBytes(id), .secret_access_key = SecretBytes(secret), .warnings = {}};
}

kube::Secret target(const std::string& region = "us-east-1") {
  const ses::Endpoint endpoint{
      .host = "email-smtp." + region + ".amazonaws.com", .port = 587, .tls = ses::Tls::kStartTls};
  const ses::IamKey iam_key = key();
  auto secret = render_target(credential(), {.key = iam_key,
                                             .region = region,
                                             .endpoint = endpoint,
                                             .additional_endpoints = {},
                                             .key_since = kSince,
                                             .previous = {}});
  return std::move(secret.value());
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

TEST(HoldsPairOf, ComparesInTheRegionTheTargetWasWrittenFor) {
  EXPECT_TRUE(holds_pair_of(target("us-east-1"), key()));
  EXPECT_TRUE(holds_pair_of(target("us-east-2"), key()));
  EXPECT_FALSE(holds_pair_of(target(), key("7kSJoISq+H7OAfQs6zT2eB8epZ1eqkUuVyhZMkr")));
  EXPECT_FALSE(
      holds_pair_of(target(), key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "AKIAI44QH8DHBEXAMPLE")));
  kube::Secret without_region = target();
  without_region.meta.annotations.clear();
  EXPECT_FALSE(holds_pair_of(without_region, key()));
  EXPECT_FALSE(holds_pair_of(kube::Secret{}, key()));
}

}  // namespace
}  // namespace sessmtp::api
