// A v1 Secret with its values, as read live for one reconcile; never cached.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>

#include "base/result.h"
#include "base/secret_bytes.h"
#include "kube/object.h"

namespace sessmtp::kube {

using SecretData = std::map<std::string, SecretBytes>;

// What a live Secret still has of our last server-side apply, by its metadata.managedFields: names leave this
// list when somebody else changes or removes them. Empty when managedFields were dropped, as some backups do.
struct AppliedFields {
  std::set<std::string> data;
  std::set<std::string> labels;
  std::set<std::string> annotations;
  std::set<std::string> owners;  // uids
};

struct Secret {
  ObjectMeta meta;
  std::string type;
  bool immutable = false;
  SecretData data;
  AppliedFields applied;
};

// kInvalidInput when it is not a Secret; names the key of a value that is not base64.
[[nodiscard]] Result<Secret> decode_secret(const nlohmann::json& object);

// As an intent for server-side apply: what is set, and nothing else; no type leaves a Secret the one it has.
// A uid or resourceVersion in the metadata is a condition that the server checks.
[[nodiscard]] nlohmann::json encode_secret(const Secret& secret);

}  // namespace sessmtp::kube
