// What the contract tests of logins share.
#pragma once

#include <gmock/gmock.h>

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/base64.h"
#include "base/file.h"
#include "login_server.h"
#include "ses/smtp_password.h"
#include "smtp/curl_login_probe.h"

namespace sessmtp::smtp::testing {

using namespace std::chrono_literals;

struct Pair {
  SecretBytes username;
  SecretBytes password;
};

// The example key of the AWS documentation; its password for eu-west-1 holds '+' and '/'.
inline constexpr const char* kAccessKeyId = "AKIAIOSFODNN7EXAMPLE";
inline constexpr const char* kSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

[[nodiscard]] Pair pair_of_key(const std::string& region = kRegion);
[[nodiscard]] std::string name_of_tls(const ::testing::TestParamInfo<ses::Tls>& test);

// Sets variables, and afterwards as they were.
class ScopedEnvironment {
 public:
  explicit ScopedEnvironment(const std::map<std::string, std::string>& variables);
  ~ScopedEnvironment();
  ScopedEnvironment(const ScopedEnvironment&) = delete;
  ScopedEnvironment& operator=(const ScopedEnvironment&) = delete;

 private:
  std::map<std::string, std::optional<std::string>> before_;
};

class LoginTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;
  [[nodiscard]] virtual ses::Tls tls() const = 0;

  [[nodiscard]] static const LoginServer& server() { return *LoginServer::shared(); }
  [[nodiscard]] CurlLoginProbeOptions& options() { return options_; }
  // With the options as they are, and checks that the report tells nothing of the pair.
  [[nodiscard]] LoginReport log_in(const Pair& pair);
  [[nodiscard]] LoginReport log_in(const Pair& pair, const ses::Endpoint& endpoint);
  void use_system_roots(const std::filesystem::path& file) {
    system_roots_.emplace(std::map<std::string, std::string>{{"SSL_CERT_FILE", file.string()}});
  }
  // One that signed no server.
  [[nodiscard]] static std::filesystem::path another_ca();

 private:
  CurlLoginProbeOptions options_;
  std::optional<ScopedEnvironment> system_roots_;
};

class LoginContract : public LoginTest, public ::testing::WithParamInterface<ses::Tls> {
 protected:
  [[nodiscard]] ses::Tls tls() const override { return GetParam(); }
};

// Every text of the report, a line each.
[[nodiscard]] std::string all_texts(const LoginReport& report);

}  // namespace sessmtp::smtp::testing
