#include "api/ses_smtp_credential.h"

#include <algorithm>
#include <array>
#include <functional>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "base/duration.h"
#include "base/text.h"

namespace sessmtp::api {
namespace {

using nlohmann::json;

// Reads optional members and remembers the path of the first that has the wrong type.
class Reader {
 public:
  Reader(const json& object, std::string path, std::string& wrong)
      : object_(object), path_(std::move(path)), wrong_(wrong) {
    if (!object.is_object() && !object.is_null()) {
      complain(path_);
    }
  }

  [[nodiscard]] Reader child(const char* key) const {
    static const json kNothing;
    const json* value = member(key);
    return {value == nullptr ? kNothing : *value, path_of(key), wrong_};
  }

  template <class T>
  [[nodiscard]] std::optional<T> get(const char* key, bool (json::*is_type)() const noexcept) const {
    const json* value = member(key);
    if (value == nullptr) {
      return std::nullopt;
    }
    if (!(value->*is_type)()) {
      complain(path_of(key));
      return std::nullopt;
    }
    return value->get<T>();
  }

  [[nodiscard]] std::optional<std::string> text(const char* key) const {
    return get<std::string>(key, &json::is_string);
  }
  [[nodiscard]] std::optional<std::int64_t> integer(const char* key) const {
    return get<std::int64_t>(key, &json::is_number_integer);
  }
  [[nodiscard]] std::optional<bool> boolean(const char* key) const {
    return get<bool>(key, &json::is_boolean);
  }
  [[nodiscard]] std::optional<WallTime> time(const char* key) const {
    const auto value = text(key);
    const auto parsed = value ? parse_rfc3339(*value) : std::nullopt;
    if (value && !parsed) {
      complain(path_of(key));
    }
    return parsed;
  }
  [[nodiscard]] std::map<std::string, std::string> texts(const char* key) const {
    std::map<std::string, std::string> result;
    const json* value = member(key);
    if (value == nullptr) {
      return result;
    }
    if (!value->is_object()) {
      complain(path_of(key));
      return result;
    }
    for (const auto& [name, text] : value->items()) {
      if (text.is_string()) {
        result.emplace(name, text.get_ref<const std::string&>());
      } else {
        complain(path_of(key) + '.' + name);
      }
    }
    return result;
  }
  [[nodiscard]] std::vector<std::string> list(const char* key) const {
    std::vector<std::string> result;
    const json* value = member(key);
    if (value == nullptr) {
      return result;
    }
    const auto is_text = [](const json& item) { return item.is_string(); };
    if (!value->is_array() || !std::ranges::all_of(*value, is_text)) {
      complain(path_of(key));
      return result;
    }
    return value->get<std::vector<std::string>>();
  }
  void each(const char* key, const std::function<void(const Reader&)>& use) const {
    const json* value = member(key);
    if (value == nullptr) {
      return;
    }
    if (!value->is_array()) {
      complain(path_of(key));
      return;
    }
    for (const json& item : *value) {
      use(Reader(item, path_of(key) + "[]", wrong_));
    }
  }
  // One of the values that the API gives names; `fallback` when there is none.
  template <class Enum, std::size_t N>
  [[nodiscard]] Enum one_of(const char* key, const std::array<std::pair<std::string_view, Enum>, N>& names,
                            Enum fallback) const {
    const auto value = text(key);
    const auto found =
        std::ranges::find(names, value.value_or(""), [](const auto& name) { return name.first; });
    if (value && found == names.end()) {
      std::vector<std::string> accepted;
      accepted.reserve(N);
      for (const auto& [name, ignored] : names) {
        accepted.emplace_back(name);
      }
      complain(path_of(key), "must be one of " + joined(accepted));
    }
    return found == names.end() ? fallback : found->second;
  }
  [[nodiscard]] const json* member(const char* key) const {
    const auto found = object_.is_object() ? object_.find(key) : object_.end();
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  [[nodiscard]] std::string path_of(const char* key) const {
    return path_.empty() ? std::string(key) : path_ + '.' + key;
  }
  void complain(const std::string& path, const std::string& what = "is missing or of the wrong type") const {
    if (wrong_.empty()) {
      wrong_ = path + ' ' + what;
    }
  }

 private:
  const json& object_;
  std::string path_;
  std::string& wrong_;
};

std::optional<ses::Tls> decode_tls(const Reader& reader) {
  const auto text = reader.text("tls");
  if (!text) {
    return std::nullopt;
  }
  if (*text == to_string(ses::Tls::kImplicit)) {
    return ses::Tls::kImplicit;
  }
  if (*text != to_string(ses::Tls::kStartTls)) {
    reader.complain(reader.path_of("tls"), "must be StartTls or Implicit");
  }
  return ses::Tls::kStartTls;
}

std::optional<std::uint16_t> decode_port(const Reader& reader) {
  const auto port = reader.integer("port");
  if (!port) {
    return std::nullopt;
  }
  if (*port < 1 || *port > 65535) {
    reader.complain(reader.path_of("port"));
    return std::nullopt;
  }
  return static_cast<std::uint16_t>(*port);
}

constexpr std::array<std::pair<std::string_view, SourcePreset>, 9> kPresets{{
    {"Auto", SourcePreset::kAuto},
    {"Plain", SourcePreset::kPlain},
    {"AwsEnv", SourcePreset::kAwsEnv},
    {"Crossplane", SourcePreset::kCrossplane},
    {"Vault", SourcePreset::kVault},
    {"IdSecret", SourcePreset::kIdSecret},
    {"AwsCredentialsFile", SourcePreset::kAwsCredentialsFile},
    {"AwsJson", SourcePreset::kAwsJson},
    {"AccessKeysCsv", SourcePreset::kAccessKeysCsv},
}};
constexpr std::array<std::pair<std::string_view, TargetFormat>, 5> kFormats{{
    {"Default", TargetFormat::kDefault},
    {"BasicAuth", TargetFormat::kBasicAuth},
    {"Env", TargetFormat::kEnv},
    {"ServiceBinding", TargetFormat::kServiceBinding},
    {"None", TargetFormat::kNone},
}};
constexpr std::array<std::pair<std::string_view, ConflictPolicy>, 3> kConflictPolicies{{
    {"Fail", ConflictPolicy::kFail},
    {"Adopt", ConflictPolicy::kAdopt},
    {"Merge", ConflictPolicy::kMerge},
}};
constexpr std::array<std::pair<std::string_view, DeletionPolicy>, 2> kDeletionPolicies{{
    {"Delete", DeletionPolicy::kDelete},
    {"Retain", DeletionPolicy::kRetain},
}};

constexpr std::array<std::pair<std::string_view, VerifyMode>, 3> kVerifyModes{{
    {"Disabled", VerifyMode::kDisabled},
    {"Report", VerifyMode::kReport},
    {"Enforce", VerifyMode::kEnforce},
}};

SourceSpec decode_source(const Reader& source) {
  const Reader keys = source.child("keys");
  SourceSpec result;
  result.secret_name = source.text("secretName").value_or("");
  if (result.secret_name.empty()) {
    source.complain(source.path_of("secretName"));
  }
  result.preset = source.one_of("preset", kPresets, SourcePreset::kAuto);
  result.profile = source.text("profile").value_or(result.profile);
  result.keys = {.access_key_id = keys.text("accessKeyId"),
                 .secret_access_key = keys.text("secretAccessKey"),
                 .session_token = keys.text("sessionToken"),
                 .region = keys.text("region"),
                 .file = keys.text("file")};
  return result;
}

TargetSpec decode_target(const Reader& target, const std::string& object_name) {
  TargetSpec result;
  result.name = target.text("name").value_or(object_name);
  result.type = target.text("type").value_or(result.type);
  result.labels = target.texts("labels");
  result.annotations = target.texts("annotations");
  result.format = target.one_of("format", kFormats, TargetFormat::kDefault);
  result.data = target.texts("data");
  result.conflict_policy = target.one_of("conflictPolicy", kConflictPolicies, ConflictPolicy::kFail);
  result.deletion_policy = target.one_of("deletionPolicy", kDeletionPolicies, DeletionPolicy::kDelete);
  return result;
}

std::vector<Workload> decode_workloads(const Reader& spec) {
  std::vector<Workload> result;
  spec.each("rolloutRestartTargets", [&result](const Reader& item) {
    Workload workload{.kind = item.text("kind").value_or(""), .name = item.text("name").value_or("")};
    if (workload.name.empty()) {
      item.complain(item.path_of("name"));
    }
    result.push_back(std::move(workload));
  });
  return result;
}

Spec decode_spec(const Reader& spec, const std::string& object_name) {
  const Reader endpoint = spec.child("endpoint");
  Spec result;
  result.source = decode_source(spec.child("source"));
  result.region = spec.text("region");
  result.additional_regions = spec.list("additionalRegions");
  result.endpoint = {.host = endpoint.text("host"),
                     .port = decode_port(endpoint),
                     .tls = decode_tls(endpoint),
                     .fips = endpoint.boolean("fips").value_or(false)};
  result.target = decode_target(spec.child("target"), object_name);
  if (const auto text = spec.text("keepPreviousFor")) {
    result.keep_previous_for = parse_duration(*text);
    if (!result.keep_previous_for) {
      spec.complain(spec.path_of("keepPreviousFor"), "must be a duration such as 24h or 1h30m");
    }
  }
  result.verify_mode = spec.child("verify").one_of("mode", kVerifyModes, VerifyMode::kDisabled);
  result.rollout_restart_targets = decode_workloads(spec);
  result.suspend = spec.boolean("suspend").value_or(false);
  return result;
}

Conditions decode_conditions(const Reader& status) {
  Conditions conditions;
  status.each("conditions", [&conditions](const Reader& item) {
    if (!is_our_condition(item.text("type").value_or(""))) {
      return;  // of another manager, who may add to the list
    }
    conditions.push_back({.type = item.text("type").value_or(""),
                          .status = item.text("status").value_or("Unknown"),
                          .reason = item.text("reason").value_or(""),
                          .message = item.text("message").value_or(""),
                          .observed_generation = item.integer("observedGeneration").value_or(0),
                          .last_transition_time = item.time("lastTransitionTime").value_or(WallTime{})});
  });
  return conditions;
}

std::vector<Rollout> decode_rollouts(const Reader& status) {
  std::vector<Rollout> rollouts;
  status.each("rollouts", [&rollouts](const Reader& item) {
    rollouts.push_back(
        {.workload = {.kind = item.text("kind").value_or(""), .name = item.text("name").value_or("")},
         .digest = item.text("digest").value_or(""),
         .requested_at = item.time("requestedAt"),
         .restarted_at = item.time("restartedAt"),
         .reason = item.text("reason").value_or("")});
  });
  return rollouts;
}

std::optional<SecretVersion> decode_version(const Reader& status, const char* key) {
  const Reader version = status.child(key);
  const auto uid = version.text("uid");
  if (!uid) {
    return std::nullopt;
  }
  return SecretVersion{.uid = *uid, .resource_version = version.text("resourceVersion").value_or("")};
}

Status decode_status(const Reader& status) {
  Status result;
  result.observed_generation = status.integer("observedGeneration").value_or(-1);
  result.conditions = decode_conditions(status);
  result.access_key_id = status.text("accessKeyId").value_or("");
  result.region = status.text("region").value_or("");
  result.additional_regions = status.list("additionalRegions");
  if (const Reader endpoint = status.child("endpoint"); endpoint.text("host")) {
    result.endpoint = ses::Endpoint{.host = *endpoint.text("host"),
                                    .port = decode_port(endpoint).value_or(ses::kDefaultPort),
                                    .tls = decode_tls(endpoint).value_or(ses::Tls::kStartTls)};
  }
  result.key_since = status.time("keySince");
  result.last_rotation_time = status.time("lastRotationTime");
  result.source = decode_version(status, "source");
  result.target = decode_version(status, "target");
  result.target_name = status.child("target").text("name").value_or("");
  result.target_merged = status.child("target").boolean("merged").value_or(false);
  result.render_version = static_cast<int>(status.integer("renderVersion").value_or(0));
  const Reader previous = status.child("previous");
  if (const auto expires_at = previous.time("expiresAt")) {
    result.previous = {.access_key_id = previous.text("accessKeyId").value_or(""), .expires_at = *expires_at};
  }
  result.rollouts = decode_rollouts(status);
  result.binding_name = status.child("binding").text("name").value_or("");
  result.last_handled_reconcile_at = status.text("lastHandledReconcileAt").value_or("");
  return result;
}

json encode_conditions(const Conditions& conditions) {
  json list = json::array();
  for (const Condition& condition : conditions) {
    list.push_back({{"type", condition.type},
                    {"status", condition.status},
                    {"reason", condition.reason},
                    {"message", condition.message},
                    {"observedGeneration", condition.observed_generation},
                    {"lastTransitionTime", to_rfc3339(condition.last_transition_time)}});
  }
  return list;
}

json encode_rollouts(const std::vector<Rollout>& rollouts) {
  json list = json::array();
  for (const Rollout& rollout : rollouts) {
    json item = {
        {"kind", rollout.workload.kind}, {"name", rollout.workload.name}, {"digest", rollout.digest}};
    if (rollout.requested_at) {
      item["requestedAt"] = to_rfc3339(*rollout.requested_at);
    }
    if (rollout.restarted_at) {
      item["restartedAt"] = to_rfc3339(*rollout.restarted_at);
    }
    if (!rollout.reason.empty()) {
      item["reason"] = rollout.reason;
    }
    list.push_back(std::move(item));
  }
  return list;
}

}  // namespace

Result<SesSmtpCredential> decode_credential(const json& object) {
  auto meta = kube::decode_meta(object);
  if (!meta) {
    return std::unexpected(std::move(meta.error()));
  }
  std::string wrong;
  const Reader root(object, "", wrong);
  SesSmtpCredential credential{.meta = std::move(*meta), .spec = {}, .status = {}};
  credential.spec = decode_spec(root.child("spec"), credential.meta.name);
  if (!wrong.empty()) {
    return fail(ErrorCode::kInvalidInput, wrong);
  }
  // A status that somebody damaged is made again: whatever cannot be read counts as absent.
  credential.status = decode_status(root.child("status"));
  return credential;
}

json encode_status(const Status& status) {
  json result = {{"observedGeneration", status.observed_generation},
                 {"conditions", encode_conditions(status.conditions)}};
  const auto set_text = [&result](const char* key, const std::string& value) {
    if (!value.empty()) {
      result[key] = value;
    }
  };
  const auto set_time = [&result](const char* key, const std::optional<WallTime>& value) {
    if (value) {
      result[key] = to_rfc3339(*value);
    }
  };
  set_text("accessKeyId", status.access_key_id);
  set_text("region", status.region);
  if (!status.additional_regions.empty()) {
    result["additionalRegions"] = status.additional_regions;
  }
  if (status.endpoint) {
    result["endpoint"] = {{"host", status.endpoint->host},
                          {"port", status.endpoint->port},
                          {"tls", to_string(status.endpoint->tls)}};
  }
  set_time("keySince", status.key_since);
  set_time("lastRotationTime", status.last_rotation_time);
  if (status.source) {
    result["source"] = {{"uid", status.source->uid}, {"resourceVersion", status.source->resource_version}};
  }
  if (status.target) {
    result["target"] = {{"name", status.target_name},
                        {"uid", status.target->uid},
                        {"resourceVersion", status.target->resource_version}};
    if (status.target_merged) {
      result["target"]["merged"] = true;
    }
  }
  if (status.render_version > 0) {
    result["renderVersion"] = status.render_version;
  }
  if (status.previous) {
    result["previous"] = {{"accessKeyId", status.previous->access_key_id},
                          {"expiresAt", to_rfc3339(status.previous->expires_at)}};
  }
  if (!status.rollouts.empty()) {
    result["rollouts"] = encode_rollouts(status.rollouts);
  }
  if (!status.binding_name.empty()) {
    result["binding"] = {{"name", status.binding_name}};
  }
  set_text("lastHandledReconcileAt", status.last_handled_reconcile_at);
  return result;
}

}  // namespace sessmtp::api
