// Carries out restarts of workloads (restart.h) at the API server.
#pragma once

#include <prometheus/registry.h>

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

  [[nodiscard]] RestartAnswer restart(const std::string& namespace_, const RestartRequest& request,
                                      std::stop_token stop);

 private:
  kube::Client& client_;
  const Clock& clock_;
};

}  // namespace sessmtp::operator_
