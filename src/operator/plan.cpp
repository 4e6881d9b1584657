#include "operator/plan.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

#include "api/event_reason.h"
#include "api/names.h"
#include "api/reason.h"
#include "api/source.h"
#include "api/target.h"
#include "base/text.h"
#include "operator/cautions.h"
#include "operator/ownership.h"
#include "operator/rollout.h"
#include "operator/rotation.h"
#include "operator/verification.h"
#include "operator/write_failure.h"
#include "ses/region.h"
#include "ses/smtp_password.h"

namespace sessmtp::operator_ {
namespace {

using api::EventReason;
using api::Problem;
using api::Reason;
using api::SecretVersion;
using api::SesSmtpCredential;
using api::Status;
using kube::Event;
using kube::EventType;

// A resourceVersion that no object has: server-side apply with it can only create.
constexpr const char* kNeverAVersion = "1";

SecretVersion version_of(const kube::Secret& secret) {
  return {.uid = secret.meta.uid, .resource_version = secret.meta.resource_version};
}

// One evaluation of plan(): what has been found out so far, step by step.
class Planner {
 public:
  explicit Planner(const Observation& observation)
      : o_(observation), credential_(observation.credential), status_(observation.credential.status) {}

  Plan run() {
    if (credential_.meta.terminating) {
      return {};
    }
    if (credential_.spec.suspend) {
      return suspend();
    }
    if (find_condition(status_.conditions, "Suspended") != nullptr) {
      note(EventReason::kResumed, "Resume", "spec.suspend is not set any more");
    }
    if (const auto problem = judge_from_metadata(o_)) {
      return fail(*problem);
    }
    if (std::holds_alternative<Missing>(o_.live_source)) {
      return fail(source_not_found(credential_.spec.source.secret_name));
    }
    if (const auto* error = std::get_if<kube::ApiError>(&o_.live_source)) {
      return fail_to_read(credential_.spec.source.secret_name, *error);
    }
    if (const auto* error = std::get_if<kube::ApiError>(&o_.live_target)) {
      return fail_to_read(credential_.spec.target.name, *error);
    }
    const kube::Secret* source = live_secret(o_.live_source);
    if (source == nullptr) {
      return settled();
    }
    if (!api::is_watched_type(source->type)) {
      return fail(source_is_unwatched(credential_.spec.source.secret_name, source->type));
    }
    return with_source(*source);
  }

 private:
  Plan suspend() {
    if (find_condition(status_.conditions, "Suspended") == nullptr) {
      note(EventReason::kSuspended, "Suspend",
           "nothing is read or written until spec.suspend is false again");
    }
    Status next = status_;
    next.observed_generation = credential_.meta.generation;
    next.conditions = suspended_conditions(credential_.meta.generation, o_.now, status_.conditions);
    Plan result;
    result.status = std::move(next);
    result.events = std::move(events_);
    return result;
  }

  Plan settled() {
    look_again_at(time_left_of(status_.previous));
    if (const auto restart = restart_due_in(status_, o_.now); restart > std::chrono::milliseconds(0)) {
      look_again_at(restart);
    }
    Plan result;
    result.look_again = look_again_;
    return result;
  }

  Plan with_source(const kube::Secret& secret) {
    source_version_ = version_of(secret);
    const bool seen_before = status_.source == source_version_ && spec_is_observed(credential_);
    if (!record_of(secret.meta).owner_uid.empty()) {
      return fail(source_is_target(secret.meta.name));
    }
    auto source = read_source(secret, credential_.spec.source);
    if (!source) {
      return fail(source.error());
    }
    const auto region = choose_region(credential_.spec, *source);
    if (!region) {
      return fail(region.error());
    }
    const auto endpoint = resolve_endpoint(*region, credential_.spec.endpoint);
    if (!endpoint) {
      return fail({Reason::kEndpointUnknown, "no public SMTP endpoint is known for region " +
                                                 in_quotes(*region) + "; set spec.endpoint.host"});
    }
    std::map<std::string, ses::Endpoint> additional;
    for (const std::string& name : credential_.spec.additional_regions) {
      const auto theirs = additional_endpoint(name, credential_.spec.endpoint);
      if (!theirs) {
        return fail({Reason::kEndpointUnknown,
                     "no public SMTP endpoint is known for region " + in_quotes(name) +
                         " of spec.additionalRegions; give it a SesSmtpCredential of its own, with "
                         "spec.endpoint.host"});
      }
      additional.emplace(name, *theirs);
    }
    if (!seen_before) {
      for (const api::Caution& caution : cautions(credential_.spec, *source, *region, *endpoint)) {
        note(caution.reason, "Sync", caution.message);
      }
    }
    return with_key({.key = source->key,
                     .region = *region,
                     .endpoint = *endpoint,
                     .additional_endpoints = std::move(additional),
                     .key_since = {},
                     .previous = {}});
  }

