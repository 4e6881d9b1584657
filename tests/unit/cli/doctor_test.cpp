#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <utility>

#include "cli/diagnosis.h"
#include "cli/finding.h"
#include "cli/pod_uses.h"
#include "cli/remedy.h"

namespace sessmtp::cli {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

const WallTime kNow = *parse_rfc3339("2026-01-04T12:00:00Z");
constexpr const char* kRotated = "2026-01-04T11:00:00Z";

// A credential in order, by all that can be seen.
Seen in_order() {
  const json object = json::parse(R"({
    "apiVersion": "ses-smtp.dev/v1alpha1", "kind": "SesSmtpCredential",
    "metadata": {"namespace": "shop", "name": "mail", "uid": "u", "generation": 2,
                 "resourceVersion": "5", "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"source": {"secretName": "iam"}},
    "status": {"observedGeneration": 2, "target": {"name": "mail", "uid": "t", "resourceVersion": "4"},
      "lastRotationTime": "2026-01-04T11:00:00Z",
      "conditions": [{"type": "Ready", "status": "True", "reason": "Synced", "message": "in order",
                      "lastTransitionTime": "2026-01-01T00:00:00Z"}]}})");
  Seen seen{.kubectl = "kubectl", .now = kNow, .view = view_of(object), .credential = {}};
  seen.credential = *api::decode_credential(object);
  seen.source = {.access = Access::kRead, .error = {}, .keys = {"accessKeyId", "secretAccessKey"}};
  seen.target = {.access = Access::kRead, .error = {}, .keys = {"password", "username"}};
  seen.rehearsal.region_name = "eu-west-1";
  seen.rehearsal.endpoint = ses::Endpoint{.host = "email-smtp.eu-west-1.amazonaws.com"};
  seen.rehearsal.keys = {"password", "username"};
  seen.rehearsal.drift = api::Drift{};
  seen.pods.access = Access::kRead;
  return seen;
}

Finding found(const Seen& seen, Step step) {
  for (Finding& finding : diagnose(seen)) {
    if (finding.step == step) {
      return finding;
    }
  }
  ADD_FAILURE() << "nothing is said of " << to_string(step);
  return {};
}

void make_stale(Seen& seen, std::chrono::seconds age) {
  seen.view.current = false;
  seen.spec_changed = kNow - age;
}

PodUses pod(const std::string& container, const std::string& started) {
  json object = json::parse(R"({"metadata": {"name": "p"}, "status": {"phase": "Running"}})");
  object["spec"] = {{"containers", json::array({json::parse(container)})},
                    {"volumes", json::parse(R"([{"name": "smtp", "secret": {"secretName": "mail"}}])")}};
  object["spec"]["containers"][0]["name"] = "app";
  object["status"]["startTime"] = started;
  return uses_of_pod(object, "mail").value_or(PodUses{});
}

constexpr const char* kEnv =
    R"({"env": [{"valueFrom": {"secretKeyRef": {"name": "mail", "key": "password"}}}]})";
constexpr const char* kFiles = R"({"volumeMounts": [{"name": "smtp", "mountPath": "/p"}]})";

TEST(Diagnosis, NothingIsWrong) {
  EXPECT_EQ(verdict(diagnose(in_order())), Mark::kOk);
}

// --- the operator ---

TEST(Diagnosis, AFreshSpecThatNobodyHasLookedAtIsNoAlarm) {
  Seen seen = in_order();
  make_stale(seen, 5s);
  EXPECT_EQ(found(seen, Step::kOperator).mark, Mark::kUnknown);
  EXPECT_EQ(verdict(diagnose(seen)), Mark::kUnknown);
}

TEST(Diagnosis, AnOldSpecThatNobodyHasLookedAtIs) {
  Seen seen = in_order();
  make_stale(seen, 1h);
  const Finding finding = found(seen, Step::kOperator);
  EXPECT_EQ(finding.mark, Mark::kWrong);
  EXPECT_THAT(finding.text, HasSubstr("60m ago"));
  EXPECT_THAT(finding.command, HasSubstr("kubectl get pods --all-namespaces"));
}

TEST(Diagnosis, TheLeaseTellsWhetherTheOperatorRuns) {
  Seen seen = in_order();
  make_stale(seen, 1h);
  seen.leases = {{.namespace_ = "ses", .name = "op", .holder = "pod-1", .renewed = kNow - 10s}};
  EXPECT_THAT(found(seen, Step::kOperator).details, ElementsAre(HasSubstr("by pod-1: it runs")));
  EXPECT_THAT(found(seen, Step::kOperator).fix, HasSubstr("--watch-namespaces"));
  seen.leases[0].renewed = kNow - 2h;
  EXPECT_THAT(found(seen, Step::kOperator).details, ElementsAre(HasSubstr("it does not run any more")));
  seen.leases[0].holder.clear();
  EXPECT_THAT(found(seen, Step::kOperator).details, ElementsAre(HasSubstr("nobody holds")));
}

// --- Secrets ---

TEST(Diagnosis, AMissingRightIsNoMistakeOfTheCredential) {
  Seen seen = in_order();
  seen.source = {.access = Access::kForbidden};
  const Findings findings = diagnose(seen);
  EXPECT_EQ(first_wrong(findings), nullptr);
  EXPECT_EQ(found(seen, Step::kSource).mark, Mark::kUnknown);
  EXPECT_THAT(found(seen, Step::kSource).details,
              ElementsAre("kubectl auth can-i get secrets/iam --namespace shop"));
  EXPECT_EQ(found(seen, Step::kTarget).mark, Mark::kSkipped);
}

TEST(Diagnosis, ATargetThatIsHeldBackForALoginIsNotTheMistake) {
  Seen seen = in_order();
  seen.credential.spec.verify_mode = api::VerifyMode::kEnforce;
  seen.rehearsal.drift->keys = {"password"};
  seen.view.ready = {.status = "False", .reason = "VerificationFailed", .message = "535 for ten minutes"};
  EXPECT_EQ(found(seen, Step::kTarget).mark, Mark::kSkipped);
  EXPECT_EQ(found(seen, Step::kStatus).mark, Mark::kWrong);
  seen.view.ready.reason = "Verifying";
  EXPECT_EQ(found(seen, Step::kStatus).mark, Mark::kUnknown);
}

TEST(Diagnosis, TheReasonOfAFailedWriteIsTheOperatorsToTell) {
  Seen seen = in_order();
  seen.rehearsal.would_create = true;
  seen.rehearsal.drift.reset();
  seen.view.ready = {.status = "False", .reason = "QuotaExceeded", .message = "no room"};
  EXPECT_EQ(found(seen, Step::kTarget).command, "kubectl describe resourcequota --namespace shop");
}

TEST(Diagnosis, TheSameReasonIsNotToldTwice) {
  Seen seen = in_order();
  seen.rehearsal.values = api::Problem{api::Reason::kSourceValueEmpty, "it is empty"};
  seen.view.ready = {.status = "False", .reason = "SourceValueEmpty", .message = "it is empty"};
  EXPECT_EQ(first_wrong(diagnose(seen))->step, Step::kValues);
  EXPECT_THAT(found(seen, Step::kStatus).details, IsEmpty());
}

// --- pods ---

TEST(Pods, VariablesAreThoseOfTheStart) {
  Seen seen = in_order();
  seen.pods.using_target = {pod(kEnv, "2026-01-04T10:59:59Z")};
  EXPECT_EQ(found(seen, Step::kPods).mark, Mark::kWrong);
  seen.pods.using_target = {pod(kEnv, kRotated)};  // it may have seen either
  EXPECT_EQ(found(seen, Step::kPods).mark, Mark::kWrong);
  seen.pods.using_target = {pod(kEnv, "2026-01-04T11:00:01Z")};
  EXPECT_EQ(found(seen, Step::kPods).mark, Mark::kOk);
}

TEST(Pods, FilesFollow) {
  Seen seen = in_order();
  seen.pods.using_target = {pod(kFiles, "2026-01-04T10:00:00Z")};
  EXPECT_EQ(found(seen, Step::kPods).mark, Mark::kOk);
  EXPECT_THAT(found(seen, Step::kPods).details,
              ElementsAre("pod/p: files in container app", HasSubstr("has to be restarted")));
}

TEST(Pods, AContainerThatStartedAnewHasTheNewPairThoughItsPodIsOld) {
  json object = json::parse(R"({"metadata": {"name": "p"},
    "status": {"phase": "Running", "startTime": "2026-01-01T00:00:00Z",
      "containerStatuses": [{"name": "app", "state": {"running": {"startedAt": "2026-01-04T11:30:00Z"}}}]}})");
  object["spec"]["containers"] = json::array({json::parse(kEnv)});
  object["spec"]["containers"][0]["name"] = "app";
  EXPECT_FALSE(uses_of_pod(object, "mail")->is_behind(*parse_rfc3339(kRotated)));
  object["status"]["containerStatuses"][0]["state"] = {{"waiting", {{"reason", "CrashLoopBackOff"}}}};
  EXPECT_FALSE(uses_of_pod(object, "mail")->is_behind(*parse_rfc3339(kRotated)));
  object["status"].erase("containerStatuses");
  EXPECT_TRUE(uses_of_pod(object, "mail")->is_behind(*parse_rfc3339(kRotated)));
}

