// The part of a Kubernetes object that every kind shares, as far as this program looks at it.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace sessmtp::kube {

struct NamespacedName {
  std::string namespace_;
  std::string name;

  friend auto operator<=>(const NamespacedName&, const NamespacedName&) = default;
};

struct OwnerReference {
  std::string api_version;
  std::string kind;
  std::string name;
  std::string uid;
  bool controller = false;

  friend bool operator==(const OwnerReference&, const OwnerReference&) = default;
};

// metav1.ObjectMeta without managedFields, which are large and never needed here.
struct ObjectMeta {
  std::string namespace_;
  std::string name;
  std::string uid;
  std::string resource_version;
  std::int64_t generation = 0;
  WallTime creation_timestamp{};
  bool terminating = false;  // deletionTimestamp is set
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;
  std::vector<OwnerReference> owner_references;

  [[nodiscard]] NamespacedName key() const { return {namespace_, name}; }
  // The value, or an empty text when the key is not there.
  [[nodiscard]] std::string_view label(std::string_view key) const;
  [[nodiscard]] std::string_view annotation(std::string_view key) const;

  friend bool operator==(const ObjectMeta&, const ObjectMeta&) = default;
};

// The metadata of any object, PartialObjectMetadata included. kInvalidInput without name or uid.
[[nodiscard]] Result<ObjectMeta> decode_meta(const nlohmann::json& object);

// An object of a list or a watch, without what is large and never needed: managedFields, and the copy of
// the whole object that `kubectl apply` leaves in an annotation.
[[nodiscard]] Result<nlohmann::json> parse_object(std::string_view text);
// Its metadata, of which alone anything is built.
[[nodiscard]] Result<ObjectMeta> parse_meta(std::string_view text);
// Its metadata.resourceVersion, all that a bookmark has; empty: none.
[[nodiscard]] std::string resource_version_of(std::string_view text);

// True when `a` is a later version than `b` of the same resource. Versions are compared as integers
// (KEP-5504); what is not an integer is never later.
[[nodiscard]] bool later_version(std::string_view a, std::string_view b);

}  // namespace sessmtp::kube
