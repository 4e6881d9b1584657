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

struct RestartRequest {
  api::Workload workload;
  std::string secret;   // the target's name
  std::string digest;   // of the data that the target now holds
  WallTime requested_at;  // when it was written
};

enum class RestartResult : std::uint8_t {
  kRestarted,  // its pod template has our annotations now
  kUpToDate,   // it had them already, or the workload is younger than the data
  kTooSoon,    // restarted by us less than kRestartInterval ago
  kFailed,
};

struct RestartAnswer {
  RestartResult result = RestartResult::kFailed;
  WallTime restarted_at{};                // kRestarted, kUpToDate: when; the epoch: not by us
  std::chrono::milliseconds wait{0};      // kTooSoon: no sooner than that
  std::string reason = {};                // kFailed: as in status.rollouts[].reason, "WorkloadNotFound"
  std::string message = {};               // kFailed: for the event; why, and what to do
};

// What to do with a workload as a live GET shows it: a merge patch (with its uid and resourceVersion, so that
// two who look at once do not restart it twice), or nothing any more.
[[nodiscard]] std::variant<nlohmann::json, RestartAnswer> judge_workload(const nlohmann::json& object,
                                                                         const RestartRequest& request,
                                                                         WallTime now);

// "/apis/apps/v1/namespaces/shop/deployments/web"
[[nodiscard]] std::string workload_path(std::string_view namespace_, const api::Workload& workload);

}  // namespace sessmtp::operator_
