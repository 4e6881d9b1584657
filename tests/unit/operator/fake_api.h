// The part of the API server that the operator writes to, in memory: Secrets and credentials, with the
// answers of server-side apply as they were tried on kube-apiserver 1.34.
//
// Everything written by apply() counts as written by the operator; put() is anybody else.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "kube/transport.h"

namespace sessmtp::operator_ {

using nlohmann::json;

struct Answer {
  int status = 200;
  json body;
};

// A metav1.Status as the server writes it; `causes` are {field, reason} pairs.
[[nodiscard]] Answer refusal(int code, const std::string& reason, const std::string& message,
                             const std::vector<std::pair<std::string, std::string>>& causes = {});

class FakeApi {
 public:
  struct Stored {
    json object;
    json ours = json::object();  // the last intent
  };
  explicit FakeApi(const Clock& clock) : clock_(clock) {}

  // Creates or replaces. uid and creationTimestamp are kept or made, the resourceVersion is a new one.
  const json& put(const std::string& path, json object);
  // Changes in place; the resourceVersion is a new one.
  void edit(const std::string& path, const std::function<void(json&)>& change);
  void remove(const std::string& path);
  [[nodiscard]] const json* find(const std::string& path) const;
  // All objects below a collection, in order.
  [[nodiscard]] std::vector<json> all(const std::string& collection) const;
  [[nodiscard]] const std::map<std::string, Stored>& objects() const { return objects_; }
  // What watches tell, oldest first.
  struct Change {
    std::uint64_t version;
    std::string type;  // "ADDED", "MODIFIED", "DELETED"
    std::string path;
    json object;
  };
  [[nodiscard]] const std::vector<Change>& changes() const { return changes_; }
  [[nodiscard]] std::uint64_t version() const { return version_; }
  // The uid of the credential for which the operator last wrote this object; empty: it never did.
  [[nodiscard]] std::string written_for(const std::string& path) const;

  [[nodiscard]] Answer get(const std::string& path) const;
  [[nodiscard]] Answer apply(const std::string& path, const json& intent);
  // With the uid and resourceVersion of the object, if the patch says any.
  [[nodiscard]] Answer merge_patch(const std::string& path, const json& patch);
  [[nodiscard]] Answer apply_status(const std::string& path, const json& intent);

 private:
  [[nodiscard]] Answer create(const std::string& path, const json& intent);
  // Gives it a new version and tells of it.
  const json& publish(const std::string& type, const std::string& path, json& object);
  void complete(json& metadata);

  const Clock& clock_;
  std::map<std::string, Stored> objects_;
  std::vector<Change> changes_;
  std::uint64_t version_ = 100;
  std::uint64_t uids_ = 0;
};

}  // namespace sessmtp::operator_
