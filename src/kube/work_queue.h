// Which objects need a look, with the semantics of client-go's rate-limited work queue.
//
// A key that is added while somebody works on it comes again when that one is done: no two workers
// ever have the same key. Adding twice is adding once; the earlier of two due times and the higher of two
// priorities count. A key that comes too often (key_budget.h), whatever woke it, is held back and no other
// with it. Thread-safe. Sources: client-go:util/workqueue/{queue,delaying_queue,default_rate_limiters}.go,
// controller-runtime:pkg/controller/priorityqueue.
#pragma once

#include <prometheus/collectable.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "kube/key_budget.h"
#include "kube/key_schedule.h"
#include "kube/object.h"
#include "kube/work_queue_metrics.h"

namespace sessmtp::kube {

enum class Priority : std::uint8_t {
  kResync,   // a look for good measure, as at start and once in a while
  kChanged,  // something happened: goes first
};

class WorkQueue final : public prometheus::Collectable {
 public:
  static constexpr std::chrono::milliseconds kMaxBackoff = std::chrono::seconds(1000);
  // While keys of both priorities are ready, each kResyncTurn-th taken is one of kResync, so that with n
  // before it in its line it is taken within kResyncTurn * (n + 1) takes, however many changes there are.
  static constexpr int kResyncTurn = 4;

  // `name` is the label of its metrics.
  WorkQueue(const Clock& clock, prometheus::Registry& registry, std::string name)
      : clock_(clock), name_(std::move(name)), metrics_(registry, name_) {}

  void add(const NamespacedName& key, Priority priority = Priority::kChanged);
  void add_after(const NamespacedName& key, std::chrono::milliseconds delay,
                 Priority priority = Priority::kChanged);
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

  // To be called now and then: forgets what is not needed any more. True when a key was taken since the last
  // time.
  bool tidy();

  [[nodiscard]] std::size_t size() const;  // ready keys, not those delayed, held back or being worked on

  // For a health check; zero when there is no such key.
  struct Progress {
    std::chrono::milliseconds without_a_take{};   // how long one could have been taken, and none was
    std::chrono::milliseconds longest_running{};  // how long one has been worked on
  };
  [[nodiscard]] Progress progress() const;

  // Depth and work in progress, as they are now; all other metrics are in the registry.
  [[nodiscard]] std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  struct Wanted {
    Priority priority;
    SteadyTime since;
    std::uint64_t place = 0;  // in ready_; 0 while it is held back or being worked on
  };
  struct Ready {
    NamespacedName key;
    SteadyTime since;
  };
  using Line = std::map<std::uint64_t, Ready>;  // by place: first come, first served

  [[nodiscard]] Line& line(Priority priority) { return ready_[static_cast<std::size_t>(priority)]; }
  void add_locked(const NamespacedName& key, Priority priority, SteadyTime now);
  void add_after_locked(const NamespacedName& key, std::chrono::milliseconds delay, Priority priority);
  void admit_locked(const NamespacedName& key, Wanted& wanted, SteadyTime now);
  void move_due_locked(SteadyTime now);
  [[nodiscard]] std::optional<NamespacedName> take_locked();
  [[nodiscard]] Line* next_line_locked();
  [[nodiscard]] std::optional<SteadyTime> soonest_locked() const;
  void wake_locked();

  const Clock& clock_;
  const std::string name_;
  WorkQueueMetrics metrics_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::uint64_t changes_ = 0;          // so that a worker tells being woken from waking by itself
  std::optional<SteadyTime> watched_;  // a waiting worker wakes by itself then

  std::map<NamespacedName, Wanted> wanted_;          // need a look: client-go's dirty set
  std::map<NamespacedName, SteadyTime> processing_;  // some worker has them, since then
  std::array<Line, 2> ready_;                        // wanted, and nobody has them
  std::uint64_t last_place_ = 0;
  int passed_over_ = 0;  // takes since kResync had its turn
  SteadyTime last_take_{};
  bool taken_since_tidy_ = false;
  KeyBudget budget_;
  KeySchedule held_;     // wanted, but over their budget
  KeySchedule delayed_;  // to be added later
  std::map<NamespacedName, Priority> delayed_as_;
  std::map<NamespacedName, unsigned> failures_;
};

}  // namespace sessmtp::kube
