// Is the CRD in the cluster as new as this program? An API server silently drops fields that the CRD does not
// know: an option would do nothing, a status would never be as it was written. Pure; thread-safe.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sessmtp::api {

// Where the API server shows the schema to every authenticated user; 404 while there is no CRD.
inline constexpr std::string_view kSchemaPath = "/openapi/v3/apis/ses-smtp.dev/v1alpha1";

// Every field that is read from the spec or written to the status: "status.conditions[].reason".
[[nodiscard]] std::span<const std::string_view> needed_fields();

// Those of them that the document from kSchemaPath does not know. kNotFound when it does not speak of
// SesSmtpCredential at all.
[[nodiscard]] Result<std::vector<std::string>> missing_fields(const nlohmann::json& document);

}  // namespace sessmtp::api
