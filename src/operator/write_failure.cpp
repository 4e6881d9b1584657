#include "operator/write_failure.h"

#include <algorithm>

namespace sessmtp::operator_ {
namespace {

using api::Reason;
using kube::ApiErrorKind;

bool contains(const std::vector<std::string>& list, std::string_view value) {
  return std::ranges::find(list, value) != list.end();
}

bool says(const kube::ApiError& error, std::string_view words) {
  return error.message.contains(words);
}

WriteVerdict report(Reason reason) {
  return {WriteFailure::kReport, reason};
}

WriteVerdict judge_forbidden(const kube::ApiError& error) {
  if (contains(error.causes, "NamespaceTerminating")) {
    return {WriteFailure::kNamespaceGoes, {}};
  }
  if (says(error, "exceeded quota")) {
    return report(Reason::kQuotaExceeded);
  }
  const bool rbac = says(error, "cannot patch resource") || says(error, "cannot create resource");
  return report(rbac ? Reason::kForbidden : Reason::kAdmissionDenied);
}

WriteVerdict judge_invalid(const kube::ApiError& error) {
  if (error.http_status == 413 || contains(error.causes, "FieldValueTooLong")) {
    return report(Reason::kTargetTooLarge);
  }
  // The name belongs to another object by now.
  if (contains(error.fields, "metadata.uid")) {
    return {WriteFailure::kLookAgain, {}};
  }
  if (contains(error.fields, "metadata.ownerReferences")) {
    return report(Reason::kTargetConflict);
  }
  if (contains(error.fields, "type")) {
    return report(Reason::kTargetTypeImmutable);
  }
  if (contains(error.fields, "data") || contains(error.fields, "immutable")) {
    return report(Reason::kTargetImmutable);
  }
  // Validation names a field; policies and webhooks do not.
  return report(error.fields.empty() ? Reason::kAdmissionDenied : Reason::kApiError);
}

// A webhook may put any text where a field's path should be; what stands in brackets is not shown.
std::string field_of_a_secret(std::string_view path) {
  path = path.substr(0, path.find('['));
  const bool known = path == "data" || path == "stringData" || path == "type" || path == "immutable" ||
                     path == "metadata.uid" || path == "metadata.name" || path == "metadata.namespace" ||
                     path == "metadata.ownerReferences" || path == "metadata.labels" ||
                     path == "metadata.annotations" || path == "metadata.resourceVersion";
  return known ? std::string(path) : std::string();
}

}  // namespace

WriteVerdict judge_write_failure(const kube::ApiError& error) {
  switch (error.kind) {
    case ApiErrorKind::kConflict:
      return {WriteFailure::kLookAgain, {}};
    case ApiErrorKind::kNotFound:
      return {WriteFailure::kNamespaceGoes, {}};
    case ApiErrorKind::kForbidden:
      return judge_forbidden(error);
    case ApiErrorKind::kInvalid:
    case ApiErrorKind::kGone:
      return judge_invalid(error);
    default:
      return {WriteFailure::kTryAgain, {}};
  }
}

std::string describe_write_failure(Reason reason, const std::string& target_name,
                                   const kube::ApiError& error) {
  std::string text = "writing Secret \"" + target_name + "\": " + error.summary();
  for (const std::string& field : error.fields) {
    if (const std::string name = field_of_a_secret(field); !name.empty()) {
      text += ", " + name;
    }
  }
  switch (reason) {
    case Reason::kForbidden:
      return text + "; the operator lacks the right to create or patch Secrets here";
    case Reason::kQuotaExceeded:
      return text + "; a ResourceQuota of the namespace is used up";
    case Reason::kAdmissionDenied:
      return text +
             "; an admission policy or webhook refused it (its message is not shown here, because it "
             "may quote the Secret)";
    case Reason::kTargetConflict:
      return text + "; another controller owns this Secret";
    case Reason::kTargetTypeImmutable:
      return text +
             "; the Secret has another type, which cannot be changed: delete it, or choose another "
             "spec.target.name";
    case Reason::kTargetImmutable:
      return text + "; the Secret is marked immutable: delete it, and it is made anew";
    case Reason::kTargetTooLarge:
      return text + "; a Secret holds at most 1 MiB";
    default:
      return text + "; the API server's own log says more";
  }
}

}  // namespace sessmtp::operator_
