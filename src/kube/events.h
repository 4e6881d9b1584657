// Kubernetes Events (events.k8s.io/v1): what a person sees in `kubectl describe`. Best effort by
// nature: a queue with a limit, dropped when full, and never in the way of the work itself. What is told of
// events that repeat is decided in event_series.h; this makes the calls.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <random>
#include <stop_token>
#include <string>
#include <thread>

#include "base/clock.h"
#include "kube/client.h"
#include "kube/event.h"
#include "kube/event_series.h"

namespace prometheus {
class Counter;
class Registry;
}  // namespace prometheus

namespace sessmtp::kube {

// Thread-safe. Sends from a thread of its own. A call that failed for the moment is made again, up to
// EventSeries::kMaxTries times; others go on meanwhile unless the API server cannot be reached at all.
// The destructor sends what is still waiting, for at most `drain_limit`.
class EventRecorder final : public EventSink {
 public:
  EventRecorder(Client& client, const Clock& clock, prometheus::Registry& registry, std::string instance,
                std::chrono::milliseconds drain_limit = std::chrono::seconds(1));
  EventRecorder(const EventRecorder&) = delete;
  EventRecorder& operator=(const EventRecorder&) = delete;
  ~EventRecorder() override;

  void publish(const ObjectReference& regarding, Event event) override;

 private:
  void run(std::stop_token stop);
  void record(const EventRecord& record, bool ending, std::unique_lock<std::mutex>& lock);
  [[nodiscard]] ApiResult<nlohmann::json> send(const EventRecord& record);
  [[nodiscard]] ApiResult<nlohmann::json> create(const EventRecord& record);
  [[nodiscard]] std::chrono::milliseconds pause(const ApiError& error);
  void note_failure(const EventRecord& record, const ApiError& error);

  Client& client_;
  const Clock& clock_;
  const std::string instance_;
  const std::chrono::milliseconds drain_limit_;
  prometheus::Counter& recorded_;
  prometheus::Counter& dropped_;
  prometheus::Counter& failed_;

  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::uint64_t changes_ = 0;
  bool ended_ = false;
  bool warned_ = false;
  EventSeries series_;
  std::minstd_rand jitter_;
  std::stop_source calls_;  // ends the call being made
  std::jthread thread_;     // last: ends before what it uses
};

}  // namespace sessmtp::kube
