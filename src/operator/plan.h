// The decisions of the operator, without I/O, clock or globals.
//
//   needs(observation)  which Secrets must be read before anything can be said
//   plan(observation)   what to write, what to say in status and events, when to look again
//
// look() reads what needs() names, then asks plan() until it wants nothing more: a plan that wants the target
// read or written, a login or a restart is asked again with the answer in the observation. Rules behind every
// row: the last good target survives every failure; being wrong is worse than being late.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "api/ses_smtp_credential.h"
#include "kube/event.h"
#include "kube/secret.h"
#include "operator/needs.h"
#include "operator/observation.h"

namespace sessmtp::operator_ {

enum class Retry : std::uint8_t {
  kNo,       // a watch will wake us when something changes
  kBackoff,  // the API server did not do its part
  kSlowly,   // somebody has to change a right, a quota or a policy, which no watch shows
};

struct Plan {
  bool read_target = false;                   // read it live and ask again
  std::optional<kube::Secret> write;          // apply it and ask again; see below
  std::optional<LoginRequest> login = {};     // find out and ask again
  std::vector<RestartRequest> restarts = {};  // try each and ask again
  std::optional<api::Status> status;          // empty: leave it as it is
  std::vector<kube::Event> events;            // after the status is written
  Retry retry = Retry::kNo;
  std::chrono::milliseconds retry_after{0};  // no sooner than that: the API server asked for it
  std::optional<std::chrono::milliseconds>
      look_again;  // something is due then: an expiry, a login, a restart

  [[nodiscard]] bool wants_more() const { return read_target || write || login || !restarts.empty(); }
};

// How a write is made safe: its metadata carries conditions that the API server checks.
//   create     resourceVersion "1", which no object can have: written only if the name is free
//   update     the uid of the Secret that is ours: written only to that very Secret
//   take over, merge  that uid and the resourceVersion at which labels or consent were read
[[nodiscard]] Plan plan(const Observation& observation);

}  // namespace sessmtp::operator_
