// Keeps a local picture of one resource by list + watch.
//
// run() is one thread's work and reports to a ReflectorHandler. Failures never end it; it backs off and
// goes on until it is stopped.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <random>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/wait.h"
#include "kube/client.h"
#include "kube/heard_times.h"
#include "kube/reflector_state.h"

namespace sessmtp::kube {

// What a reflector has to tell. Called on its thread; must not block. Objects come as text; an error
// says that one cannot be understood, and does no harm to others.
class ReflectorHandler {
 public:
  virtual ~ReflectorHandler() = default;
  virtual void list_begins() = 0;  // what an unfinished one brought is void
  [[nodiscard]] virtual Result<void> listed(std::string_view object) = 0;
  virtual void list_ends() = 0;  // what it did not bring does not exist
  // Of events, these answer the object's resourceVersion.
  [[nodiscard]] virtual Result<std::string> put(std::string_view object) = 0;     // ADDED, MODIFIED
  [[nodiscard]] virtual Result<std::string> remove(std::string_view object) = 0;  // DELETED
  virtual void lost() = 0;                          // an object was too long to be read; nobody knows which
  virtual void refused(const ApiError& error) = 0;  // 403: the right is missing
  virtual void missing() = 0;                       // 404: the resource as a whole is not there
};

class Reflector {
 public:
  struct Options {
    std::string resource;    // "secrets", for messages and metrics
    std::string namespace_;  // empty: all
    std::string path;        // the collection
    std::string field_selector;
    Representation representation = Representation::kFull;
    std::string hint_when_missing;                     // what to do about a 404 of the whole resource
    std::chrono::milliseconds watch_timeout{300'000};  // the server ends a watch after one to two times that
  };

  struct Progress {
    SteadyTime started;
    SteadyTime last_round;  // when run() last took a step, whatever came of it
    std::optional<Heard> heard;
  };

  using Wait = std::function<bool(std::chrono::milliseconds, std::stop_token)>;
  Reflector(Client& client, const Clock& clock, prometheus::Registry& metrics, Options options,
            ReflectorHandler& handler, Wait wait = wait_for);

  void run(std::stop_token stop);

  // Thread-safe.
  [[nodiscard]] const Options& options() const { return options_; }
  [[nodiscard]] std::optional<Progress> progress() const;  // empty before run()

 private:
  [[nodiscard]] ReflectorInput attempt(std::stop_token stop);
  [[nodiscard]] ReflectorInput perform(const ReflectorState& state, std::stop_token stop);
  [[nodiscard]] ReflectorInput list(const ReflectorState& state, std::stop_token stop);
  [[nodiscard]] ReflectorInput probe(const std::string& resource_version, std::stop_token stop);
  [[nodiscard]] ReflectorInput watch(const std::string& resource_version, std::stop_token stop);
  void handle_line(std::string_view line, WatchEnded& so_far);
  void handle_event(const std::string& type, std::string_view object, WatchEnded& so_far);
  void note_bad(const Error& error);
  void note_lost();
  void report(const ReflectorInput& input);
  void report_trouble(const ApiError& error, bool listing);
  void tell_handler(const ApiError& error);
  void note_round();
  void note_heard();    // an answer, be it a refusal
  void note_success();  // what was asked for
  [[nodiscard]] double random_fraction();

  Client& client_;
  const Clock& clock_;
  const Options options_;
  ReflectorHandler& handler_;
  const Wait wait_;
  prometheus::Gauge& last_event_;
  prometheus::Counter& bad_objects_;
  HeardTimes heard_;
  mutable std::mutex mutex_;
  std::optional<SteadyTime> started_;
  SteadyTime last_round_{};
  std::minstd_rand random_;
  ReflectorState state_;
  bool listed_ = false;
  int denials_ = 0;  // lists in a row that were answered 403, or 404
  // So that the same trouble is logged once.
  std::string list_trouble_;
  std::string watch_trouble_;
};

}  // namespace sessmtp::kube
