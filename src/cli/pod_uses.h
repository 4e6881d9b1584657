// Which pods use a Secret, to whom they belong, and which of them still hold what it held before. Pure.
#pragma once

#include <compare>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "kube/pod_spec.h"

namespace sessmtp::cli {

// As `kubectl get` names it: "deployment" "web".
struct Owner {
  std::string kind;
  std::string name;

  [[nodiscard]] std::string text() const { return kind + '/' + name; }
  friend auto operator<=>(const Owner&, const Owner&) = default;
};

struct ContainerUse {
  kube::SecretUse use;
  std::optional<WallTime>
      started;  // of the container; empty: it has not yet, and will see what is there then
};

struct PodUses {
  std::string name;
  Owner owner;                      // who made the pod; itself when nobody did
  std::string template_hash;        // of a Deployment's pods, as it ends the name of their ReplicaSet
  std::optional<WallTime> started;  // when a kubelet took it
  std::vector<ContainerUse> uses;

  // It holds what the Secret held before `changed`.
  [[nodiscard]] bool is_behind(WallTime changed) const;
  // It shows files that follow, to a program that ran already at that time.
  [[nodiscard]] bool may_be_behind(WallTime changed) const;
};

// Empty when it does not use the Secret, has ended or is being deleted.
[[nodiscard]] std::optional<PodUses> uses_of_pod(const nlohmann::json& pod, std::string_view secret);

// Who controls an object, by its owner references; empty when nobody does.
[[nodiscard]] std::optional<Owner> controller_of(const nlohmann::json& object);

// The Deployment of a ReplicaSet by the names alone, for those who may not read ReplicaSets; else itself.
[[nodiscard]] Owner deployment_by_name(const PodUses& pod);

// "env in container app, subPath in container relay"
[[nodiscard]] std::string describe(const std::vector<ContainerUse>& uses);

}  // namespace sessmtp::cli
