// What the CRD's rules refuse, refused once more: an object may be older than a rule, or its cluster's CRD
// may be. Pure; thread-safe.
#pragma once

#include <optional>

#include "api/problem.h"
#include "api/ses_smtp_credential.h"

namespace sessmtp::api {

// The first thing in the spec that cannot be done, whatever the cluster holds. Says nothing about
// target.data's references (TemplateInvalid) and about the region's name, which the source may give.
[[nodiscard]] std::optional<Problem> check_spec(const Spec& spec);

}  // namespace sessmtp::api
