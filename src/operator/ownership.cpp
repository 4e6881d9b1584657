#include "operator/ownership.h"

#include <algorithm>

#include "operator/claims.h"

namespace sessmtp::operator_ {

std::optional<SecretRecord> target_record(const Observation& o) {
  if (const kube::Secret* live = live_secret(o.live_target)) {
    return record_of(live->meta);
  }
  if (std::holds_alternative<Missing>(o.live_target) || o.target.presence != Presence::kKnown) {
    return std::nullopt;
  }
  return o.target.record;
}

const Claimant* living_owner(const Observation& o, const SecretRecord& target) {
  const auto found = std::ranges::find(o.claims.claimants, target.owner(), &Claimant::uid);
  return found == o.claims.claimants.end() ? nullptr : &*found;
}

Ownership ownership_of(const Observation& o, const std::optional<SecretRecord>& record) {
  if (!record) {
    return Ownership::kNone;
  }
  const api::SesSmtpCredential& credential = o.credential;
  const bool merges = credential.spec.target.conflict_policy == api::ConflictPolicy::kMerge;
  if (merges) {
    return has_consent(credential, *record) ? Ownership::kShared : Ownership::kForeign;
  }
  const bool ours_by_status = credential.status.target && !credential.status.target_merged &&
                              credential.status.target->uid == record->version.uid;
  if (record->owner() == credential.meta.uid || ours_by_status) {
    return Ownership::kOurs;
  }
  const bool owner_lives = living_owner(o, *record) != nullptr;
  const bool others_control = !record->controller_uid.empty() && record->controller_uid != record->owner_uid;
  if (record->managed && record->credential_name == credential.meta.name && !owner_lives && !others_control) {
    return Ownership::kFormerLife;
  }
  if (has_consent(credential, *record) && !owner_lives) {
    return Ownership::kOffered;
  }
  return Ownership::kForeign;
}

}  // namespace sessmtp::operator_
