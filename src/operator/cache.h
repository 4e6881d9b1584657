// The local picture of the cluster: all SesSmtpCredentials of the watched namespaces, and the metadata of
// the Secrets they refer to. Filled by the reflectors, asked by the workers; thread-safe.
//
// Every change says which credentials it concerns, through the function given to the constructor.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "api/credential_fields.h"
#include "api/ses_smtp_credential.h"
#include "base/clock.h"
#include "base/packed.h"
#include "kube/object.h"
#include "kube/work_queue.h"
#include "operator/observation.h"
#include "operator/secret_store.h"

namespace sessmtp::operator_ {

class Cache {
 public:
  using Enqueue = std::function<void(const kube::NamespacedName& credential, kube::Priority priority)>;

  // A scope is a watched namespace, or "" for all of them.
  Cache(const std::vector<std::string>& scopes, const Clock& clock, Enqueue enqueue);

  // What the reflectors report. A list replaces what was known. Of events, a version older than the one
  // known is ignored: our own writes are put here before their echo arrives.
  void begin_credential_list(const std::string& scope);
  void listed_credential(const std::string& scope, const api::SesSmtpCredential& credential);
  // `unreadable` are those that could not be understood: what was known of them stays.
  void end_credential_list(const std::string& scope, const std::set<kube::NamespacedName>& unreadable = {});
  // This very version is here already.
  [[nodiscard]] bool knows(const kube::ObjectMeta& credential) const;
  void put_credential(const api::SesSmtpCredential& credential);
  void remove_credential(const kube::ObjectMeta& meta);
  void begin_secret_list(const std::string& scope);
  void listed_secret(const std::string& scope, const kube::ObjectMeta& meta);
  void end_secret_list(const std::string& scope);
  void put_secret(const kube::ObjectMeta& meta);
  void remove_secret(const kube::ObjectMeta& meta);
  // An event was lost, nobody knows of which Secret.
  void lost_secrets(const std::string& scope);
  // We may not list there; what was known is forgotten.
  void refuse_credentials(const std::string& scope);
  // There is no CRD any more, so there are no credentials.
  void forget_credentials(const std::string& scope);
  void refuse_secrets(const std::string& scope);

  // The answers to our own writes and live reads: known at once, and no reason for the one who asked to
  // look again.
  void note_written_credential(const api::SesSmtpCredential& credential);
  void note_secret(const kube::ObjectMeta& meta, const kube::NamespacedName& who);
  void note_unwatched_secret(const kube::NamespacedName& secret, const std::string& type);
  void note_missing_secret(const kube::NamespacedName& secret);

  // Everybody looks again; after resync() with a live read of what no event would tell of.
  void wake_all();
  void resync();

  // Credentials are listed before Secrets, so that their names are known when the Secrets come by.
  // False when stopped before.
  [[nodiscard]] bool wait_until_credentials_listed(const std::string& scope, std::stop_token stop);
  // Until every scope has been listed or refused. False when stopped before.
  [[nodiscard]] bool wait_until_filled(std::stop_token stop);
  [[nodiscard]] bool filled(const std::string& scope) const;
  [[nodiscard]] bool credentials_listed(const std::string& scope) const;
  [[nodiscard]] bool credentials_refused(const std::string& scope) const;

  // Everything but the time and the live reads; empty when there is no such credential.
  [[nodiscard]] std::optional<Observation> observe(const kube::NamespacedName& credential) const;

  // The very object of that uid is there, and nobody has asked for its deletion.
  [[nodiscard]] bool is_alive(const kube::NamespacedName& credential, const std::string& uid) const;

  [[nodiscard]] std::size_t credential_count() const;
  // Each of them, a few at a time: one that comes or goes meanwhile may be among them or not.
  void each_credential(const std::function<void(const api::SesSmtpCredential&)>& use) const;

 private:
  using PackedCredential = Packed<api::SesSmtpCredential>;
  enum class Fill : std::uint8_t { kWaiting, kListed, kRefused };
  struct Scope {
    Fill credentials = Fill::kWaiting;
    Fill secrets = Fill::kWaiting;
    std::uint64_t credential_lists = 0;                              // begun
    std::map<kube::NamespacedName, PackedCredential> incoming = {};  // of the one under way
  };
  struct Held {
    PackedCredential credential;
    std::uint64_t written = 0;  // the list that was the last to begin before we wrote this version
  };

  // With the mutex held; `concerned` gathers the credentials that the change is about.
  enum class Origin : std::uint8_t { kList, kEvent, kWrite };
  void store_credential(const api::SesSmtpCredential& credential, Origin origin,
                        std::set<kube::NamespacedName>& concerned);
  void drop_credential(const kube::NamespacedName& key, std::set<kube::NamespacedName>& concerned);
  void refer(const api::SesSmtpCredential& credential);
  void unrefer(const api::SesSmtpCredential& old, const api::SesSmtpCredential* fresh,
               std::set<kube::NamespacedName>& concerned);
  void drop_scope(const std::string& scope, Fill fill);
  void collect_scope(const std::string& scope, std::set<kube::NamespacedName>& out) const;
  // All of a scope, a few at a time; without the mutex held.
  void wake_scope(const std::string& scope, kube::Priority priority) const;
  void collect_claimants(const kube::NamespacedName& target, std::set<kube::NamespacedName>& out) const;
  void collect_neighbours(const api::SesSmtpCredential& credential,
                          std::set<kube::NamespacedName>& out) const;
  void collect_referrers(const kube::NamespacedName& secret, std::set<kube::NamespacedName>& out) const;
  void wake(const std::set<kube::NamespacedName>& credentials,
            kube::Priority priority = kube::Priority::kChanged) const;
  [[nodiscard]] static bool is_filled(const Scope& scope);
  [[nodiscard]] const Scope& scope_of(const std::string& namespace_) const;
  [[nodiscard]] Sight sight_of(const kube::NamespacedName& secret) const;
  [[nodiscard]] api::SesSmtpCredential neighbour(const api::SesSmtpCredential& credential,
                                                 const std::string& name) const;
  [[nodiscard]] Claims claims_of(const api::SesSmtpCredential& credential, const Sight& source,
                                 const Sight& target) const;

  const Enqueue enqueue_;
  mutable std::mutex mutex_;
  std::condition_variable_any filled_;
  std::map<std::string, Scope> scopes_;
  std::map<kube::NamespacedName, Held> credentials_;
  SecretStore secrets_;
};

}  // namespace sessmtp::operator_
