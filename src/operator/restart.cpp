#include "operator/restart.h"

#include "kube/client.h"

namespace sessmtp::operator_ {

std::string workload_path(std::string_view namespace_, const api::Workload& workload) {
  const std::string_view plural = workload.kind == "StatefulSet" ? "statefulsets"
                                  : workload.kind == "DaemonSet" ? "daemonsets"
                                                                 : "deployments";
  return kube::resource_path("apps/v1", namespace_, plural, workload.name);
}

std::variant<nlohmann::json, RestartAnswer> judge_workload(const nlohmann::json& /*object*/,
                                                           const RestartRequest& /*request*/,
                                                           WallTime /*now*/) {
  return RestartAnswer{};
}

}  // namespace sessmtp::operator_
