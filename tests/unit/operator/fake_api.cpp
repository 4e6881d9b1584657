#include "fake_api.h"

#include <array>

#include "api/names.h"
#include "kube/client.h"

namespace sessmtp::operator_ {
namespace {

// The maps that are merged key by key.
constexpr std::array kMaps = {"/data", "/metadata/labels", "/metadata/annotations"};
const json::json_pointer kOwners("/metadata/ownerReferences");

std::string text(const json& object, const char* where) {
  const json::json_pointer pointer(where);
  return object.contains(pointer) ? object.at(pointer).get<std::string>() : std::string();
}

// The object with what we owned taken out and what we now intend put in.
json merged(json object, const json& ours, const json& intent) {
  for (const char* map : kMaps) {
    const json::json_pointer where(map);
    if (ours.contains(where) && object.contains(where)) {
      for (const auto& [key, value] : ours.at(where).items()) {
        object[where].erase(key);
      }
    }
    if (intent.contains(where)) {
      for (const auto& [key, value] : intent.at(where).items()) {
        object[where][key] = value;
      }
    }
  }
  json owners = object.value(kOwners, json::array());
  std::erase_if(owners.get_ref<json::array_t&>(), [&](const json& owner) {
    const auto same_uid = [&](const json& other) { return other.at("uid") == owner.at("uid"); };
    for (const json& list : {ours.value(kOwners, json::array()), intent.value(kOwners, json::array())}) {
      if (std::ranges::any_of(list, same_uid)) {
        return true;
      }
    }
    return false;
  });
  for (const json& owner : intent.value(kOwners, json::array())) {
    owners.push_back(owner);
  }
  if (!owners.empty() || object.contains(kOwners)) {
    object[kOwners] = owners;
  }
  return object;
}

// metadata.managedFields as far as it is about us: of what we applied, all that nobody has changed since.
json managed_fields(const json& object, const json& ours) {
  json fields = json::object();
  for (const char* map : kMaps) {
    const json::json_pointer where(map);
    const json live = object.value(where, json::object());
    const json applied = ours.value(where, json::object());
    for (const auto& [key, value] : applied.items()) {
      if (live.contains(key) && live.at(key) == value) {
        json& at = where.parent_pointer().empty() ? fields : fields["f:metadata"];
        at["f:" + where.back()]["f:" + key] = json::object();
      }
    }
  }
  const json live_owners = object.value(kOwners, json::array());
  const json applied_owners = ours.value(kOwners, json::array());
  for (const json& owner : applied_owners) {
    if (std::ranges::find(live_owners, owner) != live_owners.end()) {
      const std::string item = json{{"uid", owner.at("uid")}}.dump();
      fields["f:metadata"]["f:ownerReferences"]["k:" + item] = json::object();
    }
  }
  return json::array({{{"manager", kube::kFieldManager},
                       {"operation", "Apply"},
                       {"apiVersion", "v1"},
                       {"fieldsType", "FieldsV1"},
                       {"fieldsV1", fields}}});
}

}  // namespace

Answer refusal(int code, const std::string& reason, const std::string& message,
               const std::vector<std::pair<std::string, std::string>>& causes) {
  json body = {{"kind", "Status"},    {"apiVersion", "v1"}, {"metadata", json::object()},
               {"status", "Failure"}, {"message", message}, {"reason", reason},
               {"code", code}};
  for (const auto& [field, cause] : causes) {
    body["details"]["causes"].push_back({{"field", field}, {"reason", cause}, {"message", message}});
  }
  return {code, body};
}

const json& FakeApi::publish(const std::string& type, const std::string& path, json& object) {
  object["metadata"]["resourceVersion"] = std::to_string(++version_);
  changes_.push_back({.version = version_, .type = type, .path = path, .object = object});
  return object;
}

void FakeApi::complete(json& metadata) {
  if (!metadata.contains("uid")) {
    metadata["uid"] = "uid-" + std::to_string(++uids_);
  }
  if (!metadata.contains("creationTimestamp")) {
    metadata["creationTimestamp"] = to_rfc3339(clock_.now());
  }
}

const json& FakeApi::put(const std::string& path, json object) {
  const auto found = objects_.find(path);
  if (found == objects_.end()) {
    complete(object["metadata"]);
    return publish("ADDED", path, objects_[path].object = std::move(object));
  }
  for (const char* kept : {"uid", "creationTimestamp"}) {
    object["metadata"][kept] = found->second.object.at("metadata").at(kept);
  }
  return publish("MODIFIED", path, found->second.object = std::move(object));
}

void FakeApi::edit(const std::string& path, const std::function<void(json&)>& change) {
  json& object = objects_.at(path).object;
  change(object);
  publish("MODIFIED", path, object);
}

void FakeApi::remove(const std::string& path) {
  if (auto gone = objects_.extract(path)) {
    publish("DELETED", path, gone.mapped().object);
  }
}

const json* FakeApi::find(const std::string& path) const {
  const auto found = objects_.find(path);
  return found == objects_.end() ? nullptr : &found->second.object;
}

std::vector<json> FakeApi::all(const std::string& collection) const {
  std::vector<json> result;
  for (const auto& [path, stored] : objects_) {
    if (path.starts_with(collection + '/')) {
      result.push_back(stored.object);
    }
  }
  return result;
}

std::string FakeApi::written_for(const std::string& path) const {
  const auto found = objects_.find(path);
  const json owner = found == objects_.end() ? json() : found->second.ours.value("metadata", json::object());
  return owner.is_object() && owner.contains("labels")
             ? owner.at("labels").value(std::string(api::kOwnerUidLabel), std::string())
             : std::string();
}

Answer FakeApi::get(const std::string& path) const {
  const auto found = objects_.find(path);
  if (found == objects_.end()) {
    return refusal(404, "NotFound", path + " not found");
  }
  json object = found->second.object;
  if (!found->second.ours.empty()) {
    object["metadata"]["managedFields"] = managed_fields(object, found->second.ours);
  }
  return {200, object};
}

Answer FakeApi::create(const std::string& path, const json& intent) {
  if (!text(intent, "/metadata/uid").empty()) {
    return refusal(409, "Conflict",
                   "uid mismatch: the provided object specified uid, and no existing object was found");
  }
  Stored& stored = objects_[path] = {intent, intent};
  complete(stored.object["metadata"]);
  return {201, publish("ADDED", path, stored.object)};
}

Answer FakeApi::apply(const std::string& path, const json& intent) {
  const auto found = objects_.find(path);
  if (found == objects_.end()) {
    return create(path, intent);
  }
  json& live = found->second.object;
  if (const std::string uid = text(intent, "/metadata/uid");
      !uid.empty() && uid != text(live, "/metadata/uid")) {
    return refusal(422, "Invalid", "metadata.uid: field is immutable",
                   {{"metadata.uid", "FieldValueInvalid"}});
  }
  if (const std::string version = text(intent, "/metadata/resourceVersion");
      !version.empty() && version != text(live, "/metadata/resourceVersion")) {
    return refusal(409, "Conflict", "the object has been modified");
  }
  if (intent.contains("type") && live.at("type") != intent.at("type")) {
    return refusal(422, "Invalid", "type: field is immutable", {{"type", "FieldValueInvalid"}});
  }
  json after = merged(live, found->second.ours, intent);
  if (live.value("immutable", false) && after.at("data") != live.at("data")) {
    return refusal(422, "Invalid", "data: field is immutable when `immutable` is set",
                   {{"data", "FieldValueForbidden"}});
  }
  const json owners = after.value(kOwners, json::array());
  if (std::ranges::count_if(owners, [](const json& owner) { return owner.value("controller", false); }) > 1) {
    return refusal(422, "Invalid", "only one reference can have Controller set to true",
                   {{"metadata.ownerReferences", "FieldValueInvalid"}});
  }
  found->second.ours = intent;
  if (after != live) {
    live = std::move(after);
    publish("MODIFIED", path, live);
  }
  return {200, live};
}

Answer FakeApi::merge_patch(const std::string& path, const json& patch) {
  const json* live = find(path);
  if (live == nullptr) {
    return refusal(404, "NotFound", path + " not found");
  }
  for (const char* const field : {"uid", "resourceVersion"}) {
    const json& is = live->at("metadata").at(field);
    if (patch.value("metadata", json::object()).value(field, is) != is) {
      return refusal(409, "Conflict", "the object has been modified");
    }
  }
  edit(path, [&patch](json& object) { object.merge_patch(patch); });
  return {200, *find(path)};
}

Answer FakeApi::apply_status(const std::string& path, const json& intent) {
  const auto found = objects_.find(path);
  if (found == objects_.end()) {
    return refusal(404, "NotFound", path + " not found");
  }
  json& live = found->second.object;
  // Of a custom resource's status the real one does not compare the uid.
  if (const std::string version = text(intent, "/metadata/resourceVersion");
      !version.empty() && version != text(live, "/metadata/resourceVersion")) {
    return refusal(409, "Conflict", "the object has been modified");
  }
  if (live.value("status", json()) != intent.at("status")) {
    live["status"] = intent.at("status");
    publish("MODIFIED", path, live);
  }
  return {200, live};
}

}  // namespace sessmtp::operator_
