// What a login says of a credential: the condition Verified, and whether its target may be written. Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "api/condition.h"
#include "api/problem.h"
#include "operator/login.h"
#include "operator/observation.h"

namespace sessmtp::operator_ {

// A login that the server refuses for so long is for a person to look at.
inline constexpr std::chrono::minutes kVerificationLimit{10};

// The pair of one version of the source, and where it is for.
struct LoginSubject {
  const api::SecretVersion& source;
  const ses::Endpoint& endpoint;
  const std::string& masked_id;
  bool is_of_target = false;  // the target as status speaks of it, untouched and ready, holds this very pair
  bool target_is_current = false;  // the live target's data is what would be written
};

// Status tells that the server has accepted this very pair; nobody needs to ask.
[[nodiscard]] bool is_proved(const Observation& observation, const LoginSubject& subject);

// Since when status tells that the server refuses this very pair.
[[nodiscard]] std::optional<WallTime> failing_since(const Observation& observation,
                                                    const LoginSubject& subject);

// Without observedGeneration and times. While a login is under way, what status says of this very pair
// stands; that it was accepted stands as well when the server cannot be asked again.
[[nodiscard]] api::Condition verified_condition(const Observation& observation, const LoginSubject& subject,
                                                const Login& login);

// With VerifyMode::kEnforce: why the target is not written; empty when the server has accepted the pair.
[[nodiscard]] std::optional<api::Problem> hold_back(const Observation& observation,
                                                    const LoginSubject& subject,
                                                    const api::Condition& verified);

// When that would say something else without another login.
[[nodiscard]] std::optional<std::chrono::milliseconds> verdict_due(const Observation& observation,
                                                                   const api::Condition& verified);

}  // namespace sessmtp::operator_
