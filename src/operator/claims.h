// Which of several credentials that name one target may write it. Pure.
//
// Server-side apply cannot decide this: to the API server all our writes are by one field manager.
#pragma once

#include <vector>

#include "operator/observation.h"

namespace sessmtp::operator_ {

// The Secret allows this credential to take it over or to merge into it, and the credential wants to.
[[nodiscard]] bool has_consent(const api::SesSmtpCredential& credential, const SecretRecord& target);

// The one whose uid the live target bears, by label or owner reference, else the one whose status names the
// live target (with consent, if it merges), else the one that the target itself consents to, else the oldest,
// else the one with the smaller uid. `claimants` is not empty.
[[nodiscard]] const api::SesSmtpCredential& winner(const std::vector<api::SesSmtpCredential>& claimants,
                                                   const Sight& target);

}  // namespace sessmtp::operator_
