#include "operator/cache.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "operator/claims.h"

namespace sessmtp::operator_ {
namespace {

using api::SesSmtpCredential;
using kube::NamespacedName;

// So many at a time are taken out while the lock is held.
constexpr std::size_t kBatch = 64;

NamespacedName source_of(const SesSmtpCredential& credential) {
  return {credential.meta.namespace_, credential.spec.source.secret_name};
}

NamespacedName target_of(const SesSmtpCredential& credential) {
  return {credential.meta.namespace_, credential.spec.target.name};
}

}  // namespace

Cache::Cache(const std::vector<std::string>& scopes, const Clock& clock, Enqueue enqueue)
    : enqueue_(std::move(enqueue)), secrets_(clock) {
  for (const std::string& scope : scopes) {
    scopes_.emplace(scope, Scope{});
  }
}

void Cache::begin_credential_list(const std::string& scope) {
  const std::scoped_lock lock(mutex_);
  ++scopes_[scope].credential_lists;
  scopes_[scope].incoming.clear();
}

void Cache::listed_credential(const std::string& scope, const SesSmtpCredential& credential) {
  const std::scoped_lock lock(mutex_);
  scopes_[scope].incoming.insert_or_assign(credential.meta.key(), PackedCredential(credential));
}

void Cache::end_credential_list(const std::string& scope, const std::set<NamespacedName>& unreadable) {
  std::set<NamespacedName> concerned;
  bool first = false;
  {
    const std::scoped_lock lock(mutex_);
    auto incoming = std::exchange(scopes_[scope].incoming, {});
    std::vector<NamespacedName> gone;
    for (const auto& [key, value] : credentials_) {
      if (in_scope(scope, key) && !incoming.contains(key) && !unreadable.contains(key)) {
        gone.push_back(key);
      }
    }
    for (const NamespacedName& key : gone) {
      drop_credential(key, concerned);
    }
    while (!incoming.empty()) {
      const auto next = incoming.extract(incoming.begin());
      store_credential(next.mapped().unpack(), Origin::kList, concerned);
    }
    first = std::exchange(scopes_[scope].credentials, Fill::kListed) != Fill::kListed;
  }
  filled_.notify_all();
  // At the start all of them are news, and what really changes must not wait behind them.
  wake(concerned, first ? kube::Priority::kResync : kube::Priority::kChanged);
  wake_scope(scope, kube::Priority::kResync);
}

bool Cache::knows(const kube::ObjectMeta& credential) const {
  const std::scoped_lock lock(mutex_);
  const auto found = credentials_.find(credential.key());
  if (found == credentials_.end()) {
    return false;
  }
  const kube::ObjectMeta known = found->second.credential.unpack().meta;
  return known.uid == credential.uid && known.resource_version == credential.resource_version;
}

void Cache::put_credential(const SesSmtpCredential& credential) {
  std::set<NamespacedName> concerned;
  {
    const std::scoped_lock lock(mutex_);
    store_credential(credential, Origin::kEvent, concerned);
  }
  wake(concerned);
}

void Cache::remove_credential(const kube::ObjectMeta& meta) {
  std::set<NamespacedName> concerned;
  {
    const std::scoped_lock lock(mutex_);
    const auto found = credentials_.find(meta.key());
    if (found == credentials_.end() || found->second.credential.unpack().meta.uid != meta.uid) {
      return;
    }
    drop_credential(meta.key(), concerned);
  }
  wake(concerned);
}

void Cache::begin_secret_list(const std::string& scope) {
  const std::scoped_lock lock(mutex_);
  secrets_.begin_list(scope);
}

void Cache::listed_secret(const std::string& scope, const kube::ObjectMeta& meta) {
  const std::scoped_lock lock(mutex_);
  secrets_.listed(scope, meta);
}

void Cache::end_secret_list(const std::string& scope) {
  {
    const std::scoped_lock lock(mutex_);
    secrets_.end_list(scope);
    scopes_[scope].secrets = Fill::kListed;
  }
  filled_.notify_all();
  wake_scope(scope, kube::Priority::kResync);  // for those that nothing changed for, looking costs no call
}

void Cache::put_secret(const kube::ObjectMeta& meta) {
  std::set<NamespacedName> concerned;
  {
    const std::scoped_lock lock(mutex_);
    if (!secrets_.put(meta)) {
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
    if (!secrets_.remove(meta)) {
      return;
    }
    collect_referrers(meta.key(), concerned);
  }
  wake(concerned);
}

void Cache::lost_secrets(const std::string& scope) {
  {
    const std::scoped_lock lock(mutex_);
    secrets_.forget(scope);
  }
  wake_scope(scope, kube::Priority::kResync);
}

void Cache::refuse_credentials(const std::string& scope) {
  drop_scope(scope, Fill::kRefused);
}

void Cache::forget_credentials(const std::string& scope) {
  drop_scope(scope, Fill::kWaiting);
}

void Cache::drop_scope(const std::string& scope, Fill fill) {
  std::set<NamespacedName> gone;
  {
    const std::scoped_lock lock(mutex_);
    scopes_[scope].credentials = fill;
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
  {
    const std::scoped_lock lock(mutex_);
    if (scopes_[scope].secrets == Fill::kRefused) {
      return;
    }
    scopes_[scope].secrets = Fill::kRefused;
    secrets_.forget(scope);
  }
  filled_.notify_all();
  wake_scope(scope, kube::Priority::kChanged);
}

void Cache::note_written_credential(const SesSmtpCredential& credential) {
  const NamespacedName key = credential.meta.key();
  std::set<NamespacedName> concerned;
  {
    const std::scoped_lock lock(mutex_);
    const auto found = credentials_.find(key);
    if (found == credentials_.end()) {
      return;
    }
    // Not one that was deleted meanwhile: only the watch may bring it back.
    if (found->second.credential.unpack().meta.uid != credential.meta.uid) {
      return;
    }
    store_credential(credential, Origin::kWrite, concerned);
  }
  concerned.erase(key);  // who wrote it knows: its spec is the one that was looked at
  wake(concerned);
}

void Cache::note_secret(const kube::ObjectMeta& meta, const NamespacedName& who) {
  std::set<NamespacedName> concerned;
  {
    const std::scoped_lock lock(mutex_);
    if (!secrets_.answered(meta)) {
      return;
    }
    collect_referrers(meta.key(), concerned);
  }
  concerned.erase(who);
  wake(concerned);
}

void Cache::note_unwatched_secret(const NamespacedName& secret, const std::string& type) {
  const std::scoped_lock lock(mutex_);
  secrets_.answered_unwatched(secret, type);
}

void Cache::note_missing_secret(const NamespacedName& secret) {
  const std::scoped_lock lock(mutex_);
  secrets_.answered_missing(secret);
}

void Cache::wake_all() {
  wake_scope("", kube::Priority::kResync);
}

void Cache::resync() {
  {
    const std::scoped_lock lock(mutex_);
    secrets_.doubt("");
  }
  wake_all();
}

bool Cache::wait_until_credentials_listed(const std::string& scope, std::stop_token stop) {
  std::unique_lock lock(mutex_);
  return filled_.wait(lock, stop, [&] { return scopes_[scope].credentials == Fill::kListed; });
}

bool Cache::wait_until_filled(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  return filled_.wait(lock, stop, [this] {
    return std::ranges::all_of(scopes_, [](const auto& entry) { return is_filled(entry.second); });
  });
}

bool Cache::filled(const std::string& scope) const {
  const std::scoped_lock lock(mutex_);
  return is_filled(scopes_.at(scope));
}

bool Cache::credentials_listed(const std::string& scope) const {
  const std::scoped_lock lock(mutex_);
  return scopes_.at(scope).credentials == Fill::kListed;
}

bool Cache::credentials_refused(const std::string& scope) const {
  const std::scoped_lock lock(mutex_);
  return scopes_.at(scope).credentials == Fill::kRefused;
}

bool Cache::is_filled(const Scope& scope) {
  return scope.credentials == Fill::kRefused ||
         (scope.credentials == Fill::kListed && scope.secrets != Fill::kWaiting);
}

std::optional<Observation> Cache::observe(const NamespacedName& credential) const {
  const std::scoped_lock lock(mutex_);
  const auto found = credentials_.find(credential);
  if (found == credentials_.end()) {
    return std::nullopt;
  }
  Observation observation;
  observation.credential = found->second.credential.unpack();
  observation.source = sight_of(source_of(observation.credential));
  observation.target = sight_of(target_of(observation.credential));
  observation.claims = claims_of(observation.credential, observation.source, observation.target);
  return observation;
}

bool Cache::is_alive(const NamespacedName& credential, const std::string& uid) const {
  const std::scoped_lock lock(mutex_);
  const auto found = credentials_.find(credential);
  if (found == credentials_.end()) {
    return false;
  }
  const kube::ObjectMeta meta = found->second.credential.unpack().meta;
  return meta.uid == uid && !meta.terminating;
}

std::size_t Cache::credential_count() const {
  const std::scoped_lock lock(mutex_);
  return credentials_.size();
}

void Cache::each_credential(const std::function<void(const SesSmtpCredential&)>& use) const {
  std::vector<PackedCredential> batch;
  std::optional<NamespacedName> last;
  do {
    batch.clear();
    {
      const std::scoped_lock lock(mutex_);
      auto next = last ? credentials_.upper_bound(*last) : credentials_.begin();
      for (; next != credentials_.end() && batch.size() < kBatch; ++next) {
        batch.push_back(next->second.credential);
        last = next->first;
      }
    }
    for (const PackedCredential& credential : batch) {
      use(credential.unpack());
    }
  } while (!batch.empty());
}

void Cache::store_credential(const SesSmtpCredential& credential, Origin origin,
                             std::set<NamespacedName>& concerned) {
  const NamespacedName key = credential.meta.key();
  const std::uint64_t lists = scope_of(key.namespace_).credential_lists;
  const auto held = credentials_.find(key);
  std::optional<SesSmtpCredential> old;
  if (held != credentials_.end()) {
    old = held->second.credential.unpack();
    const kube::ObjectMeta& known = old->meta;
    const bool same = known.resource_version == credential.meta.resource_version;
    const bool newer = kube::later_version(known.resource_version, credential.meta.resource_version);
    // A list counts, whatever the versions say, but for what we wrote after it had begun.
    const bool outdated = newer && (origin != Origin::kList || held->second.written == lists);
    if (known.uid == credential.meta.uid && (same || outdated)) {
      return;
    }
  }
  refer(credential);
  credentials_.insert_or_assign(key,
                                Held{PackedCredential(credential), origin == Origin::kWrite ? lists : 0});
  if (old) {
    unrefer(*old, &credential, concerned);
  }
  concerned.insert(key);
  collect_neighbours(credential, concerned);
}

void Cache::drop_credential(const NamespacedName& key, std::set<NamespacedName>& concerned) {
  const auto found = credentials_.find(key);
  const SesSmtpCredential credential = found->second.credential.unpack();
  credentials_.erase(found);
  unrefer(credential, nullptr, concerned);
  concerned.insert(key);  // whoever remembers it may forget it now
}

void Cache::refer(const SesSmtpCredential& credential) {
  secrets_.refer(source_of(credential), SecretStore::Role::kSource, credential.meta.name);
  secrets_.refer(target_of(credential), SecretStore::Role::kTarget, credential.meta.name);
}

// What is known of a Secret goes with the last reference to it, so the new references come first.
void Cache::unrefer(const SesSmtpCredential& old, const SesSmtpCredential* fresh,
                    std::set<NamespacedName>& concerned) {
  if (fresh == nullptr || source_of(*fresh) != source_of(old)) {
    secrets_.unrefer(source_of(old), SecretStore::Role::kSource, old.meta.name);
  }
  if (fresh == nullptr || target_of(*fresh) != target_of(old)) {
    secrets_.unrefer(target_of(old), SecretStore::Role::kTarget, old.meta.name);
  }
  collect_neighbours(old, concerned);
}

void Cache::collect_scope(const std::string& scope, std::set<NamespacedName>& out) const {
  for (const auto& [key, held] : credentials_) {
    if (in_scope(scope, key)) {
      out.insert(key);
    }
  }
}

void Cache::collect_claimants(const NamespacedName& target, std::set<NamespacedName>& out) const {
  for (const std::string& name : secrets_.referrers(target, SecretStore::Role::kTarget)) {
    out.insert({target.namespace_, name});
  }
}

// Those whose claims it is part of: by its target, or because one reads what the other writes.
void Cache::collect_neighbours(const SesSmtpCredential& credential, std::set<NamespacedName>& out) const {
  collect_referrers(target_of(credential), out);
  collect_claimants(source_of(credential), out);
}

void Cache::collect_referrers(const NamespacedName& secret, std::set<NamespacedName>& out) const {
  collect_claimants(secret, out);
  for (const std::string& name : secrets_.referrers(secret, SecretStore::Role::kSource)) {
    out.insert({secret.namespace_, name});
  }
}

void Cache::wake(const std::set<NamespacedName>& credentials, kube::Priority priority) const {
  for (const NamespacedName& credential : credentials) {
    enqueue_(credential, priority);
  }
}

void Cache::wake_scope(const std::string& scope, kube::Priority priority) const {
  std::vector<NamespacedName> batch;
  std::optional<NamespacedName> last;
  do {
    batch.clear();
    {
      const std::scoped_lock lock(mutex_);
      auto next = last ? credentials_.upper_bound(*last) : credentials_.begin();
      for (; next != credentials_.end() && batch.size() < kBatch; ++next) {
        batch.push_back(next->first);
      }
    }
    for (const NamespacedName& credential : batch) {
      if (in_scope(scope, credential)) {
        enqueue_(credential, priority);
      }
    }
    if (!batch.empty()) {
      last = batch.back();
    }
  } while (!batch.empty());
}

const Cache::Scope& Cache::scope_of(const std::string& namespace_) const {
  static const Scope kNone;
  const auto own = scopes_.find(namespace_);
  const auto found = own != scopes_.end() ? own : scopes_.find("");
  return found == scopes_.end() ? kNone : found->second;
}

Sight Cache::sight_of(const NamespacedName& secret) const {
  if (scope_of(secret.namespace_).secrets == Fill::kRefused) {
    return {.presence = Presence::kForbidden, .record = {}};
  }
  return secrets_.sight(secret);
}

SesSmtpCredential Cache::neighbour(const SesSmtpCredential& credential, const std::string& name) const {
  return name == credential.meta.name
             ? credential
             : credentials_.at({credential.meta.namespace_, name}).credential.unpack();
}

Claims Cache::claims_of(const SesSmtpCredential& credential, const Sight& source, const Sight& target) const {
  Claims claims;
  std::vector<SesSmtpCredential> claimants;
  for (const std::string& name : secrets_.referrers(target_of(credential), SecretStore::Role::kTarget)) {
    claimants.push_back(neighbour(credential, name));
    claims.claimants.push_back({.uid = claimants.back().meta.uid, .name = name});
  }
  if (const SesSmtpCredential& first = winner(claimants, target); first.meta.uid != credential.meta.uid) {
    claims.rival = first.meta.name;
  }
  for (const std::string& name : secrets_.referrers(target_of(credential), SecretStore::Role::kSource)) {
    const kube::ObjectMeta other = neighbour(credential, name).meta;
    if (std::tie(other.creation_timestamp, other.uid) <
        std::tie(credential.meta.creation_timestamp, credential.meta.uid)) {
      claims.reader = name;
    }
  }
  if (source.presence == Presence::kKnown) {
    for (const std::string& name : secrets_.referrers(source_of(credential), SecretStore::Role::kTarget)) {
      const SesSmtpCredential other = neighbour(credential, name);
      const bool merges = other.spec.target.conflict_policy == api::ConflictPolicy::kMerge;
      if (merges && name != credential.meta.name && has_consent(other, source.record)) {
        claims.merger = name;
      }
    }
  }
  return claims;
}

}  // namespace sessmtp::operator_
