#include "kube/secret.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

namespace sessmtp::kube {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::IsEmpty;

Secret with_managed_fields(const json& managed_fields) {
  const json metadata = {
      {"namespace", "shop"}, {"name", "mail"}, {"uid", "1"}, {"managedFields", managed_fields}};
  return decode_secret({{"metadata", metadata}}).value();
}

// As kube-apiserver 1.34 writes it after an apply of ours and `kubectl edit`.
const json kOurs = json::parse(R"({
  "manager": "ses-smtp-operator", "operation": "Apply", "apiVersion": "v1", "time": "2026-11-22T08:00:00Z",
  "fieldsType": "FieldsV1",
  "fieldsV1": {
    "f:data": {"f:.netrc": {}, "f:password": {}, "f:password.eu-west-1": {}},
    "f:metadata": {
      "f:annotations": {"f:ses-smtp.dev/key-since": {}},
      "f:labels": {"f:app.kubernetes.io/managed-by": {}, "f:team": {}},
      "f:ownerReferences": {"k:{\"uid\":\"12-34\"}": {}}},
    "f:type": {}}})");
const json kTheirs = json::parse(R"({
  "manager": "kubectl-edit", "operation": "Update", "apiVersion": "v1", "time": "2026-11-22T09:00:00Z",
  "fieldsType": "FieldsV1",
  "fieldsV1": {"f:data": {".": {}, "f:note": {}}, "f:metadata": {"f:labels": {"f:mine": {}}}}})");

TEST(AppliedFields, AreThoseOfOurApply) {
  const AppliedFields applied = with_managed_fields({kTheirs, kOurs}).applied;
  EXPECT_THAT(applied.data, ElementsAre(".netrc", "password", "password.eu-west-1"));
  EXPECT_THAT(applied.labels, ElementsAre("app.kubernetes.io/managed-by", "team"));
  EXPECT_THAT(applied.annotations, ElementsAre("ses-smtp.dev/key-since"));
  EXPECT_THAT(applied.owners, ElementsAre("12-34"));
}

TEST(AppliedFields, AreNotThoseOfOtherManagersOperationsAndSubresources) {
  json updated = kOurs, status = kOurs, other = kOurs;
  updated["operation"] = "Update";
  status["subresource"] = "status";
  other["manager"] = "ses-smtp-operator-2";
  const AppliedFields applied = with_managed_fields({updated, status, other, kTheirs}).applied;
  EXPECT_THAT(applied.data, IsEmpty());
  EXPECT_THAT(applied.labels, IsEmpty());
}

TEST(AppliedFields, OfWhateverStandsThereAreNone) {
  for (const char* text : {"null", "7", "{}", "[]", "[7, null, \"x\", {}]", R"([{"manager": 1}])"}) {
    EXPECT_THAT(with_managed_fields(json::parse(text)).applied.data, IsEmpty()) << text;
  }
  for (const char* text :
       {"null", "[]", "\"x\"", R"({"f:data": ["f:a"], "f:metadata": {"f:labels": 7}})",
        R"({"f:data": {"": {}, ".": {}, "a": {}, "v:b": {}}})",
        R"({"f:metadata": {"f:ownerReferences": {"": {}, ".": {}, "k:": {}, "k:{": {}}}})"}) {
    json entry = kOurs;
    entry["fieldsV1"] = json::parse(text);
    const AppliedFields applied = with_managed_fields({entry}).applied;
    EXPECT_THAT(applied.data, IsEmpty()) << text;
    EXPECT_THAT(applied.labels, IsEmpty()) << text;
    EXPECT_THAT(applied.owners, IsEmpty()) << text;
  }
}

TEST(EncodeSecret, WithoutATypeLeavesItToTheSecretThatIsThere) {
  Secret secret;
  secret.meta.name = "mail";
  EXPECT_FALSE(encode_secret(secret).contains("type"));
}

}  // namespace
}  // namespace sessmtp::kube
