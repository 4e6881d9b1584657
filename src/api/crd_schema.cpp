#include "api/crd_schema.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace sessmtp::api {
namespace {

using nlohmann::json;

// apiextensions-apiserver:pkg/controller/openapi/builder/builder.go makes the name of group, version and
// kind.
constexpr const char* kSchemaName = "dev.ses-smtp.v1alpha1.SesSmtpCredential";

constexpr std::array<std::string_view, 59> kNeeded{
    "spec.source.secretName",
    "spec.source.preset",
    "spec.source.profile",
    "spec.source.keys.accessKeyId",
    "spec.source.keys.secretAccessKey",
    "spec.source.keys.sessionToken",
    "spec.source.keys.region",
    "spec.source.keys.file",
    "spec.region",
    "spec.additionalRegions[]",
    "spec.endpoint.host",
    "spec.endpoint.port",
    "spec.endpoint.tls",
    "spec.endpoint.fips",
    "spec.target.name",
    "spec.target.type",
    "spec.target.labels",
    "spec.target.annotations",
    "spec.target.format",
    "spec.target.data",
    "spec.target.conflictPolicy",
    "spec.target.deletionPolicy",
    "spec.keepPreviousFor",
    "spec.verify.mode",
    "spec.rolloutRestartTargets[].kind",
    "spec.rolloutRestartTargets[].name",
    "spec.suspend",
    "status.observedGeneration",
    "status.conditions[].type",
    "status.conditions[].status",
    "status.conditions[].reason",
    "status.conditions[].message",
    "status.conditions[].observedGeneration",
    "status.conditions[].lastTransitionTime",
    "status.accessKeyId",
    "status.region",
    "status.additionalRegions[]",
    "status.endpoint.host",
    "status.endpoint.port",
    "status.endpoint.tls",
    "status.keySince",
    "status.lastRotationTime",
    "status.source.uid",
    "status.source.resourceVersion",
    "status.target.name",
    "status.target.uid",
    "status.target.resourceVersion",
    "status.target.merged",
    "status.renderVersion",
    "status.previous.accessKeyId",
    "status.previous.expiresAt",
    "status.rollouts[].kind",
    "status.rollouts[].name",
    "status.rollouts[].digest",
    "status.rollouts[].requestedAt",
    "status.rollouts[].restartedAt",
    "status.rollouts[].reason",
    "status.binding.name",
    "status.lastHandledReconcileAt",
};

// Null when `value` is no object or has no such member.
const json* member(const json* value, std::string_view key) {
  if (value == nullptr || !value->is_object()) {
    return nullptr;
  }
  const auto found = value->find(key);
  return found == value->end() ? nullptr : &*found;
}

// Schemas of custom resources are structural: everything stands inline, nothing behind a $ref.
bool knows(const json& schema, std::string_view path) {
  const json* at = &schema;
  while (at != nullptr && !path.empty()) {
    std::string_view key = path.substr(0, path.find('.'));
    path.remove_prefix(std::min(path.size(), key.size() + 1));
    const bool list = key.ends_with("[]");
    key.remove_suffix(list ? 2 : 0);
    at = member(member(at, "properties"), key);
    at = list ? member(at, "items") : at;
  }
  return at != nullptr && at->is_object();
}

}  // namespace

std::span<const std::string_view> needed_fields() {
  return kNeeded;
}

Result<std::vector<std::string>> missing_fields(const json& document) {
  const json* schema = member(member(member(&document, "components"), "schemas"), kSchemaName);
  if (schema == nullptr) {
    return fail(ErrorCode::kNotFound, std::string("the API server shows no schema ") + kSchemaName);
  }
  std::vector<std::string> missing;
  for (const std::string_view field : kNeeded) {
    if (!knows(*schema, field)) {
      missing.emplace_back(field);
    }
  }
  return missing;
}

}  // namespace sessmtp::api
