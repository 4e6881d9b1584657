#include "cli/offline_cluster.h"

#include <algorithm>
#include <set>
#include <string_view>
#include <utility>
#include <variant>

#include "api/crd_schema.h"
#include "api/names.h"
#include "base/base64.h"
#include "base/json.h"
#include "base/text.h"
#include "kube/client.h"
#include "kube/secret.h"
#include "operator/cache.h"
#include "operator/look.h"

namespace sessmtp::cli {
namespace {

using api::SesSmtpCredential;
using kube::NamespacedName;
using nlohmann::json;
using operator_::Observation;

// One credential's Secret can be another's source, and so on; each pass takes it one credential further.
constexpr int kMaxPasses = 64;

// No uid and no resourceVersion begins like that.
constexpr std::string_view kMadeUp = "\x1fmade-up/";

bool is_made_up(const json& value) {
  return value.is_string() && value.get_ref<const std::string&>().starts_with(kMadeUp);
}

// Without made-up members, what is empty, and the items of lists that have made-up members: an owner
// reference lacks its uid.
json without_made_up(const json& value) {
  if (value.is_object()) {
    json result = json::object();
    for (const auto& [name, member] : value.items()) {
      json kept = is_made_up(member) ? json() : without_made_up(member);
      if (!kept.empty()) {
        result[name] = std::move(kept);
      }
    }
    return result;
  }
  if (value.is_array()) {
    json result = json::array();
    for (const json& item : value) {
      if (!item.is_object() || std::ranges::none_of(item, is_made_up)) {
        result.push_back(without_made_up(item));
      }
    }
    return result;
  }
  return value;
}

std::unexpected<Error> invalid(std::string message) {
  return fail(ErrorCode::kInvalidInput, std::move(message));
}

// --- Secrets ---

// As the API server stores it: stringData goes into data, and base64 may have line ends.
Result<void> merge_string_data(json& object) {
  json data = json::object();
  if (const json& given = member_of(object, "data"); given.is_object()) {
    data = given;
  } else if (!given.is_null()) {
    return invalid("data is not a map");
  }
  for (const auto& [key, value] : data.items()) {
    if (value.is_null()) {
      value = "";
    }
    if (!value.is_string()) {
      return invalid("data." + key + " is not a text; put it in quotes");
    }
    auto& text = value.get_ref<std::string&>();
    std::erase_if(text, [](char c) { return c == '\n' || c == '\r'; });
  }
  if (const json& plain = member_of(object, "stringData"); plain.is_object()) {
    for (const auto& [key, value] : plain.items()) {
      if (!value.is_string() && !value.is_null()) {
        return invalid("stringData." + key + " is not a text; put it in quotes");
      }
      data[key] = value.is_null() ? "" : base64_encode(value.get_ref<const std::string&>());
    }
  } else if (!plain.is_null()) {
    return invalid("stringData is not a map");
  }
  object.erase("stringData");
  object["data"] = std::move(data);
  return {};
}

// The names of a map as FieldsV1 has them.
json field_names(const json& map) {
  json fields = json::object();
  for (const auto& [name, value] : map.items()) {
    fields["f:" + name] = json::object();
  }
  return fields;
}

// metadata.managedFields after an apply of ours; nobody looks at those of others.
json managed_fields(const json& intent) {
  const json& metadata = intent["metadata"];
  json owners = json::object();
  for (const json& owner : member_of(metadata, "ownerReferences")) {
    owners["k:" + to_json_text({{"uid", owner["uid"]}})] = json::object();
  }
  const json fields = {{"f:data", field_names(intent["data"])},
                       {"f:metadata",
                        {{"f:labels", field_names(member_of(metadata, "labels"))},
                         {"f:annotations", field_names(member_of(metadata, "annotations"))},
                         {"f:ownerReferences", std::move(owners)}}}};
  return json::array({{{"manager", kube::kFieldManager},
                       {"operation", "Apply"},
                       {"apiVersion", "v1"},
                       {"fieldsType", "FieldsV1"},
                       {"fieldsV1", fields}}});
}

// A map as it is after an apply: what the intent has is set, what we once applied and it has not is gone.
void apply_map(json& object, const char* name, const json& intent, const std::set<std::string>& applied) {
  const json& wanted = member_of(intent, name);
  json& map = object[name];
  if (map.is_null()) {
    map = json::object();
  }
  for (const std::string& key : applied) {
    if (!wanted.contains(key)) {
      map.erase(key);
    }
  }
  if (wanted.is_object()) {
    map.update(wanted);
  }
}

void apply_owners(json& metadata, const json& intent, const std::set<std::string>& applied) {
  json owners = json::array();
  for (const json& owner : member_of(metadata, "ownerReferences")) {
    if (!applied.contains(text_of(owner, "uid"))) {
      owners.push_back(owner);
    }
  }
  for (const json& owner : member_of(intent, "ownerReferences")) {
    if (std::ranges::find(owners, owner) == owners.end()) {
      owners.push_back(owner);
    }
  }
  metadata["ownerReferences"] = std::move(owners);
}

// --- credentials ---

// Fields below spec that the CRD does not have, in the words of kubectl.
void find_unknown(const json& value, const std::string& path, std::vector<std::string>& unknown) {
  const auto fields = api::needed_fields();
  if (std::ranges::any_of(fields,
                          [&](std::string_view field) { return field == path || field == path + "[]"; })) {
    return;  // a value, or a map whose names are the user's
  }
  const auto leads_to = [&](std::string_view field) { return field.starts_with(path + '.'); };
  if (std::ranges::none_of(fields, leads_to)) {
    unknown.push_back(path);
    return;
  }
  if (value.is_object()) {
    for (const auto& [name, member] : value.items()) {
      find_unknown(member, path + '.' + name, unknown);
    }
  }
}

Result<void> check_fields(const json& object) {
  static const std::set<std::string_view> kTop = {"apiVersion", "kind", "metadata", "spec", "status"};
  std::vector<std::string> unknown;
  for (const auto& [name, member] : object.items()) {
    if (!kTop.contains(name)) {
      unknown.push_back(name);
    }
  }
  if (const auto spec = object.find("spec"); spec != object.end()) {
    find_unknown(*spec, "spec", unknown);
  }
  if (!unknown.empty()) {
    return invalid("unknown field " + joined(unknown));
  }
  return {};
}

}  // namespace

Result<kube::ObjectMeta> OfflineCluster::place(json& object) {
  json& metadata = object["metadata"];
  if (!metadata.is_object() || text_of(metadata, "name").empty()) {
    return invalid("it has no metadata.name");
  }
  if (!is_dns_name(text_of(metadata, "name"), 253, true)) {
    return invalid("metadata.name is no name for it: lower-case letters, digits, '-' and '.' only");
  }
  for (const char* part : {"labels", "annotations"}) {
    const json& map = member_of(metadata, part);
    if (!map.is_object() && !map.is_null()) {
      return invalid(std::string("metadata.") + part + " is not a map");
    }
    for (const auto& [name, value] : map.items()) {
      if (!value.is_string()) {
        return invalid(std::string("metadata.") + part + '.' + name + " is not a text; put it in quotes");
      }
    }
  }
  if (text_of(metadata, "namespace").empty()) {
    metadata["namespace"] = namespace_.empty() ? "default" : namespace_;
  }
  for (const char* part : {"uid", "resourceVersion"}) {
    if (text_of(metadata, part).empty()) {
      metadata[part] = make_up();
    }
  }
  if (text_of(metadata, "creationTimestamp").empty()) {
    metadata["creationTimestamp"] = to_rfc3339(now_);
  }
  return kube::decode_meta(object);
}

std::string OfflineCluster::make_up() {
  std::string number = std::to_string(++made_up_);  // the earlier one is to be the smaller one, as a text too
  number.insert(0, 12 - number.size(), '0');
  return std::string(kMadeUp) + number;
}

Result<void> OfflineCluster::add_secret(json object) {
  if (object.contains("sops")) {
    return invalid("it is encrypted by SOPS; decrypt it first, with sops --decrypt");
  }
  if (const auto merged = merge_string_data(object); !merged) {
    return merged;
  }
  object.emplace("type", "Opaque");
  const auto meta = place(object);
  if (!meta) {
    return std::unexpected(meta.error());
  }
  if (const auto secret = kube::decode_secret(object); !secret) {
    return std::unexpected(secret.error());
  }
  if (!secrets_.emplace(meta->key(), std::move(object)).second) {
    return invalid("there is another Secret of that name in the input");
  }
  return {};
}

Result<void> OfflineCluster::add_credential(json object) {
  if (const std::string version = text_of(object, "apiVersion"); version != api::kGroupVersion) {
    return invalid("apiVersion " + version + " is not known here, only " + std::string(api::kGroupVersion));
  }
  if (const auto checked = check_fields(object); !checked) {
    return checked;
  }
  const bool in_a_namespace =
      !namespace_.empty() || !text_of(member_of(object, "metadata"), "namespace").empty();
  if (const auto meta = place(object); !meta) {
    return std::unexpected(meta.error());
  }
  if (!member_of(object["metadata"], "generation").is_number_integer()) {
    object["metadata"]["generation"] = 1;
  }
  auto credential = api::decode_credential(object);
  if (!credential) {
    return std::unexpected(credential.error());
  }
  // What comes of a login or a restart, only a cluster can tell.
  credential->spec.verify_mode = api::VerifyMode::kDisabled;
  credential->spec.rollout_restart_targets.clear();
  const NamespacedName name = credential->meta.key();
  if (std::ranges::any_of(credentials_,
                          [&](const Held& held) { return held.credential.meta.key() == name; })) {
    return invalid("there is another SesSmtpCredential of that name in the input");
  }
  credentials_.push_back({.credential = std::move(*credential), .in_a_namespace = in_a_namespace});
  return {};
}

// A credential from Git has no uid; the target from the cluster that was written for it tells which it has.
void OfflineCluster::recognise_targets() {
  for (Held& held : credentials_) {
    SesSmtpCredential& credential = held.credential;
    const auto found = secrets_.find({credential.meta.namespace_, credential.spec.target.name});
    if (!credential.meta.uid.starts_with(kMadeUp) || found == secrets_.end()) {
      continue;
    }
    const auto meta = kube::decode_meta(found->second);
    const operator_::SecretRecord record = meta ? operator_::record_of(*meta) : operator_::SecretRecord{};
    if (record.managed && record.credential_name == credential.meta.name && !record.owner_uid.empty()) {
      credential.meta.uid = record.owner_uid;
    }
  }
}

Result<std::vector<OfflineCluster::Outcome>> OfflineCluster::settle() {
  recognise_targets();
  int passes = 0;
  for (bool changed = true; changed; ++passes) {
    if (passes == kMaxPasses) {
      return fail(ErrorCode::kInternal, "the objects change each other without end");
    }
    const auto looked = look_at_all();
    if (!looked) {
      return std::unexpected(looked.error());
    }
    changed = *looked;
  }
  std::vector<Outcome> outcomes;
  std::ranges::transform(credentials_, std::back_inserter(outcomes),
                         [this](Held& held) { return outcome_of(held); });
  return outcomes;
}

OfflineCluster::Outcome OfflineCluster::outcome_of(Held& held) const {
  const SesSmtpCredential& credential = held.credential;
  Outcome outcome{
      .name = credential.meta.key(),
      .status = credential.status,
      .credential = {{"apiVersion", api::kGroupVersion},
                     {"kind", api::kKind},
                     {"metadata",
                      {{"namespace", credential.meta.namespace_}, {"name", credential.meta.name}}},
                     {"status", without_made_up(encode_status(credential.status))}},
      .target = {},
      .events = std::move(held.events)};
  const api::Condition* ready = find_condition(credential.status.conditions, "Ready");
  const auto found = secrets_.find({credential.meta.namespace_, credential.spec.target.name});
  if (ready != nullptr && ready->status == "True" && found != secrets_.end()) {
    outcome.target = without_made_up(found->second);
    for (const char* field :
         {"uid", "resourceVersion", "creationTimestamp", "generation", "managedFields", "selfLink"}) {
      (*outcome.target)["metadata"].erase(field);
    }
  }
  if (!held.in_a_namespace) {
    outcome.name.namespace_.clear();
    outcome.credential["metadata"].erase("namespace");
    if (outcome.target) {
      (*outcome.target)["metadata"].erase("namespace");
    }
  }
  return outcome;
}

// Every pass begins with a new picture of the world, as if all changes had come in by the watches.
Result<bool> OfflineCluster::look_at_all() {
  const SystemClock clock;
  operator_::Cache cache({""}, clock, [](const NamespacedName&, kube::Priority) {});
  cache.begin_credential_list("");
  for (const Held& held : credentials_) {
    cache.listed_credential("", held.credential);
  }
  cache.end_credential_list("");
  cache.begin_secret_list("");
  for (const auto& [name, object] : secrets_) {
    if (const auto meta = kube::decode_meta(object); meta && api::is_watched_type(text_of(object, "type"))) {
      cache.listed_secret("", *meta);
    }
  }
  cache.end_secret_list("");

  bool changed = false;
  for (Held& held : credentials_) {
    auto observation = cache.observe(held.credential.meta.key());
    if (!observation) {
      return fail(ErrorCode::kInternal, "a credential was lost");
    }
    const auto looked = look_at(held, std::move(*observation));
    if (!looked) {
      return std::unexpected(looked.error());
    }
    changed = changed || *looked;
  }
  return changed;
}

// These objects, as one look at one credential may touch them. Nobody logs in, and nothing is restarted.
class OfflineCluster::Access final : public operator_::WorldAccess {
 public:
  Access(OfflineCluster& cluster, std::string where) : cluster_(cluster), namespace_(std::move(where)) {}

