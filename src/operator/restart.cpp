#include "operator/restart.h"

#include <algorithm>
#include <optional>

#include "base/json.h"
#include "base/text.h"
#include "kube/client.h"
#include "kube/object.h"
#include "kube/pod_spec.h"

namespace sessmtp::operator_ {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;

const json& template_of(const json& workload) {
  return member_of(member_of(workload, "spec"), "template");
}

const json& annotations_of_template(const json& workload) {
  return member_of(member_of(template_of(workload), "metadata"), "annotations");
}

// When we last restarted it, whichever credential asked. Clocks of two replicas differ a little; what is
// later than that was written by somebody else.
std::optional<WallTime> last_restart(const json& workload, WallTime now) {
  const auto at = parse_rfc3339(text_of(annotations_of_template(workload), kRestartedAtAnnotation));
  return at && *at <= now + kRestartInterval ? at : std::nullopt;
}

std::string what_still_has_to_happen(const json& workload) {
  const json& spec = member_of(workload, "spec");
  if (const json& paused = member_of(spec, "paused"); paused.is_boolean() && paused.get<bool>()) {
    return "it is paused, so its pods are replaced when it is resumed";
  }
  if (text_of(member_of(spec, "updateStrategy"), "type") == "OnDelete") {
    return "its update strategy is OnDelete, so each pod keeps the old login until somebody deletes it";
  }
  return {};
}

}  // namespace

std::variant<json, RestartAnswer> judge_workload(const json& object, const RestartRequest& request,
                                                 WallTime now) {
  const auto meta = kube::decode_meta(object);
  if (!meta) {
    return RestartAnswer{.reason = kRestartApiError, .message = meta.error().message};
  }
  // One from the future says that its clock and ours differ: nothing is sure then.
  const bool younger = meta->creation_timestamp > request.requested_at + kSurelyYounger &&
                       meta->creation_timestamp <= now + kRestartInterval;
  if (meta->terminating || younger) {
    return RestartAnswer{.result = RestartResult::kUpToDate};
  }
  if (kube::uses_of_secret(member_of(template_of(object), "spec"), request.secret).empty()) {
    return RestartAnswer{.reason = kTargetNotReferenced,
                         .message = "its pod template does not refer to Secret " + in_quotes(request.secret) +
                                    " by a volume, env or envFrom, so a restart is not for this "
                                    "SesSmtpCredential to ask for; correct spec.rolloutRestartTargets"};
  }
  if (const auto last = last_restart(object, now)) {
    // The digest alone is no proof: `kubectl rollout undo` brings an old one back.
    const std::string digest = text_of(annotations_of_template(object), kSecretDigestAnnotation);
    if (digest == request.digest && *last >= request.requested_at) {
      return restarted(object, *last);
    }
    if (const auto next = *last + kRestartInterval; now < next) {
      const auto wait =
          std::chrono::ceil<milliseconds>(std::min<WallTime::duration>(next - now, kRestartInterval));
      return RestartAnswer{.result = RestartResult::kTooSoon, .wait = wait};
    }
  }
  return json{
      {"metadata", {{"uid", meta->uid}, {"resourceVersion", meta->resource_version}}},
      {"spec",
       {{"template",
         {{"metadata",
           {{"annotations",
             {{kSecretDigestAnnotation, request.digest}, {kRestartedAtAnnotation, to_rfc3339(now)}}}}}}}}}};
}

RestartAnswer restarted(const json& object, WallTime now) {
  return {.result = RestartResult::kRestarted,
          .restarted_at = std::chrono::floor<seconds>(now),
          .message = what_still_has_to_happen(object)};
}

std::string in_words(const api::Workload& workload) {
  return workload.kind + ' ' + in_quotes(workload.name);
}

std::string workload_path(std::string_view namespace_, const api::Workload& workload) {
  const std::string_view plural = workload.kind == "StatefulSet" ? "statefulsets"
                                  : workload.kind == "DaemonSet" ? "daemonsets"
                                                                 : "deployments";
  return kube::resource_path("apps/v1", namespace_, plural, workload.name);
}

}  // namespace sessmtp::operator_
