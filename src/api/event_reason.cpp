#include "api/event_reason.h"

#include <array>
#include <cstddef>

namespace sessmtp::api {
namespace {

using enum kube::EventType;

// tools/reference-docs reads this table.
constexpr std::array<EventReasonInfo, 16> kEventReasons = {{
    {EventReason::kSynced, "Synced", kNormal, "the target holds the login, for the first time or again"},
    {EventReason::kRotated, "Rotated", kNormal,
     "the source has another key pair, and the target holds its login now"},
    {EventReason::kTargetRepaired, "TargetRepaired", kNormal,
     "somebody had changed or deleted the target; the message names what was restored"},
    {EventReason::kAdopted, "Adopted", kNormal,
     "a Secret that was there was taken over: with its consent, or because an earlier object of this name "
     "had made it"},
    {EventReason::kPreviousExpired, "PreviousExpired", kNormal,
     "the login before the last rotation was removed from the target, as spec.keepPreviousFor is over"},
    {EventReason::kRestartTriggered, "RestartTriggered", kNormal,
     "the target's data changed, and a workload of spec.rolloutRestartTargets was restarted to take it up"},
    {EventReason::kSuspended, "Suspended", kNormal,
     "spec.suspend was set; nothing is read or written any more"},
    {EventReason::kResumed, "Resumed", kNormal, "spec.suspend is not set any more"},
    {EventReason::kWhitespaceTrimmed, "WhitespaceTrimmed", kWarning,
     "a value of the source has white space around it, which was left out"},
    {EventReason::kUnusualKeyLength, "UnusualKeyLength", kWarning,
     "the secret access key does not have the usual 40 characters; it is used all the same"},
    {EventReason::kRegionUnknown, "RegionUnknown", kWarning,
     "SES is not known to offer SMTP in this region; the password is derived all the same"},
    {EventReason::kRegionDiffers, "RegionDiffers", kWarning,
     "the source names another region than the spec; that of the spec is used"},
    {EventReason::kAdditionalRegionUnused, "AdditionalRegionUnused", kWarning,
     "the format has no keys for additional regions, and no template names this one"},
    {EventReason::kPortThrottled, "PortThrottled", kWarning,
     "port 25 was chosen, which AWS throttles on EC2; 587 is not"},
    {EventReason::kVerifyFailed, "VerifyFailed", kWarning,
     "the SMTP server did not accept the login, or is not one that it may be sent to; tried again"},
    {EventReason::kRestartFailed, "RestartFailed", kWarning,
     "a workload of spec.rolloutRestartTargets could not be restarted; the message says why; tried again"},
}};

static_assert(
    [] {
      for (std::size_t i = 0; i < kEventReasons.size(); ++i) {
        if (kEventReasons[i].reason != static_cast<EventReason>(i)) {
          return false;
        }
      }
      return kEventReasons.back().reason == EventReason::kRestartFailed;
    }(),
    "each has its place");

}  // namespace

std::span<const EventReasonInfo> event_reasons() {
  return kEventReasons;
}

const EventReasonInfo& info_of(EventReason reason) {
  return kEventReasons[static_cast<std::size_t>(reason)];
}

}  // namespace sessmtp::api
