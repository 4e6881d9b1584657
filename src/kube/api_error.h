// Why a call to the API server did not do what it was meant to.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "kube/transport.h"

namespace sessmtp::kube {

enum class ApiErrorKind : std::uint8_t {
  kUnauthorized,     // 401
  kForbidden,        // 403: RBAC, a quota or an admission plugin
  kNotFound,         // 404
  kConflict,         // 409
  kGone,             // 410: the resourceVersion is too old
  kInvalid,          // 422 and other 4xx: the same request will fail again
  kTooManyRequests,  // 429
  kServerError,      // 5xx
  kNoAnswer,         // nothing came back, or not all of it
  kBadAnswer,        // something came back that is not what was asked for
  kCancelled,        // we are stopping
};

struct ApiError {
  ApiErrorKind kind = ApiErrorKind::kBadAnswer;
  int http_status = 0;
  std::string reason;               // Status.reason, such as "Forbidden"
  std::string message;              // the server's words: may quote objects, so not for Secret writes
  std::vector<std::string> fields;  // Status.details.causes[].field
  std::vector<std::string> causes;  // Status.details.causes[].reason
  std::optional<std::chrono::seconds> retry_after;  // as the server asks for, at most five minutes

  // Worth trying again with the same request.
  [[nodiscard]] bool transient() const;
  // Code and reason only, never the server's message: "HTTP 403 Forbidden".
  [[nodiscard]] std::string summary() const;
};

template <class T>
using ApiResult = Result<T, ApiError>;

// From an answer that is not 2xx; the body is a metav1.Status, or anything at all. The message of a 429 names
// the flow schema that was at its limit.
[[nodiscard]] ApiError to_api_error(const Response& response);
[[nodiscard]] ApiError to_api_error(const TransportError& error);

}  // namespace sessmtp::kube
