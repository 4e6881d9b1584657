// What a pod does with a Secret, by its spec or by that of a pod template. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace sessmtp::kube {

enum class SecretUseKind : std::uint8_t {
  kVolume,   // files that follow the Secret, within about a minute; of a secret or a projected volume
  kSubPath,  // one file or folder of such a volume, as it was when the container started
  kEnv,      // a variable, as it was when the container started
  kEnvFrom,  // the same of all keys
};

struct SecretUse {
  SecretUseKind kind = SecretUseKind::kVolume;
  std::string container;  // empty: a volume that no container mounts, but that the pod waits for all the same
  bool at_start = false;  // the container runs to its end before the others start: it saw the Secret once
  std::vector<std::string> keys;  // that it names and cannot do without: it does not start if one is absent

  // It keeps what the Secret held when it started.
  [[nodiscard]] bool stays_old() const { return at_start || kind != SecretUseKind::kVolume; }

  friend bool operator==(const SecretUse&, const SecretUse&) = default;
};

// One for each container and kind, in the order of the spec; empty when nothing in it refers to the Secret.
// Looks at volumes, projected volumes, env and envFrom of containers, init containers, sidecars and ephemeral
// containers. Pull secrets and those that a volume's driver logs in with are no use of what is in them.
[[nodiscard]] std::vector<SecretUse> uses_of_secret(const nlohmann::json& pod_spec, std::string_view secret);

}  // namespace sessmtp::kube
