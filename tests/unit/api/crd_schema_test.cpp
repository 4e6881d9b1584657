#include "api/crd_schema.h"

#include <gmock/gmock.h>
#include <yaml-cpp/yaml.h>

#include <nlohmann/json.hpp>
#include <set>

#include "api/ses_smtp_credential.h"

namespace sessmtp::api {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

// Texts stay texts: enough for a schema whose structure is all that counts.
json to_json(const YAML::Node& node) {
  json value;
  if (node.IsMap()) {
    for (const auto& item : node) {
      value[item.first.as<std::string>()] = to_json(item.second);
    }
  } else if (node.IsSequence()) {
    for (const auto& item : node) {
      value.push_back(to_json(item));
    }
  } else {
    value = node.as<std::string>();
  }
  return value;
}

// What /openapi/v3 shows of the CRD in crds/: the schema as it stands there, under a name that kube-apiserver
// 1.34 gave it, next to others.
json document() {
  const YAML::Node crd = YAML::LoadFile(SESSMTP_CRD);
  json schemas = {{"dev.ses-smtp.v1alpha1.SesSmtpCredentialList", {{"type", "object"}}}};
  schemas["dev.ses-smtp.v1alpha1.SesSmtpCredential"] =
      to_json(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]);
  return {{"openapi", "3.0.0"}, {"components", {{"schemas", schemas}}}};
}

json& schema_in(json& document) {
  return document["components"]["schemas"]["dev.ses-smtp.v1alpha1.SesSmtpCredential"];
}

std::set<std::string> needed() {
  return {needed_fields().begin(), needed_fields().end()};
}

void collect_schema(const json& schema, const std::string& path, std::set<std::string>& leaves) {
  if (schema.contains("items")) {
    return collect_schema(schema["items"], path + "[]", leaves);
  }
  if (!schema.contains("properties")) {
    leaves.insert(path);
    return;
  }
  for (const auto& [name, child] : schema["properties"].items()) {
    collect_schema(child, path.empty() ? name : path + '.' + name, leaves);
  }
}

void collect_value(const json& value, const std::string& path, std::set<std::string>& leaves) {
  if (value.is_array()) {
    for (const json& item : value) {
      collect_value(item, path + "[]", leaves);
    }
  } else if (value.is_object()) {
    for (const auto& [name, child] : value.items()) {
      collect_value(child, path + '.' + name, leaves);
    }
  } else {
    leaves.insert(path);
  }
}

TEST(CrdSchema, TheListHasEveryFieldOfTheCrdAndNoOther) {
  json crd = document();
  std::set<std::string> leaves;
  for (const char* part : {"spec", "status"}) {
    collect_schema(schema_in(crd)["properties"][part], part, leaves);
  }
  EXPECT_EQ(leaves, needed());
}

TEST(CrdSchema, TheListHasEveryFieldOfTheStatusThatIsWritten) {
  Condition ready;
  ready.type = "Ready";
  const Status full{.observed_generation = 1,
                    .conditions = {ready},
                    .access_key_id = "AKIA************MPLE",
                    .region = "eu-west-1",
                    .additional_regions = {"eu-central-1"},
                    .endpoint = ses::Endpoint{.host = "h"},
                    .key_since = WallTime{},
                    .last_rotation_time = WallTime{},
                    .source = SecretVersion{"u", "1"},
                    .target = SecretVersion{"u", "1"},
                    .target_name = "mail",
                    .target_merged = true,
                    .render_version = 1,
                    .previous = PreviousKey{},
                    .rollouts = {{.workload = {.kind = "Deployment", .name = "web"},
                                  .digest = "0123456789abcdef",
                                  .requested_at = WallTime{},
                                  .restarted_at = WallTime{},
                                  .reason = kRestartPending}},
                    .binding_name = "mail",
                    .last_handled_reconcile_at = "now"};
  std::set<std::string> written;
  collect_value(encode_status(full), "status", written);
  const auto in_status = [](const std::string& field) { return field.starts_with("status."); };
  std::set<std::string> listed;
  std::ranges::copy_if(needed(), std::inserter(listed, listed.end()), in_status);
  EXPECT_EQ(written, listed);
}

TEST(CrdSchema, TheCrdOfThisReleaseLacksNothing) {
  const auto missing = missing_fields(document());
  ASSERT_TRUE(missing);
  EXPECT_THAT(*missing, IsEmpty());
}

TEST(CrdSchema, NamesWhatAnOlderOneLacks) {
  json older = document();
  json& properties = schema_in(older)["properties"];
  properties["status"]["properties"].erase("renderVersion");
  properties["status"]["properties"]["conditions"]["items"]["properties"].erase("reason");
  properties["spec"]["properties"].erase("endpoint");
  EXPECT_THAT(*missing_fields(older),
              ElementsAre("spec.endpoint.host", "spec.endpoint.port", "spec.endpoint.tls",
                          "spec.endpoint.fips", "status.conditions[].reason", "status.renderVersion"));
}

TEST(CrdSchema, ADocumentWithoutOurKindIsNotFound) {
  for (const char* text :
       {"null", "[]", "7", R"("components")", "{}", R"({"components": []})",
        R"({"components": {"schemas": "none"}})", R"({"components": {"schemas": {"x": {}}}})"}) {
    const auto missing = missing_fields(json::parse(text));
    ASSERT_FALSE(missing) << text;
    EXPECT_EQ(missing.error().code, ErrorCode::kNotFound) << text;
  }
}

TEST(CrdSchema, WhateverIsNoSchemaKnowsNothing) {
  json strange = document();
  const json endless = {{"$ref", "#/components/schemas/dev.ses-smtp.v1alpha1.SesSmtpCredential"}};
  for (const json& schema : {json(), json::array({1}), json("x"), json{{"properties", 5}},
                             json{{"properties", {{"spec", nullptr}}}},
                             json{{"properties", {{"spec", endless}, {"status", endless}}}}, endless}) {
    schema_in(strange) = schema;
    EXPECT_THAT(*missing_fields(strange), SizeIs(needed_fields().size())) << schema;
  }
  strange = document();
  schema_in(strange)["properties"]["spec"]["properties"]["region"] = nullptr;
  EXPECT_THAT(*missing_fields(strange), ElementsAre("spec.region"));
}

}  // namespace
}  // namespace sessmtp::api
