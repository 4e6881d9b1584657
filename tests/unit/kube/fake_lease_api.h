// The part of an API server that leader election needs, with the semantics of resourceVersion, a watch, and
// a network that can fail in every way that one of its connections is told to.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "kube/transport.h"
#include "virtual_time.h"

namespace sessmtp::kube {

// Thread-safe. One Lease, "lease" in namespace "ns".
class FakeLeaseApi {
 public:
  static constexpr const char* kCollection = "/apis/coordination.k8s.io/v1/namespaces/ns/leases";
  static constexpr const char* kPath = "/apis/coordination.k8s.io/v1/namespaces/ns/leases/lease";

  struct Change {
    SteadyTime time;
    std::string holder;  // "(deleted)" when it was
    nlohmann::json object;
  };

  explicit FakeLeaseApi(VirtualTime& time) : time_(time) {}

  // Somebody with kubectl.
  void put(nlohmann::json spec) {
    const std::scoped_lock lock(mutex_);
    nlohmann::json object = lease_.value_or(nlohmann::json{
        {"metadata", {{"name", "lease"}, {"namespace", "ns"}, {"labels", {{"team", "a"}}}, {"uid", "u"}}}});
    object["spec"] = std::move(spec);
    store(std::move(object));
  }
  void remove() {
    const std::scoped_lock lock(mutex_);
    publish("DELETED", *std::exchange(lease_, std::nullopt));
  }

  [[nodiscard]] nlohmann::json lease() const {
    const std::scoped_lock lock(mutex_);
    return lease_.value_or(nlohmann::json());
  }
  [[nodiscard]] std::string holder() const {
    const std::scoped_lock lock(mutex_);
    return lease_ ? holder_of(*lease_) : "(deleted)";
  }
  [[nodiscard]] std::vector<Change> changes() const {
    const std::scoped_lock lock(mutex_);
    return changes_;
  }
  // Called with each change, under the lock.
  void on_change(std::function<void(const Change&)> observer) { observer_ = std::move(observer); }

  Response handle(const Request& request) {
    const std::scoped_lock lock(mutex_);
    land_late_ones();
    return handle_locked(request);
  }
  // Carried out then, when whoever sent it has gone.
  void handle_later(const Request& request, std::chrono::milliseconds later) {
    const std::scoped_lock lock(mutex_);
    late_.emplace_back(time_.steady() + later, request);
  }

  // The watch lines after `version`; `wake` hears of the next.
  [[nodiscard]] std::vector<std::string> lines_after(int& version, std::stop_source wake) {
    const std::scoped_lock lock(mutex_);
    land_late_ones();
    std::vector<std::string> lines;
    for (const auto& [at, line] : history_) {
      if (at > version) {
        version = at;
        lines.push_back(line);
      }
    }
    watchers_.push_back(std::move(wake));
    return lines;
  }

  static Response failure(int status, const std::string& reason) {
    const nlohmann::json body{{"kind", "Status"}, {"reason", reason}, {"message", "fake"}, {"code", status}};
    return {.status = status, .body = body.dump(), .retry_after = std::nullopt};
  }

 private:
  static std::string holder_of(const nlohmann::json& object) {
    const nlohmann::json spec = object.value("spec", nlohmann::json());
    const nlohmann::json holder =
        spec.is_object() ? spec.value("holderIdentity", nlohmann::json()) : nlohmann::json();
    return holder.is_string() ? holder.get<std::string>() : "";
  }

  Response handle_locked(const Request& request) {
    const std::string path = request.target.substr(0, request.target.find('?'));
    if (request.method == "POST" && path == kCollection) {
      if (lease_) {
        return failure(409, "AlreadyExists");
      }
      nlohmann::json object = nlohmann::json::parse(request.body);
      object["metadata"]["uid"] = "u" + std::to_string(version_);
      return store(std::move(object));
    }
    if (path != kPath || !lease_) {
      return failure(404, "NotFound");
    }
    if (request.method == "GET") {
      return {.status = 200, .body = lease_->dump(), .retry_after = std::nullopt};
    }
    nlohmann::json object = nlohmann::json::parse(request.body);
    for (const char* key : {"resourceVersion", "uid"}) {
      if (object["metadata"].value(key, "") != (*lease_)["metadata"].value(key, "")) {
        return failure(409, "Conflict");
      }
    }
    return store(std::move(object));
  }

  Response store(nlohmann::json object) {
    object["metadata"]["resourceVersion"] = std::to_string(version_ + 1);
    const char* type = lease_ ? "MODIFIED" : "ADDED";
    lease_ = std::move(object);
    publish(type, *lease_);
    return {.status = 200, .body = lease_->dump(), .retry_after = std::nullopt};
  }

  void publish(const std::string& type, const nlohmann::json& object) {
    ++version_;
    history_.emplace_back(version_, nlohmann::json{{"type", type}, {"object", object}}.dump() + "\n");
    changes_.push_back({.time = time_.steady(),
                        .holder = type == "DELETED" ? "(deleted)" : holder_of(object),
                        .object = object});
    if (observer_) {
      observer_(changes_.back());
    }
    for (std::stop_source& each : std::exchange(watchers_, {})) {
      each.request_stop();
    }
  }

  void land_late_ones() {
    std::erase_if(late_, [this](const auto& late) {
      const bool due = late.first <= time_.steady();
      if (due) {
        (void)handle_locked(late.second);
      }
      return due;
    });
  }

