#include "operator/secret_store.h"

#include <algorithm>
#include <utility>

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
  const auto own = lists_begun_.find(secret.namespace_);
  const auto found = own != lists_begun_.end() ? own : lists_begun_.find("");
  return found == lists_begun_.end() ? 0 : found->second;
}

template <class Edit>
bool SecretStore::edit(const NamespacedName& secret, const Edit& change) {
  const auto found = entries_.find(secret);
  if (found == entries_.end()) {
    return false;
  }
  Entry entry = found->second.unpack();
  const bool answer = change(entry);
  found->second = Packed(entry);
  return answer;
}

template <class Edit>
void SecretStore::edit_all(const std::string& scope, const Edit& change) {
  for (auto& [name, packed] : entries_) {
    if (in_scope(scope, name)) {
      Entry entry = packed.unpack();
      change(entry);
      packed = Packed(entry);
    }
  }
}

void SecretStore::refer(const NamespacedName& secret, Role role, const std::string& credential) {
  if (!entries_.contains(secret)) {
    Entry fresh;
    fresh.since = lists_begun(secret);
    entries_.emplace(secret, fresh);
  }
  (void)edit(secret, [&](Entry& entry) {
    Names& names = names_of(entry, role);
    const auto place = std::ranges::lower_bound(names, credential);
    const bool added = place == names.end() || *place != credential;
    if (added) {
      names.insert(place, credential);
    }
    return added;
  });
}

void SecretStore::unrefer(const NamespacedName& secret, Role role, const std::string& credential) {
  const bool unused = edit(secret, [&](Entry& entry) {
    std::erase(names_of(entry, role), credential);
    return entry.sources.empty() && entry.targets.empty();
  });
  if (unused) {
    entries_.erase(secret);
  }
}

SecretStore::Names SecretStore::referrers(const NamespacedName& secret, Role role) const {
  const auto found = entries_.find(secret);
  if (found == entries_.end()) {
    return {};
  }
  Entry entry = found->second.unpack();
  return std::move(names_of(entry, role));
}

void SecretStore::begin_list(const std::string& scope) {
  ++lists_begun_[scope];
}

void SecretStore::listed(const std::string& scope, const kube::ObjectMeta& meta) {
  (void)edit(meta.key(), [&](Entry& entry) {
    entry.listed = record_of(meta);
    entry.listed_by = lists_begun_[scope];
    return true;
  });
}

void SecretStore::end_list(const std::string& scope) {
  const std::uint64_t list = lists_begun_[scope];
  edit_all(scope, [list](Entry& entry) {
    entry.gone_at.clear();
    const bool learned_meanwhile = entry.since == list;
    const std::optional<SecretRecord> listed = std::exchange(entry.listed, {});
    if (!listed || entry.listed_by != list) {
      if (!learned_meanwhile) {
        entry.sight = {.presence = Presence::kAbsent, .record = {}};
      }
      return;
    }
    const bool newer =
        entry.sight.presence == Presence::kKnown &&
        later_version(entry.sight.record.version.resource_version, listed->version.resource_version);
    if (!(learned_meanwhile && newer)) {
      (void)learn(entry, *listed, {});
    }
  });
}

bool SecretStore::learn(Entry& entry, SecretRecord record, std::optional<SteadyTime> changed) {
  if (entry.sight.presence == Presence::kKnown && entry.sight.record == record) {
    return false;
  }
  entry.sight = {.presence = Presence::kKnown, .record = std::move(record), .changed = changed};
  return true;
}

bool SecretStore::put(Entry& entry, const kube::ObjectMeta& meta, std::optional<SteadyTime> changed) {
  const bool known = entry.sight.presence == Presence::kKnown;
  if (later_version(known ? entry.sight.record.version.resource_version : entry.gone_at,
                    meta.resource_version)) {
    return false;
  }
  return learn(entry, record_of(meta), changed);
}

bool SecretStore::put(const kube::ObjectMeta& meta) {
  return edit(meta.key(), [&](Entry& entry) { return put(entry, meta, clock_.steady()); });
}

bool SecretStore::remove(const kube::ObjectMeta& meta) {
  return edit(meta.key(), [&](Entry& entry) {
    const Sight& sight = entry.sight;
    const bool known = sight.presence == Presence::kKnown;
    if (known && (sight.record.version.uid != meta.uid ||
                  later_version(sight.record.version.resource_version, meta.resource_version))) {
      return false;
    }
    entry.gone_at = meta.resource_version;
    return std::exchange(entry.sight, {.presence = Presence::kAbsent, .record = {}}).presence !=
           Presence::kAbsent;
  });
}

bool SecretStore::answered(const kube::ObjectMeta& meta) {
  return edit(meta.key(), [&](Entry& entry) {
    if (!put(entry, meta, {})) {
      return false;
    }
    entry.since = lists_begun(meta.key());
    return true;
  });
}

// Of the next two: what the watch has seen since is newer than the answer, or it will say so itself.

void SecretStore::answered_unwatched(const NamespacedName& secret, const std::string& type) {
  (void)edit(secret, [&](Entry& entry) {
    if (entry.sight.presence != Presence::kKnown) {
      entry.sight = {.presence = Presence::kUnwatched, .record = {}, .type = type};
      entry.since = lists_begun(secret);
    }
    return true;
  });
}

void SecretStore::answered_missing(const NamespacedName& secret) {
  (void)edit(secret, [&](Entry& entry) {
    if (entry.sight.presence == Presence::kUnknown) {
      entry.sight.presence = Presence::kAbsent;
      entry.since = lists_begun(secret);
    }
    return true;
  });
}

void SecretStore::forget(const std::string& scope) {
  edit_all(scope, [](Entry& entry) { entry.sight = {}; });
}

void SecretStore::doubt(const std::string& scope) {
  edit_all(scope, [](Entry& entry) {
    if (entry.sight.presence == Presence::kAbsent || entry.sight.presence == Presence::kUnwatched) {
      entry.sight = {};
    }
  });
}

Sight SecretStore::sight(const NamespacedName& secret) const {
  const auto found = entries_.find(secret);
  return found == entries_.end() ? Sight{} : found->second.unpack().sight;
}

}  // namespace sessmtp::operator_
