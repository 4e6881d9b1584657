#include "operator/rotation.h"

#include <algorithm>
#include <chrono>

#include "api/names.h"
#include "operator/needs.h"

namespace sessmtp::operator_ {

Standing stand(const Observation& o, const CurrentKey& current, Ownership ownership, bool renders_the_same) {
  const api::Status& status = o.credential.status;
  const kube::Secret* live = live_secret(o.live_target);
  const WallTime now = std::chrono::floor<std::chrono::seconds>(o.now);
  if (live == nullptr) {
    const bool creating = ownership == Ownership::kNone;
    const bool same_key = creating && current.masked_id == status.access_key_id && status.key_since;
    return {.creating = creating,
            .rotated = status.target.has_value() && !same_key,
            .held = false,
            .key_since = same_key ? *status.key_since : now};
  }
  // A pair that differs is a rotation only if it is not the one that status speaks of; otherwise somebody
  // edited the target. Where the ids do not tell, the target does, as long as nobody has touched it.
  const bool held = renders_the_same || api::holds_pair_of(*live, current.key, {status.region});
  const bool source_is_settled = was_ready(status) && status.source == current.source;
  const bool another_id = current.masked_id != status.access_key_id;
  const bool untouched = status.target && status.target->uid == live->meta.uid &&
                         status.target->resource_version == live->meta.resource_version;
  // Without a pair to be recognised, the rendering tells, but not when the spec is another one.
  const bool comparable = spec_is_observed(o.credential) || api::pair_of(*live).has_value();
  const bool changed =
      status.target ? another_id || (!source_is_settled && !held && untouched && comparable) : !held;
  const auto annotated = parse_rfc3339(live->meta.annotation(api::kKeySinceAnnotation));
  // Also when status has forgotten a merge whose consent was away for a while.
  const bool ours = ownership == Ownership::kOurs || (ownership == Ownership::kShared && annotated);
  return {.creating = false,
          .rotated = changed && ours,
          .held = held,
          .key_since = changed && !held ? now
                       : annotated      ? *annotated
                                        : status.key_since.value_or(now)};
}

std::optional<api::PreviousPair> previous_pair(const Observation& o, const Standing& standing,
                                               const std::string& region) {
  const api::SesSmtpCredential& credential = o.credential;
  const kube::Secret* live = live_secret(o.live_target);
  if (!credential.spec.keep_previous_for || live == nullptr) {
    return std::nullopt;
  }
  const std::string_view annotated = live->meta.annotation(api::kRegionAnnotation);
  if ((annotated.empty() ? credential.status.region : annotated) != region) {
    return std::nullopt;
  }
  const WallTime latest =
      std::chrono::floor<std::chrono::seconds>(o.now + *credential.spec.keep_previous_for);
  const bool replaced = standing.rotated && !standing.held;
  auto pair = replaced ? api::pair_of(*live, latest) : api::previous_pair_of(*live);
  if (!pair) {
    return std::nullopt;
  }
  // Where the server does not tell what we applied, status has to: not what somebody wrote there by hand.
  const bool by_hand = live->applied.data.empty() &&
                       ses::mask_access_key_id(pair->username.expose()) != credential.status.access_key_id;
  if (replaced ? by_hand : pair->expires_at <= o.now) {
    return std::nullopt;
  }
  pair->expires_at = std::min(pair->expires_at, latest);
  const std::vector<std::string>& regions = credential.spec.additional_regions;
  std::erase_if(pair->regional_passwords,
                [&regions](const auto& entry) { return std::ranges::count(regions, entry.first) == 0; });
  return pair;
}

}  // namespace sessmtp::operator_