  VirtualTime& time_;
  mutable std::mutex mutex_;
  std::optional<nlohmann::json> lease_;
  int version_ = 100;
  std::vector<std::pair<int, std::string>> history_;
  std::vector<Change> changes_;
  std::vector<std::stop_source> watchers_;
  std::vector<std::pair<SteadyTime, Request>> late_;
  std::function<void(const Change&)> observer_;
};

// One candidate's connection. Its requests are expected to be bounded by a wait in the name of this object.
class FakeLeaseConnection final : public Transport {
 public:
  FakeLeaseConnection(FakeLeaseApi& api, VirtualTime& time, unsigned seed)
      : api_(api), time_(time), random_(seed) {}

  // Which requests are answered with which status instead; by method, a watch is "WATCH".
  void answer(const std::string& method, int status) {
    const std::scoped_lock lock(mutex_);
    status > 0 ? void(statuses_[method] = status) : void(statuses_.erase(method));
  }
  std::atomic<bool> cut_off = false;     // nothing arrives, nothing comes back
  std::atomic<double> fault_rate = 0.0;  // random faults of all kinds

  [[nodiscard]] std::vector<std::string> requests() const {
    const std::scoped_lock lock(mutex_);
    return requests_;
  }

  Result<Response, TransportError> send(const Request& request, std::chrono::milliseconds deadline,
                                        std::stop_token stop) override {
    if (const auto status = note(request.method, request.target)) {
      return FakeLeaseApi::failure(status, status == 403 ? "Forbidden" : "InternalError");
    }
    time_.await_waiter(this);
    if (!time_.wait(std::chrono::milliseconds(pick(30)), stop)) {
      return failed(TransportFailure::kCancelled);
    }
    const bool write = request.method != "GET";
    switch (cut_off ? kHang : fault()) {
      case kHang:
        return hang(deadline, stop);
      case kLate:
        if (write) {
          api_.handle_later(request, std::chrono::milliseconds(pick(20000)));
        }
        return hang(deadline, stop);
      case kBreak:
        return failed(TransportFailure::kBroken);
      case kAnswerLost:
        (void)api_.handle(request);
        return failed(TransportFailure::kBroken);
      case kAnswerHangs:
        (void)api_.handle(request);
        return hang(deadline, stop);
      case kServerError:
        return FakeLeaseApi::failure(500, "InternalError");
      case kConflict:
        return write ? FakeLeaseApi::failure(409, "Conflict") : FakeLeaseApi::failure(429, "TooManyRequests");
      case kNone:
        break;
    }
    const Response response = api_.handle(request);
    time_.wait(std::chrono::milliseconds(pick(30)), stop);  // the answer is on its way, cut off or not
    return response;
  }

  Result<Response, TransportError> stream(const Request& request, std::chrono::milliseconds idle,
                                          std::stop_token stop, const OnBytes& on_bytes) override {
    if (const auto status = note("WATCH", request.target)) {
      return FakeLeaseApi::failure(status, status == 403 ? "Forbidden" : "InternalError");
    }
    time_.await_waiter(this);
    switch (cut_off ? kHang : fault()) {
      case kHang:
      case kLate:
      case kAnswerHangs:
        return hang(idle, stop);
      case kBreak:
      case kAnswerLost:
        return failed(TransportFailure::kBroken);
      case kServerError:
        return FakeLeaseApi::failure(500, "InternalError");
      case kConflict:
        return FakeLeaseApi::failure(429, "TooManyRequests");
      case kNone:
        break;
    }
    int version = std::stoi(parameter(request.target, "resourceVersion"));
    const SteadyTime end =
        time_.steady() + std::chrono::seconds(std::stoi(parameter(request.target, "timeoutSeconds")));
    while (time_.steady() < end) {
      std::stop_source wake;
      const std::stop_callback on_stop(stop, [&wake] { wake.request_stop(); });
      for (const std::string& line : api_.lines_after(version, wake)) {
        if (cut_off || fault() != kNone) {
          return cut_off ? hang(idle, stop) : failed(TransportFailure::kBroken);
        }
        on_bytes(line);
      }
      if (stop.stop_requested()) {
        return failed(TransportFailure::kCancelled);
      }
      time_.wait(std::chrono::ceil<std::chrono::milliseconds>(end - time_.steady()), wake.get_token());
    }
    return Response{.status = 200, .body = {}, .retry_after = std::nullopt};
  }

 private:
  enum Fault { kHang, kLate, kBreak, kAnswerLost, kAnswerHangs, kServerError, kConflict, kNone };

  int note(const std::string& method, const std::string& target) {
    const std::scoped_lock lock(mutex_);
    requests_.push_back(method + ' ' + target);
    const auto found = statuses_.find(method);
    return found == statuses_.end() ? 0 : found->second;
  }
  Fault fault() {
    const bool fails = pick(1000) < static_cast<int>(fault_rate * 1000);
    return fails ? static_cast<Fault>(pick(kNone)) : kNone;
  }
  int pick(int below) {
    const std::scoped_lock lock(mutex_);
    return std::uniform_int_distribution<int>(0, below - 1)(random_);
  }
  static std::string parameter(const std::string& target, const std::string& name) {
    const auto at = target.find(name + '=');
    return at == std::string::npos
               ? ""
               : target.substr(at + name.size() + 1, target.find('&', at) - at - name.size() - 1);
  }
  Result<Response, TransportError> hang(std::chrono::milliseconds deadline, std::stop_token stop) {
    return failed(time_.wait(deadline, std::move(stop)) ? TransportFailure::kDeadline
                                                        : TransportFailure::kCancelled);
  }
  static Result<Response, TransportError> failed(TransportFailure kind) {
    return std::unexpected(TransportError{.kind = kind, .message = "fake"});
  }

  FakeLeaseApi& api_;
  VirtualTime& time_;
  mutable std::mutex mutex_;
  std::minstd_rand random_;
  std::map<std::string, int> statuses_;
  std::vector<std::string> requests_;
};

}  // namespace sessmtp::kube
