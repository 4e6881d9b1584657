// The workers: each takes one key at a time from the queue and reconciles it.
#pragma once

#include <chrono>
#include <mutex>
#include <optional>
#include <stop_token>

#include "base/clock.h"
#include "kube/work_queue.h"
#include "operator/metrics.h"
#include "operator/reconciler.h"

namespace sessmtp::operator_ {

// Survives any exception: the key is tried again. Thread-safe but for run(), which is called once at a time.
class Workers {
 public:
  Workers(kube::WorkQueue& queue, Reconciler& reconciler, ReconcileMetrics& metrics, const Clock& clock,
          int count)
      : queue_(queue), reconciler_(reconciler), metrics_(metrics), clock_(clock), count_(count) {}

  // Works until `stop`. Then nothing new is taken; what is in hand gets `drain_limit`, after which its
  // calls are cancelled. No call is under way when this returns.
  void run(std::stop_token stop, std::chrono::milliseconds drain_limit);

  // Since when run() is at work; empty: it is not.
  [[nodiscard]] std::optional<SteadyTime> working_since() const;

 private:
  void work(std::stop_token intake, std::stop_token calls);
  void work_on(const kube::NamespacedName& key, std::stop_token calls);

  kube::WorkQueue& queue_;
  Reconciler& reconciler_;
  ReconcileMetrics& metrics_;
  const Clock& clock_;
  const int count_;
  mutable std::mutex mutex_;
  std::optional<SteadyTime> working_since_;
};

}  // namespace sessmtp::operator_
