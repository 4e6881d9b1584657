// The fake SES of tests/fake_ses as a process of its own, and names that lead to it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/secret_bytes.h"
#include "ses/endpoint.h"

namespace sessmtp::smtp::testing {

// The host whose part the fake plays. In this process it has the address 127.0.0.1, as have localhost and
// what is below example.com. "hangs.test" has none until HangingLookup ends, and other names of .test have
// none at all.
inline constexpr const char* kHost = "email-smtp.eu-west-1.amazonaws.com";
inline constexpr const char* kRegion = "eu-west-1";
inline constexpr const char* kHostOnTheLink = "email-smtp.link-1.amazonaws.com";  // 169.254.1.1
inline constexpr const char* kHostOfMetadata =
    "email-smtp.metadata-1.amazonaws.com";  // ::ffff:169.254.169.254

class LoginServer {
 public:
  // One for the whole program, started when it is first asked for. Null when it could not be started; the
  // running test has failed then, and says why.
  static LoginServer* shared();

  ~LoginServer();
  LoginServer(const LoginServer&) = delete;
  LoginServer& operator=(const LoginServer&) = delete;

  [[nodiscard]] ses::Endpoint endpoint(ses::Tls tls, const std::string& host = kHost) const;
  [[nodiscard]] const std::filesystem::path& ca() const { return ca_; }
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }

  // For the connections to come; tests/fake_ses/conduct.py says what there is.
  void conduct(const nlohmann::json& members) const;
  // From now on exactly these keys are active.
  void accept(const std::map<std::string, std::string>& secret_access_keys) const;
  // What it noted of that kind since forget(), in its order.
  [[nodiscard]] std::vector<nlohmann::json> records(const std::string& kind) const;
  void forget() const;

 private:
  explicit LoginServer(std::filesystem::path folder) : folder_(std::move(folder)) {}
  [[nodiscard]] std::string start();

  const std::filesystem::path folder_;
  std::filesystem::path ca_;
  pid_t process_ = -1;
  std::uint16_t starttls_port_ = 0;
  std::uint16_t tls_port_ = 0;
};

// While it lives, looking up "hangs.test" takes 15 seconds; afterwards it fails.
class HangingLookup {
 public:
  HangingLookup();
  ~HangingLookup();
  HangingLookup(const HangingLookup&) = delete;
  HangingLookup& operator=(const HangingLookup&) = delete;
};

// Look-ups of names, not of addresses, since the program began.
[[nodiscard]] int lookups();

}  // namespace sessmtp::smtp::testing
