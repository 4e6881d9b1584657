// What the reconciler measures of itself, and how measurements become a page. docs/metrics.md explains each.
//
// Names, labels, help texts and buckets that begin with controller_runtime_ are those of
// controller-runtime:pkg/internal/controller/metrics/metrics.go, so that dashboards people have go on
// working. Thread-safe; lives no longer than its registry. Constructed once for each registry.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sessmtp::operator_ {

// How a reconcile ended. The last three are errors of which the last two are counted apart as well.
enum class ReconcileResult : std::uint8_t {
  kSuccess,
  kRequeue,        // with backoff, without an error
  kRequeueAfter,   // at a certain time
  kError,          // tried again with backoff
  kTerminalError,  // not tried again before something changes
  kPanic,          // an exception
};

class ReconcileMetrics {
 public:
  ReconcileMetrics(prometheus::Registry& registry, int workers);

  void begun();
  void ended(ReconcileResult result, std::chrono::nanoseconds took);

 private:
  struct Totals {
    prometheus::Counter& success;
    prometheus::Counter& error;
    prometheus::Counter& requeue;
    prometheus::Counter& requeue_after;
  };
  Totals total_;
  prometheus::Counter& errors_;
  prometheus::Counter& terminal_errors_;
  prometheus::Counter& panics_;
  prometheus::Histogram& time_;
  prometheus::Gauge& active_workers_;
};

struct RotationMetrics {
  explicit RotationMetrics(prometheus::Registry& registry);

  prometheus::Counter& rotations;  // targets that got another key pair
  prometheus::Histogram& lag;      // seconds from the change of the source seen to the target written
};

// ses_smtp_build_info, always 1.
void register_build_info(prometheus::Registry& registry, std::string_view version);

// The text format of Prometheus, with its content type. No two sources may have a metric of the same name.
inline constexpr const char* kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";
[[nodiscard]] std::string scrape(const std::vector<const prometheus::Collectable*>& sources);

}  // namespace sessmtp::operator_
