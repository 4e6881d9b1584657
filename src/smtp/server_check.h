// Whether the server is the one that was meant, and what its certificate says. One for each connection; used
// by one thread.
#pragma once

#include <openssl/ssl.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "smtp/login_probe.h"

namespace sessmtp::smtp {

class ServerCheck {
 public:
  // For a connection to `host`, a name or an address. Trusts the system's roots and, if a file is given, the
  // certificates in it. kInvalidInput or kIo: that file cannot be used.
  [[nodiscard]] static Result<std::unique_ptr<ServerCheck>> make(std::string host,
                                                                 const std::filesystem::path& ca_file);
  ~ServerCheck();
  ServerCheck(const ServerCheck&) = delete;
  ServerCheck& operator=(const ServerCheck&) = delete;

  // Before a connection is made with this context, which must not outlive the check. `encrypted` is called
  // when a handshake is over.
  [[nodiscard]] bool apply(SSL_CTX* context, std::function<void()> encrypted);

  [[nodiscard]] bool has_begun() const { return begun_; }
  [[nodiscard]] const std::optional<Certificate>& certificate() const { return certificate_; }
  // Why the certificate was not accepted, if it was not.
  [[nodiscard]] const std::string& refusal() const { return refusal_; }
  // The last fatal alert of the server.
  [[nodiscard]] const std::string& alert() const { return alert_; }
  [[nodiscard]] const std::string& tls_version() const { return tls_version_; }
  [[nodiscard]] const std::string& cipher() const { return cipher_; }

 private:
  ServerCheck(std::string host, X509_STORE* roots);

  static int verify(X509_STORE_CTX* chain, void* check);
  static void watch(const SSL* ssl, int where, int value);
  [[nodiscard]] std::string explain(X509_STORE_CTX* chain) const;

  const std::string host_;
  X509_STORE* const roots_;
  std::function<void()> encrypted_;
  bool begun_ = false;
  std::optional<Certificate> certificate_;
  std::string refusal_;
  std::string alert_;
  std::string tls_version_;
  std::string cipher_;
};

}  // namespace sessmtp::smtp
