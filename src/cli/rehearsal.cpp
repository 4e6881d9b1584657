#include "cli/rehearsal.h"

#include <algorithm>
#include <utility>

#include "api/condition.h"
#include "api/names.h"
#include "api/source.h"
#include "operator/cache.h"
#include "operator/needs.h"
#include "operator/plan.h"
#include "ses/iam_key.h"
#include "ses/smtp_password.h"

namespace sessmtp::cli {
namespace {

using api::Problem;
using api::Reason;
using api::SesSmtpCredential;
using operator_::LiveRead;
using operator_::Observation;
using operator_::Plan;

// Whether it is going, suspended, logged in with or restarted for is another question.
SesSmtpCredential on_stage(SesSmtpCredential credential) {
  credential.meta.terminating = false;
  credential.spec.suspend = false;
  credential.spec.verify_mode = api::VerifyMode::kDisabled;
  credential.spec.rollout_restart_targets.clear();
  return credential;
}

// As the operator sees these objects when it starts.
Observation observe(const Stage& stage, const SesSmtpCredential& credential) {
  const SystemClock clock;
  operator_::Cache cache({""}, clock, [](const kube::NamespacedName&, kube::Priority) {});
  cache.begin_credential_list("");
  for (const SesSmtpCredential& neighbour : stage.neighbours) {
    cache.listed_credential("", neighbour);
  }
  cache.listed_credential("", credential);
  cache.end_credential_list("");
  cache.begin_secret_list("");
  for (const LiveRead* read : {&stage.source, &stage.target}) {
    const kube::Secret* secret = operator_::live_secret(*read);
    if (secret != nullptr && api::is_watched_type(secret->type)) {
      cache.listed_secret("", secret->meta);
    }
  }
  cache.end_secret_list("");
  return cache.observe(credential.meta.key()).value_or(Observation{});
}

std::optional<Problem> problem_of(const Plan& plan) {
  const api::Condition* ready = plan.status ? find_condition(plan.status->conditions, "Ready") : nullptr;
  const auto reason = ready != nullptr ? api::reason_from_string(ready->reason) : std::nullopt;
  if (ready == nullptr || ready->status == "True" || !reason) {
    return std::nullopt;
  }
  return Problem{*reason, ready->message};
}

// What would be written if nothing was in the way.
Plan plan_in_the_open(Observation& observation) {
  observation.credential.spec.target.conflict_policy = api::ConflictPolicy::kFail;
  observation.claims = {};
  observation.target = {.presence = operator_::Presence::kAbsent, .record = {}};
  observation.live_target = operator_::Missing{};
  return plan(observation);
}

// The key and the region, and the login that they give.
void derive(const kube::Secret& secret, const SesSmtpCredential& credential, Rehearsal& result) {
  auto source = read_source(secret, credential.spec.source);
  if (!source) {
    result.values = source.error();
    return;
  }
  std::ranges::transform(source->cautions, std::back_inserter(result.cautions), &api::Caution::message);
  const auto region = choose_region(credential.spec, *source);
  if (!region) {
    result.region = region.error();
    return;
  }
  result.region_name = *region;
  result.endpoint = resolve_endpoint(*region, credential.spec.endpoint);
  if (auto password = ses::smtp_password_v4(source->key.secret_access_key, *region)) {
    result.username = std::move(source->key.access_key_id);
    result.password = std::move(*password);
  }
}

}  // namespace

Rehearsal rehearse(Stage stage) {
  const SesSmtpCredential credential = on_stage(stage.credential);
  const std::string& source_name = credential.spec.source.secret_name;
  Rehearsal result;
  const kube::Secret* source = operator_::live_secret(stage.source);
  if (source == nullptr || !api::is_watched_type(source->type)) {
    result.source = source == nullptr ? operator_::source_not_found(source_name)
                                      : operator_::source_is_unwatched(source_name, source->type);
    return result;
  }
  derive(*source, credential, result);
  const bool target_known = operator_::live_secret(stage.target) != nullptr ||
                            std::holds_alternative<operator_::Missing>(stage.target);
  Observation observation = observe(stage, credential);
  observation.now = stage.now;
  observation.live_source = std::move(stage.source);
  observation.live_target = std::move(stage.target);
  const Plan whole = plan(observation);
  const auto problem = problem_of(whole);
  if (problem && problem->reason == Reason::kSourceIsTarget) {
    result.source = problem;
    return result;
  }
  const kube::Secret* target = operator_::live_secret(observation.live_target);
  if (target != nullptr && whole.write) {
    result.drift = api::drift(*target, *whole.write);
  } else if (target != nullptr && !problem) {
    result.drift = api::Drift{};
  }
  result.would_create = target_known && target == nullptr && whole.write;
  const Plan open = plan_in_the_open(observation);
  if (!result.values && !result.region) {
    result.derivation = problem_of(open);
  }
  if (open.write) {
    std::ranges::transform(open.write->data, std::back_inserter(result.keys),
                           [](const auto& entry) { return entry.first; });
    result.target = target_known ? problem : std::nullopt;
  }
  return result;
}

}  // namespace sessmtp::cli
