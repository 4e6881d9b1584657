#include "cli/pod_uses.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <nlohmann/json.hpp>

#include "base/json.h"

namespace sessmtp::cli {
namespace {

using nlohmann::json;

// When each container last started; those that have not are not there.
std::map<std::string, WallTime> container_starts(const json& status) {
  std::map<std::string, WallTime> starts;
  for (const char* list : {"containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses"}) {
    for (const json& container : member_of(status, list)) {
      for (const char* state : {"running", "terminated"}) {
        const json& is = member_of(member_of(container, "state"), state);
        if (const auto started = parse_rfc3339(text_of(is, "startedAt"))) {
          starts[text_of(container, "name")] = *started;
        }
      }
    }
  }
  return starts;
}

std::string_view word(kube::SecretUseKind kind) {
  switch (kind) {
    case kube::SecretUseKind::kVolume:
      return "files";
    case kube::SecretUseKind::kSubPath:
      return "subPath";
    case kube::SecretUseKind::kEnv:
      return "env";
    case kube::SecretUseKind::kEnvFrom:
      return "envFrom";
  }
  return "";
}

}  // namespace

bool PodUses::is_behind(WallTime changed) const {
  return std::ranges::any_of(uses, [changed](const ContainerUse& one) {
    return one.use.stays_old() && one.started && *one.started <= changed;
  });
}

bool PodUses::may_be_behind(WallTime changed) const {
  return std::ranges::any_of(uses, [changed](const ContainerUse& one) {
    return !one.use.stays_old() && one.started && *one.started <= changed;
  });
}

std::optional<PodUses> uses_of_pod(const json& pod, std::string_view secret) {
  const json& metadata = member_of(pod, "metadata");
  const json& status = member_of(pod, "status");
  const std::string phase = text_of(status, "phase");
  const auto found = kube::uses_of_secret(member_of(pod, "spec"), secret);
  if (found.empty() || phase == "Succeeded" || phase == "Failed" ||
      !text_of(metadata, "deletionTimestamp").empty()) {
    return std::nullopt;
  }
  PodUses result;
  result.name = text_of(metadata, "name");
  result.owner = controller_of(pod).value_or(Owner{.kind = "pod", .name = result.name});
  result.template_hash = text_of(member_of(metadata, "labels"), "pod-template-hash");
  result.started = parse_rfc3339(text_of(status, "startTime"));
  const auto starts = container_starts(status);
  for (const kube::SecretUse& use : found) {
    const auto start = starts.find(use.container);
    // A kubelet that says nothing of its containers yet, or nobody who does.
    const bool unknown = start == starts.end() && member_of(status, "containerStatuses").empty();
    result.uses.push_back({.use = use,
                           .started = start != starts.end() ? std::optional(start->second)
                                      : unknown             ? result.started
                                                            : std::nullopt});
  }
  return result;
}

std::optional<Owner> controller_of(const json& object) {
  for (const json& reference : member_of(member_of(object, "metadata"), "ownerReferences")) {
    if (const json& controller = member_of(reference, "controller");
        controller.is_boolean() && controller.get<bool>()) {
      Owner owner{.kind = text_of(reference, "kind"), .name = text_of(reference, "name")};
      std::ranges::transform(owner.kind, owner.kind.begin(), [](char c) {
        return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
      });
      return owner;
    }
  }
  return std::nullopt;
}

Owner deployment_by_name(const PodUses& pod) {
  const std::string tail = '-' + pod.template_hash;
  const std::string& name = pod.owner.name;
  if (pod.owner.kind != "replicaset" || pod.template_hash.empty() || !name.ends_with(tail)) {
    return pod.owner;
  }
  return {.kind = "deployment", .name = name.substr(0, name.size() - tail.size())};
}

std::string describe(const std::vector<ContainerUse>& uses) {
  std::string text;
  for (const ContainerUse& one : uses) {
    text += (text.empty() ? "" : ", ") + std::string(word(one.use.kind));
    text += one.use.container.empty()
                ? " for no container"
                : (one.use.at_start ? " in init container " : " in container ") + one.use.container;
  }
  return text;
}

}  // namespace sessmtp::cli
