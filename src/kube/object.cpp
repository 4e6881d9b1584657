#include "kube/object.h"

#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/json.h"

namespace sessmtp::kube {
namespace {

using nlohmann::json;

// It holds a Secret's values too, where the Secret was made with `kubectl apply`.
constexpr const char* kLastApplied = "kubectl.kubernetes.io/last-applied-configuration";

bool is_wanted(int depth, const std::string& name) {
  return !(depth == 2 && name == "managedFields") && !(depth == 3 && name == kLastApplied);
}

std::map<std::string, std::string> text_map(const json& object, const char* key) {
  std::map<std::string, std::string> result;
  if (const json& map = member_of(object, key); map.is_object()) {
    for (const auto& [name, value] : map.items()) {
      if (value.is_string()) {
        result.emplace(name, value.get<std::string>());
      }
    }
  }
  return result;
}

std::string_view value_of(const std::map<std::string, std::string>& map, std::string_view key) {
  const auto found = map.find(std::string(key));
  return found == map.end() ? std::string_view() : std::string_view(found->second);
}

std::optional<std::uint64_t> as_integer(std::string_view version) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(version.data(), version.data() + version.size(), value);
  if (error != std::errc() || end != version.data() + version.size()) {
    return std::nullopt;
  }
  return value;
}

}  // namespace

std::string_view ObjectMeta::label(std::string_view key) const {
  return value_of(labels, key);
}
std::string_view ObjectMeta::annotation(std::string_view key) const {
  return value_of(annotations, key);
}

Result<ObjectMeta> decode_meta(const json& object) {
  const json& metadata = member_of(object, "metadata");
  if (metadata.is_null()) {
    return fail(ErrorCode::kInvalidInput, "object without metadata");
  }
  ObjectMeta meta;
  meta.namespace_ = text_of(metadata, "namespace");
  meta.name = text_of(metadata, "name");
  meta.uid = text_of(metadata, "uid");
  meta.resource_version = text_of(metadata, "resourceVersion");
  if (meta.name.empty() || meta.uid.empty()) {
    return fail(ErrorCode::kInvalidInput, "object without name or uid");
  }
  if (const json& generation = member_of(metadata, "generation"); generation.is_number_integer()) {
    meta.generation = generation.get<std::int64_t>();
  }
  meta.creation_timestamp = parse_rfc3339(text_of(metadata, "creationTimestamp")).value_or(WallTime{});
  meta.terminating = !text_of(metadata, "deletionTimestamp").empty();
  meta.labels = text_map(metadata, "labels");
  meta.annotations = text_map(metadata, "annotations");
  meta.annotations.erase(kLastApplied);
  if (const json& owners = member_of(metadata, "ownerReferences"); owners.is_array()) {
    for (const json& owner : owners) {
      meta.owner_references.push_back({.api_version = text_of(owner, "apiVersion"),
                                       .kind = text_of(owner, "kind"),
                                       .name = text_of(owner, "name"),
                                       .uid = text_of(owner, "uid"),
                                       .controller = member_of(owner, "controller") == true});
    }
  }
  return meta;
}

Result<json> parse_object(std::string_view object_text) {
  return parse_json(object_text, is_wanted);
}

Result<ObjectMeta> parse_meta(std::string_view object_text) {
  const auto object = parse_json(object_text, [](int depth, const std::string& name) {
    return depth == 1 ? name == "metadata" : is_wanted(depth, name);
  });
  return object ? decode_meta(*object) : std::unexpected(object.error());
}

std::string resource_version_of(std::string_view object_text) {
  const auto object = parse_json(object_text, [](int depth, const std::string& name) {
    return depth == 1 ? name == "metadata" : depth == 2 && name == "resourceVersion";
  });
  return object ? text_of(member_of(*object, "metadata"), "resourceVersion") : std::string();
}

bool later_version(std::string_view a, std::string_view b) {
  const auto left = as_integer(a);
  const auto right = as_integer(b);
  return left && right && *left > *right;
}

}  // namespace sessmtp::kube
