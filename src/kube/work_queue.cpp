#include "kube/work_queue.h"

#include <prometheus/counter.h>
#include <prometheus/histogram.h>

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace sessmtp::kube {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr milliseconds kFirstBackoff = 5ms;
constexpr unsigned kMaxDoublings = 18;  // 5 ms * 2^18 is above the maximum

double seconds(SteadyTime::duration duration) {
  return std::chrono::duration<double>(duration).count();
}

milliseconds whole(SteadyTime::duration duration) {
  return std::chrono::duration_cast<milliseconds>(duration);
}

}  // namespace

void WorkQueue::add(const NamespacedName& key, Priority priority) {
  const std::scoped_lock lock(mutex_);
  add_locked(key, priority, clock_.steady());
  wake_locked();
}

void WorkQueue::add_after(const NamespacedName& key, milliseconds delay, Priority priority) {
  const std::scoped_lock lock(mutex_);
  add_after_locked(key, delay, priority);
}

void WorkQueue::add_rate_limited(const NamespacedName& key, milliseconds at_least, milliseconds at_most) {
  const std::scoped_lock lock(mutex_);
  unsigned& count = failures_[key];
  const auto backoff =
      std::min<milliseconds>(kFirstBackoff * (1U << std::min(count, kMaxDoublings)), at_most);
  ++count;
  add_after_locked(key, std::max(backoff, at_least), Priority::kChanged);
}

unsigned WorkQueue::failures(const NamespacedName& key) const {
  const std::scoped_lock lock(mutex_);
  const auto found = failures_.find(key);
  return found == failures_.end() ? 0 : found->second;
}

void WorkQueue::forget(const NamespacedName& key) {
  const std::scoped_lock lock(mutex_);
  failures_.erase(key);
}

std::optional<NamespacedName> WorkQueue::get(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  std::optional<NamespacedName> key;
  while (!stop.stop_requested() && !(key = take_locked())) {
    // One worker at a time waits for the soonest due time, the others for being woken (leader and
    // followers, as in Java's DelayQueue).
    const auto changed = [this, seen = changes_] { return changes_ != seen; };
    const auto soonest = soonest_locked();
    if (soonest && (!watched_ || *soonest < *watched_)) {
      watched_ = soonest;
      (void)changed_.wait_for(lock, stop, *soonest - clock_.steady(), changed);
      if (watched_ == soonest) {
        watched_.reset();
      }
    } else {
      (void)changed_.wait(lock, stop, changed);
    }
  }
  wake_locked();  // this one leaves: what else is ready, and the next due time, are for somebody else
  return key;
}

bool WorkQueue::tidy() {
  const std::scoped_lock lock(mutex_);
  budget_.forget_full(clock_.steady());
  return std::exchange(taken_since_tidy_, false);
}

std::optional<NamespacedName> WorkQueue::try_get() {
  const std::scoped_lock lock(mutex_);
  return take_locked();
}

void WorkQueue::done(const NamespacedName& key) {
  const std::scoped_lock lock(mutex_);
  const auto begun = processing_.find(key);
  if (begun == processing_.end()) {
    return;
  }
  const SteadyTime now = clock_.steady();
  metrics_.work_duration.Observe(seconds(now - begun->second));
  processing_.erase(begun);
  if (const auto wanted = wanted_.find(key); wanted != wanted_.end()) {
    admit_locked(key, wanted->second, now);
    wake_locked();
  }
}

std::size_t WorkQueue::size() const {
  const std::scoped_lock lock(mutex_);
  return ready_[0].size() + ready_[1].size();
}

WorkQueue::Progress WorkQueue::progress() const {
  const std::scoped_lock lock(mutex_);
  const SteadyTime now = clock_.steady();
  SteadyTime oldest = std::min(now, soonest_locked().value_or(now));
  for (const Line& line : ready_) {
    if (!line.empty()) {
      oldest = std::min(oldest, line.begin()->second.since);
    }
  }
  SteadyTime begun = now;
  for (const auto& [key, since] : processing_) {
    begun = std::min(begun, since);
  }
  return {.without_a_take = whole(now - std::max(oldest, last_take_)), .longest_running = whole(now - begun)};
}

