// The Lease of coordination.k8s.io/v1 as leader election uses it: reading it, and the bodies written back.
//
// Pure functions. What is written is what was read with our fields in it, so that labels, annotations and
// spec fields of others stay. Source: client-go:tools/leaderelection/resourcelock/leaselock.go.
#pragma once

#include <chrono>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace sessmtp::kube {

struct LeaseRecord {
  std::string resource_version;
  std::string holder;                            // empty: nobody, or released
  std::optional<std::chrono::seconds> duration;  // as its holder wrote it
  std::string raw;                               // the whole spec: a change of any field is a sign of life

  friend bool operator==(const LeaseRecord&, const LeaseRecord&) = default;
};

// Empty when it is no object that could be written back. A spec that is missing, null or garbage is a
// lease that nobody holds.
[[nodiscard]] std::optional<LeaseRecord> decode_lease(const nlohmann::json& object);

// Who writes, and for how long others shall believe it.
struct LeaseClaim {
  std::string_view identity;
  std::chrono::milliseconds duration;
  WallTime now;
};

[[nodiscard]] nlohmann::json new_lease(std::string_view namespace_, std::string_view name,
                                       const LeaseClaim& claim);
// Renewed when it is ours already: acquireTime and leaseTransitions stay.
[[nodiscard]] nlohmann::json held_lease(nlohmann::json as_read, const LeaseClaim& claim);
// Held by nobody, for one second: the next one takes it at once.
[[nodiscard]] nlohmann::json released_lease(nlohmann::json as_read, WallTime now);

}  // namespace sessmtp::kube
