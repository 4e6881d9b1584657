// What may be done with a workload, as a live GET shows it: rows 39 and 40.
#include "operator/restart.h"

#include <gmock/gmock.h>

namespace sessmtp::operator_ {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::HasSubstr;

constexpr const char* kDigest = "0123456789abcdef";

const WallTime kNow = *parse_rfc3339("2026-11-22T12:00:05Z");
const WallTime kRequestedAt = kNow - 5s;

RestartRequest request() {
  return {.workload = {.kind = "Deployment", .name = "web"},
          .secret = "mail",
          .digest = kDigest,
          .requested_at = kRequestedAt};
}

// It reads Secret "mail" by envFrom, and is a day old.
json deployment(const json& annotations = json::object()) {
  return {{"apiVersion", "apps/v1"},
          {"kind", "Deployment"},
          {"metadata",
           {{"namespace", "shop"},
            {"name", "web"},
            {"uid", "uid-1"},
            {"resourceVersion", "41"},
            {"creationTimestamp", "2026-11-21T12:00:00Z"}}},
          {"spec",
           {{"template",
             {{"metadata", {{"annotations", annotations}}},
              {"spec",
               {{"containers",
                 json::array({{{"name", "web"},
                               {"envFrom", json::array({{{"secretRef", {{"name", "mail"}}}}})}}})}}}}}}}};
}

json restarted_before(WallTime at, const std::string& digest) {
  return deployment({{kSecretDigestAnnotation, digest}, {kRestartedAtAnnotation, to_rfc3339(at)}});
}

RestartAnswer answer(const json& object) {
  const auto judged = judge_workload(object, request(), kNow);
  EXPECT_TRUE(std::holds_alternative<RestartAnswer>(judged)) << "it would be restarted";
  const auto* found = std::get_if<RestartAnswer>(&judged);
  return found != nullptr ? *found : RestartAnswer{};
}

json patch(const json& object) {
  const auto judged = judge_workload(object, request(), kNow);
  const auto* found = std::get_if<json>(&judged);
  EXPECT_NE(found, nullptr) << std::get<RestartAnswer>(judged).reason;
  return found != nullptr ? *found : json();
}

TEST(JudgeWorkload, ARestartIsTwoAnnotationsOfThatVeryVersionsPodTemplate) {
  EXPECT_EQ(patch(deployment()), json::parse(R"({
    "metadata": {"uid": "uid-1", "resourceVersion": "41"},
    "spec": {"template": {"metadata": {"annotations": {
      "ses-smtp.dev/secret-digest": "0123456789abcdef",
      "ses-smtp.dev/restarted-at": "2026-11-22T12:00:05Z"}}}}})"));
}

TEST(JudgeWorkload, ATemplateWithoutAnnotationsIsRestarted) {
  json object = deployment();
  object["spec"]["template"].erase("metadata");
  EXPECT_FALSE(patch(object).is_null());
}

TEST(JudgeWorkload, OneThatDoesNotReferToTheTargetIsNotOursToRestart) {
  json object = deployment();
  object["spec"]["template"]["spec"] = {
      {"imagePullSecrets", json::array({{{"name", "mail"}}})},
      {"containers", json::array({{{"name", "web"}, {"env", json::array({{{"name", "MAIL"}}})}}})}};
  EXPECT_EQ(answer(object).result, RestartResult::kFailed);
  EXPECT_EQ(answer(object).reason, "TargetNotReferenced");
  EXPECT_THAT(answer(object).message, HasSubstr("Secret \"mail\""));
  object["spec"]["template"].erase("spec");
  EXPECT_EQ(answer(object).reason, "TargetNotReferenced");
}

TEST(JudgeWorkload, WhatWasRestartedForThisChangeIsNotRestartedAgain) {
  const RestartAnswer found = answer(restarted_before(kNow - 2s, kDigest));
  EXPECT_EQ(found.result, RestartResult::kRestarted) << "the status write was lost";
  EXPECT_EQ(found.restarted_at, kNow - 2s);
}

TEST(JudgeWorkload, AnOldDigestThatCameBackProvesNothing) {
  EXPECT_FALSE(patch(restarted_before(kNow - 1h, kDigest)).is_null())
      << "kubectl rollout undo: its pods started before the target was written";
  EXPECT_FALSE(patch(deployment({{kSecretDigestAnnotation, kDigest}})).is_null()) << "nobody knows when";
}

TEST(JudgeWorkload, AtMostOneRestartAMinuteWhoeverAskedForTheLast) {
  const RestartAnswer found = answer(restarted_before(kNow - 20s, "of another one's"));
  EXPECT_EQ(found.result, RestartResult::kTooSoon);
  EXPECT_EQ(found.wait, 40s);
  EXPECT_EQ(answer(restarted_before(kNow - 59s, "of another one's")).wait, 1s);
  EXPECT_FALSE(patch(restarted_before(kNow - 60s, "of another one's")).is_null());
}

TEST(JudgeWorkload, ATimeThatCannotBeOursIsIgnored) {
  for (const char* const time : {"2027-01-01T00:00:00Z", "2026-11-22T12:01:06Z", "yesterday", ""}) {
    EXPECT_FALSE(patch(deployment({{kRestartedAtAnnotation, time}})).is_null()) << time;
  }
  EXPECT_FALSE(patch(deployment({{kRestartedAtAnnotation, 5}})).is_null());
}

TEST(JudgeWorkload, AClockThatIsALittleAheadIsOursAllTheSame) {
  EXPECT_EQ(answer(restarted_before(kNow + 3s, kDigest)).result, RestartResult::kRestarted);
  const RestartAnswer found = answer(restarted_before(kNow + 3s, "of another one's"));
  EXPECT_EQ(found.result, RestartResult::kTooSoon);
  EXPECT_EQ(found.wait, 60s) << "never longer than the interval";
}

TEST(JudgeWorkload, AWorkloadYoungerThanTheDataHasIt) {
  json object = deployment();
  object["metadata"]["creationTimestamp"] = to_rfc3339(kRequestedAt + kSurelyYounger + 1s);
  EXPECT_EQ(answer(object).result, RestartResult::kUpToDate);
}

TEST(JudgeWorkload, AWorkloadFromTheFutureProvesNothing) {
  json object = deployment();
  object["metadata"]["creationTimestamp"] = to_rfc3339(kNow + 6h);
  EXPECT_FALSE(patch(object).is_null()) << "our clock is behind, or has been set back";
}

TEST(JudgeWorkload, AWorkloadOfTheSameMinuteMayHaveSeenTheDataBefore) {
  json object = deployment();
  for (const auto age : {0s, 1s, 60s}) {
    object["metadata"]["creationTimestamp"] = to_rfc3339(kRequestedAt + age);
    EXPECT_FALSE(patch(object).is_null()) << age.count() << " s after the target was written";
  }
}

TEST(JudgeWorkload, AWorkloadOnItsWayOutIsLeftAlone) {
  json object = deployment();
  object["metadata"]["deletionTimestamp"] = "2026-11-22T12:00:00Z";
  EXPECT_EQ(answer(object).result, RestartResult::kUpToDate);
}

TEST(JudgeWorkload, WhatIsNoObjectIsNeverPatched) {
  EXPECT_EQ(answer(json::object()).reason, "ApiError");
  EXPECT_EQ(answer({{"metadata", {{"name", "web"}}}}).reason, "ApiError");
}

TEST(Restarted, SaysWhatStillHasToHappen) {
  json object = deployment();
  EXPECT_EQ(restarted(object, kNow + 400ms).message, "");
  EXPECT_EQ(restarted(object, kNow + 400ms).restarted_at, kNow) << "whole seconds, as in the annotation";
  object["spec"]["paused"] = true;
  EXPECT_THAT(restarted(object, kNow).message, HasSubstr("paused"));
  object["spec"] = {{"updateStrategy", {{"type", "OnDelete"}}}};
  EXPECT_THAT(restarted(object, kNow).message, HasSubstr("OnDelete"));
  object["spec"] = {{"updateStrategy", {{"type", "RollingUpdate"}}}};
  EXPECT_EQ(restarted(object, kNow).message, "");
}

TEST(WorkloadPath, IsOfTheGroupApps) {
  EXPECT_EQ(workload_path("shop", {.kind = "Deployment", .name = "web"}),
            "/apis/apps/v1/namespaces/shop/deployments/web");
  EXPECT_EQ(workload_path("shop", {.kind = "StatefulSet", .name = "web"}),
            "/apis/apps/v1/namespaces/shop/statefulsets/web");
  EXPECT_EQ(workload_path("shop", {.kind = "DaemonSet", .name = "web"}),
            "/apis/apps/v1/namespaces/shop/daemonsets/web");
}

}  // namespace
}  // namespace sessmtp::operator_
