#include "kube/api_error.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/json.h"

namespace sessmtp::kube {
namespace {

using nlohmann::json;

constexpr std::size_t kMaxName = 128;
constexpr std::size_t kMaxFields = 10;
constexpr std::uint64_t kMaxRetryAfter = 600;

ApiErrorKind kind_of(int status) {
  switch (status) {
    case 401:
      return ApiErrorKind::kUnauthorized;
    case 403:
      return ApiErrorKind::kForbidden;
    case 404:
      return ApiErrorKind::kNotFound;
    case 409:
      return ApiErrorKind::kConflict;
    case 410:
      return ApiErrorKind::kGone;
    case 429:
      return ApiErrorKind::kTooManyRequests;
    default:
      return status >= 500   ? ApiErrorKind::kServerError
             : status >= 400 ? ApiErrorKind::kInvalid
                             : ApiErrorKind::kBadAnswer;
  }
}

// The server's own reasons ("AlreadyExists") and field paths ("data[password]") are names. A webhook's may
// be any text, and ours end up in status.
std::string name_or_empty(const json& object, const char* key) {
  std::string text = text_of(object, key);
  const auto in_a_name = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           std::string_view("._-[]").find(c) != std::string_view::npos;
  };
  return text.size() <= kMaxName && std::ranges::all_of(text, in_a_name) ? text : std::string();
}

// The reasons of metav1; a webhook may send any text.
std::string known_reason(std::string reason) {
  constexpr std::array<std::string_view, 17> kReasons = {"AlreadyExists",   "BadRequest",
                                                         "Conflict",        "Expired",
                                                         "Forbidden",       "Gone",
                                                         "InternalError",   "Invalid",
                                                         "NotAcceptable",   "NotFound",
                                                         "ServerTimeout",   "ServiceUnavailable",
                                                         "Timeout",         "TooManyRequests",
                                                         "Unauthorized",    "RequestEntityTooLarge",
                                                         "MethodNotAllowed"};
  return std::ranges::find(kReasons, reason) != kReasons.end() ? std::move(reason) : std::string();
}

}  // namespace

bool ApiError::transient() const {
  return kind == ApiErrorKind::kTooManyRequests || kind == ApiErrorKind::kServerError ||
         kind == ApiErrorKind::kNoAnswer || kind == ApiErrorKind::kBadAnswer ||
         kind == ApiErrorKind::kUnauthorized;
}

std::string ApiError::summary() const {
  if (http_status == 0) {
    return kind == ApiErrorKind::kCancelled ? "cancelled" : "no answer";
  }
  return "HTTP " + std::to_string(http_status) + (reason.empty() ? "" : " " + reason);
}

ApiError to_api_error(const Response& response) {
  ApiError error{.kind = kind_of(response.status),
                 .http_status = response.status,
                 .reason = {},
                 .message = {},
                 .fields = {},
                 .causes = {},
                 .retry_after = response.retry_after};
  const auto status = parse_json(response.body);
  if (!status || text_of(*status, "kind") != "Status") {
    return error;  // from something in between, or for a group the server does not know
  }
  error.reason = known_reason(text_of(*status, "reason"));
  error.message = text_of(*status, "message");
  const auto details = status->find("details");
  if (details == status->end() || !details->is_object()) {
    return error;
  }
  // An error inside of a watch has no header to say it.
  if (const auto wait = details->find("retryAfterSeconds");
      !error.retry_after && wait != details->end() && wait->is_number_unsigned() && *wait > 0U) {
    error.retry_after =
        std::chrono::seconds(std::min<std::uint64_t>(wait->get<std::uint64_t>(), kMaxRetryAfter));
  }
  if (const auto causes = details->find("causes"); causes != details->end() && causes->is_array()) {
    for (const json& cause : *causes) {
      if (std::string field = name_or_empty(cause, "field");
          !field.empty() && error.fields.size() < kMaxFields) {
        error.fields.push_back(std::move(field));
      }
      if (std::string reason = text_of(cause, "reason"); !reason.empty()) {
        error.causes.push_back(std::move(reason));
      }
    }
  }
  return error;
}

ApiError to_api_error(const TransportError& failure) {
  ApiError error;
  error.kind = failure.kind == TransportFailure::kCancelled  ? ApiErrorKind::kCancelled
               : failure.kind == TransportFailure::kTooLarge ? ApiErrorKind::kBadAnswer
                                                             : ApiErrorKind::kNoAnswer;
  error.message = failure.message;
  return error;
}

}  // namespace sessmtp::kube
