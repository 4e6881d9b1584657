#include "cli/pod_diagnosis.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/text.h"
#include "cli/credential_reads.h"
#include "operator/restart.h"

namespace sessmtp::cli {
namespace {

constexpr std::size_t kNamedAtMost = 5;

// Pods of one workload.
using ByOwner = std::map<Owner, std::vector<const PodUses*>>;

ByOwner by_owner(const std::vector<const PodUses*>& pods) {
  ByOwner result;
  for (const PodUses* pod : pods) {
    result[pod->owner].push_back(pod);
  }
  return result;
}

std::string count(std::size_t number, const std::string& what) {
  return std::to_string(number) + ' ' + what + (number == 1 ? "" : "s");
}

// "deployment/web: 3 pods, env in container app"
std::vector<std::string> list(const ByOwner& owners) {
  std::vector<std::string> lines;
  for (const auto& [owner, pods] : owners) {
    if (lines.size() == kNamedAtMost) {
      lines.push_back("and " + std::to_string(owners.size() - kNamedAtMost) + " more");
      break;
    }
    lines.push_back(owner.text() + ": " + (owner.kind == "pod" ? "" : count(pods.size(), "pod") + ", ") +
                    describe(pods.front()->uses));
  }
  return lines;
}

bool can_be_restarted(const Owner& owner) {
  return owner.kind == "deployment" || owner.kind == "statefulset" || owner.kind == "daemonset";
}

class Pods {
 public:
  explicit Pods(const Seen& seen)
      : seen_(seen), namespace_(seen.credential.meta.namespace_), secret_(seen.credential.spec.target.name) {
    std::ranges::transform(seen.pods.using_target, std::back_inserter(all_),
                           [](const PodUses& pod) { return &pod; });
  }

  Findings run() && {
    if (seen_.pods.access != Access::kRead) {
      return {unreadable()};
    }
    if (all_.empty()) {
      return {say(Mark::kOk, "none in " + namespace_ + " uses Secret " + in_quotes(secret_))};
    }
    Findings findings;
    if (auto finding = lacking_keys()) {
      findings.push_back(std::move(*finding));
    }
    if (auto finding = behind()) {
      findings.push_back(std::move(*finding));
    }
    if (findings.empty()) {
      findings.push_back(in_order());
    }
    return findings;
  }

 private:
  static Finding say(Mark mark, std::string text) {
    return {.step = Step::kPods, .mark = mark, .text = std::move(text)};
  }

  [[nodiscard]] Finding unreadable() const {
    if (seen_.pods.access == Access::kForbidden) {
      Finding finding = say(Mark::kUnknown, "you may not list pods in " + namespace_);
      finding.details.push_back(can_i(seen_.kubectl, "list", "pods", namespace_));
      return finding;
    }
    return say(Mark::kUnknown, "the pods could not be listed: " + seen_.pods.error);
  }

  // Pods that cannot start, for they ask for keys that the target does not have.
  [[nodiscard]] std::optional<Finding> lacking_keys() const {
    if (seen_.target.access != Access::kRead) {
      return std::nullopt;
    }
    std::set<std::string> lacking;
    std::vector<const PodUses*> pods;
    for (const PodUses* pod : all_) {
      bool lacks = false;
      for (const ContainerUse& one : pod->uses) {
        for (const std::string& key : one.use.keys) {
          if (std::ranges::find(seen_.target.keys, key) == seen_.target.keys.end()) {
            lacking.insert(key);
            lacks = true;
          }
        }
      }
      if (lacks) {
        pods.push_back(pod);
      }
    }
    if (lacking.empty()) {
      return std::nullopt;
    }
    const std::vector<std::string> keys(lacking.begin(), lacking.end());
    Finding finding = say(Mark::kWrong, count(pods.size(), "pod") + " cannot start anew: Secret " +
                                            in_quotes(secret_) + " has no key " + joined(keys));
    finding.details = list(by_owner(pods));
    finding.fix = "name keys that it has (" + joined(seen_.target.keys) +
                  "), or have it hold these, by spec.target.format or spec.target.data";
    const auto editable =
        std::ranges::find_if(pods, [](const PodUses* pod) { return can_be_restarted(pod->owner); });
    if (editable != pods.end()) {  // what a pod refers to is fixed
      finding.command = seen_.kubectl + " edit " + (*editable)->owner.text() + " --namespace " + namespace_;
    }
    return finding;
  }