  Plan with_key(api::Ingredients ingredients) {
    const auto record = target_record(o_);
    const Ownership ownership = ownership_of(o_, record);
    const kube::Secret* live = live_secret(o_.live_target);
    const CurrentKey current{.key = ingredients.key,
                             .masked_id = ses::mask_access_key_id(ingredients.key.access_key_id.expose()),
                             .source = *source_version_};
    // needs() has left the target unread because only the source is new. Without a key id that is plainly
    // another one, only the target itself tells whether this is a rotation.
    const bool telling = current.masked_id != "****" && current.masked_id != status_.access_key_id;
    if (record && live == nullptr && !telling) {
      return ask_for_target();
    }
    const Standing standing =
        stand(o_, current, ownership, live != nullptr && renders_as(*live, ingredients));
    ingredients.key_since = standing.key_since;
    ingredients.previous = previous_pair(o_, standing, ingredients.region);
    auto intent = render_target(credential_, ingredients);
    if (!intent) {
      return fail(intent.error(), intent.error().reason == Reason::kApiError ? Retry::kSlowly : Retry::kNo);
    }
    const api::Drift difference = live != nullptr ? api::drift(*live, *intent) : api::Drift{};
    if (live != nullptr) {
      if (const auto problem = judge_live_target(*live, *intent, difference, ownership)) {
        return fail(*problem);
      }
    }
    if (auto plan = verify(ingredients, {.source = *source_version_,
                                         .endpoint = ingredients.endpoint,
                                         .masked_id = current.masked_id,
                                         .is_of_target = is_pair_of_target(ingredients, current.masked_id),
                                         .target_is_current = live != nullptr && difference.keys.empty()})) {
      return std::move(*plan);
    }
    if ((live == nullptr || difference.any()) && !o_.written) {
      return write(std::move(*intent), record, ownership);
    }
    SecretVersion target = live != nullptr ? version_of(*live) : SecretVersion{};
    if (o_.written) {
      if (const auto* error = std::get_if<kube::ApiError>(&*o_.written)) {
        return fail_to_write(*error);
      }
      target = std::get<SecretVersion>(*o_.written);
    }
    Rollouts rollouts = roll(ingredients, difference);
    if (!rollouts.wanted.empty()) {
      Plan result;
      result.restarts = std::move(rollouts.wanted);
      return result;
    }
    return succeed(current.masked_id, ingredients, standing, ownership, difference, std::move(target),
                   std::move(rollouts));
  }

  // What status says of the target, it says of this pair, whatever has become of source and spec since.
  [[nodiscard]] bool is_pair_of_target(const api::Ingredients& ingredients,
                                       const std::string& masked_id) const {
    const kube::Secret* live = live_secret(o_.live_target);
    return live != nullptr && was_ready(status_) && status_.target == version_of(*live) &&
           status_.region == ingredients.region && status_.access_key_id == masked_id &&
           api::holds_pair_of(*live, ingredients.key, {ingredients.region});
  }

