// How often a key may be worked on: a token bucket each, kBurst takes at once and then one each kRefill.
//
// Ordinary life never empties one; a Secret edited in a loop, or two tools that fight over a target, do.
// Only buckets that are not full take memory. Not thread-safe: belongs to the work queue, under its lock.
#pragma once

#include <chrono>
#include <cstddef>
#include <set>

#include "base/clock.h"
#include "kube/key_schedule.h"
#include "kube/object.h"

namespace sessmtp::kube {

class KeyBudget {
 public:
  static constexpr int kBurst = 10;
  static constexpr std::chrono::seconds kRefill{2};

  // From when on there is a token; in the past when there is one now.
  [[nodiscard]] SteadyTime available(const NamespacedName& key) const;
  void spend(const NamespacedName& key, SteadyTime now);
  // Those that are full again need not be remembered.
  void forget_full(SteadyTime now);
  // True the first time since the bucket was full: a hot loop begins.
  [[nodiscard]] bool note_exhausted(const NamespacedName& key) { return exhausted_.insert(key).second; }
  // Buckets that are remembered.
  [[nodiscard]] std::size_t size() const { return full_at_.size(); }

 private:
  // When each bucket will be full again, which says how many tokens are in it now (the generic cell rate
  // algorithm): it lacks one for every kRefill that this is ahead.
  KeySchedule full_at_;
  std::set<NamespacedName> exhausted_;
};

}  // namespace sessmtp::kube
