// What the kernel says about this process, read from /proc at each scrape; names and meaning as in
// client_golang:prometheus/process_collector.go. What cannot be read is left out.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <vector>

namespace sessmtp::operator_ {

// Thread-safe.
class ProcessMetrics final : public prometheus::Collectable {
 public:
  [[nodiscard]] std::vector<prometheus::MetricFamily> Collect() const override;
};

}  // namespace sessmtp::operator_
