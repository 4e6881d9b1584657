// The operator as a running whole: reflectors fill the cache, the cache fills the queue, workers
// empty it.
#pragma once

#include <prometheus/registry.h>

#include <chrono>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "kube/client.h"

namespace sessmtp::operator_ {

struct ControllerOptions {
  std::vector<std::string> watch_namespaces;  // empty: the whole cluster
  int workers = 8;
  std::chrono::milliseconds watch_timeout{
      300'000};                                   // the API server ends a watch after one to two times that
  std::string instance;                           // names this process in events; usually the host name
  std::chrono::milliseconds drain_limit{10'000};  // for work in hand when asked to stop
};

// Runs until `stop`, then lets the workers finish what they have in hand. Nothing the API server does
// or does not do ends it earlier.
void run_controller(kube::Client& client, const Clock& clock, prometheus::Registry& metrics,
                    const ControllerOptions& options, std::stop_token stop);

}  // namespace sessmtp::operator_
