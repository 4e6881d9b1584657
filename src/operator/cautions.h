// What a person should know of a credential that is in order all the same. Pure.
#pragma once

#include <string>
#include <vector>

#include "api/ses_smtp_credential.h"
#include "api/source.h"
#include "ses/endpoint.h"

namespace sessmtp::operator_ {

// Each is a Warning event when a spec or a source is first looked at; no value of a Secret is in it but a
// region.
[[nodiscard]] std::vector<api::Caution> cautions(const api::Spec& spec, const api::Source& source,
                                                 const std::string& region, const ses::Endpoint& endpoint);

}  // namespace sessmtp::operator_
