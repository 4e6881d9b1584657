// Status conditions by kstatus: Ready is there from the first look on, Reconciling, Stalled and Suspended
// only while True, Verified while spec.verify.mode asks for it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/reason.h"
#include "base/clock.h"

namespace sessmtp::api {

struct Condition {
  std::string type;
  std::string status;  // "True", "False" or "Unknown"
  std::string reason;
  std::string message;
  std::int64_t observed_generation = 0;
  WallTime last_transition_time{};

  friend bool operator==(const Condition&, const Condition&) = default;
};

using Conditions = std::vector<Condition>;

// The types that this program writes: Ready, Reconciling, Stalled, Verified, Suspended.
[[nodiscard]] bool is_our_condition(std::string_view type);

[[nodiscard]] const Condition* find_condition(const Conditions& conditions, std::string_view type);

// Puts it in the place of that of its type, or at the end. Its lastTransitionTime stays as it was in `before`
// where the status of that type has not changed.
void set_condition(Conditions& conditions, Condition condition, WallTime now, const Conditions& before);

// The set of conditions that says `reason`: Ready, and Reconciling or Stalled where they apply.
// lastTransitionTime stays as it was in `before` where the status of that type has not changed.
[[nodiscard]] Conditions conditions_for(Reason reason, const std::string& message, std::int64_t generation,
                                        WallTime now, const Conditions& before);

// Suspended is True; Ready, Stalled and Verified say what they said before (Ready is Unknown if it said
// nothing), and nothing is in progress.
[[nodiscard]] Conditions suspended_conditions(std::int64_t generation, WallTime now,
                                              const Conditions& before);

}  // namespace sessmtp::api
