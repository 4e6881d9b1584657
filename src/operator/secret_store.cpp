#include "operator/secret_store.h"

#include <algorithm>
#include <utility>

#include "operator/observation_fields.h"

namespace sessmtp::operator_ {

using kube::later_version;
using kube::NamespacedName;

bool in_scope(const std::string& scope, const NamespacedName& key) {
  return scope.empty() || key.namespace_ == scope;
}

SecretStore::Names& SecretStore::names_of(Entry& entry, Role role) {
  return role == Role::kSource ? entry.sources : entry.targets;
}

std::uint64_t SecretStore::lists_begun(const NamespacedName& secret) const {
  const auto own = lists_.find(secret.namespace_);
  const auto found = own != lists_.end() ? own : lists_.find("");
  return found == lists_.end() ? 0 : found->second.begun;
}

template <class Use>
void SecretStore::each_in(const std::string& scope, const Use& use) {
  for (auto& [name, entry] : entries_) {
    if (in_scope(scope, name)) {
      use(name, entry);
    }
  }
}

void SecretStore::refer(const NamespacedName& secret, Role role, const std::string& credential) {
  const auto [found, added] = entries_.try_emplace(secret);
  if (added) {
    found->second.since = lists_begun(secret);
  }
  Names& names = names_of(found->second, role);
  if (const auto place = std::ranges::lower_bound(names, credential);
      place == names.end() || *place != credential) {
    names.insert(place, credential);
  }
}

void SecretStore::unrefer(const NamespacedName& secret, Role role, const std::string& credential) {
  const auto found = entries_.find(secret);
  if (found == entries_.end()) {
    return;
  }
  std::erase(names_of(found->second, role), credential);
  if (found->second.sources.empty() && found->second.targets.empty()) {
    entries_.erase(found);
  }
}

const SecretStore::Names& SecretStore::referrers(const NamespacedName& secret, Role role) const {
  static const Names kNone;
  const auto found = entries_.find(secret);
  return found == entries_.end() ? kNone
         : role == Role::kSource ? found->second.sources
                                 : found->second.targets;
}

void SecretStore::begin_list(const std::string& scope) {
  Lists& lists = lists_[scope];
  ++lists.begun;
  lists.incoming.clear();
}

void SecretStore::listed(const std::string& scope, const kube::ObjectMeta& meta) {
  if (entries_.contains(meta.key())) {
    lists_[scope].incoming.insert_or_assign(meta.key(), Packed(record_of(meta)));
  }
}

void SecretStore::end_list(const std::string& scope) {
  auto incoming = std::exchange(lists_[scope].incoming, {});
  each_in(scope, [&](const NamespacedName& name, Entry& entry) {
    entry.gone_at.clear();
    const bool learned_meanwhile = entry.since == lists_[scope].begun;
    const auto found = incoming.find(name);
    if (found == incoming.end()) {
      if (!learned_meanwhile) {
        entry.sight = Packed(Sight{.presence = Presence::kAbsent, .record = {}});
      }
      return;
    }
    SecretRecord record = found->second.unpack();
    incoming.erase(found);
    const Sight sight = entry.sight.unpack();
    const bool newer = sight.presence == Presence::kKnown &&
                       later_version(sight.record.version.resource_version, record.version.resource_version);
    if (!(learned_meanwhile && newer)) {
      learn(entry, sight, std::move(record), {});
    }
  });
}

bool SecretStore::learn(Entry& entry, const Sight& known, SecretRecord record,
                        std::optional<SteadyTime> changed) {
  if (known.presence == Presence::kKnown && known.record == record) {
    return false;
  }
  entry.sight = Packed(Sight{.presence = Presence::kKnown, .record = std::move(record), .changed = changed});
  return true;
}

bool SecretStore::put(const kube::ObjectMeta& meta) {
  const auto found = entries_.find(meta.key());
  return found != entries_.end() && put(found->second, meta, clock_.steady());
}

bool SecretStore::put(Entry& entry, const kube::ObjectMeta& meta, std::optional<SteadyTime> changed) {
  const Sight known = entry.sight.unpack();
  const bool there = known.presence == Presence::kKnown;
  if (later_version(there ? known.record.version.resource_version : entry.gone_at, meta.resource_version)) {
    return false;
  }
  return learn(entry, known, record_of(meta), changed);
}

bool SecretStore::remove(const kube::ObjectMeta& meta) {
  const auto found = entries_.find(meta.key());
  if (found == entries_.end()) {
    return false;
  }
  const Sight sight = found->second.sight.unpack();
  const bool known = sight.presence == Presence::kKnown;
  if (known && (sight.record.version.uid != meta.uid ||
                later_version(sight.record.version.resource_version, meta.resource_version))) {
    return false;
  }
  found->second.gone_at = meta.resource_version;
  found->second.sight = Packed(Sight{.presence = Presence::kAbsent, .record = {}});
  return sight.presence != Presence::kAbsent;
}

bool SecretStore::answered(const kube::ObjectMeta& meta) {
  const auto found = entries_.find(meta.key());
  if (found == entries_.end() || !put(found->second, meta, {})) {
    return false;
  }
  found->second.since = lists_begun(meta.key());
  return true;
}

// Of the next two: what the watch has seen since is newer than the answer, or it will say so itself.

void SecretStore::answered_unwatched(const NamespacedName& secret, const std::string& type) {
  if (const auto found = entries_.find(secret);
      found != entries_.end() && found->second.sight.unpack().presence != Presence::kKnown) {
    found->second.sight = Packed(Sight{.presence = Presence::kUnwatched, .record = {}, .type = type});
    found->second.since = lists_begun(secret);
  }
}

void SecretStore::answered_missing(const NamespacedName& secret) {
  if (const auto found = entries_.find(secret);
      found != entries_.end() && found->second.sight.unpack().presence == Presence::kUnknown) {
    found->second.sight = Packed(Sight{.presence = Presence::kAbsent, .record = {}});
    found->second.since = lists_begun(secret);
  }
}

void SecretStore::forget(const std::string& scope) {
  each_in(scope, [](const NamespacedName&, Entry& entry) { entry.sight = Packed(Sight{}); });
}

void SecretStore::doubt(const std::string& scope) {
  each_in(scope, [](const NamespacedName&, Entry& entry) {
    if (const Presence presence = entry.sight.unpack().presence;
        presence == Presence::kAbsent || presence == Presence::kUnwatched) {
      entry.sight = Packed(Sight{});
    }
  });
}

Sight SecretStore::sight(const NamespacedName& secret) const {
  const auto found = entries_.find(secret);
  return found == entries_.end() ? Sight{} : found->second.sight.unpack();
}

}  // namespace sessmtp::operator_
