#include "kube/key_budget.h"

namespace sessmtp::kube {

SteadyTime KeyBudget::available(const NamespacedName& key) const {
  const auto full_at = full_at_.time_of(key);
  return full_at ? *full_at - (kBurst - 1) * kRefill : SteadyTime::min();
}

void KeyBudget::forget_full(SteadyTime now) {
  while (const auto full = full_at_.pop_due(now)) {
    exhausted_.erase(*full);
  }
}

void KeyBudget::spend(const NamespacedName& key, SteadyTime now) {
  forget_full(now);
  full_at_.set(key, full_at_.time_of(key).value_or(now) + kRefill);
}

}  // namespace sessmtp::kube