  operator_::LiveRead read_secret(const std::string& name) override {
    return cluster_.read({namespace_, name});
  }
  std::optional<operator_::WriteAnswer> write_secret(const kube::Secret& intent) override {
    auto written = cluster_.apply(intent);
    if (!written) {
      failure = written.error();
      return std::nullopt;
    }
    changed = true;
    return std::move(*written);
  }
  operator_::Login log_in(operator_::LoginRequest /*request*/) override { return {}; }
  operator_::RestartAnswer restart(const operator_::RestartRequest& /*request*/) override {
    return {.result = operator_::RestartResult::kUpToDate};
  }

  bool changed = false;
  std::optional<Error> failure;

 private:
  OfflineCluster& cluster_;
  const std::string namespace_;
};

// The first time both Secrets are read, whatever a status from elsewhere says of them.
Result<bool> OfflineCluster::look_at(Held& held, Observation observation) {
  SesSmtpCredential& credential = held.credential;
  observation.now = now_;
  const auto needed = held.seen ? needs(observation) : operator_::Needs::kSourceAndTarget;
  held.seen = true;
  Access access(*this, credential.meta.namespace_);
  auto decided = operator_::look(observation, needed, access);
  if (!decided) {
    return std::unexpected(std::move(*access.failure));
  }
  if (decided->wants_more()) {
    return fail(ErrorCode::kInternal, "the target never is as it should be");
  }
  if (decided->status && *decided->status != credential.status) {
    credential.status = std::move(*decided->status);
    std::ranges::move(decided->events, std::back_inserter(held.events));
    access.changed = true;
  }
  return access.changed;
}

operator_::LiveRead OfflineCluster::read(const NamespacedName& name) const {
  const auto found = secrets_.find(name);
  if (found == secrets_.end()) {
    return operator_::Missing{};
  }
  auto secret = kube::decode_secret(found->second);
  if (!secret) {  // it was sound when it came in
    kube::ApiError error;
    error.message = secret.error().message;
    return error;
  }
  return std::move(*secret);
}

// Server-side apply, as the API server does it.
Result<operator_::WriteAnswer> OfflineCluster::apply(const kube::Secret& intent) {
  json wanted = kube::encode_secret(intent);
  json& metadata = wanted["metadata"];
  metadata.erase("uid");  // conditions, which hold here
  metadata.erase("resourceVersion");
  const auto [found, created] = secrets_.try_emplace(intent.meta.key(), wanted);
  json& object = found->second;
  if (!created) {
    const auto live = kube::decode_secret(object);
    if (!live) {
      return std::unexpected(live.error());
    }
    apply_map(object, "data", wanted, live->applied.data);
    apply_map(object["metadata"], "labels", metadata, live->applied.labels);
    apply_map(object["metadata"], "annotations", metadata, live->applied.annotations);
    apply_owners(object["metadata"], metadata, live->applied.owners);
  }
  object["metadata"]["managedFields"] = managed_fields(wanted);
  object["metadata"]["resourceVersion"] = make_up();
  const auto meta = place(object);
  if (!meta) {
    return std::unexpected(meta.error());
  }
  return api::SecretVersion{.uid = meta->uid, .resource_version = meta->resource_version};
}

}  // namespace sessmtp::cli
