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
  [[nodiscard]] const Names& referrers(const kube::NamespacedName& secret, Role role) const;

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
    Packed<Sight> sight{Sight{}};
    std::string gone_at;      // the version at which an event ended the last one, since the last list
    std::uint64_t since = 0;  // the list that was the last to begin before this was known or registered
  };
  struct Lists {
    std::uint64_t begun = 0;
    std::map<kube::NamespacedName, Packed<SecretRecord>> incoming;
  };

  [[nodiscard]] static Names& names_of(Entry& entry, Role role);
  [[nodiscard]] std::uint64_t lists_begun(const kube::NamespacedName& secret) const;
  bool put(Entry& entry, const kube::ObjectMeta& meta, std::optional<SteadyTime> changed);
  static bool learn(Entry& entry, const Sight& known, SecretRecord record, std::optional<SteadyTime> changed);
  template <class Use>
  void each_in(const std::string& scope, const Use& use);

  const Clock& clock_;
  std::map<kube::NamespacedName, Entry> entries_;
  std::map<std::string, Lists> lists_;
};

}  // namespace sessmtp::operator_
