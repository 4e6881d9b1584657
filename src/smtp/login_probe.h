// One login at an SMTP server, and no mail: does this pair work there, and if not, why?
#pragma once

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/secret_bytes.h"
#include "ses/endpoint.h"
#include "smtp/login_verdict.h"

namespace sessmtp::smtp {

struct Certificate {
  std::string subject;
  std::string issuer;
  std::vector<std::string> names;  // DNS names it is for
  std::optional<WallTime> not_before;
  std::optional<WallTime> not_after;
};

// All texts are of printable ASCII in one line and of limited length, whatever the server sent, and hold
// nothing of the pair.
struct LoginReport {
  LoginVerdict verdict = LoginVerdict::kProtocolError;
  std::string detail;       // what went wrong, in a few words: "connection refused"
  int reply_code = 0;       // of the reply that decided; 0: there was none
  std::string reply;        // its text, without the code
  std::string address;      // "192.0.2.1", once connected
  std::string tls_version;  // "TLSv1.3", once there is TLS
  std::string cipher;
  std::optional<Certificate> certificate;  // the server's own, also when it was not accepted
  std::vector<std::string> capabilities;   // of the last EHLO: "AUTH PLAIN LOGIN", "8BITMIME"
  std::string mechanism;                   // "PLAIN" or "LOGIN", once tried
};

// Thread-safe: any number of logins at once.
class LoginProbe {
 public:
  virtual ~LoginProbe() = default;

  // Takes no longer than the limits of the implementation, and ends within moments of `stop`: then without a
  // report. The pair is sent over TLS only, to a server whose certificate and name were checked.
  [[nodiscard]] virtual std::optional<LoginReport> log_in(const ses::Endpoint& endpoint,
                                                          const SecretBytes& username,
                                                          const SecretBytes& password,
                                                          std::stop_token stop) = 0;
};

}  // namespace sessmtp::smtp
