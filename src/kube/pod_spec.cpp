#include "kube/pod_spec.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "base/json.h"

namespace sessmtp::kube {
namespace {

using nlohmann::json;

bool is_true(const json& object, const char* name) {
  const json& value = member_of(object, name);
  return value.is_boolean() && value.get<bool>();
}

// The keys that a secret or projected source picks.
void add_keys(const json& source, std::vector<std::string>& keys) {
  if (is_true(source, "optional")) {
    return;
  }
  for (const json& item : member_of(source, "items")) {
    keys.push_back(text_of(item, "key"));
  }
}

// The volumes that show the Secret, each with the keys that it names.
using Volumes = std::map<std::string, std::vector<std::string>>;

Volumes volumes_of(const json& pod_spec, std::string_view secret) {
  Volumes found;
  for (const json& volume : member_of(pod_spec, "volumes")) {
    const std::string name = text_of(volume, "name");
    if (const json& own = member_of(volume, "secret"); text_of(own, "secretName") == secret) {
      add_keys(own, found[name]);
    }
    for (const json& source : member_of(member_of(volume, "projected"), "sources")) {
      if (const json& projected = member_of(source, "secret"); text_of(projected, "name") == secret) {
        add_keys(projected, found[name]);
      }
    }
  }
  return found;
}

// The uses of one container, no kind twice.
class Container {
 public:
  Container(const json& container, bool at_start, std::vector<SecretUse>& uses)
      : container_(container), at_start_(at_start), first_(uses.size()), uses_(uses) {}

  void look(std::string_view secret, const Volumes& volumes, std::set<std::string>& mounted) {
    for (const json& mount : member_of(container_, "volumeMounts")) {
      const auto volume = volumes.find(text_of(mount, "name"));
      if (volume != volumes.end()) {
        mounted.insert(volume->first);
        const bool part = !text_of(mount, "subPath").empty() || !text_of(mount, "subPathExpr").empty();
        add(part ? SecretUseKind::kSubPath : SecretUseKind::kVolume, volume->second);
      }
    }
    for (const json& variable : member_of(container_, "env")) {
      const json& reference = member_of(member_of(variable, "valueFrom"), "secretKeyRef");
      if (text_of(reference, "name") == secret) {
        add(SecretUseKind::kEnv, is_true(reference, "optional")
                                     ? std::vector<std::string>()
                                     : std::vector<std::string>{text_of(reference, "key")});
      }
    }
    for (const json& source : member_of(container_, "envFrom")) {
      if (text_of(member_of(source, "secretRef"), "name") == secret) {
        add(SecretUseKind::kEnvFrom, {});
      }
    }
  }

 private:
  void add(SecretUseKind kind, const std::vector<std::string>& keys) {
    const auto begin = uses_.begin() + static_cast<std::ptrdiff_t>(first_);
    auto use = std::find_if(begin, uses_.end(), [kind](const SecretUse& one) { return one.kind == kind; });
    if (use == uses_.end()) {
      uses_.push_back(
          {.kind = kind, .container = text_of(container_, "name"), .at_start = at_start_, .keys = {}});
      use = std::prev(uses_.end());
    }
    for (const std::string& key : keys) {
      if (std::ranges::find(use->keys, key) == use->keys.end()) {
        use->keys.push_back(key);
      }
    }
  }

  const json& container_;
  const bool at_start_;
  const std::size_t first_;
  std::vector<SecretUse>& uses_;
};

}  // namespace

std::vector<SecretUse> uses_of_secret(const json& pod_spec, std::string_view secret) {
  const Volumes volumes = volumes_of(pod_spec, secret);
  std::set<std::string> mounted;
  std::vector<SecretUse> uses;
  for (const char* list : {"initContainers", "containers", "ephemeralContainers"}) {
    const bool init = std::string_view(list) == "initContainers";
    for (const json& container : member_of(pod_spec, list)) {
      const bool sidecar = text_of(container, "restartPolicy") == "Always";
      Container(container, init && !sidecar, uses).look(secret, volumes, mounted);
    }
  }
  for (const auto& [name, keys] : volumes) {
    if (!mounted.contains(name)) {
      uses.push_back({.kind = SecretUseKind::kVolume, .container = {}, .at_start = false, .keys = keys});
    }
  }
  return uses;
}

}  // namespace sessmtp::kube
