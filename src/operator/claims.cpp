#include "operator/claims.h"

#include <algorithm>
#include <tuple>

namespace sessmtp::operator_ {

bool has_consent(const api::SesSmtpCredential& credential, const SecretRecord& target) {
  const bool foreign_controller =
      !target.controller_uid.empty() && target.controller_uid != credential.meta.uid;
  return credential.spec.target.conflict_policy != api::ConflictPolicy::kFail && !foreign_controller &&
         target.allows_takeover_by == credential.meta.name;
}

const api::SesSmtpCredential& winner(const std::vector<api::SesSmtpCredential>& claimants,
                                     const Sight& target) {
  const bool known = target.presence == Presence::kKnown;
  const auto rank = [&](const api::SesSmtpCredential& claimant) {
    const bool is_owner = known && claimant.meta.uid == target.record.owner();
    const bool consented = known && has_consent(claimant, target.record);
    const bool in_status = known && claimant.status.target &&
                           claimant.status.target->uid == target.record.version.uid &&
                           (consented || !claimant.status.target_merged);
    return std::tuple(!is_owner, !in_status, !consented, claimant.meta.creation_timestamp, claimant.meta.uid);
  };
  return *std::ranges::min_element(claimants, {}, rank);
}

}  // namespace sessmtp::operator_
