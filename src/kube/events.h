// Kubernetes Events (events.k8s.io/v1): what a person sees in `kubectl describe`. Best effort by
// nature: a queue with a limit, dropped when full, and never in the way of the work itself.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

#include "base/clock.h"
#include "kube/client.h"
#include "kube/object.h"

namespace sessmtp::kube {

enum class EventType { kNormal, kWarning };

struct Event {
  EventType type = EventType::kNormal;
  std::string reason;  // CamelCase, at most 128 bytes
  std::string action;  // what was done, CamelCase
  std::string note;    // for people; cut at 1 kB; never a value of a Secret
};

// What an event is about.
struct ObjectReference {
  std::string api_version;
  std::string kind;
  NamespacedName key;
  std::string uid;
  std::string resource_version;
};

// Thread-safe; never blocks.
class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void publish(const ObjectReference& regarding, Event event) = 0;
};

// Sends from a thread of its own. What is still waiting when it ends is dropped.
class EventRecorder final : public EventSink {
 public:
  static constexpr std::size_t kMaxWaiting = 1000;  // client-go:tools/events/event_broadcaster.go

  EventRecorder(Client& client, const Clock& clock, std::string instance);
  void publish(const ObjectReference& regarding, Event event) override;

 private:
  struct Item {
    ObjectReference regarding;
    Event event;
    WallTime time;
  };
  void run(std::stop_token stop);
  void send(const Item& item, std::stop_token stop);

  Client& client_;
  const Clock& clock_;
  const std::string instance_;
  std::mutex mutex_;
  std::condition_variable_any arrived_;
  std::deque<Item> waiting_;
  std::jthread thread_;  // last: ends before what it uses
};

}  // namespace sessmtp::kube
