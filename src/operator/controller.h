// The operator as a running whole: reflectors fill the cache, the cache fills the queue, and workers empty
// it while this process leads.
#pragma once

#include <prometheus/registry.h>

#include <atomic>
#include <chrono>
#include <list>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "kube/client.h"
#include "kube/events.h"
#include "kube/leader_election.h"
#include "kube/reflector.h"
#include "kube/work_queue.h"
#include "operator/cache.h"
#include "operator/crd_check.h"
#include "operator/credential_metrics.h"
#include "operator/health.h"
#include "operator/login_checks.h"
#include "operator/metrics.h"
#include "operator/process_metrics.h"
#include "operator/readers.h"
#include "operator/reconciler.h"
#include "operator/restarter.h"
#include "operator/workers.h"

namespace sessmtp::operator_ {

struct ControllerOptions {
  std::vector<std::string> watch_namespaces;  // empty: the whole cluster
  int workers = 8;
  std::string instance;  // names this process in events; usually the host name
  std::chrono::milliseconds watch_timeout{
      300'000};  // the API server ends a watch after one to two times that
  std::chrono::milliseconds resync_period{36'000'000};  // a tenth more or less
  bool metrics_per_credential = true;
  std::optional<kube::ElectionOptions> election;  // empty: always the leader
  std::chrono::milliseconds drain_limit{5'000};   // for work in hand when asked to stop
};

// How parts of the program tell that the API server has answered them.
struct Answers {
  kube::HeardTimes to_calls;
  kube::HeardTimes to_election;
};

class Controller {
 public:
  // `election_client` is of its own: nothing else may delay a renewal. The others outlive the controller.
  Controller(kube::Client& client, kube::Client& election_client, smtp::LoginProbe& probe,
             const Answers& answers, const Clock& clock, prometheus::Registry& metrics,
             ControllerOptions options);

  // Runs until `stop`, then lets the workers finish what they have in hand and gives up the lease. Nothing
  // the API server does or does not do ends it earlier.
  void run(std::stop_token stop);

  // Thread-safe, also before and after run().
  [[nodiscard]] HealthReport liveness() const;
  [[nodiscard]] HealthReport readiness() const;
  [[nodiscard]] std::string metrics() const;

 private:
  void add_scope(const std::string& scope);
  void read(kube::Reflector& reflector, std::stop_token stop);
  void keep_house(std::stop_token stop);

  const Answers& answers_;
  const Clock& clock_;
  prometheus::Registry& registry_;
  const ControllerOptions options_;
  const std::vector<std::string> scopes_;
  kube::Client& client_;
  std::atomic<bool> at_work_ = false;
  kube::WorkQueue queue_;
  Cache cache_;
  kube::EventRecorder events_;
  ReconcileMetrics reconcile_metrics_;
  RotationMetrics rotation_metrics_;
  CredentialMetrics credential_metrics_;
  ProcessMetrics process_metrics_;
  LoginChecks logins_;
  Restarter restarter_;
  Reconciler reconciler_;
  Workers workers_;
  CrdCheck crd_;
  std::optional<kube::LeaderElector> elector_;
  std::list<CredentialReader> credential_readers_;
  std::list<SecretReader> secret_readers_;
  std::list<kube::Reflector> reflectors_;  // of each scope the credentials, then the Secrets
};

}  // namespace sessmtp::operator_
