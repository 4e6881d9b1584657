#include "operator/cache.h"

#include <algorithm>

#include "operator/claims.h"

namespace sessmtp::operator_ {
namespace {

using api::SesSmtpCredential;
using kube::NamespacedName;

bool in_scope(const std::string& scope, const NamespacedName& key) {
  return scope.empty() || key.namespace_ == scope;
}

NamespacedName source_of(const SesSmtpCredential& credential) {
  return {credential.meta.namespace_, credential.spec.source_name};
}

NamespacedName target_of(const SesSmtpCredential& credential) {
  return {credential.meta.namespace_, credential.spec.target_name};
}

void erase_reference(std::map<NamespacedName, std::set<std::string>>& index, const NamespacedName& secret,
                     const std::string& credential) {
  const auto found = index.find(secret);
  if (found == index.end()) {
    return;
  }
  found->second.erase(credential);
  if (found->second.empty()) {
    index.erase(found);
  }
}

}  // namespace

Cache::Cache(const std::vector<std::string>& scopes, Enqueue enqueue) : enqueue_(std::move(enqueue)) {
  for (const std::string& scope : scopes) {
    scopes_.emplace(scope, Scope{});
  }
}

void Cache::replace_credentials(const std::string& scope, std::vector<SesSmtpCredential> credentials) {
  std::set<NamespacedName> concerned;
  {
    const std::scoped_lock lock(mutex_);
    std::set<NamespacedName> present;
    for (const SesSmtpCredential& credential : credentials) {
      present.insert(credential.meta.key());
    }
    std::vector<NamespacedName> gone;
    for (const auto& [key, value] : credentials_) {
      if (in_scope(scope, key) && !present.contains(key)) {
        gone.push_back(key);
      }
    }
    for (const NamespacedName& key : gone) {
      drop_credential(key, concerned);
    }
    for (SesSmtpCredential& credential : credentials) {
      store_credential(std::move(credential), concerned);
    }
    concerned.insert(present.begin(), present.end());
    scopes_[scope].credentials = Fill::kListed;
  }
  filled_.notify_all();
  wake(concerned);
}

void Cache::put_credential(SesSmtpCredential credential) {
  std::set<NamespacedName> concerned;
  {
    const std::scoped_lock lock(mutex_);
    store_credential(std::move(credential), concerned);
  }
  wake(concerned);
}

void Cache::remove_credential(const kube::ObjectMeta& meta) {
  std::set<NamespacedName> concerned;
  {
    const std::scoped_lock lock(mutex_);
    const auto found = credentials_.find(meta.key());
    if (found == credentials_.end() || found->second->meta.uid != meta.uid) {
      return;
    }
    drop_credential(meta.key(), concerned);
  }
  wake(concerned);
}

void Cache::replace_secrets(const std::string& scope, const std::vector<kube::ObjectMeta>& secrets) {
  std::set<NamespacedName> concerned;
  {
    const std::scoped_lock lock(mutex_);
    std::set<NamespacedName> present;
    for (const kube::ObjectMeta& meta : secrets) {
      present.insert(meta.key());
      store_secret(meta);
    }
    std::erase_if(secrets_, [&](const auto& entry) {
      return in_scope(scope, entry.first) && !present.contains(entry.first);
    });
    // All of them: for those that nothing changed for, looking costs no call.
    collect_scope(scope, concerned);
    scopes_[scope].secrets = Fill::kListed;
  }
  filled_.notify_all();
  wake(concerned);
}

void Cache::put_secret(const kube::ObjectMeta& meta) {
  std::set<NamespacedName> concerned;
  {
    const std::scoped_lock lock(mutex_);
    if (!store_secret(meta)) {
      return;
    }
    collect_referrers(meta.key(), concerned);
  }
  wake(concerned);
}

void Cache::remove_secret(const kube::ObjectMeta& meta) {
  std::set<NamespacedName> concerned;
  {
    const std::scoped_lock lock(mutex_);
    const auto found = secrets_.find(meta.key());
    if (found == secrets_.end() || found->second.version.uid != meta.uid) {
      return;
    }
    secrets_.erase(found);
    collect_referrers(meta.key(), concerned);
  }
  wake(concerned);
}

void Cache::refuse_credentials(const std::string& scope) {
  std::set<NamespacedName> gone;
  {
    const std::scoped_lock lock(mutex_);
    scopes_[scope].credentials = Fill::kRefused;
    collect_scope(scope, gone);
    std::set<NamespacedName> concerned;
    for (const NamespacedName& key : gone) {
      drop_credential(key, concerned);
    }
  }
  filled_.notify_all();
  wake(gone);
}

void Cache::refuse_secrets(const std::string& scope) {
  std::set<NamespacedName> concerned;
  {
    const std::scoped_lock lock(mutex_);
    if (scopes_[scope].secrets == Fill::kRefused) {
      return;
    }
    scopes_[scope].secrets = Fill::kRefused;
    std::erase_if(secrets_, [&](const auto& entry) { return in_scope(scope, entry.first); });
    collect_scope(scope, concerned);
  }
  filled_.notify_all();
  wake(concerned);
}

void Cache::note_written_credential(SesSmtpCredential credential) {
  const NamespacedName key = credential.meta.key();
  std::set<NamespacedName> concerned;
  {
    const std::scoped_lock lock(mutex_);
    const auto found = credentials_.find(key);
    // Not one that was deleted meanwhile: only the watch may bring it back.
    if (found == credentials_.end() || found->second->meta.uid != credential.meta.uid) {
      return;
    }
    // A spec newer than the one that was reconciled still has to be looked at; its event will not come
    // as news any more.
    const bool newer_spec = credential.meta.generation != found->second->meta.generation;
    store_credential(std::move(credential), concerned);
    if (!newer_spec) {
      concerned.erase(key);
    }
  }
  wake(concerned);
}

void Cache::note_written_secret(const kube::ObjectMeta& meta, const NamespacedName& writer) {
  std::set<NamespacedName> concerned;
  {
    const std::scoped_lock lock(mutex_);
    if (!store_secret(meta)) {
      return;
    }
    collect_referrers(meta.key(), concerned);
  }
  concerned.erase(writer);
  wake(concerned);
}

bool Cache::wait_until_filled(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  return filled_.wait(lock, stop, [this] {
    return std::ranges::all_of(scopes_, [](const auto& entry) {
      return entry.second.credentials != Fill::kWaiting && entry.second.secrets != Fill::kWaiting;
    });
  });
}

std::optional<Observation> Cache::observe(const NamespacedName& credential) const {
  const std::scoped_lock lock(mutex_);
  const auto found = credentials_.find(credential);
  if (found == credentials_.end()) {
    return std::nullopt;
  }
  Observation observation;
  observation.credential = *found->second;
  observation.source = sight_of(source_of(*found->second));
  observation.target = sight_of(target_of(*found->second));
  observation.claims = claims_of(*found->second, observation.target);
  return observation;
}

std::size_t Cache::credential_count() const {
  const std::scoped_lock lock(mutex_);
  return credentials_.size();
}

void Cache::store_credential(SesSmtpCredential credential, std::set<NamespacedName>& concerned) {
  const NamespacedName key = credential.meta.key();
  if (const auto old = credentials_.find(key); old != credentials_.end()) {
    const kube::ObjectMeta& known = old->second->meta;
    const bool no_news = known.resource_version == credential.meta.resource_version ||
                         kube::later_version(known.resource_version, credential.meta.resource_version);
    if (known.uid == credential.meta.uid && no_news) {
      return;
    }
    drop_credential(key, concerned);
  }
  const NamespacedName target = target_of(credential);
  by_source_[source_of(credential)].insert(key.name);
  by_target_[target].insert(key.name);
  credentials_[key] = std::make_shared<const SesSmtpCredential>(std::move(credential));
  collect_claimants(target, concerned);
}

void Cache::drop_credential(const NamespacedName& key, std::set<NamespacedName>& concerned) {
  const auto found = credentials_.find(key);
  const NamespacedName target = target_of(*found->second);
  erase_reference(by_source_, source_of(*found->second), key.name);
  erase_reference(by_target_, target, key.name);
  credentials_.erase(found);
  concerned.insert(key);  // whoever remembers it may forget it now
  collect_claimants(target, concerned);
}

bool Cache::store_secret(const kube::ObjectMeta& meta) {
  SecretRecord record = record_of(meta);
  const auto [entry, added] = secrets_.try_emplace(meta.key(), record);
  if (added) {
    return true;
  }
  const api::SecretVersion& known = entry->second.version;
  const bool older = known.uid == record.version.uid &&
                     kube::later_version(known.resource_version, record.version.resource_version);
  if (older || entry->second == record) {
    return false;
  }
  entry->second = std::move(record);
  return true;
}

void Cache::collect_scope(const std::string& scope, std::set<NamespacedName>& out) const {
  for (const auto& [key, value] : credentials_) {
    if (in_scope(scope, key)) {
      out.insert(key);
    }
  }
}

void Cache::collect_claimants(const NamespacedName& target, std::set<NamespacedName>& out) const {
  if (const auto found = by_target_.find(target); found != by_target_.end()) {
    for (const std::string& name : found->second) {
      out.insert({target.namespace_, name});
    }
  }
}

void Cache::collect_referrers(const NamespacedName& secret, std::set<NamespacedName>& out) const {
  collect_claimants(secret, out);
  if (const auto found = by_source_.find(secret); found != by_source_.end()) {
    for (const std::string& name : found->second) {
      out.insert({secret.namespace_, name});
    }
  }
}

void Cache::wake(const std::set<NamespacedName>& credentials) const {
  for (const NamespacedName& credential : credentials) {
    enqueue_(credential);
  }
}

Cache::Fill Cache::secrets_of(const std::string& namespace_) const {
  const auto own = scopes_.find(namespace_);
  const auto found = own != scopes_.end() ? own : scopes_.find("");
  return found == scopes_.end() ? Fill::kWaiting : found->second.secrets;
}

Sight Cache::sight_of(const NamespacedName& secret) const {
  switch (secrets_of(secret.namespace_)) {
    case Fill::kWaiting:
      return {.presence = Presence::kUnknown, .record = {}};
    case Fill::kRefused:
      return {.presence = Presence::kForbidden, .record = {}};
    case Fill::kListed:
      break;
  }
  const auto found = secrets_.find(secret);
  if (found == secrets_.end()) {
    return {.presence = Presence::kAbsent, .record = {}};
  }
  return {.presence = Presence::kKnown, .record = found->second};
}

Claims Cache::claims_of(const SesSmtpCredential& credential, const Sight& target) const {
  Claims claims;
  std::vector<CredentialPtr> claimants;
  const auto found = by_target_.find(target_of(credential));
  for (const std::string& name : found->second) {
    claimants.push_back(credentials_.at({credential.meta.namespace_, name}));
    claims.claimants.push_back({.uid = claimants.back()->meta.uid, .name = name});
  }
  if (const SesSmtpCredential& first = winner(claimants, target); first.meta.uid != credential.meta.uid) {
    claims.rival = first.meta.name;
  }
  return claims;
}

}  // namespace sessmtp::operator_
