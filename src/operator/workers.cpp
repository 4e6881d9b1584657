#include "operator/workers.h"

#include <condition_variable>
#include <exception>
#include <thread>
#include <vector>

#include "base/chained_stop.h"
#include "base/log.h"

namespace sessmtp::operator_ {
namespace {

using namespace std::chrono_literals;

// What the API server did not do it may do at any moment; rights, quotas and policies change by hand.
constexpr auto kMaxRetry = 30s;
constexpr auto kSlowRetry = 30s;
constexpr auto kMaxSlowRetry = 300s;

ReconcileResult result_of(const Reconciler::Outcome& outcome) {
  if (outcome.terminal) {
    return ReconcileResult::kTerminalError;
  }
  if (outcome.retry != Retry::kNo) {
    return ReconcileResult::kError;
  }
  return outcome.again ? ReconcileResult::kRequeueAfter : ReconcileResult::kSuccess;
}

}  // namespace

void Workers::run(std::stop_token stop, std::chrono::milliseconds drain_limit) {
  {
    const std::scoped_lock lock(mutex_);
    working_since_ = clock_.steady();
  }
  {
    std::stop_source calls;
    std::mutex mutex;
    std::condition_variable_any changed;
    int running = count_;
    std::vector<std::jthread> threads;
    threads.reserve(static_cast<std::size_t>(count_));
    const ChainedStop end(stop);
    for (int i = 0; i < count_; ++i) {
      threads.emplace_back([&, intake = end.token()] {
        work(intake, calls.get_token());
        const std::scoped_lock lock(mutex);
        --running;
        changed.notify_all();
      });
    }
    std::unique_lock lock(mutex);
    (void)changed.wait(lock, stop, [] { return false; });
    (void)changed.wait_for(lock, drain_limit, [&running] { return running == 0; });
    calls.request_stop();
  }
  const std::scoped_lock lock(mutex_);
  working_since_.reset();
}

std::optional<SteadyTime> Workers::working_since() const {
  const std::scoped_lock lock(mutex_);
  return working_since_;
}

void Workers::work(std::stop_token intake, std::stop_token calls) {
  while (!intake.stop_requested()) {
    try {
      while (const auto key = queue_.get(intake)) {
        work_on(*key, calls);
      }
    } catch (const std::exception& error) {
      log::error("unexpected failure of a worker, going on", {{"error", error.what()}});
    }
  }
}

void Workers::work_on(const kube::NamespacedName& key, std::stop_token calls) {
  const struct Done {  // whatever happens, or nobody could ever have the key again
    kube::WorkQueue& queue;
    const kube::NamespacedName& key;
    ~Done() { queue.done(key); }
  } done{queue_, key};
  metrics_.begun();
  const SteadyTime began = clock_.steady();
  Reconciler::Outcome outcome;
  ReconcileResult result = ReconcileResult::kPanic;
  try {
    outcome = reconciler_.reconcile(key, calls, queue_.failures(key));
    result = result_of(outcome);
  } catch (const std::exception& error) {
    log::error("unexpected failure, trying again",
               {{"namespace", key.namespace_}, {"name", key.name}, {"error", error.what()}});
    outcome.retry = Retry::kBackoff;
  }
  switch (outcome.retry) {
    case Retry::kNo:
      queue_.forget(key);
      break;
    case Retry::kBackoff:
      queue_.add_rate_limited(key, outcome.retry_after, kMaxRetry);
      break;
    case Retry::kSlowly:
      queue_.add_rate_limited(key, kSlowRetry, kMaxSlowRetry);
      break;
  }
  if (outcome.again) {
    queue_.add_after(key, *outcome.again);
  }
  metrics_.ended(result, clock_.steady() - began);
}

}  // namespace sessmtp::operator_
