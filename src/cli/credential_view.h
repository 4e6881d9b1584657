// What a person wants to know of a SesSmtpCredential at one glance, by the object alone: no Secret is needed.
// Pure; thread-safe.
//
// Read from the JSON and not from api::SesSmtpCredential, so that an object that this version does not
// understand, or that an operator of another version wrote, is shown all the same.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"

namespace sessmtp::cli {

// A condition; all empty when there is none.
struct ConditionView {
  std::string status;  // "True", "False", "Unknown"
  std::string reason;
  std::string message;
};

struct CredentialView {
  std::string namespace_;
  std::string name;
  ConditionView ready;
  ConditionView verified;
  std::string region;
  std::string secret;         // the target
  std::string access_key_id;  // masked
  std::optional<WallTime> created;
  std::optional<WallTime> rotated;  // when the pair last changed
  bool suspended = false;           // by its spec
  bool deleting = false;
  bool current = false;  // status speaks of the present spec

  // In sync, for the spec as it is now.
  [[nodiscard]] bool is_ready() const { return current && ready.status == "True"; }
  // Nobody has to do anything about it.
  [[nodiscard]] bool is_well() const { return is_ready() || suspended || deleting; }
  // What the operator says is wrong, and what to do; empty when nothing is.
  [[nodiscard]] std::string hint() const;
};

[[nodiscard]] CredentialView view_of(const nlohmann::json& object);

// The fields of `status -o json`, which docs/command-line.md lists. All are always there.
[[nodiscard]] nlohmann::json to_json(const CredentialView& view);

// The shell line that finds the operator.
inline constexpr const char* kFindOperator =
    " get pods --all-namespaces --selector app.kubernetes.io/name=ses-smtp-operator";

}  // namespace sessmtp::cli
