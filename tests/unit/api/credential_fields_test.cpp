#include "api/credential_fields.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace sessmtp::api {
namespace {

// Every field has a value of its own, so that two that change places are seen.
constexpr const char* kFull = R"json({
  "metadata": {"namespace": "shop", "name": "mail", "uid": "u-1", "resourceVersion": "7", "generation": 2,
    "creationTimestamp": "2026-11-22T08:00:00Z", "deletionTimestamp": "2026-11-22T09:00:00Z",
    "labels": {"l": "1"}, "annotations": {"a": "2"},
    "ownerReferences": [{"apiVersion": "v1", "kind": "Shop", "name": "owner", "uid": "u-2", "controller": true}]},
  "spec": {
    "source": {"secretName": "iam", "preset": "AwsEnv", "profile": "p",
      "keys": {"accessKeyId": "a", "secretAccessKey": "b", "sessionToken": "c", "region": "d", "file": "e"}},
    "region": "eu-west-1", "additionalRegions": ["us-east-1", "us-west-2"],
    "endpoint": {"host": "relay.example", "port": 8465, "tls": "Implicit", "fips": true},
    "target": {"name": "login", "type": "kubernetes.io/basic-auth", "labels": {"x": "3"},
      "annotations": {"y": "4"}, "format": "Env", "data": {"k": "$(username)"}, "conflictPolicy": "Adopt",
      "deletionPolicy": "Retain"},
    "keepPreviousFor": "24h", "verify": {"mode": "Enforce"},
    "rolloutRestartTargets": [{"kind": "Deployment", "name": "web"}], "suspend": true},
  "status": {
    "observedGeneration": 3,
    "conditions": [{"type": "Ready", "status": "True", "reason": "Synced", "message": "m",
      "observedGeneration": 4, "lastTransitionTime": "2026-11-22T10:00:00Z"}],
    "accessKeyId": "AKIA****", "region": "eu-west-2", "additionalRegions": ["us-east-2"],
    "endpoint": {"host": "email-smtp.eu-west-2.amazonaws.com", "port": 587, "tls": "StartTls"},
    "keySince": "2026-11-22T11:00:00Z", "lastRotationTime": "2026-11-22T12:00:00Z",
    "source": {"uid": "u-3", "resourceVersion": "5"},
    "target": {"name": "t", "uid": "u-4", "resourceVersion": "6", "merged": true}, "renderVersion": 8,
    "previous": {"accessKeyId": "AKIA####", "expiresAt": "2026-11-22T13:00:00Z"},
    "rollouts": [{"kind": "Deployment", "name": "web", "digest": "f", "requestedAt": "2026-11-22T14:00:00Z",
      "restartedAt": "2026-11-22T15:00:00Z", "reason": "RestartPending"}],
    "binding": {"name": "g"}, "lastHandledReconcileAt": "now"}})json";

TEST(CredentialFields, NoneIsLostInPacking) {
  const auto credential = decode_credential(nlohmann::json::parse(kFull));
  ASSERT_TRUE(credential) << credential.error().message;
  ASSERT_EQ(credential->status.rollouts.size(), 1U);
  ASSERT_TRUE(credential->status.previous && credential->status.target && credential->spec.keep_previous_for);
  EXPECT_EQ(Packed(*credential).unpack(), *credential);
  EXPECT_EQ(Packed(SesSmtpCredential{}).unpack(), SesSmtpCredential{});
}

TEST(CredentialFields, PackedIsSmall) {
  const auto credential = decode_credential(nlohmann::json::parse(kFull));
  ASSERT_TRUE(credential);
  EXPECT_LT(Packed(*credential).size(), 700U) << "the struct alone takes twice that";
}

}  // namespace
}  // namespace sessmtp::api
