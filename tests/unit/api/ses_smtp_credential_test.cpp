#include "api/ses_smtp_credential.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

namespace sessmtp::api {
namespace {

using nlohmann::json;

json minimal() {
  return {
      {"metadata",
       {{"namespace", "shop"}, {"name", "mail"}, {"uid", "u"}, {"resourceVersion", "7"}, {"generation", 2}}},
      {"spec", {{"source", {{"secretName", "iam"}}}}}};
}

SesSmtpCredential decoded(const json& object) {
  auto result = decode_credential(object);
  EXPECT_TRUE(result) << (result ? "" : result.error().message);
  return result ? *result : SesSmtpCredential{};
}

// The error, or "accepted".
std::string fault_of(const json& object) {
  const auto result = decode_credential(object);
  return result ? "accepted" : result.error().message;
}

json with(const char* where, json value) {
  json object = minimal();
  object[json::json_pointer(where)] = std::move(value);
  return object;
}

TEST(DecodeCredential, FillsInWhatIsLeftOut) {
  const SesSmtpCredential c = decoded(minimal());
  EXPECT_EQ(c.meta.uid, "u");
  EXPECT_EQ(c.meta.generation, 2);
  EXPECT_EQ(c.spec.source.secret_name, "iam");
  EXPECT_EQ(c.spec.source.keys, SourceKeys{});
  EXPECT_EQ(c.spec.target.name, "mail") << "its own name";
  EXPECT_EQ(c.spec.target.type, "Opaque");
  EXPECT_EQ(c.spec.region, std::nullopt);
  EXPECT_EQ(c.spec.endpoint.port, std::nullopt);
  EXPECT_FALSE(c.spec.endpoint.fips);
  EXPECT_EQ(c.status, Status{});
  EXPECT_EQ(c.status.observed_generation, -1);
}

TEST(DecodeCredential, ReadsEveryField) {
  json object = minimal();
  object["spec"] = json::parse(R"({
    "source": {"secretName": "iam", "keys": {"accessKeyId": "a", "secretAccessKey": "b", "sessionToken": "c", "region": "d"}},
    "region": "eu-west-1",
    "endpoint": {"host": "relay.example", "port": 8465, "tls": "Implicit", "fips": true},
    "target": {"name": "login", "type": "kubernetes.io/basic-auth"}})");
  const Spec spec = decoded(object).spec;
  EXPECT_EQ(
      spec.source.keys,
      (SourceKeys{.access_key_id = "a", .secret_access_key = "b", .session_token = "c", .region = "d"}));
  EXPECT_EQ(spec.region, "eu-west-1");
  EXPECT_EQ(spec.endpoint.host, "relay.example");
  EXPECT_EQ(spec.endpoint.port, 8465);
  EXPECT_EQ(spec.endpoint.tls, ses::Tls::kImplicit);
  EXPECT_TRUE(spec.endpoint.fips);
  EXPECT_EQ(spec.target.name, "login");
  EXPECT_EQ(spec.target.type, "kubernetes.io/basic-auth");
}

TEST(DecodeCredential, NamesTheFieldOfTheWrongType) {
  struct Case {
    const char* where;
    json value;
    const char* path;
  };
  const std::vector<Case> cases = {
      {"/spec", "text", "spec"},
      {"/spec", nullptr, "spec.source.secretName"},
      {"/spec/source", json::array(), "spec.source"},
      {"/spec/source/secretName", "", "spec.source.secretName"},
      {"/spec/source/secretName", 7, "spec.source.secretName"},
      {"/spec/source/keys", "text", "spec.source.keys"},
      {"/spec/source/keys", {{"region", 7}}, "spec.source.keys.region"},
      {"/spec/region", true, "spec.region"},
      {"/spec/endpoint", {{"port", "587"}}, "spec.endpoint.port"},
      {"/spec/endpoint", {{"port", 0}}, "spec.endpoint.port"},
      {"/spec/endpoint", {{"port", 65536}}, "spec.endpoint.port"},
      {"/spec/endpoint", {{"port", 587.5}}, "spec.endpoint.port"},
      {"/spec/endpoint", {{"tls", "Sometimes"}}, "spec.endpoint.tls"},
      {"/spec/endpoint", {{"fips", "yes"}}, "spec.endpoint.fips"},
      {"/spec/target", {{"name", json::object()}}, "spec.target.name"},
  };
  for (const Case& one : cases) {
    EXPECT_THAT(fault_of(with(one.where, one.value)),
                testing::AnyOf(std::string(one.path) + " is missing or of the wrong type",
                               testing::StartsWith(std::string(one.path) + " must be ")))
        << one.where << ' ' << one.value;
  }
}

TEST(DecodeCredential, SaysWhatWouldBeAccepted) {
  EXPECT_EQ(fault_of(with("/spec/target", {{"deletionPolicy", "Orphan"}})),
            "spec.target.deletionPolicy must be one of Delete, Retain");
  EXPECT_EQ(fault_of(with("/spec/endpoint", {{"tls", "starttls"}})),
            "spec.endpoint.tls must be StartTls or Implicit");
  EXPECT_EQ(fault_of(with("/spec/keepPreviousFor", "7d")),
            "spec.keepPreviousFor must be a duration such as 24h or 1h30m");
}

TEST(DecodeCredential, RefusesWhatIsNoObject) {
  for (const char* text : {"null", "7", "[]", "{}", R"({"metadata":7})", R"({"metadata":{"name":"x"}})"}) {
    EXPECT_NE(fault_of(json::parse(text)), "accepted") << text;
  }
}

TEST(DecodeCredential, NullCountsAsLeftOut) {
  json object = minimal();
  object["spec"]["region"] = nullptr;
  object["spec"]["target"] = nullptr;
  object["status"] = nullptr;
  EXPECT_EQ(decoded(object).spec.target.name, "mail");
}

TEST(DecodeCredential, ToleratesEveryDamageToStatus) {
  for (const char* status :
       {R"("text")", "[]", "7", R"({"conditions": 7, "observedGeneration": "x"})",
        R"({"conditions": [7, null, "x", {}]})",
        R"({"conditions": [{"type": 7, "lastTransitionTime": "yesterday", "observedGeneration": {}}]})",
        R"({"source": 7, "target": {"uid": 7}, "endpoint": {"host": "h", "port": 99999, "tls": 1}})",
        R"({"keySince": "soon", "renderVersion": 1.5, "accessKeyId": []})"}) {
    json object = minimal();
    object["status"] = json::parse(status);
    const SesSmtpCredential c = decoded(object);
    EXPECT_EQ(c.spec.source.secret_name, "iam") << status;
    EXPECT_EQ(c.status.target, std::nullopt) << status;
    EXPECT_EQ(c.status.key_since, std::nullopt) << status;
  }
}

TEST(EncodeStatus, IsDecodedToTheSameStatus) {
  using namespace std::chrono_literals;
  const WallTime time = WallTime(std::chrono::sys_days{std::chrono::year{2026} / 11 / 22}) + 8h;
  const Status full{.observed_generation = 3,
                    .conditions = {{.type = "Ready",
                                    .status = "True",
                                    .reason = "Synced",
                                    .message = "a \"message\" with \\ and ä",
                                    .observed_generation = 3,
                                    .last_transition_time = time}},
                    .access_key_id = "AKIA************MPLE",
                    .region = "eu-west-1",
                    .endpoint = ses::Endpoint{.host = "h", .port = 465, .tls = ses::Tls::kImplicit},
                    .key_since = time,
                    .last_rotation_time = time + 1h,
                    .source = SecretVersion{.uid = "s", .resource_version = "812"},
                    .target = SecretVersion{.uid = "t", .resource_version = "813"},
                    .target_name = "mail",
                    .render_version = 1};
  for (const Status& status : {full, Status{}}) {
    json object = minimal();
    object["status"] = encode_status(status);
    EXPECT_TRUE(decoded(object).status == status) << object["status"] << '\n'
                                                  << encode_status(decoded(object).status);
  }
}

TEST(EncodeStatus, LeavesOutWhatHasNoValue) {
  EXPECT_EQ(encode_status(Status{}), (json{{"observedGeneration", -1}, {"conditions", json::array()}}));
}

}  // namespace
}  // namespace sessmtp::api