  // By spec.verify.mode. A plan when a login is to be asked for, or the target must not be written.
  std::optional<Plan> verify(const api::Ingredients& ingredients, const LoginSubject& subject) {
    const api::VerifyMode mode = credential_.spec.verify_mode;
    if (mode == api::VerifyMode::kDisabled) {
      return std::nullopt;
    }
    const bool anew = is_look_requested(credential_);
    if (is_proved(o_, subject) && !anew && !o_.login_news) {
      verified_ = *find_condition(status_.conditions, "Verified");
      return std::nullopt;
    }
    if (!o_.login) {
      auto password = ses::smtp_password_v4(ingredients.key.secret_access_key, ingredients.region);
      if (!password) {
        return fail({Reason::kApiError, password.error().message}, Retry::kSlowly);
      }
      Plan result;
      result.login = {.endpoint = subject.endpoint,
                      .username = ingredients.key.access_key_id.clone(),
                      .password = std::move(*password),
                      .failing_since = failing_since(o_, subject),
                      .anew = anew};
      return result;
    }
    verified_ = verified_condition(o_, subject, *o_.login);
    look_again_at(o_.login->ask_again);
    // A key that may be too young is refused in any rotation; its message is another one afterwards.
    const api::Condition* before = find_condition(status_.conditions, "Verified");
    const bool news =
        before == nullptr || before->reason != verified_->reason || before->message != verified_->message;
    if (verified_->status == "False" && news && !o_.login->may_be_young) {
      note(EventReason::kVerifyFailed, "Verify", verified_->message);
    }
    if (mode != api::VerifyMode::kEnforce) {
      return std::nullopt;
    }
    const auto problem = hold_back(o_, subject, *verified_);
    if (!problem) {
      return std::nullopt;
    }
    look_again_at(verdict_due(o_, *verified_));
    return fail(*problem);
  }

  // How far each workload follows the target, which now holds what these ingredients give. Only here: while
  // Ready is not True, nobody knows what the target ought to hold.
  [[nodiscard]] Rollouts roll(api::Ingredients& ingredients, const api::Drift& difference) const {
    if (credential_.spec.rollout_restart_targets.empty()) {
      return {};
    }
    auto previous = std::exchange(ingredients.previous, std::nullopt);
    const auto lasting = render_target(credential_, ingredients);
    ingredients.previous = std::move(previous);
    return lasting ? follow_target(o_, lasting->data, difference) : Rollouts{.status = status_.rollouts};
  }

  // The soonest counts.
  void look_again_at(std::optional<std::chrono::milliseconds> delay) {
    if (delay) {
      look_again_ = look_again_ ? std::min(*look_again_, *delay) : *delay;
    }
  }

  // The data would be the same with this key, whatever is kept of the pair before.
  [[nodiscard]] bool renders_as(const kube::Secret& live, api::Ingredients& ingredients) const {
    ingredients.previous = api::previous_pair_of(live);
    const auto intent = render_target(credential_, ingredients);
    return intent && api::drift(live, *intent).keys.empty();
  }

  static std::optional<Problem> judge_live_target(const kube::Secret& live, const kube::Secret& intent,
                                                  const api::Drift& difference, Ownership ownership) {
    const std::string secret = "Secret " + in_quotes(live.meta.name);
    if (!intent.type.empty() && live.type != intent.type) {
      return Problem{Reason::kTargetTypeImmutable,
                     secret +
                         " has another type, which cannot be changed: delete it, "
                         "or choose another spec.target.name"};
    }
    if (!live.immutable) {
      return std::nullopt;
    }
    if (ownership == Ownership::kOffered) {
      return Problem{Reason::kTargetConflict,
                     secret +
                         " is marked immutable, so it cannot be taken over: delete it, "
                         "or choose another spec.target.name"};
    }
    if (difference.keys.empty()) {
      return std::nullopt;
    }
    return Problem{Reason::kTargetImmutable,
                   secret + " is marked immutable: " +
                       (ownership == Ownership::kShared ? "its owner has to make it anew without that"
                                                        : "delete it, and it is made anew")};
  }

  static Plan write(kube::Secret intent, const std::optional<SecretRecord>& record, Ownership ownership) {
    if (!record) {
      intent.meta.resource_version = kNeverAVersion;
    } else {
      intent.meta.uid = record->version.uid;
      if (ownership != Ownership::kOurs) {
        intent.meta.resource_version = record->version.resource_version;
      }
    }
    Plan result;
    result.write = std::move(intent);
    return result;
  }

  static Plan ask_for_target() {
    Plan result;
    result.read_target = true;
    return result;
  }

