// Where a call hangs until a test lets it go, or until it is cancelled.
#pragma once

#include <condition_variable>
#include <mutex>
#include <stop_token>

namespace sessmtp::operator_ {

// Thread-safe.
class Gate {
 public:
  void open() {
    const std::scoped_lock lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void pass(std::stop_token stop) {
    std::unique_lock lock(mutex_);
    ++waiting_;
    (void)changed_.wait(lock, std::move(stop), [this] { return open_; });
    --waiting_;
  }
  [[nodiscard]] int waiting() const {
    const std::scoped_lock lock(mutex_);
    return waiting_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  bool open_ = false;
  int waiting_ = 0;
};

}  // namespace sessmtp::operator_
