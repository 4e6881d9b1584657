// What the contract tests share. They are parameterised over the transport: a second one is run through
// them by one more INSTANTIATE_TEST_SUITE_P.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <ostream>
#include <string>

#include "certificates.h"
#include "faulty_server.h"
#include "kube/config.h"
#include "kube/exec_plugin.h"
#include "kube/transport.h"

namespace sessmtp::kube::testing {

using namespace std::chrono_literals;

struct TransportFactory {
  std::string name;
  std::function<Result<std::unique_ptr<Transport>>(const ClusterConfig&, const Limits&,
                                                   std::shared_ptr<ExecPlugin>)>
      make;

  friend std::ostream& operator<<(std::ostream& out, const TransportFactory& factory) {
    return out << factory.name;
  }
};

// Far above what is needed, far below what a test run would bear.
inline constexpr std::chrono::milliseconds kPatience = 20s;
inline constexpr std::chrono::milliseconds kPromptly = 2s;

[[nodiscard]] const CertificateAuthority& cluster_ca();
// Trusted by this process' system store (SSL_CERT_FILE), not by any cluster.
[[nodiscard]] const CertificateAuthority& system_ca();
[[nodiscard]] const Identity& server_identity();  // of the cluster's CA, for localhost and 127.0.0.1

class Stopwatch {
 public:
  [[nodiscard]] std::chrono::milliseconds elapsed() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin_);
  }

 private:
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

class TransportContract : public ::testing::TestWithParam<TransportFactory> {
 protected:
  [[nodiscard]] static ClusterConfig config_for(const FaultyServer& server);
  [[nodiscard]] std::unique_ptr<Transport> make(const ClusterConfig& config, const Limits& limits = {},
                                                std::shared_ptr<ExecPlugin> plugin = nullptr) const;
  [[nodiscard]] std::unique_ptr<Transport> connect(const FaultyServer& server,
                                                   const Limits& limits = {}) const {
    return make(config_for(server), limits);
  }
};

[[nodiscard]] std::string to_string(TransportFailure kind);

// The two assertions nearly every test ends with; both print what came instead.
void expect_failure(const Result<Response, TransportError>& result, TransportFailure kind,
                    const std::string& text = "");
void expect_answer(const Result<Response, TransportError>& result, int status, const std::string& body);

// A write as the client makes them.
[[nodiscard]] Request patch(std::string body);

// An HTTPS server of the cluster.
[[nodiscard]] inline ServerOptions https() {
  return {.identity = server_identity(), .client_authority = {}};
}

}  // namespace sessmtp::kube::testing
