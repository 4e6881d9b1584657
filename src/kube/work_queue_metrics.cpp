#include "kube/work_queue_metrics.h"

#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

namespace sessmtp::kube {
namespace {

// controller-runtime:pkg/handler/eventhandler.go, LowPriority: what its label says for a resync.
constexpr const char* kPriorityChanged = "0";
constexpr const char* kPriorityResync = "-100";

prometheus::Labels labels(const std::string& name) {
  return {{"name", name}, {"controller", name}};
}

prometheus::Counter& counter(prometheus::Registry& registry, const char* metric, const char* help,
                             const prometheus::Labels& labels) {
  return prometheus::BuildCounter().Name(metric).Help(help).Register(registry).Add(labels);
}

prometheus::Histogram& durations(prometheus::Registry& registry, const char* metric, const char* help,
                                 const prometheus::Labels& labels) {
  return prometheus::BuildHistogram().Name(metric).Help(help).Register(registry).Add(
      labels, prometheus::Histogram::BucketBoundaries{1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0,
                                                      10.0, 100.0, 1000.0});
}

prometheus::MetricFamily gauge_family(const char* metric, const char* help) {
  return {.name = metric, .help = help, .type = prometheus::MetricType::Gauge, .metric = {}};
}

prometheus::ClientMetric gauge(const std::string& name, double value) {
  prometheus::ClientMetric metric;
  metric.label = {{"name", name}, {"controller", name}};
  metric.gauge.value = value;
  return metric;
}

prometheus::ClientMetric depth(const std::string& name, const char* priority, double value) {
  prometheus::ClientMetric metric = gauge(name, value);
  metric.label.push_back({"priority", priority});
  return metric;
}

}  // namespace

WorkQueueMetrics::WorkQueueMetrics(prometheus::Registry& registry, const std::string& name)
    : adds(counter(registry, "workqueue_adds_total", "Total number of adds handled by workqueue",
                   labels(name))),
      retries(counter(registry, "workqueue_retries_total", "Total number of retries handled by workqueue",
                      labels(name))),
      throttled(counter(registry, "ses_smtp_hot_loop_throttled_total",
                        "How often an object was held back because it had been worked on too often", {})),
      queue_duration(durations(registry, "workqueue_queue_duration_seconds",
                               "How long in seconds an item stays in workqueue before being requested",
                               labels(name))),
      work_duration(durations(registry, "workqueue_work_duration_seconds",
                              "How long in seconds processing an item from workqueue takes.", labels(name))) {
}

std::vector<prometheus::MetricFamily> to_metric_families(const WorkQueueGauges& gauges,
                                                         const std::string& name) {
  prometheus::MetricFamily depths =
      gauge_family("workqueue_depth", "Current depth of workqueue by workqueue and priority");
  depths.metric = {depth(name, kPriorityChanged, gauges.depth_changed),
                   depth(name, kPriorityResync, gauges.depth_resync)};
  prometheus::MetricFamily unfinished = gauge_family(
      "workqueue_unfinished_work_seconds",
      "How many seconds of work has been done that is in progress and hasn't been observed by work_duration. "
      "Large values indicate stuck threads.");
  unfinished.metric = {gauge(name, gauges.unfinished_work_seconds)};
  prometheus::MetricFamily longest =
      gauge_family("workqueue_longest_running_processor_seconds",
                   "How many seconds has the longest running processor for workqueue been running.");
  longest.metric = {gauge(name, gauges.longest_running_processor_seconds)};
  return {std::move(depths), std::move(unfinished), std::move(longest)};
}

}  // namespace sessmtp::kube