  // Pods that hold the pair from before the last rotation.
  [[nodiscard]] std::optional<Finding> behind() const {
    const auto& rotated = seen_.credential.status.last_rotation_time;
    if (!rotated) {
      return std::nullopt;
    }
    std::vector<const PodUses*> pods;
    std::ranges::copy_if(all_, std::back_inserter(pods),
                         [&rotated](const PodUses* pod) { return pod->is_behind(*rotated); });
    if (pods.empty()) {
      return std::nullopt;
    }
    const ByOwner owners = by_owner(pods);
    Finding finding = say(Mark::kWrong, count(pods.size(), "pod") + " of " + std::to_string(all_.size()) +
                                            (pods.size() == 1 ? " still has" : " still have") +
                                            " the login from before the rotation of " + to_rfc3339(*rotated));
    finding.details = list(owners);
    finding.fix = "do not revoke the old key yet; ";
    std::string restart;
    std::vector<std::string> others;
    for (const auto& [owner, theirs] : owners) {
      if (can_be_restarted(owner)) {
        restart += ' ' + owner.text();
      } else {
        others.push_back(owner.text());
      }
    }
    if (!restart.empty()) {
      finding.fix += "restart what read it at its start";
      finding.command = seen_.kubectl + " rollout restart" + restart + " --namespace " + namespace_;
    }
    if (!others.empty()) {
      finding.fix += (restart.empty() ? "" : "; ") + std::string("have these made anew: ") + joined(others);
    }
    return finding;
  }

  [[nodiscard]] Finding in_order() const {
    const auto& rotated = seen_.credential.status.last_rotation_time;
    Finding finding =
        say(Mark::kOk, all_.size() == 1 ? "1 uses Secret " + in_quotes(secret_)
                                        : std::to_string(all_.size()) + " use Secret " + in_quotes(secret_));
    if (rotated) {
      finding.text += ", none with the login from before the last rotation in its environment";
    }
    finding.details = list(by_owner(all_));
    const bool files = rotated && std::ranges::any_of(all_, [&rotated](const PodUses* pod) {
                         return pod->may_be_behind(*rotated);
                       });
    if (files) {
      finding.details.emplace_back(
          "their files follow within about a minute; a program that read them only at its start, before the "
          "rotation of " +
          to_rfc3339(*rotated) + ", has to be restarted");
    }
    return finding;
  }

  const Seen& seen_;
  const std::string& namespace_;
  const std::string& secret_;
  std::vector<const PodUses*> all_;
};

// The event RestartFailed says more, for as long as the API server keeps events.
std::string_view fix_of(std::string_view reason) {
  if (reason == operator_::kWorkloadNotFound) {
    return "create it, or take it off spec.rolloutRestartTargets";
  }
  if (reason == operator_::kTargetNotReferenced) {
    return "its pod template does not refer to the target; correct spec.rolloutRestartTargets";
  }
  if (reason == operator_::kRestartForbidden) {
    return "give the operator the right to get and patch it, by the Helm value rolloutRestart.enabled=true";
  }
  if (reason == operator_::kRestartDenied) {
    return "ask whoever runs the admission policy or webhook that refused the change";
  }
  return "the API server failed; its log and that of the operator say more";
}

}  // namespace

Findings diagnose_pods(const Seen& seen) {
  return Pods(seen).run();
}

Findings diagnose_restarts(const Seen& seen) {
  const auto& rollouts = seen.credential.status.rollouts;
  if (rollouts.empty() || seen.credential.spec.rollout_restart_targets.empty()) {
    return {};
  }
  Finding finding{.step = Step::kRestarts, .mark = Mark::kOk, .text = "none is due"};
  for (const api::Rollout& rollout : rollouts) {
    const std::string workload = rollout.workload.kind + ' ' + in_quotes(rollout.workload.name);
    if (rollout.reason.empty()) {
      continue;
    }
    finding.details.push_back(workload + ": " + rollout.reason);
    const bool waits = rollout.reason == api::kRestartPending;
    if (waits && finding.mark == Mark::kOk) {
      finding.mark = Mark::kUnknown;
      finding.text = "a restart is due and comes in a moment";
    } else if (!waits) {
      finding.mark = Mark::kWrong;
      finding.text = "a workload that is to be restarted could not be";
      if (finding.fix.empty()) {  // that of the first
        finding.fix = workload + ": " + std::string(fix_of(rollout.reason));
      }
      finding.command = seen.kubectl + " describe sesc " + seen.credential.meta.name + " --namespace " +
                        seen.credential.meta.namespace_;
    }
  }
  return {std::move(finding)};
}

}  // namespace sessmtp::cli
