// Carries out restarts of workloads (restart.h) at the API server.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include <optional>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "kube/client.h"
#include "operator/restart.h"

namespace sessmtp::operator_ {

// Thread-safe.
class Restarter {
 public:
  // Registers ses_smtp_restarts_total.
  Restarter(kube::Client& client, const Clock& clock, prometheus::Registry& metrics);

  // A workload that changes between its GET and its PATCH, as one does that is being rolled, is read again a
  // few times.
  [[nodiscard]] RestartAnswer restart(const std::string& namespace_, const RestartRequest& request,
                                      std::stop_token stop);

 private:
  // Empty: it has changed since it was read.
  [[nodiscard]] std::optional<RestartAnswer> try_restart(const std::string& path,
                                                         const RestartRequest& request, std::stop_token stop);

  kube::Client& client_;
  const Clock& clock_;
  prometheus::Counter& restarted_;
  prometheus::Counter& failed_;
};

}  // namespace sessmtp::operator_
