#include "operator/rollout.h"

#include <algorithm>
#include <string>
#include <utility>

#include "api/event_reason.h"
#include "base/text.h"

namespace sessmtp::operator_ {
namespace {

using api::EventReason;
using api::Rollout;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::chrono::minutes kMinRetry{1};
constexpr std::chrono::minutes kMaxRetry{15};

// What was asked for in the future was asked for by a clock that has been set back since: now, then. Clocks
// of two replicas differ a little.
WallTime due(const Rollout& rollout, WallTime now) {
  const WallTime rested = *rollout.requested_at + kRestartDebounce;
  return rested > now + 2 * kRestartDebounce ? now : rested;
}

milliseconds sooner(const std::optional<milliseconds>& a, milliseconds b) {
  return a ? std::min(*a, b) : b;
}

class Follower {
 public:
  Follower(const Observation& observation, std::string digest, bool changed)
      : o_(observation), digest_(std::move(digest)), changed_(changed) {}

  Rollouts run() {
    const api::Status& status = o_.credential.status;
    const std::string first_seen = changed_ && status.target ? "" : digest_;
    for (const api::Workload& workload : o_.credential.spec.rollout_restart_targets) {
      const auto before = std::ranges::find(status.rollouts, workload, &Rollout::workload);
      Rollout rollout =
          before != status.rollouts.end() ? *before : Rollout{.workload = workload, .digest = first_seen};
      follow(rollout);
      result_.status.push_back(std::move(rollout));
    }
    return std::move(result_);
  }

 private:
  void follow(Rollout& rollout) {
    const bool went_back = rollout.digest == digest_;
    if (went_back && (!rollout.requested_at || o_.now < due(rollout, o_.now))) {
      rollout.requested_at.reset();
      rollout.reason.clear();
      return;
    }
    if (!rollout.requested_at || changed_) {
      rollout.requested_at = std::chrono::floor<seconds>(o_.now);
    }
    if (o_.now < due(rollout, o_.now)) {
      rollout.reason = api::kRestartPending;
      look_again_after(due(rollout, o_.now) - o_.now);
      return;
    }
    if (const auto tried = o_.restarts.find(rollout.workload); tried != o_.restarts.end()) {
      conclude(rollout, tried->second);
      return;
    }
    result_.wanted.push_back({.workload = rollout.workload,
                              .secret = o_.credential.spec.target.name,
                              .digest = digest_,
                              .requested_at = *rollout.requested_at});
  }

  void conclude(Rollout& rollout, const RestartAnswer& answer) {
    switch (answer.result) {
      case RestartResult::kRestarted:
        note(EventReason::kRestartTriggered, in_words(rollout.workload) + " was restarted, since Secret " +
                                                 in_quotes(o_.credential.spec.target.name) + " has changed" +
                                                 (answer.message.empty() ? "" : "; " + answer.message));
        rollout.restarted_at = answer.restarted_at;
        [[fallthrough]];
      case RestartResult::kUpToDate:
        rollout.digest = digest_;
        rollout.requested_at.reset();
        rollout.reason.clear();
        break;
      case RestartResult::kTooSoon:
        rollout.reason = api::kRestartPending;
        look_again_after(answer.wait);
        break;
      case RestartResult::kTryAgain:
        result_.try_again = std::max(result_.try_again.value_or(milliseconds(0)), answer.wait);
        if (o_.failed_looks >= kHiccups) {
          tell_failure(rollout, answer);
        }
        break;
      case RestartResult::kFailed:
        tell_failure(rollout, answer);
        look_again_after(
            std::clamp<WallTime::duration>(o_.now - *rollout.requested_at, kMinRetry, kMaxRetry));
        break;
    }
  }

  // Once, and again when it fails for another reason.
  void tell_failure(Rollout& rollout, const RestartAnswer& answer) {
    if (rollout.reason != answer.reason) {
      note(EventReason::kRestartFailed, in_words(rollout.workload) + ": " + answer.message);
      rollout.reason = answer.reason;
    }
  }

  void note(EventReason reason, std::string text) {
    const api::EventReasonInfo& info = info_of(reason);
    result_.events.push_back({info.type, std::string(info.name), "Restart", std::move(text)});
  }

  // Rounded up: what is looked at too early is looked at twice.
  void look_again_after(WallTime::duration delay) {
    result_.look_again = sooner(result_.look_again, std::chrono::ceil<milliseconds>(delay));
  }

  const Observation& o_;
  const std::string digest_;  // of the target's data
  const bool changed_;        // in this look
  Rollouts result_;
};

// Unless the target was not read: then all of it may be other data.
bool has_changed(const Observation& o, const kube::SecretData& data, const api::Drift& difference) {
  return o.written &&
         (live_secret(o.live_target) == nullptr ||
          std::ranges::any_of(difference.keys, [&data](const auto& key) { return data.contains(key); }));
}

}  // namespace

Rollouts follow_target(const Observation& observation, const kube::SecretData& data,
                       const api::Drift& difference) {
  std::string digest = api::data_digest(data, observation.credential.meta.uid);
  if (digest.empty()) {
    return {.status = observation.credential.status.rollouts};
  }
  return Follower(observation, std::move(digest), has_changed(observation, data, difference)).run();
}

std::optional<milliseconds> restart_due_in(const api::Status& status, WallTime now) {
  std::optional<milliseconds> soonest;
  for (const Rollout& rollout : status.rollouts) {
    if (rollout.requested_at) {
      const auto left = std::max(due(rollout, now) - now, WallTime::duration(0));
      soonest = sooner(soonest, std::chrono::ceil<milliseconds>(left));
    }
  }
  return soonest;
}

}  // namespace sessmtp::operator_
