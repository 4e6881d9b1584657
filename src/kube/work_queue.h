// Which objects need a look, with the semantics of client-go's rate-limited work queue.
//
// A key that is added while somebody works on it comes again when that one is done: no two workers
// ever have the same key. Adding twice is adding once, and the earlier of two due times counts.
// Thread-safe. Source: client-go:util/workqueue/{queue,delaying_queue,default_rate_limiters}.go.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>

#include "base/clock.h"
#include "kube/object.h"

namespace sessmtp::kube {

class WorkQueue {
 public:
  static constexpr std::chrono::milliseconds kMaxBackoff = std::chrono::seconds(1000);

  explicit WorkQueue(const Clock& clock) : clock_(clock) {}

  void add(const NamespacedName& key);
  void add_after(const NamespacedName& key, std::chrono::milliseconds delay);
  // After a failure: 5 ms, doubled each time up to `at_most`, but no sooner than `at_least`.
  void add_rate_limited(const NamespacedName& key, std::chrono::milliseconds at_least = {},
                        std::chrono::milliseconds at_most = kMaxBackoff);
  // How often in a row the key was added after a failure.
  [[nodiscard]] unsigned failures(const NamespacedName& key) const;
  // After a success: the next failure starts from 5 ms again.
  void forget(const NamespacedName& key);

  // Waits for a key; empty once stop is requested. Every key got must be given back with done().
  [[nodiscard]] std::optional<NamespacedName> get(std::stop_token stop);
  // What get() would return now, without waiting.
  [[nodiscard]] std::optional<NamespacedName> try_get();
  void done(const NamespacedName& key);

  [[nodiscard]] std::size_t size() const;  // ready keys, not those delayed or being worked on

 private:
  void add_locked(const NamespacedName& key);
  void move_due_locked();
  void wake_locked();
  [[nodiscard]] std::optional<NamespacedName> take_locked();

  const Clock& clock_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::uint64_t changes_ = 0;            // so that a waiting worker notices any of them
  std::deque<NamespacedName> ready_;     // in order
  std::set<NamespacedName> dirty_;       // need a look: ready, or once their worker is done
  std::set<NamespacedName> processing_;  // some worker has them
  std::map<NamespacedName, SteadyTime> delayed_;
  std::map<NamespacedName, unsigned> failures_;
};

}  // namespace sessmtp::kube
