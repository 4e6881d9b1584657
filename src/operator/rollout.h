// How far the workloads of spec.rolloutRestartTargets follow the target: spec and status decide, and the data
// that the target holds. Pure.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "api/ses_smtp_credential.h"
#include "api/target.h"
#include "base/clock.h"
#include "kube/event.h"
#include "kube/secret.h"
#include "operator/observation.h"
#include "operator/restart.h"

namespace sessmtp::operator_ {

struct Rollouts {
  std::vector<RestartRequest> wanted =
      {};                                 // to be tried first; then ask again, and only then the rest counts
  std::vector<api::Rollout> status = {};  // of each workload of the spec, in its order
  std::vector<kube::Event> events = {};
  std::optional<std::chrono::milliseconds> look_again = {};  // a restart is due then
  // The API server did not do its part: with backoff, no sooner than that.
  std::optional<std::chrono::milliseconds> try_again = {};
};

// When the target holds `data`, which leaves out the pair before a rotation: that goes by itself, and nobody
// needs a restart for it. `difference` is what a write of this look has changed.
//
//   A workload seen first       is taken to have the data of now, and is not restarted; unless the very look
//                               that sees it first changes the target
//   other data                  requested_at; a restart when the data has rested for kRestartDebounce
//   the old data again          within that time nothing has happened; later a pod may have started with the
//                               other data, and the restart stays due
//   could not be restarted      again after as long as it has waited already, from one minute to fifteen
[[nodiscard]] Rollouts follow_target(const Observation& observation, const kube::SecretData& data,
                                     const api::Drift& difference);

// How long until a restart that status knows of may be tried; zero: now. Empty: none is due.
[[nodiscard]] std::optional<std::chrono::milliseconds> restart_due_in(const api::Status& status,
                                                                      WallTime now);

}  // namespace sessmtp::operator_
