#include "kube/lease.h"

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/json.h"

namespace sessmtp::kube {
namespace {

using nlohmann::json;

// int32 fields of the API that are not negative; anything else counts as absent.
std::optional<std::int32_t> count_of(const json& object, const char* key) {
  const json& number = member_of(object, key);
  if (!number.is_number_integer()) {
    return std::nullopt;
  }
  const auto value = number.get<std::int64_t>();
  const bool fits = value >= 0 && value <= std::numeric_limits<std::int32_t>::max();
  return fits ? std::optional(static_cast<std::int32_t>(value)) : std::nullopt;
}

json& spec_of(json& object) {
  json& spec = object["spec"];
  if (!spec.is_object()) {
    spec = json::object();
  }
  return spec;
}

}  // namespace

std::optional<LeaseRecord> decode_lease(const json& object) {
  if (!object.is_object() || !object.contains("metadata")) {
    return std::nullopt;
  }
  LeaseRecord record;
  record.resource_version = text_of(object.at("metadata"), "resourceVersion");
  if (record.resource_version.empty()) {
    return std::nullopt;  // a PUT without it would not be compared with what is there
  }
  if (const auto spec = object.find("spec"); spec != object.end()) {
    record.holder = text_of(*spec, "holderIdentity");
    if (const auto seconds = count_of(*spec, "leaseDurationSeconds"); seconds && *seconds > 0) {
      record.duration = std::chrono::seconds(*seconds);
    }
    record.raw = to_json_text(*spec);
  }
  return record;
}

json new_lease(std::string_view namespace_, std::string_view name, const LeaseClaim& claim) {
  json lease = held_lease({{"apiVersion", "coordination.k8s.io/v1"},
                           {"kind", "Lease"},
                           {"metadata", {{"namespace", namespace_}, {"name", name}}}},
                          claim);
  lease["spec"]["leaseTransitions"] = 0;
  return lease;
}

json held_lease(json as_read, const LeaseClaim& claim) {
  json& spec = spec_of(as_read);
  const std::string now = to_rfc3339_micro(claim.now);
  const std::int32_t transitions = count_of(spec, "leaseTransitions").value_or(0);
  const bool ours = text_of(spec, "holderIdentity") == claim.identity;
  if (!ours) {
    spec["holderIdentity"] = claim.identity;
    spec["leaseTransitions"] = transitions + (transitions < std::numeric_limits<std::int32_t>::max() ? 1 : 0);
  }
  if (!ours || text_of(spec, "acquireTime").empty()) {
    spec["acquireTime"] = now;
  }
  spec["renewTime"] = now;
  // Rounded up: others must not take it before we have given up.
  spec["leaseDurationSeconds"] = std::chrono::ceil<std::chrono::seconds>(claim.duration).count();
  return as_read;
}

json released_lease(json as_read, WallTime now) {
  json& spec = spec_of(as_read);
  spec["holderIdentity"] = "";
  spec["leaseDurationSeconds"] = 1;
  spec["acquireTime"] = to_rfc3339_micro(now);
  spec["renewTime"] = to_rfc3339_micro(now);
  return as_read;
}

}  // namespace sessmtp::kube
