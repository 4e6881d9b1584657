#include "kube/pod_spec.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

namespace sessmtp::kube {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::IsEmpty;

// Everything that names a Secret without showing anyone what is in it, and a Secret of another name.
const json kOthers = json::parse(R"({
  "imagePullSecrets": [{"name": "mail"}],
  "volumes": [
    {"name": "driver", "csi": {"driver": "x", "nodePublishSecretRef": {"name": "mail"}}},
    {"name": "config", "configMap": {"name": "mail"}},
    {"name": "other", "secret": {"secretName": "mail-2"}},
    {"name": "mail", "projected": {"sources": [{"configMap": {"name": "mail"}}, {"secret": {"name": "other"}}]}}],
  "containers": [{"name": "app",
    "env": [{"name": "A", "value": "mail"},
            {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "mail", "key": "k"}}},
            {"name": "C", "valueFrom": {"secretKeyRef": {"name": "other", "key": "mail"}}}],
    "envFrom": [{"configMapRef": {"name": "mail"}}, {"secretRef": {"name": "mail-2"}}],
    "volumeMounts": [{"name": "config", "mountPath": "/a"}, {"name": "other", "mountPath": "/b"},
                     {"name": "mail", "mountPath": "/c"}]}]})");

TEST(UsesOfSecret, NothingElseThatHasTheNameIsAUse) {
  EXPECT_THAT(uses_of_secret(kOthers, "mail"), IsEmpty());
}

TEST(UsesOfSecret, WhatIsNoPodSpecHasNoUses) {
  for (const char* text : {"null", "[]", "{}", R"({"containers": {}, "volumes": "mail"})",
                           R"({"containers": [null, 1, {"env": [null], "volumeMounts": {"name": 1}}]})"}) {
    EXPECT_THAT(uses_of_secret(json::parse(text), "mail"), IsEmpty()) << text;
  }
}

TEST(UsesOfSecret, AVolumeFollowsTheSecret) {
  const json spec = json::parse(R"({
    "volumes": [{"name": "smtp", "secret": {"secretName": "mail"}}],
    "containers": [{"name": "app", "volumeMounts": [{"name": "smtp", "mountPath": "/run/smtp"}]}]})");
  EXPECT_THAT(uses_of_secret(spec, "mail"), ElementsAre(SecretUse{SecretUseKind::kVolume, "app", false, {}}));
  EXPECT_FALSE(uses_of_secret(spec, "mail")[0].stays_old());
}

TEST(UsesOfSecret, AProjectedVolumeIsAVolumeAndNamesItsKeys) {
  const json spec = json::parse(R"({
    "volumes": [{"name": "all", "projected": {"sources": [
      {"configMap": {"name": "x"}},
      {"secret": {"name": "mail", "items": [{"key": "password", "path": "p"}, {"key": "host", "path": "h"}]}}]}}],
    "containers": [{"name": "app", "volumeMounts": [{"name": "all", "mountPath": "/run"}]}]})");
  EXPECT_THAT(uses_of_secret(spec, "mail"),
              ElementsAre(SecretUse{SecretUseKind::kVolume, "app", false, {"password", "host"}}));
}

TEST(UsesOfSecret, ASubPathStaysAsItWas) {
  const json spec = json::parse(R"({
    "volumes": [{"name": "smtp", "secret": {"secretName": "mail"}}],
    "containers": [
      {"name": "a", "volumeMounts": [{"name": "smtp", "mountPath": "/p", "subPath": "password"}]},
      {"name": "b", "volumeMounts": [{"name": "smtp", "mountPath": "/p", "subPathExpr": "$(DIR)/p"}]
}]
})");
  EXPECT_THAT(uses_of_secret(spec, "mail"), ElementsAre(SecretUse{SecretUseKind::kSubPath, "a", false, {}},
                                                        SecretUse{SecretUseKind::kSubPath, "b", false, {}}));
  EXPECT_TRUE(uses_of_secret(spec, "mail")[0].stays_old());
}

TEST(UsesOfSecret, VariablesOfOneContainerAreOneUseWithTheirKeys) {
  const json spec = json::parse(R"({"containers": [{"name": "app",
    "env": [
      {"name": "U", "valueFrom": {"secretKeyRef": {"name": "mail", "key": "username"}}},
      {"name": "P", "valueFrom": {"secretKeyRef": {"name": "mail", "key": "password"}}},
      {"name": "P2", "valueFrom": {"secretKeyRef": {"name": "mail", "key": "password"}}},
      {"name": "O", "valueFrom": {"secretKeyRef": {"name": "mail", "key": "old", "optional": true}}}],
    "envFrom": [{"prefix": "SMTP_", "secretRef": {"name": "mail"}}]}]})");
  EXPECT_THAT(uses_of_secret(spec, "mail"),
              ElementsAre(SecretUse{SecretUseKind::kEnv, "app", false, {"username", "password"}},
                          SecretUse{SecretUseKind::kEnvFrom, "app", false, {}}));
}

TEST(UsesOfSecret, AnInitContainerSawItOnceAndASidecarFollows) {
  const json spec = json::parse(R"({
    "volumes": [{"name": "smtp", "secret": {"secretName": "mail"}}],
    "initContainers": [
      {"name": "render", "volumeMounts": [{"name": "smtp", "mountPath": "/p"}]},
      {"name": "relay", "restartPolicy": "Always", "volumeMounts": [{"name": "smtp", "mountPath": "/p"}]}],
    "ephemeralContainers": [{"name": "debug", "envFrom": [{"secretRef": {"name": "mail"}}]}]})");
  const auto uses = uses_of_secret(spec, "mail");
  EXPECT_THAT(uses, ElementsAre(SecretUse{SecretUseKind::kVolume, "render", true, {}},
                                SecretUse{SecretUseKind::kVolume, "relay", false, {}},
                                SecretUse{SecretUseKind::kEnvFrom, "debug", false, {}}));
  EXPECT_TRUE(uses[0].stays_old());
  EXPECT_FALSE(uses[1].stays_old());
}

TEST(UsesOfSecret, AVolumeThatNobodyMountsIsAUseAllTheSame) {
  const json spec = json::parse(R"({
    "volumes": [{"name": "smtp", "secret": {"secretName": "mail", "items": [{"key": "host", "path": "h"}]}}],
    "containers": [{"name": "app"}]})");
  EXPECT_THAT(uses_of_secret(spec, "mail"),
              ElementsAre(SecretUse{SecretUseKind::kVolume, "", false, {"host"}}));
}

}  // namespace
}  // namespace sessmtp::kube