TEST(Pods, ThoseThatHaveEndedAreNotCounted) {
  json object = json::parse(R"({"metadata": {"name": "p"}, "status": {"phase": "Succeeded"}})");
  object["spec"]["containers"] = json::array({json::parse(kEnv)});
  EXPECT_FALSE(uses_of_pod(object, "mail"));
  object["status"]["phase"] = "Running";
  EXPECT_TRUE(uses_of_pod(object, "mail"));
  object["metadata"]["deletionTimestamp"] = kRotated;
  EXPECT_FALSE(uses_of_pod(object, "mail"));
}

TEST(Pods, OnlyWhatCanBeRestartedIsInTheCommand) {
  Seen seen = in_order();
  for (const Owner& owner :
       {Owner{"deployment", "web"}, Owner{"job", "report"}, Owner{"statefulset", "db"}}) {
    PodUses one = pod(kEnv, "2026-01-04T10:00:00Z");
    one.owner = owner;
    seen.pods.using_target.push_back(std::move(one));
  }
  const Finding finding = found(seen, Step::kPods);
  EXPECT_EQ(finding.command, "kubectl rollout restart deployment/web statefulset/db --namespace shop");
  EXPECT_THAT(finding.fix, StartsWith("do not revoke the old key yet"));
  EXPECT_THAT(finding.fix, HasSubstr("job/report"));
}

