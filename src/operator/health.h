// Is the program alive, is it ready: two pure functions of what its parts say about themselves.
//
// Not alive means that a restart can help: a part hangs, or hears nothing where others are answered. An API
// server that is away, slow or refusing is no reason; a restart would only add the load of listing again.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "kube/heard_times.h"

namespace sessmtp::operator_ {

using kube::Heard;

// One watched resource in one scope; all noted by the thread that reads.
struct ReaderProgress {
  std::string name;  // as the report shows it: "watch secrets in shop"
  SteadyTime started;
  std::optional<Heard> heard;
  std::optional<SteadyTime> last_round;  // when its loop last came round
};

struct WorkProgress {
  std::chrono::milliseconds without_a_take{};   // how long a ready key could have been taken, and none was
  std::chrono::milliseconds longest_running{};  // how long one key has been worked on
  std::optional<SteadyTime> working_since;      // workers run and we lead; empty: nothing is to be taken
};

struct LivenessInputs {
  std::vector<ReaderProgress> readers;
  // Of connections: all calls of the readers and workers, and those for the lease.
  std::vector<std::optional<Heard>> others_heard;
  WorkProgress work;
  std::optional<bool> renewal_overdue;  // guarded work runs on a lease long over; empty without election
};

struct LivenessLimits {
  std::chrono::seconds reader{12 * 60};  // a watch ends after ten minutes and its margin
  std::chrono::seconds work{15 * 60};
};

enum class CrdState : std::uint8_t {
  kUnknown,   // not looked at yet
  kCurrent,   // has all we need
  kOutdated,  // lacks fields that this binary reads or writes
  kMissing,
  kUnreadable  // its schema may not be read; what the lists answer has to do
};

struct ReadinessInputs {
  struct Scope {
    std::string name;      // "lists of shop"
    bool filled = false;   // listed, or refused
    bool refused = false;  // nothing can be done there
  };
  std::vector<Scope> scopes;
  CrdState crd = CrdState::kUnknown;
  std::vector<std::string> crd_lacks;  // with kOutdated: "status.renderVersion"
};

struct HealthReport {
  bool ok = true;
  std::string text;  // a line for each check, as Kubernetes writes them

  [[nodiscard]] unsigned status() const { return ok ? 200 : 503; }
};

[[nodiscard]] HealthReport judge_liveness(const LivenessInputs& inputs, SteadyTime now,
                                          const LivenessLimits& limits = {});

// Also a standby is ready: what it has to do at once when it leads is prepared.
[[nodiscard]] HealthReport judge_readiness(const ReadinessInputs& inputs);

}  // namespace sessmtp::operator_
