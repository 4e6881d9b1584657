#include "kube/key_schedule.h"

namespace sessmtp::kube {

void KeySchedule::set(const NamespacedName& key, SteadyTime time) {
  const auto [entry, added] = times_.try_emplace(key, time);
  if (!added) {
    order_.erase({entry->second, key});
    entry->second = time;
  }
  order_.emplace(time, key);
}

std::optional<SteadyTime> KeySchedule::time_of(const NamespacedName& key) const {
  const auto found = times_.find(key);
  return found == times_.end() ? std::nullopt : std::optional(found->second);
}

std::optional<SteadyTime> KeySchedule::soonest() const {
  return order_.empty() ? std::nullopt : std::optional(order_.begin()->first);
}

std::optional<NamespacedName> KeySchedule::pop_due(SteadyTime now) {
  if (order_.empty() || order_.begin()->first > now) {
    return std::nullopt;
  }
  NamespacedName key = std::move(order_.extract(order_.begin()).value().second);
  times_.erase(key);
  return key;
}

}  // namespace sessmtp::kube
