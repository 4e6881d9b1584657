// Makes what a server said fit for logs, conditions and terminals. Thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/secret_bytes.h"
#include "smtp/login_probe.h"

namespace sessmtp::smtp {

class Redactor {
 public:
  Redactor(const SecretBytes& username, const SecretBytes& password);

  // One line of printable ASCII of at most `max_size` characters. What it shares with the user name, the
  // password or their base64, be it a part of them, is "****".
  [[nodiscard]] std::string clean(std::string_view text, std::size_t max_size) const;
  // All texts of a report.
  void clean(LoginReport& report) const;

 private:
  void add(std::string secret);
  [[nodiscard]] std::size_t secret_at(std::string_view text) const;

  std::vector<SecretBytes> secrets_;
};

}  // namespace sessmtp::smtp
