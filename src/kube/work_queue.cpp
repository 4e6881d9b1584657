#include "kube/work_queue.h"

#include <algorithm>

namespace sessmtp::kube {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr milliseconds kFirstBackoff = 5ms;
constexpr unsigned kMaxDoublings = 18;  // 5 ms * 2^18 is above the maximum

}  // namespace

void WorkQueue::add(const NamespacedName& key) {
  const std::scoped_lock lock(mutex_);
  add_locked(key);
}

void WorkQueue::add_after(const NamespacedName& key, milliseconds delay) {
  const std::scoped_lock lock(mutex_);
  const SteadyTime due = clock_.steady() + delay;
  const auto [entry, added] = delayed_.try_emplace(key, due);
  if (!added) {
    entry->second = std::min(entry->second, due);
  }
  wake_locked();
}

void WorkQueue::add_rate_limited(const NamespacedName& key, milliseconds at_least, milliseconds at_most) {
  milliseconds delay{};
  {
    const std::scoped_lock lock(mutex_);
    unsigned& count = failures_[key];
    delay = std::min<milliseconds>(kFirstBackoff * (1U << std::min(count, kMaxDoublings)), at_most);
    ++count;
  }
  add_after(key, std::max(delay, at_least));
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
  while (!stop.stop_requested()) {
    if (auto key = take_locked()) {
      if (!ready_.empty() || !delayed_.empty()) {
        wake_locked();  // somebody else has to wait for what is due next
      }
      return key;
    }
    const auto changed = [this, seen = changes_] { return changes_ != seen; };
    const auto soonest =
        std::ranges::min_element(delayed_, {}, [](const auto& entry) { return entry.second; });
    if (soonest == delayed_.end()) {
      (void)changed_.wait(lock, stop, changed);
    } else {
      (void)changed_.wait_for(lock, stop, soonest->second - clock_.steady(), changed);
    }
  }
  return std::nullopt;
}

std::optional<NamespacedName> WorkQueue::try_get() {
  const std::scoped_lock lock(mutex_);
  return take_locked();
}

void WorkQueue::done(const NamespacedName& key) {
  const std::scoped_lock lock(mutex_);
  processing_.erase(key);
  if (dirty_.contains(key)) {
    ready_.push_back(key);
    wake_locked();
  }
}

std::size_t WorkQueue::size() const {
  const std::scoped_lock lock(mutex_);
  return ready_.size();
}

void WorkQueue::add_locked(const NamespacedName& key) {
  if (!dirty_.insert(key).second) {
    return;
  }
  if (!processing_.contains(key)) {
    ready_.push_back(key);
    wake_locked();
  }
}

void WorkQueue::wake_locked() {
  ++changes_;
  changed_.notify_one();
}

void WorkQueue::move_due_locked() {
  const SteadyTime now = clock_.steady();
  for (auto entry = delayed_.begin(); entry != delayed_.end();) {
    if (entry->second <= now) {
      add_locked(entry->first);
      entry = delayed_.erase(entry);
    } else {
      ++entry;
    }
  }
}

std::optional<NamespacedName> WorkQueue::take_locked() {
  move_due_locked();
  if (ready_.empty()) {
    return std::nullopt;
  }
  NamespacedName key = std::move(ready_.front());
  ready_.pop_front();
  dirty_.erase(key);
  processing_.insert(key);
  return key;
}

}  // namespace sessmtp::kube
