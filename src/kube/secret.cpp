#include "kube/secret.h"

#include <nlohmann/json.hpp>

#include "base/base64.h"

namespace sessmtp::kube {

Result<Secret> decode_secret(const nlohmann::json& object) {
  auto meta = decode_meta(object);
  if (!meta) {
    return std::unexpected(std::move(meta.error()));
  }
  Secret secret;
  secret.meta = std::move(*meta);
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

nlohmann::json encode_secret(const Secret& secret) {
  using nlohmann::json;
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
  return {{"apiVersion", "v1"},
          {"kind", "Secret"},
          {"metadata", std::move(metadata)},
          {"type", secret.type},
          {"data", std::move(data)}};
}

}  // namespace sessmtp::kube
