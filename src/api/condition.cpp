#include "api/condition.h"

#include <algorithm>

namespace sessmtp::api {

bool is_our_condition(std::string_view type) {
  return type == "Ready" || type == "Reconciling" || type == "Stalled";
}

const Condition* find_condition(const Conditions& conditions, std::string_view type) {
  const auto found = std::ranges::find(conditions, type, &Condition::type);
  return found == conditions.end() ? nullptr : &*found;
}

Conditions conditions_for(Reason reason, const std::string& message, std::int64_t generation, WallTime now,
                          const Conditions& before) {
  const bool ready = reason == Reason::kSynced;
  const auto make = [&](std::string_view type, bool status) {
    Condition condition{.type = std::string(type),
                        .status = status ? "True" : "False",
                        .reason = std::string(to_string(reason)),
                        .message = message,
                        .observed_generation = generation,
                        .last_transition_time = std::chrono::floor<std::chrono::seconds>(now)};
    const Condition* old = find_condition(before, type);
    if (old != nullptr && old->status == condition.status) {
      condition.last_transition_time = old->last_transition_time;
    }
    return condition;
  };
  Conditions conditions{make("Ready", ready)};
  if (!ready) {
    conditions.push_back(make(is_stalled(reason) ? "Stalled" : "Reconciling", true));
  }
  return conditions;
}

}  // namespace sessmtp::api
