// How we do TLS with the API server: whom we trust, who we are, and why a handshake failed.
#pragma once

#include <openssl/ssl.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/result.h"
#include "kube/config.h"
#include "kube/exec_plugin.h"

namespace sessmtp::kube {

// True for "10.0.0.1" and "::1", without brackets.
[[nodiscard]] bool is_ip_literal(const std::string& host);

// Thread-safe. Contexts share its ownership, so it lives as long as the last connection.
class TlsPolicy : public std::enable_shared_from_this<TlsPolicy> {
 public:
  using Instant = std::chrono::steady_clock::time_point;
  using HandshakeHook = void (*)(SSL*);

  // `hook` is called when a handshake begins, that is, as soon as there is a connected socket. `plugin`, if
  // there is one, gives the client certificate.
  TlsPolicy(const ClusterConfig& config, std::string server_name, HandshakeHook hook,
            std::shared_ptr<ExecPlugin> plugin);

  // Prepares the context of one new connection. Certificates and keys are read here, so that rotated
  // files need no restart. Trusts the cluster's CA alone; the system's roots only when none is given.
  [[nodiscard]] Result<void> apply(SSL_CTX* context);
  // Logs once that new connections cannot be made for what apply() says, and once that they can again.
  void note(const Result<void>& applied);

  // True once after the CA, the client certificate or its key have changed: connections made before belong
  // to the past. Files are read for this every `interval` (client-go:transport/cert_rotation.go), and one
  // that cannot be read has not changed.
  [[nodiscard]] bool rotated(std::chrono::milliseconds interval);

  // The last reason to refuse a server's certificate, if there was one at or after `since`.
  [[nodiscard]] std::optional<std::string> refusal_since(Instant since) const;
  // The last fatal alert a server sent, if there was one at or after `since`.
  [[nodiscard]] std::optional<std::string> alert_since(Instant since) const;

 private:
  struct Note {
    std::string text;
    Instant when;
  };

  static int verify(X509_STORE_CTX* chain, void* policy);
  static void watch(const SSL* ssl, int where, int value);
  [[nodiscard]] Result<void> trust(SSL_CTX* context) const;
  [[nodiscard]] Result<void> identify(SSL_CTX* context) const;
  [[nodiscard]] std::optional<std::string> fingerprint() const;
  [[nodiscard]] std::string explain(X509_STORE_CTX* chain) const;
  void write(std::optional<Note>& note, std::string text);
  [[nodiscard]] std::optional<std::string> read(const std::optional<Note>& note, Instant since) const;

  const Pem authority_;
  const Pem certificate_;
  const Pem key_;
  const std::string server_name_;  // to be found in the certificate
  const bool verify_server_;
  const HandshakeHook hook_;
  const std::shared_ptr<ExecPlugin> plugin_;
  mutable std::mutex mutex_;
  bool unusable_ = false;  // what apply() needs
  std::optional<Note> refusal_;
  std::optional<Note> alert_;
  std::optional<std::string> fingerprint_;  // of what was last seen
  Instant looked_at_;
  std::uint64_t plugin_revision_ = 0;
};

}  // namespace sessmtp::kube
