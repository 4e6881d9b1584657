// A clock that stands still until a test moves it.
#pragma once

#include <chrono>
#include <mutex>

#include "base/clock.h"

namespace sessmtp {

// Thread-safe.
class FakeClock final : public Clock {
 public:
  // 2026-11-22T08:00:00Z
  static constexpr std::chrono::sys_days kDay{std::chrono::year{2026} / 11 / 22};

  [[nodiscard]] WallTime now() const override {
    const std::scoped_lock lock(mutex_);
    return WallTime(kDay) + std::chrono::hours(8) + elapsed_ + ahead_;
  }
  [[nodiscard]] SteadyTime steady() const override {
    const std::scoped_lock lock(mutex_);
    return SteadyTime{} + std::chrono::hours(1) + elapsed_;
  }
  void advance(std::chrono::microseconds by) {
    const std::scoped_lock lock(mutex_);
    elapsed_ += by;
  }
  // Somebody sets the time of day; no time passes.
  void set_ahead(std::chrono::microseconds by) {
    const std::scoped_lock lock(mutex_);
    ahead_ += by;
  }

 private:
  mutable std::mutex mutex_;
  std::chrono::microseconds elapsed_{0};
  std::chrono::microseconds ahead_{0};
};

}  // namespace sessmtp
