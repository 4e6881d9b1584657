#include "kube/secret.h"

#include <nlohmann/json.hpp>

#include "base/base64.h"
#include "base/json.h"
#include "kube/client.h"

namespace sessmtp::kube {
namespace {

using nlohmann::json;

// FieldsV1, as sigs.k8s.io/structured-merge-diff writes it: "f:NAME" for a field or a key of a map, "k:{...}"
// for an entry of a list by what identifies it, "." for the thing itself.
std::set<std::string> fields_in(const json& owned) {
  std::set<std::string> names;
  if (owned.is_object()) {
    for (const auto& [field, inner] : owned.items()) {
      if (field.starts_with("f:")) {
        names.insert(field.substr(2));
      }
    }
  }
  return names;
}

std::set<std::string> uids_in(const json& owned) {
  std::set<std::string> uids;
  if (owned.is_object()) {
    for (const auto& [entry, inner] : owned.items()) {
      const auto key = entry.starts_with("k:") ? parse_json(entry.substr(2)) : json();
      if (key) {
        uids.insert(text_of(*key, "uid"));
      }
    }
  }
  return uids;
}

AppliedFields read_applied(const json& object) {
  const json& entries = member_of(member_of(object, "metadata"), "managedFields");
  if (!entries.is_array()) {
    return {};
  }
  for (const json& entry : entries) {
    if (text_of(entry, "manager") == kFieldManager && text_of(entry, "operation") == "Apply" &&
        text_of(entry, "subresource").empty()) {
      const json& fields = member_of(entry, "fieldsV1");
      const json& metadata = member_of(fields, "f:metadata");
      return {.data = fields_in(member_of(fields, "f:data")),
              .labels = fields_in(member_of(metadata, "f:labels")),
              .annotations = fields_in(member_of(metadata, "f:annotations")),
              .owners = uids_in(member_of(metadata, "f:ownerReferences"))};
    }
  }
  return {};
}

}  // namespace

Result<Secret> decode_secret(const json& object) {
  auto meta = decode_meta(object);
  if (!meta) {
    return std::unexpected(std::move(meta.error()));
  }
  Secret secret;
  secret.meta = std::move(*meta);
  secret.applied = read_applied(object);
  if (const auto type = object.find("type"); type != object.end() && type->is_string()) {
    secret.type = type->get<std::string>();
  }
  if (const auto immutable = object.find("immutable"); immutable != object.end() && immutable->is_boolean()) {
    secret.immutable = immutable->get<bool>();
  }
  const auto data = object.find("data");
  if (data == object.end() || data->is_null()) {
    return secret;
  }
  if (!data->is_object()) {
    return fail(ErrorCode::kInvalidInput, "Secret whose data is not a map");
  }
  for (const auto& [key, value] : data->items()) {
    auto bytes = value.is_string() ? base64_decode(value.get_ref<const std::string&>()) : std::nullopt;
    if (!bytes) {
      return fail(ErrorCode::kInvalidInput, "Secret whose data." + key + " is not base64");
    }
    secret.data.emplace(key, std::move(*bytes));
  }
  return secret;
}

json encode_secret(const Secret& secret) {
  json metadata = {{"namespace", secret.meta.namespace_}, {"name", secret.meta.name}};
  if (!secret.meta.uid.empty()) {
    metadata["uid"] = secret.meta.uid;
  }
  if (!secret.meta.resource_version.empty()) {
    metadata["resourceVersion"] = secret.meta.resource_version;
  }
  if (!secret.meta.labels.empty()) {
    metadata["labels"] = secret.meta.labels;
  }
  if (!secret.meta.annotations.empty()) {
    metadata["annotations"] = secret.meta.annotations;
  }
  for (const OwnerReference& owner : secret.meta.owner_references) {
    metadata["ownerReferences"].push_back({{"apiVersion", owner.api_version},
                                           {"kind", owner.kind},
                                           {"name", owner.name},
                                           {"uid", owner.uid},
                                           {"controller", owner.controller}});
  }
  json data = json::object();
  for (const auto& [key, value] : secret.data) {
    data[key] = base64_encode(value.expose());  // stringData does not go with server-side apply
  }
  json object = {
      {"apiVersion", "v1"}, {"kind", "Secret"}, {"metadata", std::move(metadata)}, {"data", std::move(data)}};
  if (!secret.type.empty()) {
    object["type"] = secret.type;
  }
  return object;
}

}  // namespace sessmtp::kube
