#include "fake_server.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <ranges>

#include "api/crd_schema.h"
#include "base/json.h"

namespace sessmtp::operator_ {
namespace {

using namespace std::chrono_literals;
using kube::Request;
using kube::Response;
using kube::TransportError;
using kube::TransportFailure;

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  for (const auto part : std::views::split(text, separator)) {
    parts.emplace_back(part.begin(), part.end());
  }
  return parts;
}

std::string decoded(const std::string& text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      result += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
      i += 2;
    } else {
      result += text[i];
    }
  }
  return result;
}

std::string path_of(const Request& request) {
  return request.target.substr(0, request.target.find('?'));
}

std::string parameter(const Request& request, const std::string& name) {
  const auto query = request.target.find('?');
  for (const std::string& part :
       split(query == std::string::npos ? "" : request.target.substr(query + 1), '&')) {
    if (part.starts_with(name + '=')) {
      return decoded(part.substr(name.size() + 1));
    }
  }
  return {};
}

bool metadata_only(const Request& request) {
  return std::ranges::any_of(request.headers, [](const auto& header) {
    return header.first == "Accept" && header.second.contains("as=PartialObjectMetadata");
  });
}

// "shop/secrets/iam" of "/api/v1/namespaces/shop/secrets/iam", "secrets" of "/api/v1/secrets".
std::string short_path(const std::string& path) {
  const std::vector<std::string> parts = split(path, '/');
  std::string result;
  for (std::size_t i = parts.at(1) == "api" ? 3 : 4; i < parts.size(); ++i) {
    if (parts[i] != "namespaces") {
      result += (result.empty() ? "" : "/") + parts[i];
    }
  }
  return result;
}

bool is_collection(const std::string& path) {
  return std::ranges::count(short_path(path), '/') < 2;
}

std::string call_of(const Request& request) {
  const std::string path = path_of(request);
  if (path == api::kSchemaPath) {
    return "GET openapi";
  }
  const std::string verb = request.method != "GET"                 ? request.method
                           : parameter(request, "watch") == "true" ? "WATCH"
                           : is_collection(path)                   ? "LIST"
                                                                   : "GET";
  return verb + ' ' + short_path(path);
}

// Of one namespace, or of all.
bool contains(const std::string& collection, const std::string& path) {
  if (collection.contains("/namespaces/")) {
    return path.starts_with(collection + '/');
  }
  const auto plural = collection.rfind('/');
  return path.starts_with(collection.substr(0, plural) + "/namespaces/") &&
         path.contains(collection.substr(plural) + '/');
}

// "type!=a,type!=b", "metadata.name=x"
bool selected(const json& object, const std::string& selector) {
  return selector.empty() || std::ranges::all_of(split(selector, ','), [&](const std::string& term) {
           const auto equals = term.find('=');
           const bool negated = term[equals - 1] == '!';
           const std::string field = term.substr(0, equals - (negated ? 1 : 0));
           const std::string value =
               field == "type" ? object.value("type", "") : object["metadata"].value("name", "");
           return (value == term.substr(equals + 1)) != negated;
         });
}

// As servers show it, with what makes real objects large.
json shown(const json& object, bool metadata_only) {
  json result = metadata_only ? json{{"apiVersion", "meta.k8s.io/v1"},
                                     {"kind", "PartialObjectMetadata"},
                                     {"metadata", object.at("metadata")}}
                              : object;
  result["metadata"]["managedFields"] = {
      {{"manager", "kubectl"}, {"fieldsV1", {{"f:data", json::object()}}}}};
  return result;
}

Response response(const Answer& answer) {
  return {.status = answer.status, .body = answer.body.dump(), .retry_after = {}};
}

std::unexpected<TransportError> failed(TransportFailure kind) {
  return std::unexpected(TransportError{.kind = kind, .message = "fake"});
}

}  // namespace

