#include "kube/work_queue.h"

#include <gmock/gmock.h>
#include <prometheus/registry.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <future>
#include <map>
#include <random>
#include <semaphore>
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

  // Takes and gives back once.
  std::string work() {
    const auto key = queue_.try_get();
    if (!key) {
      return "";
    }
    queue_.done(*key);
    return key->name;
  }

  FakeClock clock_;
  prometheus::Registry registry_;
  WorkQueue queue_{clock_, registry_, "sessmtpcredential"};
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

TEST_F(WorkQueueTest, ATimeOfDayThatJumpsNeitherWakesAKeyNorHoldsItBack) {
  for (const auto jump : {10h, -20h}) {
    queue_.add_after(kA, 60s);
    clock_.set_ahead(jump);
    clock_.advance(59s);
    EXPECT_EQ(work(), "");
    clock_.advance(1s);
    EXPECT_EQ(work(), "a");
  }
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

TEST_F(WorkQueueTest, TheSoonestOfManyDelayedKeysComesFirst) {
  for (int i = 9999; i >= 0; --i) {
    queue_.add_after({"shop", std::to_string(i)}, std::chrono::milliseconds(i + 1));
  }
  for (int i = 0; i < 10000; ++i) {
    ASSERT_EQ(work(), "");
    clock_.advance(1ms);
    ASSERT_EQ(work(), std::to_string(i));
  }
}

// ---- budget ---------------------------------------------------------------------------------------------

class WorkQueueBudgetTest : public WorkQueueTest {
 protected:
  // Takes as many as there are to have, always adding anew.
  int spend(const NamespacedName& key) {
    int takes = 0;
    for (queue_.add(key); work() == key.name; queue_.add(key)) {
      ++takes;
    }
    return takes;
  }
  double throttled() {
    for (const auto& family : registry_.Collect()) {
      if (family.name == "ses_smtp_hot_loop_throttled_total") {
        return family.metric.at(0).counter.value;
      }
    }
    return -1;
  }
};

TEST_F(WorkQueueBudgetTest, AKeyHasTenTakesAndThenOneInTwoSeconds) {
  EXPECT_EQ(spend(kA), 10);
  for (int i = 0; i < 5; ++i) {
    clock_.advance(1999ms);
    EXPECT_EQ(work(), "") << i;
    clock_.advance(1ms);
    EXPECT_EQ(spend(kA), 1) << i;
  }
  clock_.advance(6s);
  EXPECT_EQ(spend(kA), 3);
  clock_.advance(1h);
  EXPECT_EQ(spend(kA), 10) << "never more than a full bucket";
}

TEST_F(WorkQueueBudgetTest, WhatIsHeldBackIsNotLost) {
  spend(kA);
  clock_.advance(2s);
  EXPECT_EQ(work(), "a") << "added while it was over its budget";
  EXPECT_EQ(work(), "");
}

TEST_F(WorkQueueBudgetTest, OthersAreNotHeldBack) {
  spend(kA);
  queue_.add(kB);
  EXPECT_EQ(work(), "b");
}

TEST_F(WorkQueueBudgetTest, ItHoldsForRetriesAndForWhatIsAddedWhileWorkedOn) {
  int takes = 0;
  queue_.add(kA);
  while (const auto key = queue_.try_get()) {
    ++takes;
    queue_.add(*key);
    queue_.done(*key);
  }
  EXPECT_EQ(takes, 10);
  clock_.advance(2s);
  EXPECT_EQ(work(), "a");
  queue_.add_after(kA, 0ms);
  EXPECT_EQ(work(), "");
  clock_.advance(2s);
  EXPECT_EQ(work(), "a");
}

TEST_F(WorkQueueBudgetTest, TenFailuresInARowDoNotFeelIt) {
  for (auto backoff = 5ms; backoff < 10s; backoff *= 2) {
    queue_.add_rate_limited(kA);
    EXPECT_EQ(delay(kA), backoff);
  }
}

TEST_F(WorkQueueBudgetTest, EachTimeItHoldsBackIsCounted) {
  spend(kA);
  for (int i = 0; i < 100; ++i) {
    queue_.add(kA);
  }
  EXPECT_EQ(throttled(), 1);
  clock_.advance(2s);
  spend(kA);
  EXPECT_EQ(throttled(), 2);
}

TEST(KeyBudgetTest, RemembersOnlyBucketsThatAreNotFull) {
  const FakeClock clock;
  KeyBudget budget;
  SteadyTime now = clock.steady();
  for (int i = 0; i < 1000; ++i, now += 1s) {
    budget.spend({"shop", std::to_string(i)}, now);
    EXPECT_LE(budget.size(), 2U);
  }
}

// ---- priorities -----------------------------------------------------------------------------------------

TEST_F(WorkQueueTest, WhatChangedGoesBeforeAResync) {
  queue_.add(kA, Priority::kResync);
  queue_.add(kB);
  EXPECT_EQ(take(), "ba");
}

TEST_F(WorkQueueTest, TheHigherOfTwoPrioritiesCounts) {
  struct Case {
    Priority first, second;
  };
  for (const auto [first, second] :
       {Case{Priority::kResync, Priority::kChanged}, Case{Priority::kChanged, Priority::kResync}}) {
    queue_.add(kZero, Priority::kResync);
    queue_.add(kA, first);
    queue_.add(kA, second);
    EXPECT_EQ(take(), "a0");
    queue_.done(kA);
    queue_.done(kZero);

    queue_.add(kZero, Priority::kResync);
    queue_.add_after(kA, 1ms, first);
    queue_.add_after(kA, 2ms, second);
    clock_.advance(1ms);
    EXPECT_EQ(take(), "a0") << "delayed";
    queue_.done(kA);
    queue_.done(kZero);
  }
}

TEST_F(WorkQueueTest, APriorityEndsWithItsTake) {
  queue_.add(kA);
  EXPECT_EQ(work(), "a");
  queue_.add_after(kA, 0ms);
  EXPECT_EQ(work(), "a");
  queue_.add(kA, Priority::kResync);
  queue_.add(kB);
  EXPECT_EQ(take(), "ba");
}

// However many changes there are, a resync with n before it is taken within 4(n + 1) takes.
TEST_F(WorkQueueTest, AResyncDoesNotStarve) {
  constexpr int kResyncs = 20;
  for (int i = 0; i < kResyncs; ++i) {
    queue_.add({"shop", "resync-" + std::to_string(i)}, Priority::kResync);
  }
  int changes = 0;
  int resyncs = 0;
  for (int takes = 1; resyncs < kResyncs; ++takes) {
    queue_.add({"shop", std::to_string(changes++)});
    queue_.add({"shop", std::to_string(changes++)});  // more than is taken
    if (work() == "resync-" + std::to_string(resyncs)) {
      EXPECT_LE(takes, 4 * (resyncs + 1));
      ++resyncs;
    }
    ASSERT_LE(takes, 4 * kResyncs);
  }
}

TEST_F(WorkQueueTest, ChangesKeepThreeQuartersOfTheTakes) {
  for (int i = 0; i < 100; ++i) {
    queue_.add({"shop", "resync-" + std::to_string(i)}, Priority::kResync);
    queue_.add({"shop", std::to_string(i)});
  }
  int changed = 0;
  for (int i = 0; i < 100; ++i) {
    changed += work().starts_with("resync") ? 0 : 1;
  }
  EXPECT_EQ(changed, 75);
}

// ---- metrics and health ---------------------------------------------------------------------------------

// "name{label=value,...}" to value, for histograms the sum.
std::map<std::string, double> values(const std::vector<prometheus::MetricFamily>& families) {
  std::map<std::string, double> all;
  for (const auto& family : families) {
    for (const auto& metric : family.metric) {
      std::map<std::string, std::string> labels;
      for (const auto& label : metric.label) {
        labels[label.name] = label.value;
      }
      std::string name = family.name + "{";
      for (const auto& [label, value] : labels) {
        name += label + "=" + value + ";";
      }
      all[name + "}"] = metric.counter.value + metric.gauge.value + metric.histogram.sample_sum;
    }
  }
  return all;
}

// Names and labels as controller-runtime:pkg/metrics/workqueue.go has them.
TEST_F(WorkQueueTest, IsMeasuredAsDashboardsKnowIt) {
  queue_.add(kA);
  queue_.add(kA);
  queue_.add(kB, Priority::kResync);
  queue_.add_after(kZero, 1h);
  clock_.advance(250ms);
  ASSERT_EQ(queue_.try_get(), kA);
  clock_.advance(500ms);
  ASSERT_EQ(queue_.try_get(), kB);
  clock_.advance(1s);
  queue_.add(kA);
  queue_.add(kB, Priority::kResync);
  auto now = values(queue_.Collect());
  EXPECT_EQ(now["workqueue_depth{controller=sessmtpcredential;name=sessmtpcredential;priority=0;}"], 1);
  EXPECT_EQ(now["workqueue_depth{controller=sessmtpcredential;name=sessmtpcredential;priority=-100;}"], 1);
  const std::string labels = "{controller=sessmtpcredential;name=sessmtpcredential;}";
  EXPECT_EQ(now["workqueue_unfinished_work_seconds" + labels], 2.5);
  EXPECT_EQ(now["workqueue_longest_running_processor_seconds" + labels], 1.5);
  queue_.done(kA);
  auto counted = values(registry_.Collect());
  EXPECT_EQ(counted["workqueue_adds_total" + labels], 4);
  EXPECT_EQ(counted["workqueue_retries_total" + labels], 1);
  EXPECT_EQ(counted["workqueue_queue_duration_seconds" + labels], 0.25 + 0.75);
  EXPECT_EQ(counted["workqueue_work_duration_seconds" + labels], 1.5);
  EXPECT_EQ(counted.count("ses_smtp_hot_loop_throttled_total{}"), 1U);
}

TEST_F(WorkQueueTest, ProgressTellsAStuckWorkerAndAWaitingKey) {
  const auto expect = [this](std::chrono::milliseconds without, std::chrono::milliseconds longest,
                             const char* when) {
    const WorkQueue::Progress progress = queue_.progress();
    EXPECT_EQ(progress.without_a_take, without) << when;
    EXPECT_EQ(progress.longest_running, longest) << when;
  };
  clock_.advance(1h);
  expect(0ms, 0ms, "nothing to do");
  queue_.add(kA, Priority::kResync);
  clock_.advance(1s);
  queue_.add(kB);
  clock_.advance(1s);
  expect(2s, 0ms, "nobody works");
  ASSERT_EQ(queue_.try_get(), kB);
  clock_.advance(1s);
  expect(1s, 1s, "one of two taken");
  ASSERT_EQ(queue_.try_get(), kA);
  queue_.add_after(kZero, 1s);
  clock_.advance(3s);
  expect(2s, 4s, "a delayed key is due");
  queue_.add(kA);
  expect(2s, 4s, "a key that is being worked on does not wait for a worker");
}

// ---- threads --------------------------------------------------------------------------------------------

// One worker waits for the time of a delayed key; when it is given another key, somebody else has to.
TEST(WorkQueueThreads, ADelayedKeyIsNotForgottenWhenItsWaiterIsBusy) {
  const SystemClock clock;
  prometheus::Registry registry;
  WorkQueue queue(clock, registry, "test");
  std::stop_source stop;
  std::counting_semaphore<> delayed_taken(0);
  std::counting_semaphore<> round_over(0);
  std::atomic<int> forgotten = 0;
  const auto worker = [&, token = stop.get_token()] {
    while (const auto key = queue.get(token)) {
      if (key->name.starts_with("delayed")) {
        delayed_taken.release();
      } else {  // busy until somebody else has the other
        forgotten += delayed_taken.try_acquire_for(5s) ? 0 : 1;
        round_over.release();
      }
      queue.done(*key);
    }
  };
  {
    std::jthread first(worker);
    std::jthread second(worker);
    for (int round = 0; round < 50 && forgotten == 0; ++round) {
      queue.add_after({"shop", "delayed-" + std::to_string(round)}, 3ms);
      queue.add({"shop", "busy-" + std::to_string(round)});
      round_over.acquire();
    }
    stop.request_stop();
  }
  EXPECT_EQ(forgotten, 0);
}

TEST(WorkQueueThreads, AWaitingWorkerNoticesAnEarlierDueTime) {
  const SystemClock clock;
  prometheus::Registry registry;
  WorkQueue queue(clock, registry, "test");
  std::counting_semaphore<> taken(0);
  std::jthread worker([&](std::stop_token stop) {
    while (const auto key = queue.get(stop)) {
      taken.release();
      queue.done(*key);
    }
  });
  queue.add_after({"shop", "late"}, 1h);
  for (int i = 0; i < 20; ++i) {
    queue.add_after({"shop", std::to_string(i)}, 2ms);
    ASSERT_TRUE(taken.try_acquire_for(10s)) << i;
  }
}

TEST(WorkQueueThreads, AWaitingWorkerIsWokenByWhatAnotherGivesBack) {
  const SystemClock clock;
  prometheus::Registry registry;
  WorkQueue queue(clock, registry, "test");
  for (int i = 0; i < 20; ++i) {
    const NamespacedName key{"shop", std::to_string(i)};
    queue.add(key);
    ASSERT_EQ(queue.try_get(), key);
    auto got = std::async(std::launch::async, [&] { return queue.get({}); });
    queue.add(key);  // while it is being worked on
    std::this_thread::yield();
    queue.done(key);
    if (got.wait_for(5s) != std::future_status::ready) {
      queue.add(kZero);  // for the one that still waits
      FAIL() << "round " << i;
    }
    queue.done(key);
  }
}

// Several workers, adders and ways to add. Each key has a number that adders raise before they add, and that
// a worker reads first thing: had an add no take that began after it, the last number would stay unseen.
TEST(WorkQueueThreads, NoKeyIsWithTwoWorkersAndNoneIsLostOrOverItsBudget) {
  const SystemClock clock;
  prometheus::Registry registry;
  WorkQueue queue(clock, registry, "test");
  constexpr std::size_t kKeys = 1000;
  constexpr unsigned kAdds = 20000;
  struct State {
    std::atomic<int> holders = 0;
    std::atomic<int> wanted = 0;
    std::atomic<int> seen = 0;
    std::atomic<int> takes = 0;
  };
  std::array<State, kKeys> states;
  std::atomic<int> doubles = 0;
  std::counting_semaphore<> taken(0);
  std::stop_source stop;
  const SteadyTime begin = clock.steady();
  {
    std::vector<std::jthread> workers;
    for (unsigned i = 0; i < 4; ++i) {
      workers.emplace_back([&, token = stop.get_token(), random = std::minstd_rand(i + 1)]() mutable {
        while (const auto key = queue.get(token)) {
          State& state = states.at(std::stoul(key->name));
          const int wanted = state.wanted;
          doubles += ++state.holders == 1 ? 0 : 1;
          ++state.takes;
          if (random() % 8 == 0) {
            queue.add_rate_limited(*key, 0ms, 20ms);
          } else {
            queue.forget(*key);
          }
          --state.holders;
          state.seen = wanted;
          queue.done(*key);
          taken.release();
        }
      });
    }
    {
      std::vector<std::jthread> adders;
      for (unsigned i = 0; i < 3; ++i) {
        adders.emplace_back([&, random = std::minstd_rand(i + 100)]() mutable {
          for (unsigned n = 0; n < kAdds; ++n) {
            const std::size_t number = random() % kKeys;
            const NamespacedName key{"shop", std::to_string(number)};
            ++states.at(number).wanted;
            switch (random() % 3) {
              case 0:
                queue.add(key);
                break;
              case 1:
                queue.add(key, Priority::kResync);
                break;
              default:
                queue.add_after(key, std::chrono::milliseconds(random() % 5), Priority::kResync);
            }
          }
        });
      }
    }
    const auto unseen = [&] {
      return std::ranges::any_of(states, [](const State& state) { return state.seen != state.wanted; });
    };
    while (unseen() && taken.try_acquire_for(10s)) {
    }
    EXPECT_FALSE(unseen()) << "an add was lost";
    stop.request_stop();
  }
  EXPECT_EQ(doubles, 0);
  const auto budget = 10 + (clock.steady() - begin) / 2s;
  for (const State& state : states) {
    EXPECT_LE(state.takes, budget);
  }
}

TEST(WorkQueueThreads, AKeyInAHotLoopLeavesTheWorkersToOthers) {
  const SystemClock clock;
  prometheus::Registry registry;
  WorkQueue queue(clock, registry, "test");
  std::stop_source stop;
  std::atomic<int> hot = 0;
  std::counting_semaphore<> others(0);
  const SteadyTime begin = clock.steady();
  {
    std::jthread worker([&, token = stop.get_token()] {
      while (const auto key = queue.get(token)) {
        if (*key == kA) {
          ++hot;
        } else {
          others.release();
        }
        queue.done(*key);
      }
    });
    for (int i = 0; i < 1000; ++i) {
      queue.add(kA);
      queue.add({"shop", std::to_string(i)});
      others.acquire();
    }
    stop.request_stop();
  }
  EXPECT_LE(hot, 10 + (clock.steady() - begin) / 2s);
}

}  // namespace
}  // namespace sessmtp::kube
