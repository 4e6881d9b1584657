// Every reason that an event about a SesSmtpCredential can have, besides the reasons that wait for a person
// (api/reason.h): each of those is a Warning event, too, when it begins.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "kube/event.h"

namespace sessmtp::api {

enum class EventReason : std::uint8_t {
  kSynced,
  kRotated,
  kTargetRepaired,
  kAdopted,
  kPreviousExpired,
  kRestartTriggered,
  kSuspended,
  kResumed,
  kWhitespaceTrimmed,
  kUnusualKeyLength,
  kRegionUnknown,
  kRegionDiffers,
  kAdditionalRegionUnused,
  kPortThrottled,
  kVerifyFailed,
  kRestartFailed,
};

struct EventReasonInfo {
  EventReason reason;
  std::string_view name;
  kube::EventType type;
  std::string_view meaning;  // for people, in the API reference
};

// All of them, in the order of the enumeration.
[[nodiscard]] std::span<const EventReasonInfo> event_reasons();

[[nodiscard]] const EventReasonInfo& info_of(EventReason reason);

// As it stands in events: "TargetRepaired".
[[nodiscard]] inline std::string_view to_string(EventReason reason) {
  return info_of(reason).name;
}

}  // namespace sessmtp::api