json crd_schema(const std::set<std::string>& without) {
  json schema = json::object();
  for (const std::string_view field : api::needed_fields()) {
    if (without.contains(std::string(field))) {
      continue;
    }
    json* at = &schema;
    for (const std::string& part : split(std::string(field), '.')) {
      const bool list = part.ends_with("[]");
      at = &(*at)["properties"][part.substr(0, part.size() - (list ? 2 : 0))];
      at = list ? &(*at)["items"] : at;
    }
    (*at)["description"] = "a field";
  }
  return {{"openapi", "3.0.0"},
          {"components", {{"schemas", {{"dev.ses-smtp.v1alpha1.SesSmtpCredential", schema}}}}}};
}

bool FakeServer::eventually(const std::function<bool(World&)>& condition) {
  const auto end = std::chrono::steady_clock::now() + 1min;
  std::unique_lock lock(mutex_);
  while (!condition(world_)) {
    if (std::chrono::steady_clock::now() > end) {
      return false;
    }
    changed_.wait_for(lock, 10ms);  // some things happen without a call
  }
  return true;
}

void FakeServer::set_schema(std::optional<json> schema) {
  const std::scoped_lock lock(mutex_);
  schema_ = std::move(schema);
}

void FakeServer::cut_watches() {
  const std::scoped_lock lock(mutex_);
  ++generation_;
  changed_.notify_all();
}

Answer FakeServer::handle(const Request& request) {
  const std::scoped_lock lock(mutex_);
  const std::string path = path_of(request);
  if (path == api::kSchemaPath) {
    return schema_ ? Answer{200, *schema_} : refusal(404, "NotFound", "no such group");
  }
  if (request.method != "GET") {
    const Answer answer = write(path, request);
    changed_.notify_all();
    return answer;
  }
  return is_collection(path) ? list(path, request) : world_.api.get(path);
}

Answer FakeServer::write(const std::string& path, const Request& request) {
  FakeApi& api = world_.api;
  const json body = parse_json(request.body).value();
  if (request.method == "POST") {
    const std::string object = path + '/' + body.at("metadata").at("name").get<std::string>();
    return api.find(object) == nullptr ? Answer{201, api.put(object, body)}
                                       : refusal(409, "AlreadyExists", object + " already exists");
  }
  if (request.method == "PUT") {
    const json* live = api.find(path);
    if (live == nullptr) {
      return refusal(404, "NotFound", path + " not found");
    }
    return live->at("metadata").at("resourceVersion") == body.at("metadata").at("resourceVersion")
               ? Answer{200, api.put(path, body)}
               : refusal(409, "Conflict", "the object has been modified");
  }
  EXPECT_EQ(request.method, "PATCH");
  EXPECT_EQ(parameter(request, "fieldManager"), "ses-smtp-operator");
  if (parameter(request, "force") != "true") {
    return path.starts_with("/apis/apps/v1/")
               ? api.merge_patch(path, body)
               : refusal(404, "NotFound", "events, the other merge patches, are not kept");
  }
  return path.ends_with("/status") ? api.apply_status(path.substr(0, path.size() - 7), body)
                                   : api.apply(path, body);
}

Answer FakeServer::list(const std::string& collection, const Request& request) const {
  const std::string after = parameter(request, "continue");
  const bool paged = !parameter(request, "limit").empty();
  json answer = {{"kind", "List"},
                 {"metadata", {{"resourceVersion", std::to_string(world_.api.version())}}},
                 {"items", json::array()}};
  std::string last;
  for (const auto& [path, stored] : world_.api.objects()) {
    if (path <= after || !contains(collection, path) ||
        !selected(stored.object, parameter(request, "fieldSelector"))) {
      continue;
    }
    if (paged && answer["items"].size() == kPageSize) {
      answer["metadata"]["continue"] = last;
      break;
    }
    answer["items"].push_back(shown(stored.object, metadata_only(request)));
    last = path;
  }
  return {200, answer};
}

