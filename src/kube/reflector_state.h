// What a reflector does next: list, probe or watch. A pure state machine; reflector.h does the I/O.
//
//            ┌────────── expired, forbidden, gone ◀──────────┐
//            ▼                                               │
//          LIST ──ok──▶ WATCH ──ended after events──▶ WATCH ─┤
//            ▲            │                                  │
//            │            └──lost, failed, silent──▶ PROBE ──ok
//            └──the server is older than we are───────┘
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>

#include "kube/api_error.h"

namespace sessmtp::kube {

enum class ReflectorAction : std::uint8_t {
  kList,   // everything, replacing what was known
  kProbe,  // one object at our resourceVersion: does the server still know that version?
  kWatch,  // changes since our resourceVersion
};

struct ReflectorState {
  ReflectorAction action = ReflectorAction::kList;
  std::chrono::milliseconds wait{0};  // before the action
  std::string resource_version;       // the last one seen; empty: none, or it was refused
  bool paged = true;                  // false: the next list comes in one piece, for paging has failed
  unsigned failures = 0;              // in a row; sets the backoff

  friend bool operator==(const ReflectorState&, const ReflectorState&) = default;
};

struct Listed {
  std::string resource_version;
};
struct ListFailed {
  ApiError error;
  bool on_later_page = false;
};
struct ProbeSucceeded {};
struct ProbeFailed {
  ApiError error;
};
struct WatchEnded {
  std::string resource_version;  // of the last event or bookmark; empty when there was none
  std::chrono::milliseconds lasted{0};
  std::optional<ApiError> error;  // the status, the connection, or an ERROR event in the stream
};
using ReflectorInput = std::variant<Listed, ListFailed, ProbeSucceeded, ProbeFailed, WatchEnded>;

// `jitter` is in [0, 1): a wait is stretched by up to that much again, so that many clients do not
// come back at the same moment.
[[nodiscard]] ReflectorState next(ReflectorState state, const ReflectorInput& input, double jitter);

}  // namespace sessmtp::kube
