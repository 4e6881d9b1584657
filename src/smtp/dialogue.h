// Follows an SMTP login by what the server says: libcurl tells its user neither which reply it waits for nor
// whether it came to a login at all. Mirrors how libcurl 7.88 reads replies (lib/smtp.c, lib/curl_sasl.c) and
// what it sends for them. Pure; not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ses/endpoint.h"
#include "smtp/login_verdict.h"

namespace sessmtp::smtp {

class Dialogue {
 public:
  // What is waited for.
  enum class Step : std::uint8_t {
    kConnection,  // with TLS where that comes first
    kGreeting,
    kEhlo,
    kStartTls,
    kTls,
    kEhloOverTls,
    kAuth,      // for 334, before anything of the pair was sent
    kUserName,  // the same, for LOGIN
    kLogin      // for the reply to the pair
  };

  struct Outcome {
    LoginVerdict verdict = LoginVerdict::kProtocolError;
    std::string detail;
  };

  explicit Dialogue(ses::Tls tls) : tls_(tls) {}

  void connected();  // by TCP
  void encrypted();  // the handshake is over, and the certificate was accepted
  // One line, with its end. False: it ends the conversation; nothing that comes afterwards counts.
  [[nodiscard]] bool hear(std::string_view line);

  [[nodiscard]] Step step() const { return step_; }
  [[nodiscard]] bool heard_anything() const { return heard_anything_; }
  [[nodiscard]] bool is_encrypted() const { return encrypted_; }
  // Once a reply has decided; its verdict is kAuthenticated only for 235 to a pair that went over TLS.
  [[nodiscard]] const std::optional<Outcome>& outcome() const { return outcome_; }
  // The last reply, whole or in part.
  [[nodiscard]] int code() const { return code_; }
  [[nodiscard]] const std::string& text() const { return text_; }
  // Of the last EHLO.
  [[nodiscard]] const std::vector<std::string>& capabilities() const { return capabilities_; }
  [[nodiscard]] const std::string& mechanism() const { return mechanism_; }

 private:
  void next(Step step);
  void decide(LoginVerdict verdict, std::string detail);
  void refuse(std::string_view what);
  void conclude();
  void conclude_ehlo();
  void conclude_auth();
  [[nodiscard]] bool offers(std::string_view keyword) const;
  [[nodiscard]] bool offers_mechanism(std::string_view name) const;

  ses::Tls tls_;
  Step step_ = Step::kConnection;
  bool heard_anything_ = false;
  bool encrypted_ = false;
  bool in_reply_ = false;
  std::size_t size_ = 0;
  int code_ = 0;
  std::string text_;
  std::vector<std::string> lines_;  // of the reply to EHLO that is being heard
  std::vector<std::string> capabilities_;
  std::string mechanism_;
  std::optional<Outcome> outcome_;
};

// "the greeting", "the reply to EHLO": for messages.
[[nodiscard]] std::string_view describe(Dialogue::Step step);

}  // namespace sessmtp::smtp
