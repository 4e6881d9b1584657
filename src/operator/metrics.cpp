#include "operator/metrics.h"

#include <prometheus/text_serializer.h>

#include <iterator>
#include <utility>

#include "api/names.h"

namespace sessmtp::operator_ {
namespace {

const prometheus::Histogram::BucketBoundaries kReconcileSeconds{
    0.005, 0.01, 0.025, 0.05, 0.1,  0.15, 0.2,  0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6,
    0.7,   0.8,  0.9,   1,    1.25, 1.5,  1.75, 2,    2.5, 3,    3.5, 4,    4.5, 5,
    6,     7,    8,     9,    10,   15,   20,   25,   30,  40,   50,  60};

// From a quiet cluster to an API server that was away.
const prometheus::Histogram::BucketBoundaries kLagSeconds{
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600};

prometheus::Labels controller() {
  return {{"controller", "sessmtpcredential"}};
}

prometheus::Counter& counter(prometheus::Registry& registry, const char* name, const char* help,
                             const prometheus::Labels& labels) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry).Add(labels);
}

prometheus::Gauge& gauge(prometheus::Registry& registry, const char* name, const char* help,
                         const prometheus::Labels& labels) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry).Add(labels);
}

prometheus::Histogram& histogram(prometheus::Registry& registry, const char* name, const char* help,
                                 const prometheus::Labels& labels,
                                 const prometheus::Histogram::BucketBoundaries& buckets) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry).Add(labels, buckets);
}

prometheus::Counter& reconcile_total(prometheus::Registry& registry, const char* result) {
  prometheus::Labels labels = controller();
  labels.emplace("result", result);
  return counter(registry, "controller_runtime_reconcile_total",
                 "Total number of reconciliations per controller", labels);
}

}  // namespace

ReconcileMetrics::ReconcileMetrics(prometheus::Registry& registry, int workers)
    : total_{.success = reconcile_total(registry, "success"),
             .error = reconcile_total(registry, "error"),
             .requeue = reconcile_total(registry, "requeue"),
             .requeue_after = reconcile_total(registry, "requeue_after")},
      errors_(counter(registry, "controller_runtime_reconcile_errors_total",
                      "Total number of reconciliation errors per controller", controller())),
      terminal_errors_(counter(registry, "controller_runtime_terminal_reconcile_errors_total",
                               "Total number of terminal reconciliation errors per controller",
                               controller())),
      panics_(counter(registry, "controller_runtime_reconcile_panics_total",
                      "Total number of reconciliation panics per controller", controller())),
      time_(histogram(registry, "controller_runtime_reconcile_time_seconds",
                      "Length of time per reconciliation per controller", controller(), kReconcileSeconds)),
      active_workers_(gauge(registry, "controller_runtime_active_workers",
                            "Number of currently used workers per controller", controller())) {
  gauge(registry, "controller_runtime_max_concurrent_reconciles",
        "Maximum number of concurrent reconciles per controller", controller())
      .Set(workers);
}

void ReconcileMetrics::begun() {
  active_workers_.Increment();
}

void ReconcileMetrics::ended(ReconcileResult result, std::chrono::nanoseconds took) {
  active_workers_.Decrement();
  time_.Observe(std::chrono::duration<double>(took).count());
  switch (result) {
    case ReconcileResult::kSuccess:
      total_.success.Increment();
      return;
    case ReconcileResult::kRequeue:
      total_.requeue.Increment();
      return;
    case ReconcileResult::kRequeueAfter:
      total_.requeue_after.Increment();
      return;
    case ReconcileResult::kTerminalError:
      terminal_errors_.Increment();
      break;
    case ReconcileResult::kPanic:
      panics_.Increment();
      break;
    case ReconcileResult::kError:
      break;
  }
  errors_.Increment();
  total_.error.Increment();
}

RotationMetrics::RotationMetrics(prometheus::Registry& registry)
    : rotations(
          counter(registry, "ses_smtp_rotations_total", "Targets that were given another key pair", {})),
      lag(histogram(registry, "ses_smtp_rotation_lag_seconds",
                    "Time from the change of a source seen to its target written", {}, kLagSeconds)) {}

void register_build_info(prometheus::Registry& registry, std::string_view version) {
  gauge(registry, "ses_smtp_build_info", "What is running; the value is always 1",
        {{"version", std::string(version)}, {"render_version", std::to_string(api::kRenderVersion)}})
      .Set(1);
}

std::string scrape(const std::vector<const prometheus::Collectable*>& sources) {
  std::vector<prometheus::MetricFamily> families;
  for (const prometheus::Collectable* source : sources) {
    std::vector<prometheus::MetricFamily> more = source->Collect();
    families.insert(families.end(), std::make_move_iterator(more.begin()),
                    std::make_move_iterator(more.end()));
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace sessmtp::operator_
