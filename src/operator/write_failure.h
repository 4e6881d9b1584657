// What a refused write to the target means. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "api/reason.h"
#include "kube/api_error.h"

namespace sessmtp::operator_ {

enum class WriteFailure : std::uint8_t {
  kLookAgain,      // the target is not what we thought: read it
  kNamespaceGoes,  // the namespace is being deleted: nothing to do
  kTryAgain,       // the API server did not do its part
  kReport,         // `reason` says why
};

struct WriteVerdict {
  WriteFailure failure = WriteFailure::kReport;
  api::Reason reason = api::Reason::kApiError;
};

[[nodiscard]] WriteVerdict judge_write_failure(const kube::ApiError& error);

// Code, reason and field names of the refusal. Never the server's message: an admission policy's can
// quote the object, and the object is a Secret.
[[nodiscard]] std::string describe_write_failure(api::Reason reason, const std::string& target_name,
                                                 const kube::ApiError& error);

}  // namespace sessmtp::operator_
