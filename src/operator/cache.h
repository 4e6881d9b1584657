// The local picture of the cluster: all SesSmtpCredentials of the watched namespaces, and of their
// Secrets the metadata. Filled by the reflectors, asked by the workers; thread-safe.
//
// Every change says which credentials it concerns, through the function given to the constructor.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "api/ses_smtp_credential.h"
#include "kube/object.h"
#include "operator/observation.h"

namespace sessmtp::operator_ {

class Cache {
 public:
  using Enqueue = std::function<void(const kube::NamespacedName& credential)>;

  // A scope is a watched namespace, or "" for all of them.
  Cache(const std::vector<std::string>& scopes, Enqueue enqueue);

  // What the reflectors report. A version older than the one known of the same object is ignored:
  // our own writes are put here before their echo arrives.
  void replace_credentials(const std::string& scope, std::vector<api::SesSmtpCredential> credentials);
  void put_credential(api::SesSmtpCredential credential);
  void remove_credential(const kube::ObjectMeta& meta);
  void replace_secrets(const std::string& scope, const std::vector<kube::ObjectMeta>& secrets);
  void put_secret(const kube::ObjectMeta& meta);
  void remove_secret(const kube::ObjectMeta& meta);
  // We may not list there; what was known is forgotten.
  void refuse_credentials(const std::string& scope);
  void refuse_secrets(const std::string& scope);

  // The answers to our own writes: known at once, and no reason for the writer to look again.
  void note_written_credential(api::SesSmtpCredential credential);
  void note_written_secret(const kube::ObjectMeta& meta, const kube::NamespacedName& writer);

  // Waits until every scope has been listed or refused. False when stopped before.
  [[nodiscard]] bool wait_until_filled(std::stop_token stop);

  // Everything but the time and the live reads; empty when there is no such credential.
  [[nodiscard]] std::optional<Observation> observe(const kube::NamespacedName& credential) const;

  [[nodiscard]] std::size_t credential_count() const;

 private:
  using CredentialPtr = std::shared_ptr<const api::SesSmtpCredential>;
  enum class Fill { kWaiting, kListed, kRefused };
  struct Scope {
    Fill credentials = Fill::kWaiting;
    Fill secrets = Fill::kWaiting;
  };

  // With the mutex held; `concerned` gathers the credentials that the change is about.
  void store_credential(api::SesSmtpCredential credential, std::set<kube::NamespacedName>& concerned);
  void drop_credential(const kube::NamespacedName& key, std::set<kube::NamespacedName>& concerned);
  bool store_secret(const kube::ObjectMeta& meta);  // true: news
  void collect_scope(const std::string& scope, std::set<kube::NamespacedName>& out) const;
  void collect_claimants(const kube::NamespacedName& target, std::set<kube::NamespacedName>& out) const;
  void collect_referrers(const kube::NamespacedName& secret, std::set<kube::NamespacedName>& out) const;
  void wake(const std::set<kube::NamespacedName>& credentials) const;
  [[nodiscard]] Fill secrets_of(const std::string& namespace_) const;
  [[nodiscard]] Sight sight_of(const kube::NamespacedName& secret) const;
  [[nodiscard]] Claims claims_of(const api::SesSmtpCredential& credential, const Sight& target) const;

  const Enqueue enqueue_;
  mutable std::mutex mutex_;
  std::condition_variable_any filled_;
  std::map<std::string, Scope> scopes_;
  std::map<kube::NamespacedName, CredentialPtr> credentials_;
  std::map<kube::NamespacedName, SecretRecord> secrets_;
  std::map<kube::NamespacedName, std::set<std::string>> by_source_;  // Secret -> names of credentials
  std::map<kube::NamespacedName, std::set<std::string>> by_target_;
};

}  // namespace sessmtp::operator_
