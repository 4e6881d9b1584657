#include "operator/needs.h"

#include <algorithm>

#include "api/names.h"
#include "api/reason.h"
#include "api/spec_check.h"
#include "base/text.h"
#include "operator/ownership.h"
#include "operator/rollout.h"

namespace sessmtp::operator_ {
namespace {

using api::Problem;
using api::Reason;
using api::SesSmtpCredential;
using api::Status;

Problem lost_to(const std::string& rival, const std::string& target) {
  return {Reason::kTargetConflict, "Secret " + in_quotes(target) + " is the target of SesSmtpCredential " +
                                       in_quotes(rival) + "; choose another spec.target.name"};
}

std::string kubectl_annotate(const SesSmtpCredential& credential, const SecretRecord& target) {
  const bool consents_to_another = !target.allows_takeover_by.empty();
  return "kubectl annotate secret -n " + credential.meta.namespace_ + ' ' + credential.spec.target.name +
         ' ' + std::string(api::kAllowTakeoverByAnnotation) + '=' + credential.meta.name +
         (consents_to_another ? " --overwrite" : "");
}

// Somebody else's Secret has the target's name. `record` is empty when it is of a type that is not watched.
Problem conflict(const Observation& o, const std::optional<SecretRecord>& record) {
  const SesSmtpCredential& credential = o.credential;
  const std::string secret = "Secret " + in_quotes(credential.spec.target.name);
  const bool controlled =
      record && !record->controller_uid.empty() && record->controller_uid != credential.meta.uid;
  std::string message = secret + " exists and is not managed by this SesSmtpCredential; it is left alone: ";
  if (record && record->owner() == credential.meta.uid) {
    message = secret +
              " was made by this SesSmtpCredential, not by others to be merged into; to go on with it: " +
              kubectl_annotate(credential, *record);
  } else if (credential.spec.target.conflict_policy == api::ConflictPolicy::kFail) {
    message += "delete it, choose another spec.target.name, or see spec.target.conflictPolicy";
  } else if (!record) {
    message += "its type is not one of a Secret for mail; choose another spec.target.name";
  } else if (controlled) {
    message += "it belongs to " + record->controller +
               ", which would fight over it; choose another spec.target.name";
  } else if (record->merged_into && credential.spec.target.conflict_policy == api::ConflictPolicy::kMerge) {
    message = secret +
              " does not consent any more; the login that was merged into it stays there and does not "
              "follow the key: remove it, or consent again: " +
              kubectl_annotate(credential, *record);
  } else {
    message += "whoever owns it has to consent: " + kubectl_annotate(credential, *record);
  }
  return {Reason::kTargetConflict, message};
}

bool login_due(const Observation& o) {
  const api::Condition* verified = find_condition(o.credential.status.conditions, "Verified");
  return o.credential.spec.verify_mode != api::VerifyMode::kDisabled &&
         (o.login_news || verified == nullptr || verified->status != "True");
}

// Nothing has changed since status was written, so nothing needs to be read.
bool settled(const Observation& o) {
  const Status& status = o.credential.status;
  const api::Condition* ready = find_condition(status.conditions, "Ready");
  if (ready == nullptr || !spec_is_observed(o.credential) || is_look_requested(o.credential)) {
    return false;
  }
  const bool rendered_so = status.render_version == api::kRenderVersion;
  const auto reason = api::reason_from_string(ready->reason);
  if (o.source.presence == Presence::kAbsent) {
    return rendered_so && reason == Reason::kSourceNotFound;
  }
  if (o.source.presence != Presence::kKnown || status.source != o.source.record.version) {
    return false;
  }
  if (ready->status == "True") {
    const bool restart_is_due = restart_due_in(status, o.now) == std::chrono::milliseconds(0);
    const bool previous_is_over = status.previous && status.previous->expires_at <= o.now;
    return target_is_as_written(o) && !previous_is_over && !login_due(o) && !restart_is_due;
  }
  return rendered_so && reason && depends_on_source_only(*reason);
}

// What is wrong with the Secret that has the target's name.
std::optional<Problem> judge_target(const Observation& o) {
  const api::Spec& spec = o.credential.spec;
  const std::string secret = "Secret " + in_quotes(spec.target.name);
  const bool merges = spec.target.conflict_policy == api::ConflictPolicy::kMerge;
  const kube::Secret* live = live_secret(o.live_target);
  const bool unwatched =
      live != nullptr ? !api::is_watched_type(live->type) : o.target.presence == Presence::kUnwatched;
  const auto record = unwatched ? std::nullopt : target_record(o);
  const Ownership ownership = ownership_of(o, record);
  if (unwatched || ownership == Ownership::kForeign) {
    const Claimant* owner = record ? living_owner(o, *record) : nullptr;
    return owner != nullptr && owner->uid != o.credential.meta.uid ? lost_to(owner->name, spec.target.name)
                                                                   : conflict(o, record);
  }
  if (record && record->terminating) {
    return Problem{Reason::kTargetTerminating,
                   secret + " is being deleted; " +
                       (merges ? "it is written to again when its owner has made it anew"
                               : "it is made anew when it is gone")};
  }
  const bool absent =
      o.target.presence == Presence::kAbsent || std::holds_alternative<Missing>(o.live_target);
  if (merges && !record && absent) {
    return Problem{Reason::kTargetNotFound,
                   secret +
                       " not found, or of a type that the operator does not look at (those of Helm and of "
                       "service accounts); with spec.target.conflictPolicy Merge it has to be there already, "
                       "so this waits for it to appear"};
  }
  if (!record && absent && !o.claims.reader.empty() && !o.credential.status.target) {
    return Problem{Reason::kTargetConflict, secret + " is where SesSmtpCredential " +
                                                in_quotes(o.claims.reader) +
                                                " expects its IAM key; choose another spec.target.name"};
  }
  return std::nullopt;
}

}  // namespace

Problem source_not_found(const std::string& name) {
  return {Reason::kSourceNotFound, "Secret " + in_quotes(name) + " not found; waiting for it to appear"};
}

Problem source_is_unwatched(const std::string& name, const std::string& type) {
  return {Reason::kSourceNotFound, "Secret " + in_quotes(name) + " is of type " + in_quotes(type) +
                                       ", which the operator does not look at; put the IAM key into a "
                                       "Secret of its own"};
}

Problem source_is_target(const std::string& name) {
  return {Reason::kSourceIsTarget, "Secret " + in_quotes(name) +
                                       " is itself written by ses-smtp-operator; name the Secret that holds "
                                       "the IAM key"};
}

bool was_ready(const Status& status) {
  const api::Condition* ready = find_condition(status.conditions, "Ready");
  return ready != nullptr && ready->status == "True";
}

bool spec_is_observed(const SesSmtpCredential& credential) {
  return credential.status.observed_generation == credential.meta.generation;
}

bool is_look_requested(const SesSmtpCredential& credential) {
  const std::string_view requested = credential.meta.annotation(api::kReconcileRequestedAtAnnotation);
  return !requested.empty() && requested != credential.status.last_handled_reconcile_at;
}

bool target_is_as_written(const Observation& o) {
  return o.target.presence == Presence::kKnown && o.credential.status.target == o.target.record.version &&
         o.credential.status.render_version == api::kRenderVersion;
}

std::optional<Problem> judge_from_metadata(const Observation& o) {
  const api::Spec& spec = o.credential.spec;
  if (auto problem = check_spec(spec)) {
    return problem;
  }
  if (!o.claims.rival.empty()) {
    return lost_to(o.claims.rival, spec.target.name);
  }
  if (o.source.presence == Presence::kForbidden) {
    return Problem{
        Reason::kForbidden,
        "the operator may not list Secrets in namespace " + in_quotes(o.credential.meta.namespace_) +
            "; grant it the rights of deploy/base/rbac.yaml there (Helm: rbac.create, watchNamespaces)"};
  }
  if (o.source.presence == Presence::kUnwatched) {
    return source_is_unwatched(spec.source.secret_name, o.source.type);
  }
  if (o.source.presence == Presence::kKnown && !o.source.record.owner_uid.empty()) {
    return source_is_target(spec.source.secret_name);
  }
  if (!o.claims.merger.empty()) {
    return Problem{Reason::kSourceIsTarget, "SesSmtpCredential " + in_quotes(o.claims.merger) +
                                                " writes its SMTP credential into Secret " +
                                                in_quotes(spec.source.secret_name) +
                                                "; name a Secret that holds the IAM key alone"};
  }
  return judge_target(o);
}

Needs needs(const Observation& o) {
  const SesSmtpCredential& credential = o.credential;
  if (credential.meta.terminating || credential.spec.suspend || judge_from_metadata(o) || settled(o)) {
    return Needs::kNothing;
  }
  // It is there, as far as status knows; or whether it is there decides what may be done.
  const bool merges = credential.spec.target.conflict_policy == api::ConflictPolicy::kMerge;
  const bool is_asked_for = credential.status.target || merges || !o.claims.reader.empty();
  if (o.target.presence == Presence::kUnknown && is_asked_for) {
    return Needs::kSourceAndTarget;
  }
  if (o.target.presence != Presence::kKnown) {
    return Needs::kSource;
  }
  // With keepPreviousFor the old pair is what the target holds.
  const bool only_source_is_new = was_ready(credential.status) && spec_is_observed(credential) &&
                                  target_is_as_written(o) && !is_look_requested(credential) &&
                                  !credential.spec.keep_previous_for;
  return only_source_is_new ? Needs::kSource : Needs::kSourceAndTarget;
}

}  // namespace sessmtp::operator_
