#include "api/spec_check.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "ses/region.h"

namespace sessmtp::api {
namespace {

using namespace std::chrono_literals;

std::optional<std::string> wrong_with(const ses::EndpointOverrides& endpoint) {
  const std::uint16_t port = endpoint.port.value_or(ses::kDefaultPort);
  const bool well_known = std::ranges::count(ses::kSesPorts, port) > 0;
  const ses::Tls usual = ses::usual_tls(port);
  if (endpoint.host && endpoint.fips) {
    return "spec.endpoint.fips picks the host name, so it cannot be combined with host; remove one of the "
           "two";
  }
  if (!endpoint.host && !well_known) {
    return "SES does not listen on spec.endpoint.port; use 25, 465, 587, 2465 or 2587, or set host if the "
           "port "
           "belongs to a server of your own";
  }
  if (well_known && endpoint.tls.value_or(usual) != usual) {
    return "spec.endpoint.tls does not go with port " + std::to_string(port) + ", which speaks " +
           (usual == ses::Tls::kImplicit ? "implicit TLS" : "STARTTLS") + "; leave tls out";
  }
  return std::nullopt;
}

std::optional<std::string> wrong_with_previous(const Spec& spec) {
  const TargetSpec& target = spec.target;
  if (*spec.keep_previous_for < 1min || *spec.keep_previous_for > 2160h) {
    return "spec.keepPreviousFor must be between 1m and 2160h (90 days)";
  }
  if (target.format == TargetFormat::kEnv || target.format == TargetFormat::kNone) {
    return "spec.keepPreviousFor needs spec.target.format Default, BasicAuth or ServiceBinding, since the "
           "old "
           "pair is taken from the target's keys username and password";
  }
  for (const auto& [key, text] : target.data) {
    std::string_view rest = key;
    rest.remove_prefix(rest.starts_with("previous-") ? sizeof "previous-" - 1 : 0);
    if (rest == "username" || rest == "password" || rest.starts_with("password.")) {
      return "spec.keepPreviousFor keeps what the keys of spec.target.format held, so spec.target.data "
             "cannot "
             "have a key " +
             in_quotes(key);
    }
  }
  return std::nullopt;
}

// Prefixes that Kubernetes and this program keep to themselves.
bool is_reserved(std::string_view key) {
  const std::string_view prefix = key.substr(0, key.find('/'));
  return key.contains('/') &&
         std::ranges::any_of(std::array<std::string_view, 3>{"kubernetes.io", "k8s.io", "ses-smtp.dev"},
                             [prefix](std::string_view domain) {
                               return prefix == domain || (prefix.ends_with(domain) &&
                                                           prefix[prefix.size() - domain.size() - 1] == '.');
                             });
}

std::optional<std::string> wrong_with(const TargetSpec& target) {
  if (target.conflict_policy == ConflictPolicy::kMerge) {
    if (target.deletion_policy != DeletionPolicy::kRetain) {
      return "spec.target.conflictPolicy Merge writes into a Secret of others, which is never deleted; set "
             "deletionPolicy to Retain";
    }
    if (!target.labels.empty() || !target.annotations.empty()) {
      return "spec.target.conflictPolicy Merge writes into a Secret of others, whose labels and annotations "
             "are "
             "theirs; remove spec.target.labels and spec.target.annotations";
    }
  }
  if (target.format == TargetFormat::kNone && target.data.empty()) {
    return "spec.target.format None writes the keys of spec.target.data only, and there are none";
  }
  const bool has_pair = target.format == TargetFormat::kDefault ||
                        target.format == TargetFormat::kBasicAuth ||
                        target.format == TargetFormat::kServiceBinding;
  if (target.type == "kubernetes.io/basic-auth" && !has_pair && !target.data.contains("username") &&
      !target.data.contains("password")) {
    return "a Secret of type kubernetes.io/basic-auth needs a key username or password; use another "
           "spec.target.format, or add one of them to spec.target.data";
  }
  for (const auto* map : {&target.labels, &target.annotations}) {
    const auto reserved =
        std::ranges::find_if(*map, [](const auto& entry) { return is_reserved(entry.first); });
    if (reserved != map->end()) {
      return "spec.target must not set " + in_quotes(reserved->first) +
             ": keys of kubernetes.io, k8s.io and ses-smtp.dev are reserved";
    }
  }
  return std::nullopt;
}

std::optional<std::string> wrong_with(const std::vector<Workload>& workloads) {
  constexpr std::size_t kMaxWorkloads = 16;
  if (workloads.size() > kMaxWorkloads) {
    return "spec.rolloutRestartTargets names more than 16 workloads";
  }
  for (auto workload = workloads.begin(); workload != workloads.end(); ++workload) {
    if (workload->kind != "Deployment" && workload->kind != "StatefulSet" && workload->kind != "DaemonSet") {
      return "spec.rolloutRestartTargets names a kind that has no rollouts; use Deployment, StatefulSet or "
             "DaemonSet";
    }
    if (!is_dns_name(workload->name, 253, true)) {
      return "spec.rolloutRestartTargets names a " + workload->kind + " by what is no name of one";
    }
    if (std::find(workloads.begin(), workload, *workload) != workload) {
      return "spec.rolloutRestartTargets names " + workload->kind + ' ' + in_quotes(workload->name) +
             " twice";
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<Problem> check_spec(const Spec& spec) {
  if (spec.source.secret_name == spec.target.name) {
    return Problem{Reason::kSourceIsTarget,
                   "the source Secret cannot be the target as well; set spec.target.name to another name"};
  }
  for (const std::string& region : spec.additional_regions) {
    if (!ses::has_region_syntax(region)) {
      return Problem{Reason::kRegionInvalid,
                     "spec.additionalRegions holds what is not the name of an AWS region, such as eu-west-1"};
    }
  }
  auto wrong = wrong_with(spec.endpoint);
  if (!wrong) {
    wrong = wrong_with(spec.target);
  }
  if (!wrong && spec.keep_previous_for) {
    wrong = wrong_with_previous(spec);
  }
  if (!wrong) {
    wrong = wrong_with(spec.rollout_restart_targets);
  }
  return wrong ? std::optional(Problem{Reason::kInvalidSpec, *wrong}) : std::nullopt;
}

}  // namespace sessmtp::api
