// What a candidate for a lease does next. A pure state machine; leader_election.h does the I/O.
//
//   CAMPAIGNING ──written──▶ LEADING ──its work has ended──▶ RELEASING ──▶ OVER, when asked to stop
//     ▲     ▲                   │                                └──────▶ CAMPAIGNING, otherwise
//     │     └──its work ended── LOST ◀── another holds it, or not renewed within the deadline
//     └──held by another: WATCH, until it is released or has not changed for its duration
//
// Two rules make it safe. A record's age is counted by our own clock since we saw it change, so that
// clocks may differ; and each write names the resourceVersion it was decided on, so that a change we
// missed makes it fail. Source: client-go:tools/leaderelection/leaderelection.go, which has no watch.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "base/clock.h"
#include "base/result.h"
#include "kube/api_error.h"
#include "kube/lease.h"

namespace sessmtp::kube {

struct ElectionOptions {
  std::string namespace_;
  std::string name;      // of the Lease
  std::string identity;  // unique among all candidates there ever were: host name and random
  std::chrono::milliseconds lease_duration = std::chrono::seconds(15);  // others wait so long
  std::chrono::milliseconds renew_deadline = std::chrono::seconds(10);  // the leader gives up then
  std::chrono::milliseconds retry_period = std::chrono::seconds(2);
};

// kInvalidInput when a leader could be overtaken before it has given up, or would give up before its
// second try.
[[nodiscard]] Result<void> check(const ElectionOptions& options);

enum class ElectionRole : std::uint8_t {
  kCampaigning,
  kLeading,    // also while its work drains after a stop: the lease is renewed until that has ended
  kLost,       // nothing is sent until the work has ended
  kReleasing,  // the work has ended
  kOver,
};

enum class ElectionAction : std::uint8_t {
  kWait,    // let the time pass, then TimePassed
  kGet,     //
  kCreate,  // held by us
  kUpdate,  // what was read last: held by us, or by nobody when releasing
  kWatch,   // from the version read last
};

struct ElectionState {
  ElectionRole role = ElectionRole::kCampaigning;
  ElectionAction action = ElectionAction::kGet;
  std::chrono::milliseconds wait{0};  // before the action
  std::optional<LeaseRecord> record;  // as last seen
  SteadyTime seen{};                  // when we saw it change
  SteadyTime renewed{};               // leading: when the last write that succeeded was sent
  SteadyTime release_until{};         // releasing: when to give that up
  unsigned failures = 0;              // in a row
  bool in_doubt = false;              // a write of ours had no answer: it may have been done
  bool stopping = false;

  friend bool operator==(const ElectionState&, const ElectionState&) = default;
};

struct LeaseObserved {
  LeaseRecord record;
};
struct LeaseAbsent {};
struct LeaseWritten {
  LeaseRecord record;
  SteadyTime sent;
};
struct LeaseRequestFailed {
  ApiError error;
};
struct LeaseWatchEnded {
  std::chrono::milliseconds lasted{0};
  bool progressed = false;  // it brought an event
  std::optional<ApiError> error = std::nullopt;
};
struct TimePassed {};
struct StopRequested {};
struct LeadEnded {};  // the guarded work has returned, or was never begun
using ElectionInput = std::variant<LeaseObserved, LeaseAbsent, LeaseWritten, LeaseRequestFailed,
                                   LeaseWatchEnded, TimePassed, StopRequested, LeadEnded>;

// `jitter` is in [0, 1).
[[nodiscard]] ElectionState next(ElectionState state, const ElectionInput& input, SteadyTime now,
                                 double jitter, const ElectionOptions& options);

// When a request of this state has to be over; it is of no use afterwards.
[[nodiscard]] SteadyTime request_deadline(const ElectionState& state, SteadyTime now,
                                          const ElectionOptions& options);
// How long the server is asked to watch: until the record expires, in whole seconds and at least one.
[[nodiscard]] std::chrono::seconds watch_timeout(const ElectionState& state, SteadyTime now,
                                                 const ElectionOptions& options);

}  // namespace sessmtp::kube