  Plan succeed(const std::string& masked, const api::Ingredients& made_of, const Standing& standing,
               Ownership ownership, const api::Drift& difference, SecretVersion target, Rollouts rollouts) {
    Status next = status_;
    next.access_key_id = masked;
    next.region = made_of.region;
    next.additional_regions = credential_.spec.additional_regions;
    next.endpoint = made_of.endpoint;
    next.key_since = standing.key_since;
    if (standing.rotated) {
      next.last_rotation_time = standing.key_since;
    }
    next.source = source_version_;
    next.target = std::move(target);
    next.target_name = credential_.spec.target.name;
    next.target_merged = ownership == Ownership::kShared;
    next.render_version = api::kRenderVersion;
    next.rollouts = std::move(rollouts.status);
    next.previous.reset();
    if (made_of.previous) {
      next.previous = {.access_key_id = ses::mask_access_key_id(made_of.previous->username.expose()),
                       .expires_at = made_of.previous->expires_at};
    }
    const bool binding = credential_.spec.target.format == api::TargetFormat::kServiceBinding;
    next.binding_name = binding ? next.target_name : std::string();
    announce_success(next, standing, ownership, difference);
    const std::string message = "Secret " + in_quotes(next.target_name) +
                                " holds the SMTP credential of key " + masked + " for " +
                                host_and_port(made_of.endpoint) +
                                (ses::is_known_smtp_region(made_of.region)
                                     ? ""
                                     : "; mind that this region is not known to offer SES SMTP");
    std::ranges::move(rollouts.events, std::back_inserter(events_));
    look_again_at(rollouts.look_again);
    Plan result =
        finish(std::move(next), Reason::kSynced, message, rollouts.try_again ? Retry::kBackoff : Retry::kNo);
    result.retry_after = rollouts.try_again.value_or(std::chrono::milliseconds(0));
    return result;
  }

  void announce_success(const Status& next, const Standing& standing, Ownership ownership,
                        const api::Drift& difference) {
    const std::string target = "Secret " + in_quotes(next.target_name);
    if (standing.rotated) {
      note(EventReason::kRotated, "Rotate",
           target + " now holds the SMTP credential of key " + next.access_key_id);
    } else if (ownership == Ownership::kFormerLife) {
      note(EventReason::kAdopted, "Adopt",
           target + " is of an earlier object of this name and was taken back");
    } else if (ownership == Ownership::kOffered) {
      const bool goes = credential_.spec.target.deletion_policy == api::DeletionPolicy::kDelete;
      note(
          EventReason::kAdopted, "Adopt",
          target + " was taken over, as its annotation allows" +
              (goes
                   ? "; it goes with this SesSmtpCredential, other keys included (spec.target.deletionPolicy)"
                   : ""));
    } else if (standing.creating && status_.target) {
      note(EventReason::kTargetRepaired, "Repair", target + " was gone and was made anew");
    } else if (previous_expired(next)) {
      note(EventReason::kPreviousExpired, "Expire",
           target + " no longer holds the pair of key " + status_.previous->access_key_id +
               ", from before the rotation");
    } else if (o_.written && was_ready(status_) && spec_is_observed(credential_) &&
               status_.render_version == api::kRenderVersion) {
      std::vector<std::string> parts = difference.keys;
      std::ranges::copy(difference.metadata, std::back_inserter(parts));
      note(EventReason::kTargetRepaired, "Repair", target + " had been changed; restored: " + joined(parts));
    } else if (o_.written || !was_ready(status_)) {
      note(EventReason::kSynced, "Sync",
           target + " holds the SMTP credential of key " + next.access_key_id + " for region " + next.region);
    }
  }

  [[nodiscard]] bool previous_expired(const Status& next) const {
    const kube::Secret* live = live_secret(o_.live_target);
    const auto annotated = live != nullptr
                               ? parse_rfc3339(live->meta.annotation(api::kPreviousExpiresAtAnnotation))
                               : std::nullopt;
    return status_.previous && !next.previous && annotated.value_or(status_.previous->expires_at) <= o_.now;
  }

  // Rounded up: what is looked at too early is looked at twice.
  [[nodiscard]] std::optional<std::chrono::milliseconds> time_left_of(
      const std::optional<api::PreviousKey>& previous) const {
    if (!previous || previous->expires_at <= o_.now) {
      return std::nullopt;
    }
    return std::chrono::ceil<std::chrono::milliseconds>(previous->expires_at - o_.now);
  }

  Plan fail(const Problem& problem, Retry retry = Retry::kNo) {
    Status next = status_;
    next.render_version = api::kRenderVersion;  // by whose rules this was judged
    if (source_version_) {
      next.source = source_version_;
    }
    // Status never names a Secret that is not ours to write, nor one that is gone for good.
    if (problem.reason == Reason::kTargetConflict || problem.reason == Reason::kTargetNotFound) {
      next.target.reset();
      next.target_name.clear();
      next.target_merged = false;
      next.binding_name.clear();
      next.previous.reset();
      next.access_key_id.clear();
      next.key_since.reset();
    }
    const api::Condition* before = find_condition(status_.conditions, "Ready");
    const bool news = before == nullptr || before->reason != to_string(problem.reason);
    if (is_stalled(problem.reason) && news) {
      warn(problem);
    }
    return finish(std::move(next), problem.reason, problem.message, retry);
  }

