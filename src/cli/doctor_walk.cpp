#include "cli/doctor_walk.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "api/names.h"
#include "base/json.h"
#include "cli/credential_reads.h"
#include "kube/secret.h"

namespace sessmtp::cli {
namespace {

using nlohmann::json;
using operator_::LiveRead;

constexpr const char* kLeaseName = "ses-smtp-operator";  // unless --leader-election-id says otherwise

Access access_of(const kube::ApiError& error) {
  return error.kind == kube::ApiErrorKind::kForbidden  ? Access::kForbidden
         : error.kind == kube::ApiErrorKind::kNotFound ? Access::kMissing
                                                       : Access::kFailed;
}

LiveRead read_secret(kube::Client& client, const std::string& where, const std::string& name,
                     SecretSeen& seen) {
  const auto object = client.get(api::secret_path(where, name), {});
  if (!object) {
    seen = {.access = access_of(object.error()), .error = object.error().summary()};
    return seen.access == Access::kMissing ? LiveRead(operator_::Missing{}) : LiveRead(operator_::NotRead{});
  }
  auto secret = kube::decode_secret(*object);
  if (!secret) {
    seen = {.access = Access::kFailed, .error = secret.error().message};
    return operator_::NotRead{};
  }
  seen.access = Access::kRead;
  std::ranges::transform(secret->data, std::back_inserter(seen.keys),
                         [](const auto& entry) { return entry.first; });
  return std::move(*secret);
}

// Those that could be decoded, without the one that is asked about.
std::vector<api::SesSmtpCredential> neighbours(kube::Client& client, const kube::NamespacedName& of) {
  std::vector<api::SesSmtpCredential> result;
  const auto objects = list_credentials(client, of.namespace_);
  if (!objects) {
    return result;  // two that want one Secret are then told apart by the Secret's labels alone
  }
  for (const json& object : *objects) {
    auto credential = api::decode_credential(object);
    if (credential && credential->meta.name != of.name) {
      result.push_back(std::move(*credential));
    }
  }
  return result;
}

// When somebody other than the operator last wrote the object.
std::optional<WallTime> spec_changed(const json& object) {
  std::optional<WallTime> latest;
  for (const json& entry : member_of(member_of(object, "metadata"), "managedFields")) {
    const auto time = parse_rfc3339(text_of(entry, "time"));
    if (time && text_of(entry, "subresource").empty() && (!latest || *time > *latest)) {
      latest = time;
    }
  }
  return latest;
}

std::vector<LeaseSeen> leases(kube::Client& client) {
  std::vector<LeaseSeen> result;
  kube::ListOptions options;
  options.field_selector = std::string("metadata.name=") + kLeaseName;
  // Who may not see them does without.
  (void)list_all(client, kube::resource_path("coordination.k8s.io/v1", "", "leases"), options,
                 [&result](const json& object) {
                   const json& metadata = member_of(object, "metadata");
                   const json& spec = member_of(object, "spec");
                   LeaseSeen lease{.namespace_ = text_of(metadata, "namespace"),
                                   .name = text_of(metadata, "name"),
                                   .holder = text_of(spec, "holderIdentity"),
                                   .renewed = parse_rfc3339(text_of(spec, "renewTime"))};
                   if (const json& duration = member_of(spec, "leaseDurationSeconds");
                       duration.is_number_integer()) {
                     lease.duration = std::chrono::seconds(duration.get<std::int64_t>());
                   }
                   result.push_back(std::move(lease));
                 });
  return result;
}

PodsSeen pods(kube::Client& client, const std::string& where, const std::string& secret) {
  PodsSeen seen;
  const auto listed = list_all(client, kube::resource_path("v1", where, "pods"), {}, [&](const json& object) {
    if (auto pod = uses_of_pod(object, secret)) {
      seen.using_target.push_back(std::move(*pod));
    }
  });
  if (!listed) {
    return {.access = access_of(listed.error()), .error = listed.error().summary()};
  }
  seen.access = Access::kRead;
  std::map<std::string, Owner> of_replica_set;
  for (PodUses& pod : seen.using_target) {
    if (pod.owner.kind != "replicaset") {
      continue;
    }
    auto [known, is_new] = of_replica_set.try_emplace(pod.owner.name, deployment_by_name(pod));
    if (is_new) {
      const auto object =
          client.get(kube::resource_path("apps/v1", where, "replicasets", pod.owner.name), {});
      if (object) {
        known->second = controller_of(*object).value_or(pod.owner);
      }
    }
    pod.owner = known->second;
  }
  return seen;
}

}  // namespace

Seen look_around(const Walk& walk, const json& object, api::SesSmtpCredential credential) {
  kube::Client& client = walk.client;
  const kube::NamespacedName name = credential.meta.key();
  Seen seen{.kubectl = walk.kubectl,
            .now = walk.clock.now(),
            .view = view_of(object),
            .credential = std::move(credential),
            .spec_changed = spec_changed(object),
            .login_asked = walk.probe != nullptr};
  const api::Spec& spec = seen.credential.spec;
  LiveRead source = read_secret(client, name.namespace_, spec.source.secret_name, seen.source);
  LiveRead target = read_secret(client, name.namespace_, spec.target.name, seen.target);
  if (!std::holds_alternative<operator_::NotRead>(source)) {
    seen.rehearsal = rehearse({.credential = seen.credential,
                               .neighbours = neighbours(client, name),
                               .source = std::move(source),
                               .target = std::move(target),
                               .now = seen.now});
  }
  const Rehearsal& would = seen.rehearsal;
  if (!seen.view.current || would.would_create || (would.drift && would.drift->any())) {
    seen.leases = leases(client);
  }
  seen.pods = pods(client, name.namespace_, spec.target.name);
  if (walk.probe != nullptr && would.endpoint && would.username && would.password) {
    seen.login = walk.probe->log_in(*would.endpoint, *would.username, *would.password, {});
  }
  return seen;
}

}  // namespace sessmtp::cli
