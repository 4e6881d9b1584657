#include "operator/look.h"

#include <utility>

namespace sessmtp::operator_ {

std::optional<Plan> look(Observation& observation, Needs needed, WorldAccess& world) {
  const api::Spec& spec = observation.credential.spec;
  if (needed != Needs::kNothing) {
    observation.live_source = world.read_secret(spec.source.secret_name);
  }
  if (needed == Needs::kSourceAndTarget) {
    observation.live_target = world.read_secret(spec.target.name);
  }
  Plan decided = plan(observation);
  for (int round = 0; decided.wants_more() && round < kMaxRounds;) {
    if (decided.login) {
      observation.login = world.log_in(std::move(*decided.login));
    } else if (!decided.restarts.empty()) {
      for (const RestartRequest& request : decided.restarts) {
        observation.restarts.emplace(request.workload, world.restart(request));
      }
    } else if (decided.write) {
      observation.written = world.write_secret(*decided.write);
      if (!observation.written) {
        return std::nullopt;
      }
      ++round;
    } else {
      observation.written.reset();
      observation.live_target = world.read_secret(spec.target.name);
      ++round;
    }
    decided = plan(observation);
  }
  return decided;
}

}  // namespace sessmtp::operator_
