#include "kube/api_error.h"

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace sessmtp::kube {
namespace {

using nlohmann::json;

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

std::string text_or_empty(const json& object, const char* key) {
  const auto found = object.is_object() ? object.find(key) : object.end();
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
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
  if (!status || text_or_empty(*status, "kind") != "Status") {
    error.message = "HTTP " + std::to_string(response.status) + " without a Kubernetes Status";
    return error;
  }
  error.reason = text_or_empty(*status, "reason");
  error.message = text_or_empty(*status, "message");
  const auto details = status->find("details");
  if (details == status->end() || !details->is_object()) {
    return error;
  }
  if (const auto causes = details->find("causes"); causes != details->end() && causes->is_array()) {
    for (const json& cause : *causes) {
      if (std::string field = text_or_empty(cause, "field"); !field.empty()) {
        error.fields.push_back(std::move(field));
      }
      if (std::string reason = text_or_empty(cause, "reason"); !reason.empty()) {
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
