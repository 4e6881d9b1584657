// Keys with a time each: the soonest is found at once, however many there are.
//
// Not thread-safe: belongs to whoever holds it under a lock.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "base/clock.h"
#include "kube/object.h"

namespace sessmtp::kube {

class KeySchedule {
 public:
  // A key has one time: the new one replaces that of before.
  void set(const NamespacedName& key, SteadyTime time);
  [[nodiscard]] std::optional<SteadyTime> time_of(const NamespacedName& key) const;
  [[nodiscard]] std::optional<SteadyTime> soonest() const;
  // Takes out a key whose time has come, the soonest first.
  [[nodiscard]] std::optional<NamespacedName> pop_due(SteadyTime now);
  [[nodiscard]] std::size_t size() const { return times_.size(); }

 private:
  std::map<NamespacedName, SteadyTime> times_;
  std::set<std::pair<SteadyTime, NamespacedName>> order_;
};

}  // namespace sessmtp::kube
