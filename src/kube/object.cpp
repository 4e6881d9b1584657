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

const json* member(const json& object, const char* key) {
  if (!object.is_object()) {
    return nullptr;
  }
  const auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

std::string text(const json& object, const char* key) {
  const json* value = member(object, key);
  return value != nullptr && value->is_string() ? value->get<std::string>() : std::string();
}

std::map<std::string, std::string> text_map(const json& object, const char* key) {
  std::map<std::string, std::string> result;
  if (const json* map = member(object, key); map != nullptr && map->is_object()) {
    for (const auto& [name, value] : map->items()) {
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
  const json* metadata = member(object, "metadata");
  if (metadata == nullptr) {
    return fail(ErrorCode::kInvalidInput, "object without metadata");
  }
  ObjectMeta meta;
  meta.namespace_ = text(*metadata, "namespace");
  meta.name = text(*metadata, "name");
  meta.uid = text(*metadata, "uid");
  meta.resource_version = text(*metadata, "resourceVersion");
  if (meta.name.empty() || meta.uid.empty()) {
    return fail(ErrorCode::kInvalidInput, "object without name or uid");
  }
  if (const json* generation = member(*metadata, "generation");
      generation != nullptr && generation->is_number_integer()) {
    meta.generation = generation->get<std::int64_t>();
  }
  meta.creation_timestamp = parse_rfc3339(text(*metadata, "creationTimestamp")).value_or(WallTime{});
  meta.terminating = !text(*metadata, "deletionTimestamp").empty();
  meta.labels = text_map(*metadata, "labels");
  meta.annotations = text_map(*metadata, "annotations");
  meta.annotations.erase(kLastApplied);
  if (const json* owners = member(*metadata, "ownerReferences"); owners != nullptr && owners->is_array()) {
    for (const json& owner : *owners) {
      const json* controller = member(owner, "controller");
      meta.owner_references.push_back(
          {.api_version = text(owner, "apiVersion"),
           .kind = text(owner, "kind"),
           .name = text(owner, "name"),
           .uid = text(owner, "uid"),
           .controller = controller != nullptr && controller->is_boolean() && controller->get<bool>()});
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
  const json* metadata = object ? member(*object, "metadata") : nullptr;
  return metadata != nullptr ? text(*metadata, "resourceVersion") : std::string();
}

bool later_version(std::string_view a, std::string_view b) {
  const auto left = as_integer(a);
  const auto right = as_integer(b);
  return left && right && *left > *right;
}

}  // namespace sessmtp::kube
