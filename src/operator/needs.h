// What metadata, claims and status decide before any value is read. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "api/source.h"
#include "operator/observation.h"

namespace sessmtp::operator_ {

enum class Needs : std::uint8_t {
  kNothing,          // metadata, claims and status decide alone; an unchanged world ends here
  kSource,           // no target is known to exist, or only the source's version is new
  kSourceAndTarget,  // everything else
};

// Which Secrets must be read before plan() can say anything.
[[nodiscard]] Needs needs(const Observation& observation);

// What is wrong as far as metadata and claims tell.
[[nodiscard]] std::optional<api::Problem> judge_from_metadata(const Observation& observation);

// The parts of that judgement that a live read may bring to light, too.
[[nodiscard]] api::Problem source_not_found(const std::string& name);
[[nodiscard]] api::Problem source_is_unwatched(const std::string& name, const std::string& type);
[[nodiscard]] api::Problem source_is_target(const std::string& name);

[[nodiscard]] bool was_ready(const api::Status& status);
// Status speaks of the spec as it is now.
[[nodiscard]] bool spec_is_observed(const api::SesSmtpCredential& credential);
// Its annotation asks for a look that it has not had yet.
[[nodiscard]] bool is_look_requested(const api::SesSmtpCredential& credential);
// Nobody has touched the target since we wrote it, and we would write it the same way.
[[nodiscard]] bool target_is_as_written(const Observation& observation);

}  // namespace sessmtp::operator_