std::optional<std::string> FakeServer::next_lines(Watch& watch, std::stop_token stop) {
  std::unique_lock lock(mutex_);
  const int generation = watch.generation.value_or(generation_);
  watch.generation = generation;
  std::string lines;
  const auto look = [&] {
    for (const FakeApi::Change& change : world_.api.changes()) {
      if (change.version > watch.version && contains(watch.collection, change.path) &&
          selected(change.object, watch.selector)) {
        lines +=
            json{{"type", change.type}, {"object", shown(change.object, watch.metadata_only)}}.dump() + '\n';
      }
    }
    watch.version = world_.api.version();
    return !lines.empty() || generation != generation_;
  };
  (void)changed_.wait_until(lock, stop, watch.end, look);
  if (generation != generation_ || stop.stop_requested()) {
    return std::nullopt;
  }
  return lines;
}

void FakeConnection::before(const std::string& call, Meanwhile meanwhile) {
  const std::scoped_lock lock(mutex_);
  before_[call] = std::move(meanwhile);
}

void FakeConnection::refuse(const std::string& call, Answer answer,
                            std::optional<std::chrono::seconds> retry_after) {
  const std::scoped_lock lock(mutex_);
  refused_.insert_or_assign(call, Refusal{.answer = std::move(answer), .retry_after = retry_after});
}

void FakeConnection::cut(const std::string& call) {
  const std::scoped_lock lock(mutex_);
  cut_.insert(call);
}

void FakeConnection::heal() {
  const std::scoped_lock lock(mutex_);
  refused_.clear();
  cut_.clear();
}

std::vector<std::string> FakeConnection::calls() const {
  const std::scoped_lock lock(mutex_);
  return calls_;
}

bool FakeConnection::called(const std::string& prefix) const {
  return std::ranges::any_of(calls(), [&](const std::string& call) { return call.starts_with(prefix); });
}

void FakeConnection::forget_calls() {
  const std::scoped_lock lock(mutex_);
  calls_.clear();
}

std::optional<Result<Response, TransportError>> FakeConnection::trouble(const Request& request,
                                                                        std::stop_token stop) {
  const std::string call = call_of(request);
  Meanwhile meanwhile;
  {
    const std::scoped_lock lock(mutex_);
    calls_.push_back(call);
    if (const auto found = before_.extract(call)) {
      meanwhile = std::move(found.mapped());
    }
  }
  server_.changed_.notify_all();
  if (meanwhile) {
    meanwhile(stop);
  }
  if (stop.stop_requested()) {
    return failed(TransportFailure::kCancelled);
  }
  const std::scoped_lock lock(mutex_);
  if (cut_.contains(call)) {
    return failed(TransportFailure::kBroken);
  }
  if (const auto found = refused_.find(call); found != refused_.end()) {
    Response refused = response(found->second.answer);
    refused.retry_after = found->second.retry_after;
    return refused;
  }
  return std::nullopt;
}

Result<Response, TransportError> FakeConnection::send(const Request& request, std::chrono::milliseconds,
                                                      std::stop_token stop) {
  if (auto instead = trouble(request, stop)) {
    return std::move(*instead);
  }
  return response(server_.handle(request));
}

Result<Response, TransportError> FakeConnection::stream(const Request& request, std::chrono::milliseconds,
                                                        std::stop_token stop, const OnBytes& on_bytes) {
  if (auto instead = trouble(request, stop)) {
    return std::move(*instead);
  }
  if (parameter(request, "watch") != "true") {
    Response list = response(server_.handle(request));
    on_bytes(list.body);
    return list;
  }
  FakeServer::Watch watch{.collection = path_of(request),
                          .selector = parameter(request, "fieldSelector"),
                          .metadata_only = metadata_only(request),
                          .version = std::stoull(parameter(request, "resourceVersion")),
                          .end = std::chrono::steady_clock::now() +
                                 std::chrono::seconds(std::stoi(parameter(request, "timeoutSeconds")))};
  while (true) {
    const auto lines = server_.next_lines(watch, stop);
    if (!lines) {
      return failed(stop.stop_requested() ? TransportFailure::kCancelled : TransportFailure::kBroken);
    }
    if (lines->empty()) {
      return Response{.status = 200, .body = {}, .retry_after = {}};
    }
    on_bytes(*lines);
  }
}

}  // namespace sessmtp::operator_
