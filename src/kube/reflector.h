// Keeps a local picture of one resource by list + watch.
//
// run() is one thread's work; handlers are called on it and must not block: they only note what
// changed. Failures never end it; it backs off and goes on until it is stopped.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <random>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "kube/client.h"
#include "kube/reflector_state.h"

namespace sessmtp::kube {

class Reflector {
 public:
  struct Options {
    std::string path;  // the collection
    std::string field_selector;
    Representation representation = Representation::kFull;
    std::string hint_when_missing;  // what to do about a 404 of the whole resource
  };

  struct Handlers {
    std::function<void(const std::vector<nlohmann::json>& objects)> replace;  // after each list
    std::function<void(const nlohmann::json& object)> put;                    // ADDED, MODIFIED
    std::function<void(const nlohmann::json& object)> remove;                 // DELETED
    std::function<void(const ApiError& error)> refused;                       // 403: the right is missing
  };

  Reflector(Client& client, const Clock& clock, Options options, Handlers handlers);

  void run(std::stop_token stop);

 private:
  [[nodiscard]] ReflectorInput perform(const ReflectorState& state, std::stop_token stop);
  [[nodiscard]] ReflectorInput list(const std::string& resource_version, std::stop_token stop);
  [[nodiscard]] ReflectorInput watch(const std::string& resource_version, std::stop_token stop);
  void handle_line(std::string_view line, WatchEnded& so_far);
  void report(const ReflectorInput& input);
  [[nodiscard]] double random_fraction();

  Client& client_;
  const Clock& clock_;
  const Options options_;
  const Handlers handlers_;
  std::minstd_rand random_;
  bool listed_ = false;
  int refusals_ = 0;          // of lists in a row, after the first that succeeded
  std::string last_trouble_;  // so that the same trouble is logged once
};

}  // namespace sessmtp::kube
