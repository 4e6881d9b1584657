// Restarts of workloads that read the target at their start alone: what plan() asks for, what may be done,
// and what came of it. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <variant>

#include "api/ses_smtp_credential.h"
#include "base/clock.h"

namespace sessmtp::operator_ {

// Several changes of the target within this time are one restart.
inline constexpr std::chrono::seconds kRestartDebounce{5};
// Of one workload, whichever credentials ask for it.
inline constexpr std::chrono::seconds kRestartInterval{60};

// The clocks of the operator and of the API server may differ by that much, and a write takes its time: a
// workload that is younger than the data by less may have started with the data before.
inline constexpr std::chrono::seconds kSurelyYounger{60};

struct RestartRequest {
  api::Workload workload;
  std::string secret;     // the target's name
  std::string digest;     // of the data that the target now holds
  WallTime requested_at;  // when it was found to have changed last
};

enum class RestartResult : std::uint8_t {
  kRestarted,  // its pod template has our annotations, from now or from an earlier try
  kUpToDate,   // the workload is younger than the data, or on its way out
  kTooSoon,    // restarted by us less than kRestartInterval ago
  kTryAgain,   // the API server did not do its part, or somebody else kept changing the workload
  kFailed,     // a person has to act
};

struct RestartAnswer {
  RestartResult result = RestartResult::kFailed;
  WallTime restarted_at{};            // kRestarted: when
  std::chrono::milliseconds wait{0};  // kTooSoon, kTryAgain: no sooner than that
  std::string reason = {};            // kTryAgain, kFailed: as in status.rollouts[].reason
  std::string message = {};           // those: why, and what to do; kRestarted: what still has to happen
};

// Names in status.rollouts[].reason, besides kRestartPending.
inline constexpr const char* kWorkloadNotFound = "WorkloadNotFound";
inline constexpr const char* kTargetNotReferenced = "TargetNotReferenced";
inline constexpr const char* kRestartForbidden = "Forbidden";
inline constexpr const char* kRestartDenied = "AdmissionDenied";
inline constexpr const char* kRestartApiError = "ApiError";

// Of the pod template.
inline constexpr const char* kSecretDigestAnnotation = "ses-smtp.dev/secret-digest";
inline constexpr const char* kRestartedAtAnnotation = "ses-smtp.dev/restarted-at";

// What to do with a workload as a live GET shows it: a merge patch, with its uid and resourceVersion, so that
// two who look at once do not restart it twice; or nothing, now or at all. A template that does not refer to
// the target is never touched: naming a workload here lends nobody a right to restart it.
[[nodiscard]] std::variant<nlohmann::json, RestartAnswer> judge_workload(const nlohmann::json& object,
                                                                         const RestartRequest& request,
                                                                         WallTime now);

// What came of that patch, by the workload that the API server answered with.
[[nodiscard]] RestartAnswer restarted(const nlohmann::json& object, WallTime now);

// `Deployment "web"`
[[nodiscard]] std::string in_words(const api::Workload& workload);

// "/apis/apps/v1/namespaces/shop/deployments/web"
[[nodiscard]] std::string workload_path(std::string_view namespace_, const api::Workload& workload);

}  // namespace sessmtp::operator_
