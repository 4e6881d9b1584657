#include "world.h"

#include <gtest/gtest.h>

#include <utility>

#include "api/names.h"
#include "base/base64.h"
#include "base/file.h"
#include "base/json.h"
#include "operator/cache.h"

namespace sessmtp::operator_ {
namespace {

std::string secret_at(const std::string& name) {
  return api::secret_path("shop", name);
}
std::string credential_at(const std::string& name) {
  return api::credential_path("shop", name);
}

kube::ApiError error_of(const Answer& answer) {
  return to_api_error(kube::Response{.status = answer.status, .body = answer.body.dump(), .retry_after = {}});
}

json encoded(const Data& data) {
  json result = json::object();
  for (const auto& [key, value] : data) {
    result[key] = base64_encode(value);
  }
  return result;
}

// Of a password and an access key id only '+' and '/' need it.
std::string url_encoded(const std::string& text) {
  std::string result;
  for (const char c : text) {
    result += c == '+' ? std::string("%2B") : c == '/' ? std::string("%2F") : std::string(1, c);
  }
  return result;
}

}  // namespace

std::string password_of(const Key& key, const std::string& region) {
  static const json kVectors = parse_json(read_file(SESSMTP_TEST_VECTORS).value()).value().at("v4");
  for (const json& vector : kVectors) {
    if (vector.at("secret") == key.secret && vector.at("region") == region) {
      return vector.at("password");
    }
  }
  ADD_FAILURE() << "tests/vectors.json has no password of this key for " << region;
  return {};
}

Data plain(const Key& key, const std::string& region) {
  Data data{{"accessKeyId", key.id}, {"secretAccessKey", key.secret}};
  if (!region.empty()) {
    data["region"] = region;
  }
  return data;
}

Data target_data(const Key& key, const std::string& region, const std::string& host, int port,
                 const std::string& scheme) {
  const std::string password = password_of(key, region);
  const std::string server = host.empty() ? "email-smtp." + region + ".amazonaws.com" : host;
  return {{"username", key.id},
          {"password", password},
          {"host", server},
          {"port", std::to_string(port)},
          {"region", region},
          {"url", scheme + "://" + key.id + ':' + url_encoded(password) + '@' + server + ':' +
                      std::to_string(port)}};
}

bool Turn::quiet() const {
  return reads.empty() && writes.empty() && !status_changed && events.empty() && retry == Retry::kNo;
}

void PrintTo(const Turn& turn, std::ostream* out) {
  *out << "reads " << testing::PrintToString(turn.reads) << ", " << turn.writes.size() << " writes, status "
       << (turn.status_changed ? "changed" : "as it was") << ", events "
       << testing::PrintToString(turn.events) << ", notes " << testing::PrintToString(turn.notes)
       << ", retry " << static_cast<int>(turn.retry);
}

World& World::source(const Data& data) {
  return secret("iam", data);
}

World& World::touch(const std::string& secret) {
  return edit(secret, [](json&) {});
}

World& World::secret(const std::string& name, const Data& data, const json& metadata) {
  json object = {{"apiVersion", "v1"}, {"kind", "Secret"}, {"metadata", metadata}, {"type", "Opaque"}};
  object["metadata"]["namespace"] = "shop";
  object["metadata"]["name"] = name;
  object["data"] = encoded(data);
  api.put(secret_at(name), std::move(object));
  return *this;
}

World& World::credential(const std::string& name, const json& spec) {
  json object = {{"apiVersion", api::kGroupVersion},
                 {"kind", api::kKind},
                 {"metadata", {{"namespace", "shop"}, {"name", name}, {"generation", 1}}},
                 {"spec", {{"source", {{"secretName", "iam"}}}}},
                 {"status", {{"observedGeneration", -1}}}};
  object["spec"].merge_patch(spec);
  api.put(credential_at(name), std::move(object));
  return *this;
}

World& World::change_spec(const json& patch, const std::string& name) {
  api.edit(credential_at(name), [&patch](json& object) {
    object["spec"].merge_patch(patch);
    object["metadata"]["generation"] = object["metadata"]["generation"].get<int>() + 1;
  });
  return *this;
}

World& World::annotate(const std::string& key, const std::string& value, const std::string& name) {
  api.edit(credential_at(name), [&](json& object) { object["metadata"]["annotations"][key] = value; });
  return *this;
}

World& World::edit(const std::string& secret, const std::function<void(json&)>& change) {
  api.edit(secret_at(secret), change);
  return *this;
}

World& World::remove(const std::string& secret) {
  api.remove(secret_at(secret));
  return *this;
}

World& World::remove_credential(const std::string& name) {
  api.remove(credential_at(name));
  return *this;
}

World& World::later(std::chrono::microseconds by) {
  clock.advance(by);
  return *this;
}

LiveRead World::read(const std::string& name, Turn& turn) {
  if (const auto trouble = std::exchange(meanwhile, nullptr)) {
    trouble();
  }
  turn.reads.push_back(name);
  if (const auto refused = refuse_read.find(name); refused != refuse_read.end()) {
    return error_of(refused->second);
  }
  const Answer answer = api.get(secret_at(name));
  if (answer.status == 404) {
    return Missing{};
  }
  return kube::decode_secret(answer.body).value();
}

WriteAnswer World::write(const kube::Secret& intent, Turn& turn) {
  turn.writes.push_back(encode_secret(intent));
  if (refuse_write) {
    return error_of(*refuse_write);
  }
  const Answer answer = api.apply(secret_at(intent.meta.name), turn.writes.back());
  if (lose_write_answers) {
    return to_api_error(
        kube::TransportError{.kind = kube::TransportFailure::kBroken, .message = "connection reset"});
  }
  if (answer.status > 299) {
    return error_of(answer);
  }
  const auto meta = kube::decode_meta(answer.body).value();
  return api::SecretVersion{.uid = meta.uid, .resource_version = meta.resource_version};
}

void World::show(Cache& cache) const {
  cache.begin_credential_list("");
  for (const json& object : api.all(api::credential_path("shop"))) {
    cache.listed_credential("", api::decode_credential(object).value());
  }
  cache.end_credential_list("");
  if (may_not_list_secrets) {
    cache.refuse_secrets("");
  } else {
    cache.begin_secret_list("");
    for (const json& object : api.all(api::secret_path("shop"))) {
      if (api::is_watched_type(object.value("type", "Opaque"))) {
        cache.listed_secret("", kube::decode_meta(object).value());
      }
    }
    cache.end_secret_list("");
  }
}

class World::Access final : public WorldAccess {
 public:
  Access(World& world, Turn& turn) : world_(world), turn_(turn) {}

