// Why a credential is in the state it is in: the reasons of the Ready condition.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace sessmtp::api {

enum class Reason : std::uint8_t {
  kSynced,
  // Wait for a person (Stalled). Those about the source's content come first.
  kSourceKeysNotFound,
  kSourceKeysAmbiguous,
  kSourceValueEmpty,
  kTemporaryCredentials,
  kAlreadyDerivedPassword,
  kSourceKeysSwapped,
  kNotAnAccessKeyId,
  kSourceValueMalformed,
  kSourceValueDoubleEncoded,
  kRegionMissing,
  kRegionInvalid,
  kEndpointUnknown,
  kTemplateInvalid,
  kInvalidSpec,
  kSourceIsTarget,
  kTargetConflict,
  kTargetImmutable,
  kTargetTypeImmutable,
  kTargetTooLarge,
  kEndpointNotAllowed,
  kVerificationFailed,
  // Heal by themselves (Reconciling).
  kSourceNotFound,
  kTargetNotFound,
  kTargetTerminating,
  kVerifying,
  kForbidden,
  kQuotaExceeded,
  kAdmissionDenied,
  kApiError,
};

// As it stands in conditions and events: "SourceKeysNotFound".
[[nodiscard]] std::string_view to_string(Reason reason);

[[nodiscard]] std::optional<Reason> reason_from_string(std::string_view text);

// Needs a person: the condition Stalled is True.
[[nodiscard]] bool is_stalled(Reason reason);

// Says something about the spec and the source's content alone, so it stands until one of them changes.
[[nodiscard]] bool depends_on_source_only(Reason reason);

}  // namespace sessmtp::api
