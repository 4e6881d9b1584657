// One look at one credential: read what needs() names, then ask plan() until it wants nothing more. The
// world is handed in, so that the controller, `ses-smtp render` and the tests go the same way.
#pragma once

#include <optional>

#include "kube/secret.h"
#include "operator/login.h"
#include "operator/needs.h"
#include "operator/observation.h"
#include "operator/plan.h"
#include "operator/restart.h"

namespace sessmtp::operator_ {

// What a look may touch; all about the one credential.
class WorldAccess {
 public:
  virtual ~WorldAccess() = default;

  [[nodiscard]] virtual LiveRead read_secret(const std::string& name) = 0;
  // Empty: it must not be written any more, because the credential is gone.
  [[nodiscard]] virtual std::optional<WriteAnswer> write_secret(const kube::Secret& intent) = 0;
  // Never waits.
  [[nodiscard]] virtual Login log_in(LoginRequest request) = 0;
  [[nodiscard]] virtual RestartAnswer restart(const RestartRequest& request) = 0;
};

// A target may change under a write; each time it is read again and decided anew, but not for ever.
inline constexpr int kMaxRounds = 4;

// The last plan; one that still wants something when that happened kMaxRounds times. Empty when the
// credential is gone. The observation then holds all that was found out.
[[nodiscard]] std::optional<Plan> look(Observation& observation, Needs needed, WorldAccess& world);

}  // namespace sessmtp::operator_
