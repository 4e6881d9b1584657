#include "operator/needs.h"

#include "api/names.h"
#include "api/reason.h"
#include "base/text.h"
#include "operator/ownership.h"

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

// Nothing has changed since status was written, so nothing needs to be read.
bool settled(const Observation& o) {
  const Status& status = o.credential.status;
  const api::Condition* ready = find_condition(status.conditions, "Ready");
  if (ready == nullptr || !spec_is_observed(o.credential)) {
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
    return target_is_as_written(o);
  }
  return rendered_so && reason && depends_on_source_only(*reason);
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

bool target_is_as_written(const Observation& o) {
  return o.target.presence == Presence::kKnown && o.credential.status.target == o.target.record.version &&
         o.credential.status.render_version == api::kRenderVersion;
}

std::optional<Problem> judge_from_metadata(const Observation& o) {
  const api::Spec& spec = o.credential.spec;
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
  const auto record = target_record(o);
  const bool unwatched = !record && o.target.presence == Presence::kUnwatched;
  if (unwatched || ownership_of(o, record) == Ownership::kForeign) {
    if (const Claimant* owner = record ? living_owner(o, *record) : nullptr) {
      return lost_to(owner->name, spec.target.name);
    }
    return Problem{Reason::kTargetConflict, "Secret " + in_quotes(spec.target.name) +
                                                " exists and is not managed by this SesSmtpCredential; it is "
                                                "left alone: delete it, or choose another spec.target.name"};
  }
  if (record && record->terminating) {
    return Problem{Reason::kTargetTerminating, "Secret " + in_quotes(spec.target.name) +
                                                   " is being deleted; it is made anew when it is gone"};
  }
  return std::nullopt;
}

Needs needs(const Observation& o) {
  if (o.credential.meta.terminating || judge_from_metadata(o) || settled(o)) {
    return Needs::kNothing;
  }
  if (o.target.presence == Presence::kUnknown && o.credential.status.target) {
    return Needs::kSourceAndTarget;  // it is there, as far as status knows
  }
  if (o.target.presence != Presence::kKnown) {
    return Needs::kSource;
  }
  const bool only_source_is_new =
      was_ready(o.credential.status) && spec_is_observed(o.credential) && target_is_as_written(o);
  return only_source_is_new ? Needs::kSource : Needs::kSourceAndTarget;
}

}  // namespace sessmtp::operator_