  LiveRead read_secret(const std::string& name) override { return world_.read(name, turn_); }
  std::optional<WriteAnswer> write_secret(const kube::Secret& intent) override {
    return world_.write(intent, turn_);
  }
  Login log_in(LoginRequest request) override {
    turn_.logins.push_back(request.endpoint.host + ':' + std::to_string(request.endpoint.port) + ' ' +
                           std::string(request.username.expose()) + ' ' +
                           std::string(request.password.expose()));
    return world_.login;
  }
  RestartAnswer restart(const RestartRequest& request) override {
    turn_.restarts.push_back(request.workload.kind + '/' + request.workload.name + ' ' + request.digest);
    const auto answer = world_.restarts.find(request.workload);
    return answer == world_.restarts.end()
               ? RestartAnswer{.result = RestartResult::kRestarted, .restarted_at = world_.clock.now()}
               : answer->second;
  }

 private:
  World& world_;
  Turn& turn_;
};

Turn World::reconcile(const std::string& name) {
  Cache cache({""}, clock, [](const kube::NamespacedName&, kube::Priority) {});
  show(cache);

  Turn turn;
  auto observation = cache.observe({"shop", name});
  if (!observation) {
    return turn;
  }
  observation->now = clock.now();
  observation->failed_looks = failed_looks;
  observation->login_news = login_news;
  turn.needs = needs(*observation);
  Access access(*this, turn);
  auto looked = look(*observation, turn.needs, access);
  if (!looked) {
    return turn;
  }
  const Plan& decided = *looked;
  turn.look_again = decided.look_again;
  turn.retry = decided.wants_more() ? Retry::kBackoff : decided.retry;
  if (decided.status && *decided.status != observation->credential.status) {
    turn.status_changed = true;
    (void)api.apply_status(credential_at(name), {{"status", encode_status(*decided.status)}});
    for (const kube::Event& event : decided.events) {
      turn.events.push_back((event.type == kube::EventType::kWarning ? "Warning " : "") + event.reason);
      turn.notes.push_back(event.note);
    }
  }
  return turn;
}

json World::secret_object(const std::string& name) const {
  const json* object = api.find(secret_at(name));
  return object == nullptr ? json() : *object;
}

std::optional<Data> World::data(const std::string& secret) const {
  const json object = secret_object(secret);
  if (object.is_null()) {
    return std::nullopt;
  }
  Data result;
  for (const auto& [key, value] : object.at("data").items()) {
    result[key] = std::string(base64_decode(value.get<std::string>()).value().expose());
  }
  return result;
}

std::string World::version(const std::string& secret) const {
  return secret_object(secret).at("metadata").at("resourceVersion");
}

std::string World::uid(const std::string& secret) const {
  return secret_object(secret).at("metadata").at("uid");
}

std::string World::credential_uid(const std::string& name) const {
  return api.find(credential_at(name))->at("metadata").at("uid");
}

json World::spec(const std::string& name) const {
  return api.find(credential_at(name))->at("spec");
}

json World::status(const std::string& name) const {
  return api.find(credential_at(name))->at("status");
}

std::string World::says(const std::string& name) const {
  std::string text;
  for (const json& condition : status(name).value("conditions", json::array())) {
    text += (text.empty() ? "" : ", ") + condition.at("type").get<std::string>() + '=' +
            condition.at("status").get<std::string>() + ' ' + condition.at("reason").get<std::string>();
  }
  return text;
}

std::string World::message(const std::string& name) const {
  const json conditions = status(name).value("conditions", json::array());
  return conditions.empty() ? "" : conditions.at(0).at("message").get<std::string>();
}

Names World::credentials() const {
  Names names;
  for (const json& object : api.all(api::credential_path("shop"))) {
    names.push_back(object.at("metadata").at("name"));
  }
  return names;
}

SyncedWorld::SyncedWorld(const Key& key) {
  source(key).credential().reconcile();
  EXPECT_EQ(says(), "Ready=True Synced");
  later(std::chrono::hours(1));
}

}  // namespace sessmtp::operator_
