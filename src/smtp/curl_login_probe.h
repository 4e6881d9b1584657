// The login probe over libcurl, which speaks SMTP for us.
#pragma once

#include <chrono>
#include <filesystem>

#include "base/result.h"
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
  // Before any thread is started: libcurl's global set-up is not thread-safe.
  explicit CurlLoginProbe(CurlLoginProbeOptions options) : options_(std::move(options)) {}

  [[nodiscard]] std::optional<LoginReport> log_in(const ses::Endpoint& endpoint, const SecretBytes& username,
                                                  const SecretBytes& password, std::stop_token stop) override;

 private:
  const CurlLoginProbeOptions options_;
};

}  // namespace sessmtp::smtp
