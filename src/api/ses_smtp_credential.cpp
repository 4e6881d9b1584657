#include "api/ses_smtp_credential.h"

#include <nlohmann/json.hpp>

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
  [[nodiscard]] const json* member(const char* key) const {
    const auto found = object_.is_object() ? object_.find(key) : object_.end();
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  [[nodiscard]] std::string path_of(const char* key) const {
    return path_.empty() ? std::string(key) : path_ + '.' + key;
  }
  void complain(const std::string& path) const {
    if (wrong_.empty()) {
      wrong_ = path;
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
    reader.complain(reader.path_of("tls"));
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

Spec decode_spec(const Reader& spec, const std::string& object_name) {
  const Reader source = spec.child("source");
  const Reader keys = source.child("keys");
  const Reader endpoint = spec.child("endpoint");
  const Reader target = spec.child("target");
  Spec result;
  result.source_name = source.text("secretName").value_or("");
  if (result.source_name.empty()) {
    source.complain(source.path_of("secretName"));
  }
  result.source_keys = {.access_key_id = keys.text("accessKeyId"),
                        .secret_access_key = keys.text("secretAccessKey"),
                        .session_token = keys.text("sessionToken"),
                        .region = keys.text("region")};
  result.region = spec.text("region");
  result.endpoint = {.host = endpoint.text("host"),
                     .port = decode_port(endpoint),
                     .tls = decode_tls(endpoint),
                     .fips = endpoint.boolean("fips").value_or(false)};
  result.target_name = target.text("name").value_or(object_name);
  result.target_type = target.text("type").value_or("Opaque");
  return result;
}

Conditions decode_conditions(const Reader& status, std::string& wrong) {
  Conditions conditions;
  const json* list = status.member("conditions");
  if (list == nullptr || !list->is_array()) {
    return conditions;
  }
  for (const json& item : *list) {
    const Reader reader(item, "status.conditions[]", wrong);
    if (!is_our_condition(reader.text("type").value_or(""))) {
      continue;  // of another manager, who may add to the list
    }
    conditions.push_back({.type = reader.text("type").value_or(""),
                          .status = reader.text("status").value_or("Unknown"),
                          .reason = reader.text("reason").value_or(""),
                          .message = reader.text("message").value_or(""),
                          .observed_generation = reader.integer("observedGeneration").value_or(0),
                          .last_transition_time = reader.time("lastTransitionTime").value_or(WallTime{})});
  }
  return conditions;
}

std::optional<SecretVersion> decode_version(const Reader& status, const char* key) {
  const Reader version = status.child(key);
  const auto uid = version.text("uid");
  if (!uid) {
    return std::nullopt;
  }
  return SecretVersion{.uid = *uid, .resource_version = version.text("resourceVersion").value_or("")};
}

Status decode_status(const Reader& status, std::string& wrong) {
  Status result;
  result.observed_generation = status.integer("observedGeneration").value_or(-1);
  result.conditions = decode_conditions(status, wrong);
  result.access_key_id = status.text("accessKeyId").value_or("");
  result.region = status.text("region").value_or("");
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
  result.render_version = static_cast<int>(status.integer("renderVersion").value_or(0));
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
    return fail(ErrorCode::kInvalidInput, wrong + " is missing or of the wrong type");
  }
  // A status that somebody damaged is made again: whatever cannot be read counts as absent.
  credential.status = decode_status(root.child("status"), wrong);
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
  }
  if (status.render_version > 0) {
    result["renderVersion"] = status.render_version;
  }
  return result;
}

}  // namespace sessmtp::api