TEST(Pods, ADeploymentIsKnownByTheNameOfItsReplicaSet) {
  PodUses one;
  one.owner = {.kind = "replicaset", .name = "web-5d9f"};
  one.template_hash = "5d9f";
  EXPECT_EQ(deployment_by_name(one).text(), "deployment/web");
  one.template_hash = "other";
  EXPECT_EQ(deployment_by_name(one).text(), "replicaset/web-5d9f");
  one.template_hash.clear();
  EXPECT_EQ(deployment_by_name(one).text(), "replicaset/web-5d9f");
}

// --- restarts and the login ---

TEST(Restarts, OneThatWaitsIsNotOneThatFailed) {
  Seen seen = in_order();
  seen.credential.spec.rollout_restart_targets = {{.kind = "Deployment", .name = "web"}};
  api::Rollout rollout{.workload = {.kind = "Deployment", .name = "web"}, .digest = "d"};
  seen.credential.status.rollouts = {rollout};
  EXPECT_EQ(found(seen, Step::kRestarts).mark, Mark::kOk);
  seen.credential.status.rollouts[0].reason = api::kRestartPending;
  EXPECT_EQ(found(seen, Step::kRestarts).mark, Mark::kUnknown);
  seen.credential.status.rollouts[0].reason = "Forbidden";
  EXPECT_EQ(found(seen, Step::kRestarts).mark, Mark::kWrong);
}

