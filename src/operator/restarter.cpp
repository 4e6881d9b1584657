#include "operator/restarter.h"

namespace sessmtp::operator_ {

Restarter::Restarter(kube::Client& client, const Clock& clock, prometheus::Registry& /*metrics*/)
    : client_(client), clock_(clock) {}

RestartAnswer Restarter::restart(const std::string& namespace_, const RestartRequest& request,
                                 std::stop_token stop) {
  const auto object = client_.get(workload_path(namespace_, request.workload), stop);
  if (!object) {
    return {.reason = "WorkloadNotFound", .message = object.error().summary()};
  }
  auto judged = judge_workload(*object, request, clock_.now());
  if (auto* answer = std::get_if<RestartAnswer>(&judged)) {
    return std::move(*answer);
  }
  return {};
}

}  // namespace sessmtp::operator_
