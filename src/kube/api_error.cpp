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
// What stands between us and the server may ask for any number.
constexpr std::chrono::seconds kLongestRetryAfter = std::chrono::minutes(5);

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
std::string name_or_empty(std::string text) {
  const auto in_a_name = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
           std::string_view("._-[]").contains(c);
  };
  return text.size() <= kMaxName && std::ranges::all_of(text, in_a_name) ? std::move(text) : std::string();
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

void read_status(const json& status, ApiError& error) {
  error.reason = known_reason(text_of(status, "reason"));
  error.message = text_of(status, "message");
  const json& details = member_of(status, "details");
  // An error inside of a watch has no header to say it.
  if (const json& wait = member_of(details, "retryAfterSeconds");
      !error.retry_after && wait.is_number_unsigned() && wait > 0U) {
    const auto longest = static_cast<std::uint64_t>(kLongestRetryAfter.count());
    error.retry_after = std::chrono::seconds(std::min(wait.get<std::uint64_t>(), longest));
  }
  for (const json& cause : member_of(details, "causes")) {
    if (std::string field = name_or_empty(text_of(cause, "field"));
        !field.empty() && error.fields.size() < kMaxFields) {
      error.fields.push_back(std::move(field));
    }
    if (std::string reason = text_of(cause, "reason"); !reason.empty()) {
      error.causes.push_back(std::move(reason));
    }
  }
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
  ApiError error;
  error.kind = kind_of(response.status);
  error.http_status = response.status;
  if (response.retry_after) {
    error.retry_after = std::min(*response.retry_after, kLongestRetryAfter);
  }
  // Anything else is from something in between, or for a group the server does not know.
  if (const auto status = parse_json(response.body); status && text_of(*status, "kind") == "Status") {
    read_status(*status, error);
  }
  if (const std::string schema = name_or_empty(response.flow_schema);
      error.kind == ApiErrorKind::kTooManyRequests && !schema.empty()) {
    error.message += (error.message.empty() ? "(flow schema " : " (flow schema ") + schema + ')';
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
