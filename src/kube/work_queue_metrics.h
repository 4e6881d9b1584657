// The metrics that dashboards for client-go and controller-runtime know, under their names, labels and
// buckets (controller-runtime:pkg/metrics/workqueue.go), and one of our own. Thread-safe; the registry has
// to outlive it.
#pragma once

#include <prometheus/metric_family.h>

#include <string>
#include <vector>

namespace prometheus {
class Counter;
class Histogram;
class Registry;
}  // namespace prometheus

namespace sessmtp::kube {

struct WorkQueueMetrics {
  WorkQueueMetrics(prometheus::Registry& registry, const std::string& name);

  prometheus::Counter& adds;
  prometheus::Counter& retries;
  prometheus::Counter& throttled;
  prometheus::Histogram& queue_duration;
  prometheus::Histogram& work_duration;
};

// What is true at the moment of a scrape only.
struct WorkQueueGauges {
  double depth_changed = 0;
  double depth_resync = 0;
  double unfinished_work_seconds = 0;
  double longest_running_processor_seconds = 0;
};
[[nodiscard]] std::vector<prometheus::MetricFamily> to_metric_families(const WorkQueueGauges& gauges,
                                                                       const std::string& name);

}  // namespace sessmtp::kube
