#include "api/reason.h"

namespace sessmtp::api {

std::string_view to_string(Reason reason) {
  switch (reason) {
    case Reason::kSynced:
      return "Synced";
    case Reason::kSourceKeysNotFound:
      return "SourceKeysNotFound";
    case Reason::kSourceKeysAmbiguous:
      return "SourceKeysAmbiguous";
    case Reason::kSourceValueEmpty:
      return "SourceValueEmpty";
    case Reason::kTemporaryCredentials:
      return "TemporaryCredentials";
    case Reason::kAlreadyDerivedPassword:
      return "AlreadyDerivedPassword";
    case Reason::kSourceKeysSwapped:
      return "SourceKeysSwapped";
    case Reason::kNotAnAccessKeyId:
      return "NotAnAccessKeyId";
    case Reason::kSourceValueMalformed:
      return "SourceValueMalformed";
    case Reason::kSourceValueDoubleEncoded:
      return "SourceValueDoubleEncoded";
    case Reason::kRegionMissing:
      return "RegionMissing";
    case Reason::kRegionInvalid:
      return "RegionInvalid";
    case Reason::kEndpointUnknown:
      return "EndpointUnknown";
    case Reason::kTemplateInvalid:
      return "TemplateInvalid";
    case Reason::kInvalidSpec:
      return "InvalidSpec";
    case Reason::kSourceIsTarget:
      return "SourceIsTarget";
    case Reason::kTargetConflict:
      return "TargetConflict";
    case Reason::kTargetImmutable:
      return "TargetImmutable";
    case Reason::kTargetTypeImmutable:
      return "TargetTypeImmutable";
    case Reason::kTargetTooLarge:
      return "TargetTooLarge";
    case Reason::kEndpointNotAllowed:
      return "EndpointNotAllowed";
    case Reason::kVerificationFailed:
      return "VerificationFailed";
    case Reason::kSourceNotFound:
      return "SourceNotFound";
    case Reason::kTargetNotFound:
      return "TargetNotFound";
    case Reason::kTargetTerminating:
      return "TargetTerminating";
    case Reason::kVerifying:
      return "Verifying";
    case Reason::kForbidden:
      return "Forbidden";
    case Reason::kQuotaExceeded:
      return "QuotaExceeded";
    case Reason::kAdmissionDenied:
      return "AdmissionDenied";
    case Reason::kApiError:
      break;
  }
  return "ApiError";
}

std::optional<Reason> reason_from_string(std::string_view text) {
  for (int i = 0; i <= static_cast<int>(Reason::kApiError); ++i) {
    if (to_string(static_cast<Reason>(i)) == text) {
      return static_cast<Reason>(i);
    }
  }
  return std::nullopt;
}

bool is_stalled(Reason reason) {
  return reason != Reason::kSynced && reason < Reason::kSourceNotFound;
}

bool depends_on_source_only(Reason reason) {
  return reason != Reason::kSynced && reason < Reason::kSourceIsTarget;
}

}  // namespace sessmtp::api
