#include "kube/work_queue.h"

#include <gmock/gmock.h>

#include <array>
#include <atomic>
#include <future>
#include <thread>

#include "fake_clock.h"

namespace sessmtp::kube {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

const NamespacedName kA{"shop", "a"};
const NamespacedName kB{"shop", "b"};
const NamespacedName kZero{"shop", "0"};

class WorkQueueTest : public testing::Test {
 protected:
  // What is handed out now, in order; all of it is being worked on afterwards.
  std::string take() {
    std::string names;
    while (const auto key = queue_.try_get()) {
      names += key->name;
    }
    return names;
  }
  // How long a key failing now is held back.
  std::chrono::milliseconds delay(const NamespacedName& key) {
    for (auto waited = 0ms; waited <= 2000s; waited += 5ms) {
      if (queue_.try_get()) {
        queue_.done(key);
        return waited;
      }
      clock_.advance(5ms);
    }
    return -1ms;
  }

  FakeClock clock_;
  WorkQueue queue_{clock_};
};

TEST_F(WorkQueueTest, HandsOutInOrder) {
  queue_.add(kB);
  queue_.add(kA);
  EXPECT_EQ(take(), "ba");
}

TEST_F(WorkQueueTest, AddingTwiceIsAddingOnce) {
  queue_.add(kA);
  queue_.add(kA);
  EXPECT_EQ(queue_.size(), 1U);
  EXPECT_EQ(take(), "a");
}

TEST_F(WorkQueueTest, AKeyAddedWhileItIsWorkedOnComesAgainOnceThatIsDone) {
  queue_.add(kA);
  EXPECT_EQ(take(), "a");
  queue_.add(kA);
  queue_.add(kA);
  EXPECT_EQ(take(), "");
  queue_.done(kA);
  EXPECT_EQ(take(), "a");
  queue_.done(kA);
  EXPECT_EQ(take(), "");
}

TEST_F(WorkQueueTest, ADelayedKeyComesWhenItIsDueAndNotBefore) {
  queue_.add_after(kA, 100ms);
  clock_.advance(99ms);
  EXPECT_EQ(take(), "");
  clock_.advance(1ms);
  EXPECT_EQ(take(), "a");
}

TEST_F(WorkQueueTest, TheEarlierOfTwoDueTimesCounts) {
  queue_.add_after(kA, 100ms);
  queue_.add_after(kA, 10ms);
  queue_.add_after(kA, 1000ms);
  clock_.advance(10ms);
  EXPECT_EQ(take(), "a");
  queue_.done(kA);
  clock_.advance(1h);
  EXPECT_EQ(take(), "") << "one key, one due time";
}

TEST_F(WorkQueueTest, FailuresAreHeldBackLongerEachTimeUpToALimit) {
  std::vector<std::chrono::milliseconds> delays;
  for (int i = 0; i < 5; ++i) {
    queue_.add_rate_limited(kA);
    delays.push_back(delay(kA));
  }
  EXPECT_THAT(delays, ElementsAre(5ms, 10ms, 20ms, 40ms, 80ms));
  for (int i = 0; i < 40; ++i) {
    queue_.add_rate_limited(kA, 0ms);
    clock_.advance(1000s);
    EXPECT_EQ(take(), "a") << i;
    queue_.done(kA);
  }
}

TEST_F(WorkQueueTest, TheLimitIsTheCallersAndFailuresAreCounted) {
  EXPECT_EQ(queue_.failures(kA), 0U);
  for (int i = 0; i < 40; ++i) {
    queue_.add_rate_limited(kA, 0ms, 30s);
    clock_.advance(30s);
    EXPECT_EQ(take(), "a") << i;
    queue_.done(kA);
  }
  EXPECT_EQ(queue_.failures(kA), 40U);
  queue_.add_rate_limited(kA, 60s, 30s);
  EXPECT_EQ(delay(kA), 60s) << "what the API server asks for goes first";
}

TEST_F(WorkQueueTest, ASuccessForgetsTheFailures) {
  for (int i = 0; i < 8; ++i) {
    queue_.add_rate_limited(kA);
    (void)delay(kA);
  }
  queue_.forget(kA);
  queue_.add_rate_limited(kA);
  EXPECT_EQ(delay(kA), 5ms);
}

TEST_F(WorkQueueTest, FailuresOfOneKeyDoNotHoldBackAnother) {
  for (int i = 0; i < 8; ++i) {
    queue_.add_rate_limited(kA);
    (void)delay(kA);
  }
  queue_.add_rate_limited(kB);
  EXPECT_EQ(delay(kB), 5ms);
}

TEST_F(WorkQueueTest, AFailureCanBeHeldBackAtLeastSoLong) {
  queue_.add_rate_limited(kA, 30s);
  EXPECT_EQ(delay(kA), 30s);
}

TEST_F(WorkQueueTest, WaitingEndsWhenAskedToStop) {
  std::promise<std::optional<NamespacedName>> got;
  std::jthread worker([&](std::stop_token stop) { got.set_value(queue_.get(stop)); });
  worker.request_stop();
  EXPECT_EQ(got.get_future().get(), std::nullopt);
}

TEST_F(WorkQueueTest, AskedToStopItHandsOutNothingMore) {
  queue_.add(kA);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_EQ(queue_.get(stop.get_token()), std::nullopt);
}

TEST_F(WorkQueueTest, AWaitingWorkerIsWokenByAnAdd) {
  auto got = std::async(std::launch::async, [&] { return queue_.get({}); });
  queue_.add(kA);
  EXPECT_EQ(got.get(), kA);
}

// One worker waits for the time of a delayed key; when it is given another key, somebody else has to.
TEST(WorkQueueThreads, ADelayedKeyIsNotForgottenWhenItsWaiterIsBusy) {
  const SystemClock clock;
  WorkQueue queue(clock);
  std::promise<void> release;
  std::shared_future<void> released(release.get_future());
  std::atomic<int> taken = 0;
  std::promise<void> both;
  const auto worker = [&] {
    if (const auto key = queue.get({})) {
      if (++taken == 2) {
        both.set_value();
      }
      released.wait();  // busy for as long as the test lasts
    }
  };
  std::jthread first(worker);
  std::jthread second(worker);
  queue.add_after(kB, 20ms);
  queue.add(kA);
  EXPECT_EQ(both.get_future().wait_for(10s), std::future_status::ready);
  release.set_value();
  queue.add(kA);  // for a worker that is still waiting
  queue.add(kB);
}

TEST(WorkQueueThreads, NoKeyIsEverWithTwoWorkers) {
  const SystemClock clock;
  WorkQueue queue(clock);
  constexpr std::size_t kKeys = 5;
  constexpr int kAdds = 3000;
  std::array<std::atomic<int>, kKeys> holders{};
  std::atomic<int> doubles = 0;
  std::atomic<int> looks = 0;
  std::stop_source stop;
  const std::stop_token token = stop.get_token();
  {
    std::vector<std::jthread> workers;
    for (int i = 0; i < 4; ++i) {
      workers.emplace_back([&] {
        while (const auto key = queue.get(token)) {
          std::atomic<int>& holder = holders[std::size_t(key->name[0] - '0')];
          if (++holder != 1) {
            ++doubles;
          }
          ++looks;
          if (looks % 7 == 0) {
            queue.add_rate_limited(*key);
          } else {
            queue.forget(*key);
          }
          --holder;
          queue.done(*key);
        }
      });
    }
    std::vector<std::jthread> adders;
    for (unsigned i = 0; i < 2; ++i) {
      adders.emplace_back([&queue, i] {
        for (unsigned n = 0; n < kAdds; ++n) {
          queue.add({"shop", std::to_string((n + i) % kKeys)});
        }
      });
    }
    adders.clear();
    while (looks < 100) {  // however late the workers were to start
      std::this_thread::yield();
      queue.add(kZero);
    }
    stop.request_stop();
  }
  EXPECT_EQ(doubles, 0);
}

}  // namespace
}  // namespace sessmtp::kube
