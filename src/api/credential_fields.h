// All members of what a SesSmtpCredential is made of, for Packed (base/packed.h).
#pragma once

#include <tuple>

#include "api/ses_smtp_credential.h"
#include "base/packed.h"

namespace sessmtp::kube {

auto fields_of(SameAs<OwnerReference> auto& value) {
  auto& [api_version, kind, name, uid, controller] = value;
  return std::tie(api_version, kind, name, uid, controller);
}

auto fields_of(SameAs<ObjectMeta> auto& value) {
  auto& [namespace_, name, uid, resource_version, generation, creation, terminating, labels, annotations,
         owners] = value;
  return std::tie(namespace_, name, uid, resource_version, generation, creation, terminating, labels,
                  annotations, owners);
}

}  // namespace sessmtp::kube

namespace sessmtp::ses {

auto fields_of(SameAs<Endpoint> auto& value) {
  auto& [host, port, tls] = value;
  return std::tie(host, port, tls);
}

auto fields_of(SameAs<EndpointOverrides> auto& value) {
  auto& [host, port, tls, fips] = value;
  return std::tie(host, port, tls, fips);
}

}  // namespace sessmtp::ses

namespace sessmtp::api {

auto fields_of(SameAs<SourceKeys> auto& value) {
  auto& [access_key_id, secret_access_key, session_token, region, file] = value;
  return std::tie(access_key_id, secret_access_key, session_token, region, file);
}

auto fields_of(SameAs<SourceSpec> auto& value) {
  auto& [secret_name, preset, profile, keys] = value;
  return std::tie(secret_name, preset, profile, keys);
}

auto fields_of(SameAs<TargetSpec> auto& value) {
  auto& [name, type, labels, annotations, format, data, conflict_policy, deletion_policy] = value;
  return std::tie(name, type, labels, annotations, format, data, conflict_policy, deletion_policy);
}

auto fields_of(SameAs<Workload> auto& value) {
  auto& [kind, name] = value;
  return std::tie(kind, name);
}

auto fields_of(SameAs<Spec> auto& value) {
  auto& [source, region, additional_regions, endpoint, target, keep_previous_for, verify_mode, restarts,
         suspend] = value;
  return std::tie(source, region, additional_regions, endpoint, target, keep_previous_for, verify_mode,
                  restarts, suspend);
}

auto fields_of(SameAs<Condition> auto& value) {
  auto& [type, status, reason, message, observed_generation, last_transition_time] = value;
  return std::tie(type, status, reason, message, observed_generation, last_transition_time);
}

auto fields_of(SameAs<SecretVersion> auto& value) {
  auto& [uid, resource_version] = value;
  return std::tie(uid, resource_version);
}

auto fields_of(SameAs<PreviousKey> auto& value) {
  auto& [access_key_id, expires_at] = value;
  return std::tie(access_key_id, expires_at);
}

auto fields_of(SameAs<Rollout> auto& value) {
  auto& [workload, digest, requested_at, restarted_at, reason] = value;
  return std::tie(workload, digest, requested_at, restarted_at, reason);
}

auto fields_of(SameAs<Status> auto& value) {
  auto& [observed_generation, conditions, access_key_id, region, additional_regions, endpoint, key_since,
         last_rotation_time, source, target, target_name, target_merged, render_version, previous, rollouts,
         binding_name, last_handled_reconcile_at] = value;
  return std::tie(observed_generation, conditions, access_key_id, region, additional_regions, endpoint,
                  key_since, last_rotation_time, source, target, target_name, target_merged, render_version,
                  previous, rollouts, binding_name, last_handled_reconcile_at);
}

auto fields_of(SameAs<SesSmtpCredential> auto& value) {
  auto& [meta, spec, status] = value;
  return std::tie(meta, spec, status);
}

}  // namespace sessmtp::api
