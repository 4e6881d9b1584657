// What is known of the Secrets that some credential refers to, and of no other: memory does not grow
// with other people's Secrets.
//
// A name is unknown when a credential first brings it, for the watch has thrown away all that it said of
// it. It is known or absent from the first event or live answer on, or by a list that began later; one
// that began earlier never makes it absent.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "base/clock.h"
#include "base/packed.h"
#include "kube/object.h"
#include "operator/observation.h"
#include "operator/observation_fields.h"

namespace sessmtp::operator_ {

// True when a watch of `scope`, a namespace or "" for all, shows `key`.
[[nodiscard]] bool in_scope(const std::string& scope, const kube::NamespacedName& key);

// Not thread-safe.
class SecretStore {
 public:
  using Names = std::vector<std::string>;  // sorted; of nearly every Secret there is one
  enum class Role : std::uint8_t { kSource, kTarget };

  explicit SecretStore(const Clock& clock) : clock_(clock) {}

  void refer(const kube::NamespacedName& secret, Role role, const std::string& credential);
  void unrefer(const kube::NamespacedName& secret, Role role, const std::string& credential);
  // The credentials that refer to it, of its own namespace.
  [[nodiscard]] Names referrers(const kube::NamespacedName& secret, Role role) const;

  // A list, from its begin to its end; the end replaces what was known, whatever the versions say: after
  // etcd was restored they are older.
  void begin_list(const std::string& scope);
  void listed(const std::string& scope, const kube::ObjectMeta& meta);
  void end_list(const std::string& scope);
  // Events. True: news. A version older than the one known is none: our own writes are noted before
  // their echo arrives. Nor is an answer older than a deletion that was heard of before it.
  [[nodiscard]] bool put(const kube::ObjectMeta& meta);
  [[nodiscard]] bool remove(const kube::ObjectMeta& meta);

  // The answer to a live read or to a write of ours. True: news.
  [[nodiscard]] bool answered(const kube::ObjectMeta& meta);
  // It is of a type that the watch leaves out, so no event will tell of it.
  void answered_unwatched(const kube::NamespacedName& secret, const std::string& type);
  void answered_missing(const kube::NamespacedName& secret);

  // Events were lost, or may not be had any more: nothing is known.
  void forget(const std::string& scope);
  // What no event would tell of is to be looked at again.
  void doubt(const std::string& scope);

  [[nodiscard]] Sight sight(const kube::NamespacedName& secret) const;

 private:
  struct Entry {
    Names sources;  // credentials that read it
    Names targets;  // credentials that write it
    Sight sight;
    std::string gone_at;      // the version at which an event ended the last one, since the last list
    std::uint64_t since = 0;  // the list that was the last to begin before this was known or registered
    std::optional<SecretRecord> listed;  // what the list `listed_by` says of it
    std::uint64_t listed_by = 0;
  };
  friend auto fields_of(SameAs<Entry> auto& value) {
    auto& [sources, targets, sight, gone_at, since, listed, listed_by] = value;
    return std::tie(sources, targets, sight, gone_at, since, listed, listed_by);
  }
  using Entries = std::map<kube::NamespacedName, Packed<Entry>>;

  [[nodiscard]] static Names& names_of(Entry& entry, Role role);
  [[nodiscard]] std::uint64_t lists_begun(const kube::NamespacedName& secret) const;
  static bool learn(Entry& entry, SecretRecord record, std::optional<SteadyTime> changed);
  static bool put(Entry& entry, const kube::ObjectMeta& meta, std::optional<SteadyTime> changed);
  // Answers what `change` answers; false when there is no such entry.
  template <class Edit>
  bool edit(const kube::NamespacedName& secret, const Edit& change);
  template <class Edit>
  void edit_all(const std::string& scope, const Edit& change);

  const Clock& clock_;
  Entries entries_;
  std::map<std::string, std::uint64_t> lists_begun_;  // by scope
};

}  // namespace sessmtp::operator_
