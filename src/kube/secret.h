// A v1 Secret with its values, as read live for one reconcile; never cached.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/result.h"
#include "base/secret_bytes.h"
#include "kube/object.h"

namespace sessmtp::kube {

using SecretData = std::map<std::string, SecretBytes>;

struct Secret {
  ObjectMeta meta;
  std::string type;
  bool immutable = false;
  SecretData data;
};

// kInvalidInput when it is not a Secret; names the key of a value that is not base64.
[[nodiscard]] Result<Secret> decode_secret(const nlohmann::json& object);

// As an intent for server-side apply: what is set, and nothing else. A uid or resourceVersion in the
// metadata is a condition that the server checks.
[[nodiscard]] nlohmann::json encode_secret(const Secret& secret);

}  // namespace sessmtp::kube