std::vector<prometheus::MetricFamily> WorkQueue::Collect() const {
  WorkQueueGauges gauges;
  {
    const std::scoped_lock lock(mutex_);
    const SteadyTime now = clock_.steady();
    for (const auto& [key, wanted] : wanted_) {
      ++(wanted.priority == Priority::kChanged ? gauges.depth_changed : gauges.depth_resync);
    }
    for (const auto& [key, since] : processing_) {
      gauges.unfinished_work_seconds += seconds(now - since);
      gauges.longest_running_processor_seconds =
          std::max(gauges.longest_running_processor_seconds, seconds(now - since));
    }
  }
  return to_metric_families(gauges, name_);
}

void WorkQueue::add_locked(const NamespacedName& key, Priority priority, SteadyTime now) {
  const auto [entry, added] = wanted_.try_emplace(key, Wanted{.priority = priority, .since = now});
  Wanted& wanted = entry->second;
  if (added) {
    metrics_.adds.Increment();
    if (!processing_.contains(key)) {
      admit_locked(key, wanted, now);
    }
  } else if (priority > wanted.priority) {
    if (wanted.place != 0) {
      line(priority).insert(line(wanted.priority).extract(wanted.place));  // its age goes with it
    }
    wanted.priority = priority;
  }
}

void WorkQueue::add_after_locked(const NamespacedName& key, milliseconds delay, Priority priority) {
  const SteadyTime due = clock_.steady() + delay;
  delayed_.set(key, std::min(due, delayed_.time_of(key).value_or(due)));
  Priority& as = delayed_as_.try_emplace(key, priority).first->second;
  as = std::max(as, priority);
  metrics_.retries.Increment();
  wake_locked();
}

// A key that is wanted and that nobody has: ready now, or as soon as its budget allows.
void WorkQueue::admit_locked(const NamespacedName& key, Wanted& wanted, SteadyTime now) {
  const SteadyTime allowed = budget_.available(key);
  if (allowed > now) {
    held_.set(key, allowed);
    metrics_.throttled.Increment();
    if (budget_.note_exhausted(key)) {
      log::warn("changes all the time, slowed down", {{"namespace", key.namespace_}, {"name", key.name}});
    }
    return;
  }
  wanted.place = ++last_place_;
  line(wanted.priority).emplace(wanted.place, Ready{.key = key, .since = now});
}

void WorkQueue::move_due_locked(SteadyTime now) {
  while (const auto key = delayed_.pop_due(now)) {
    add_locked(*key, delayed_as_.extract(*key).mapped(), now);
  }
  while (const auto key = held_.pop_due(now)) {
    admit_locked(*key, wanted_.at(*key), now);
  }
}

std::optional<NamespacedName> WorkQueue::take_locked() {
  const SteadyTime now = clock_.steady();
  move_due_locked(now);
  Line* const line = next_line_locked();
  if (line == nullptr) {
    return std::nullopt;
  }
  NamespacedName key = std::move(line->extract(line->begin()).mapped().key);
  metrics_.queue_duration.Observe(seconds(now - wanted_.extract(key).mapped().since));
  processing_.emplace(key, now);
  budget_.spend(key, now);
  last_take_ = now;
  taken_since_tidy_ = true;
  return key;
}

WorkQueue::Line* WorkQueue::next_line_locked() {
  Line& changed = line(Priority::kChanged);
  Line& resync = line(Priority::kResync);
  if (resync.empty()) {
    return changed.empty() ? nullptr : &changed;
  }
  if (!changed.empty() && ++passed_over_ < kResyncTurn) {
    return &changed;
  }
  passed_over_ = 0;
  return &resync;
}

std::optional<SteadyTime> WorkQueue::soonest_locked() const {
  const auto delayed = delayed_.soonest();
  const auto held = held_.soonest();
  return delayed && held ? std::min(delayed, held) : delayed ? delayed : held;
}

// Wakes one waiting worker if there is a key for it, or a due time that nobody waits for.
void WorkQueue::wake_locked() {
  const auto soonest = soonest_locked();
  if (!ready_[0].empty() || !ready_[1].empty() || (soonest && (!watched_ || *soonest < *watched_))) {
    ++changes_;
    changed_.notify_one();
  }
}

}  // namespace sessmtp::kube