  Plan fail_to_read(const std::string& name, const kube::ApiError& error) {
    if (error.transient() || error.kind == kube::ApiErrorKind::kCancelled) {
      return try_again(error, "reading Secret " + in_quotes(name) + ": " + error.summary());
    }
    const bool forbidden = error.kind == kube::ApiErrorKind::kForbidden;
    return fail({forbidden ? Reason::kForbidden : Reason::kApiError,
                 "reading Secret " + in_quotes(name) + ": " + error.summary() +
                     (forbidden ? "; the operator lacks the right to get Secrets here" : "")},
                Retry::kSlowly);
  }

  // Status tells of it once it is more than a hiccup, if the API server answers at all.
  Plan try_again(const kube::ApiError& error, const std::string& message) {
    Plan result;
    if (error.http_status != 0 && o_.failed_looks >= kHiccups) {
      result = fail({Reason::kApiError, message + "; trying again"});
    }
    result.retry = Retry::kBackoff;
    result.retry_after = error.retry_after.value_or(std::chrono::seconds(0));
    return result;
  }

  Plan fail_to_write(const kube::ApiError& error) {
    const WriteVerdict verdict = judge_write_failure(error);
    switch (verdict.failure) {
      case WriteFailure::kLookAgain:
        return ask_for_target();
      case WriteFailure::kNamespaceGoes:
        return {};
      case WriteFailure::kTryAgain:
        return try_again(error,
                         describe_write_failure(Reason::kApiError, credential_.spec.target.name, error));
      case WriteFailure::kReport:
        break;
    }
    const std::string message = describe_write_failure(verdict.reason, credential_.spec.target.name, error);
    return fail({verdict.reason, message}, Retry::kSlowly);
  }

  Plan finish(Status next, Reason reason, const std::string& message, Retry retry) {
    next.observed_generation = credential_.meta.generation;
    next.conditions =
        conditions_for(reason, message, credential_.meta.generation, o_.now, status_.conditions);
    if (auto verified = verified_to_say()) {
      set_condition(next.conditions, std::move(*verified), o_.now, status_.conditions);
    }
    if (const auto requested = credential_.meta.annotation(api::kReconcileRequestedAtAnnotation);
        !requested.empty()) {
      next.last_handled_reconcile_at = requested;
    }
    look_again_at(time_left_of(next.previous));
    Plan result;
    result.look_again = look_again_;
    result.status = std::move(next);
    result.events = std::move(events_);
    result.retry = retry;
    return result;
  }

  // What status says of a login stands as long as it is about the same source and spec.
  [[nodiscard]] std::optional<api::Condition> verified_to_say() const {
    if (credential_.spec.verify_mode == api::VerifyMode::kDisabled) {
      return std::nullopt;
    }
    if (verified_) {
      api::Condition condition = *verified_;
      condition.observed_generation = credential_.meta.generation;
      return condition;
    }
    const api::Condition* before = find_condition(status_.conditions, "Verified");
    const bool same =
        spec_is_observed(credential_) && (!source_version_ || source_version_ == status_.source);
    return before != nullptr && same ? std::optional(*before) : std::nullopt;
  }

  void note(EventReason reason, std::string action, std::string text) {
    const api::EventReasonInfo& info = info_of(reason);
    events_.push_back({info.type, std::string(info.name), std::move(action), std::move(text)});
  }
  void warn(const Problem& problem) {
    events_.push_back({EventType::kWarning, std::string(to_string(problem.reason)), "Sync", problem.message});
  }

  const Observation& o_;
  const SesSmtpCredential& credential_;
  const Status& status_;
  std::optional<SecretVersion> source_version_;
  std::optional<api::Condition> verified_;  // found out in this look
  std::optional<std::chrono::milliseconds> look_again_;
  std::vector<Event> events_;
};

}  // namespace

Plan plan(const Observation& o) {
  return Planner(o).run();
}

}  // namespace sessmtp::operator_
