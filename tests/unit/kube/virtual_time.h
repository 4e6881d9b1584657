// Time that passes only when every thread waits for it: then it jumps to the next moment that one waits
// for. Threads are real, hours take milliseconds, and a slow machine changes nothing.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "fake_clock.h"

namespace sessmtp {

// Thread-safe. The thread that makes it takes part, as do each Thread and all that have called enter()
// or wait(). One that blocks on anything but these holds up time.
class VirtualTime final : public Clock {
 public:
  VirtualTime() { take_part(); }
  ~VirtualTime() override { participant().time = nullptr; }

  [[nodiscard]] WallTime now() const override { return clock_.now(); }
  [[nodiscard]] SteadyTime steady() const override { return clock_.steady(); }

  // Somebody sets the time of day.
  void set_ahead(std::chrono::microseconds by) { clock_.set_ahead(by); }

  // Like wait_for(). `who` can be waited for with await_waiter().
  bool wait(std::chrono::milliseconds duration, std::stop_token stop, const void* who = nullptr) {
    Waiter waiter{.due = steady() + std::max(duration, std::chrono::milliseconds(0)), .who = who};
    {
      const std::scoped_lock lock(mutex_);
      waiters_.push_back(&waiter);
      appeared_.notify_all();
    }
    {
      const std::stop_callback on_stop(stop, [&] {
        const std::scoped_lock lock(mutex_);
        wake(waiter);
      });
      std::unique_lock lock(mutex_);
      if (participant().time == this) {
        --running_;
      } else {
        participant().time = this;  // counted from when it is woken
      }
      pass_time();
      waiter.woken_up.wait(lock, [&] { return waiter.woken; });
      std::erase(waiters_, &waiter);
    }
    return !stop.stop_requested();
  }

  // Blocks until a thread waits in the name of `who`; time does not pass meanwhile.
  void await_waiter(const void* who) {
    std::unique_lock lock(mutex_);
    appeared_.wait(lock, [&] {
      return std::ranges::any_of(waiters_, [&](const Waiter* each) { return each->who == who; });
    });
  }

  // For a thread that something else has started.
  void enter() {
    const std::scoped_lock lock(mutex_);
    take_part();
  }

  // A thread that takes part from the moment it is made. Joined, while time passes, at the latest by its end.
  class Thread {
   public:
    template <class Work>
    Thread(VirtualTime& time, Work work) : time_(time) {
      {
        const std::scoped_lock lock(time_.mutex_);
        ++time_.running_;
      }
      thread_ = std::thread([this, work = std::move(work)] {
        participant().time = &time_;
        work();
        ended_.request_stop();
      });
    }
    Thread(const Thread&) = delete;
    Thread& operator=(const Thread&) = delete;
    ~Thread() { join(); }
    void join() {
      while (time_.wait(std::chrono::hours(1), ended_.get_token())) {
      }
      if (thread_.joinable()) {
        thread_.join();
      }
    }

   private:
    VirtualTime& time_;
    std::stop_source ended_;
    std::thread thread_;
  };

 private:
  struct Waiter {
    SteadyTime due;
    const void* who = nullptr;
    bool woken = false;
    std::condition_variable woken_up = {};
  };
  // Which time a thread takes part in; it leaves by ending.
  struct Participant {
    VirtualTime* time = nullptr;
    Participant() = default;
    Participant(const Participant&) = delete;
    Participant& operator=(const Participant&) = delete;
    ~Participant() {
      if (time != nullptr) {
        time->leave();
      }
    }
  };
  static Participant& participant() {
    thread_local Participant participant;
    return participant;
  }

  void take_part() {
    participant().time = this;
    ++running_;
  }
  void leave() {
    const std::scoped_lock lock(mutex_);
    --running_;
    pass_time();
  }
  void wake(Waiter& waiter) {
    if (!waiter.woken) {
      waiter.woken = true;
      ++running_;
      waiter.woken_up.notify_one();
    }
  }
  void pass_time() {
    const auto asleep = [](const Waiter* each) { return !each->woken; };
    while (running_ == 0) {
      auto next = SteadyTime::max();
      for (const Waiter* each : waiters_) {
        next = asleep(each) ? std::min(next, each->due) : next;
      }
      if (next == SteadyTime::max()) {
        return;
      }
      if (next > steady()) {
        clock_.advance(std::chrono::duration_cast<std::chrono::microseconds>(next - steady()));
      }
      for (Waiter* each : waiters_) {
        if (each->due <= next) {
          wake(*each);
        }
      }
    }
  }

  FakeClock clock_;
  std::mutex mutex_;
  std::condition_variable appeared_;
  std::vector<Waiter*> waiters_;
  int running_ = 0;  // threads that take part and do not wait
};

}  // namespace sessmtp
