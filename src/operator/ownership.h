// Whose the Secret is that has the target's name. Pure.
#pragma once

#include <cstdint>
#include <optional>

#include "operator/observation.h"

namespace sessmtp::operator_ {

enum class Ownership : std::uint8_t {
  kNone,        // there is no such Secret
  kOurs,        // it says so, or status does
  kFormerLife,  // of an earlier object of our name: deleted, or restored from a backup under a new uid
  kOffered,     // of others, who consent to its being taken over (ConflictPolicy::kAdopt)
  kShared,      // of others, who consent to our merging into it (ConflictPolicy::kMerge)
  kForeign,
};

// The freshest thing known about the target: the live object if it was read, else the watch's view.
[[nodiscard]] std::optional<SecretRecord> target_record(const Observation& o);

// The credential that the target says it belongs to, if it exists and names that target.
[[nodiscard]] const Claimant* living_owner(const Observation& o, const SecretRecord& target);

[[nodiscard]] Ownership ownership_of(const Observation& o, const std::optional<SecretRecord>& record);

}  // namespace sessmtp::operator_