TEST(Login, AServerThatSaysNothingOfThePairIsNoMistake) {
  using smtp::LoginVerdict;
  Seen seen = in_order();
  seen.login_asked = true;
  const auto mark_of = [&seen](LoginVerdict verdict) {
    seen.login = smtp::LoginReport{};
    seen.login->verdict = verdict;
    return found(seen, Step::kLogin).mark;
  };
  EXPECT_EQ(mark_of(LoginVerdict::kAuthenticated), Mark::kOk);
  EXPECT_EQ(mark_of(LoginVerdict::kCredentialsInvalid), Mark::kWrong);
  EXPECT_EQ(mark_of(LoginVerdict::kNotSubscribed), Mark::kWrong);
  EXPECT_EQ(mark_of(LoginVerdict::kCertificateInvalid), Mark::kWrong);
  EXPECT_EQ(mark_of(LoginVerdict::kTemporaryFailure), Mark::kUnknown);
  EXPECT_EQ(mark_of(LoginVerdict::kEndpointUnreachable), Mark::kUnknown);
  EXPECT_EQ(mark_of(LoginVerdict::kEndpointNotAllowed), Mark::kUnknown);
}

TEST(Login, WhatTheOperatorFoundOutIsToldWhenNobodyLogsIn) {
  Seen seen = in_order();
  EXPECT_EQ(found(seen, Step::kLogin).mark, Mark::kSkipped);
  seen.view.verified = {.status = "False", .reason = "CredentialsInvalid", .message = "535"};
  EXPECT_EQ(found(seen, Step::kLogin).mark, Mark::kWrong);
  seen.view.verified.status = "Unknown";
  EXPECT_EQ(found(seen, Step::kLogin).mark, Mark::kUnknown);
}

// --- what is printed ---

const Remedy kRemedy{.kubectl = "kubectl --context dev",
                     .credential = {.namespace_ = "shop", .name = "mail"},
                     .source = "iam",
                     .target = "login"};

TEST(Remedy, TheConsentThatAMessageAsksForIsTheCommand) {
  const std::string consent = "annotate secret -n shop login ses-smtp.dev/allow-takeover-by=mail";
  for (const std::string& command : {consent, consent + " --overwrite"}) {
    const Advice advice = kRemedy.for_reason(api::Reason::kTargetConflict,
                                             "whoever owns it has to consent: kubectl " + command);
    EXPECT_EQ(advice.fix, "whoever owns it has to consent");
    EXPECT_EQ(advice.command, "kubectl --context dev " + command);
  }
}

// A message may repeat the names in a certificate, or the kind of an owner.
TEST(Remedy, WordsOfOthersAreNoCommand) {
  const std::string message = "the certificate is of an unknown CA: kubectl delete namespace shop";
  for (const auto reason : {api::Reason::kVerificationFailed, api::Reason::kTargetConflict}) {
    EXPECT_THAT(kRemedy.for_reason(reason, message).command, Not(HasSubstr("delete")));
  }
}

TEST(Findings, WhatIsNotKnownIsNamedAtTheEnd) {
  const Findings findings = {{.step = Step::kPods, .mark = Mark::kOk, .text = "none"},
                             {.step = Step::kStatus, .mark = Mark::kUnknown, .text = "Verifying"},
                             {.step = Step::kLogin, .mark = Mark::kUnknown, .text = "away"}};
  std::ostringstream out;
  const Terminal terminal{.out = out, .err = out, .environment = {}};
  EXPECT_THAT(
      findings_text({.namespace_ = "shop", .name = "mail"}, findings, 0, Paint(ColorWhen::kNever, terminal)),
      ::testing::EndsWith("\nNothing is surely wrong. Not known: status, login\n"));
}

TEST(Findings, TheFirstThingWrongAndItsCommandAreAtTheEnd) {
  const Findings findings = {
      {.step = Step::kSource, .mark = Mark::kWrong, .text = "gone", .fix = "make it", .command = "kubectl x"},
      {.step = Step::kStatus, .mark = Mark::kWrong, .text = "no", .fix = "other", .command = "kubectl y"}};
  std::ostringstream out;
  const Terminal terminal{.out = out, .err = out, .environment = {}};
  const std::string text =
      findings_text({.namespace_ = "shop", .name = "mail"}, findings, 0, Paint(ColorWhen::kNever, terminal));
  EXPECT_EQ(text,
            "SesSmtpCredential shop/mail\n\n"
            "wrong    source      gone\n"
            "wrong    status      no\n\n"
            "The first thing wrong: source\n"
            "To do: make it\n\n"
            "    kubectl x\n");
}

}  // namespace
}  // namespace sessmtp::cli
