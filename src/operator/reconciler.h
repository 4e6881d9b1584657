// One look at one credential: observe, decide by plan(), apply, and say what came of it.
//
// Thread-safe for different keys; the work queue sees to it that no key is here twice.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>

#include "base/clock.h"
#include "kube/client.h"
#include "kube/event.h"
#include "operator/cache.h"
#include "operator/login_checks.h"
#include "operator/look.h"
#include "operator/metrics.h"
#include "operator/plan.h"
#include "operator/restarter.h"

namespace sessmtp::operator_ {

class Reconciler {
 public:
  Reconciler(kube::Client& client, Cache& cache, LoginChecks& logins, Restarter& restarter,
             kube::EventSink& events, RotationMetrics& rotations, const Clock& clock)
      : client_(client),
        cache_(cache),
        logins_(logins),
        restarter_(restarter),
        events_(events),
        rotations_(rotations),
        clock_(clock) {}

  struct Outcome {
    Retry retry = Retry::kNo;
    bool terminal = false;                           // trying again does not help: a person has to act
    std::chrono::milliseconds retry_after{0};        // with kBackoff: no sooner
    std::optional<std::chrono::milliseconds> again;  // look again then, in any case
  };
  // `failed_looks`: how many in a row ended with kBackoff before this one.
  [[nodiscard]] Outcome reconcile(const kube::NamespacedName& key, std::stop_token stop,
                                  unsigned failed_looks = 0);

 private:
  class Access;
  [[nodiscard]] LiveRead read_secret(const kube::NamespacedName& secret, const kube::NamespacedName& reader,
                                     std::stop_token stop);
  [[nodiscard]] WriteAnswer write_secret(const kube::Secret& intent, const kube::NamespacedName& writer,
                                         std::stop_token stop);
  enum class StatusWrite : std::uint8_t { kDone, kChangedMeanwhile, kFailed, kRefused };
  [[nodiscard]] StatusWrite write_status(const api::SesSmtpCredential& credential, const api::Status& status,
                                         std::stop_token stop, bool say_so);
  void announce(const api::SesSmtpCredential& credential, const Plan& plan);
  void measure_rotation(const Observation& before, const Plan& plan);
  // How long a status that differs in versions only still has to wait.
  [[nodiscard]] std::chrono::milliseconds version_touch_delay(const kube::NamespacedName& key);

  kube::Client& client_;
  Cache& cache_;
  LoginChecks& logins_;
  Restarter& restarter_;
  kube::EventSink& events_;
  RotationMetrics& rotations_;
  const Clock& clock_;
  std::mutex mutex_;
  std::map<kube::NamespacedName, SteadyTime> last_version_touch_;
};

}  // namespace sessmtp::operator_
