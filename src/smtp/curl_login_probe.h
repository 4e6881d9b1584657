// The login probe over libcurl, which speaks SMTP for us (docs/adr/0015-libcurl-for-logins.md). Each login
// has a connection of its own; a name lookup that hangs when a login ends is left behind in a thread of
// libcurl.
#pragma once

#include <chrono>
#include <filesystem>

#include "smtp/endpoint_policy.h"
#include "smtp/login_probe.h"

namespace sessmtp::smtp {

struct LoginLimits {
  std::chrono::milliseconds connect{10'000};  // name, TCP and TLS
  std::chrono::milliseconds reply{10'000};    // each answer of the server
  std::chrono::milliseconds total{30'000};
};

struct CurlLoginProbeOptions {
  EndpointPolicy policy = EndpointPolicy();
  std::filesystem::path ca_file = {};  // PEM: trusted besides the system's roots; read at each login
  LoginLimits limits = {};
};

class CurlLoginProbe final : public LoginProbe {
 public:
  // Sets libcurl up, once for the process: before anything else in it uses libcurl.
  explicit CurlLoginProbe(CurlLoginProbeOptions options);

  [[nodiscard]] std::optional<LoginReport> log_in(const ses::Endpoint& endpoint, const SecretBytes& username,
                                                  const SecretBytes& password, std::stop_token stop) override;

 private:
  const CurlLoginProbeOptions options_;
};

}  // namespace sessmtp::smtp
