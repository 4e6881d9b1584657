#include "operator/restarter.h"

#include <nlohmann/json.hpp>
#include <utility>
#include <variant>

#include "operator/write_failure.h"

namespace sessmtp::operator_ {
namespace {

using kube::ApiError;
using kube::ApiErrorKind;

constexpr int kTries = 3;

prometheus::Counter& counter(prometheus::Registry& registry, const char* result) {
  return prometheus::BuildCounter()
      .Name("ses_smtp_restarts_total")
      .Help("Workloads of spec.rolloutRestartTargets restarted, and attempts that failed")
      .Register(registry)
      .Add({{"result", result}});
}

RestartAnswer not_found() {
  return {.reason = kWorkloadNotFound,
          .message =
              "it does not exist in this namespace; create it, or take it off "
              "spec.rolloutRestartTargets"};
}

RestartAnswer forbidden(const std::string& verb, const ApiError& error) {
  return {.reason = kRestartForbidden,
          .message = error.summary() + "; the operator lacks the right to " + verb +
                     " it (Helm value rolloutRestart.enabled=true, or the same rules by hand)"};
}

RestartAnswer failure(const std::string& what, const ApiError& error) {
  const bool again = error.transient() || error.kind == ApiErrorKind::kCancelled;
  return {.result = again ? RestartResult::kTryAgain : RestartResult::kFailed,
          .wait = error.retry_after.value_or(std::chrono::seconds(0)),
          .reason = kRestartApiError,
          .message = what + ": " + error.summary()};
}

RestartAnswer not_read(const ApiError& error) {
  switch (error.kind) {
    case ApiErrorKind::kNotFound:
      return not_found();
    case ApiErrorKind::kForbidden:
      return forbidden("get", error);
    default:
      return failure("reading it", error);
  }
}

// The same words of an API server mean the same as for a target (write_failure.h).
// Empty: it has changed since it was read.
std::optional<RestartAnswer> not_patched(const ApiError& error) {
  const WriteVerdict verdict = judge_write_failure(error);
  if (verdict.failure == WriteFailure::kLookAgain) {
    return std::nullopt;
  }
  if (verdict.failure == WriteFailure::kNamespaceGoes) {
    return not_found();
  }
  if (verdict.failure == WriteFailure::kReport && verdict.reason == api::Reason::kForbidden) {
    return forbidden("patch", error);
  }
  if (verdict.failure == WriteFailure::kReport && verdict.reason == api::Reason::kAdmissionDenied) {
    return RestartAnswer{.reason = kRestartDenied,
                         .message = error.summary() +
                                    "; an admission policy or webhook refused the change of its pod "
                                    "template (its own message is not shown here)"};
  }
  return failure("patching it", error);
}

}  // namespace

Restarter::Restarter(kube::Client& client, const Clock& clock, prometheus::Registry& metrics)
    : client_(client),
      clock_(clock),
      restarted_(counter(metrics, "restarted")),
      failed_(counter(metrics, "failed")) {}

RestartAnswer Restarter::restart(const std::string& namespace_, const RestartRequest& request,
                                 std::stop_token stop) {
  const std::string path = workload_path(namespace_, request.workload);
  std::optional<RestartAnswer> answer;
  for (int tries = 0; !answer && tries < kTries; ++tries) {
    answer = try_restart(path, request, stop);
  }
  if (!answer) {
    return {.result = RestartResult::kTryAgain,
            .reason = kRestartApiError,
            .message = "others change it all the time"};
  }
  if (answer->result == RestartResult::kFailed) {
    failed_.Increment();
  }
  return std::move(*answer);
}

std::optional<RestartAnswer> Restarter::try_restart(const std::string& path, const RestartRequest& request,
                                                    std::stop_token stop) {
  const auto object = client_.get(path, stop);
  if (!object) {
    return not_read(object.error());
  }
  const WallTime now = clock_.now();
  auto judged = judge_workload(*object, request, now);
  if (auto* answer = std::get_if<RestartAnswer>(&judged)) {
    return std::move(*answer);
  }
  const auto patched = client_.merge_patch(path, std::get<nlohmann::json>(judged), stop);
  if (!patched) {
    return not_patched(patched.error());
  }
  restarted_.Increment();
  return restarted(*patched, now);
}

}  // namespace sessmtp::operator_
