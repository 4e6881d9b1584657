#include "api/condition.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace sessmtp::api {
namespace {

// With the time of the transition, which stays as it was where the status has not changed.
Condition make(Condition condition, WallTime now, const Conditions& before) {
  const Condition* old = find_condition(before, condition.type);
  condition.last_transition_time = old != nullptr && old->status == condition.status
                                       ? old->last_transition_time
                                       : std::chrono::floor<std::chrono::seconds>(now);
  return condition;
}

}  // namespace

bool is_our_condition(std::string_view type) {
  return type == "Ready" || type == "Reconciling" || type == "Stalled" || type == "Verified" ||
         type == "Suspended";
}

const Condition* find_condition(const Conditions& conditions, std::string_view type) {
  const auto found = std::ranges::find(conditions, type, &Condition::type);
  return found == conditions.end() ? nullptr : &*found;
}

void set_condition(Conditions& conditions, Condition condition, WallTime now, const Conditions& before) {
  condition = make(std::move(condition), now, before);
  const auto found = std::ranges::find(conditions, condition.type, &Condition::type);
  if (found == conditions.end()) {
    conditions.push_back(std::move(condition));
  } else {
    *found = std::move(condition);
  }
}

Conditions conditions_for(Reason reason, const std::string& message, std::int64_t generation, WallTime now,
                          const Conditions& before) {
  const bool ready = reason == Reason::kSynced;
  const auto add = [&](Conditions& conditions, std::string_view type, bool status) {
    conditions.push_back(make({.type = std::string(type),
                               .status = status ? "True" : "False",
                               .reason = std::string(to_string(reason)),
                               .message = message,
                               .observed_generation = generation},
                              now, before));
  };
  Conditions conditions;
  add(conditions, "Ready", ready);
  if (!ready) {
    add(conditions, is_stalled(reason) ? "Stalled" : "Reconciling", true);
  }
  return conditions;
}

Conditions suspended_conditions(std::int64_t generation, WallTime now, const Conditions& before) {
  Conditions conditions;
  if (find_condition(before, "Ready") == nullptr) {
    conditions.push_back(make({.type = "Ready",
                               .status = "Unknown",
                               .reason = "Suspended",
                               .message = "spec.suspend was true before anybody looked",
                               .observed_generation = generation},
                              now, before));
  }
  std::ranges::copy_if(before, std::back_inserter(conditions), [](const Condition& condition) {
    return condition.type == "Ready" || condition.type == "Stalled" || condition.type == "Verified";
  });
  conditions.push_back(make({.type = "Suspended",
                             .status = "True",
                             .reason = "Suspended",
                             .message = "spec.suspend is true: nothing is read or written until it is false",
                             .observed_generation = generation},
                            now, before));
  return conditions;
}

}  // namespace sessmtp::api
