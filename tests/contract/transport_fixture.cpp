#include "transport_fixture.h"

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>

#include "kube/cpprest_transport.h"

namespace sessmtp::kube::testing {

const CertificateAuthority& cluster_ca() {
  static const CertificateAuthority authority("cluster");
  return authority;
}

const CertificateAuthority& system_ca() {
  static const CertificateAuthority authority("system");
  return authority;
}

const Identity& server_identity() {
  static const Identity identity = cluster_ca().issue();
  return identity;
}

ClusterConfig TransportContract::config_for(const FaultyServer& server) {
  ClusterConfig config;
  config.server = server.url();
  config.certificate_authority.data = cluster_ca().pem();
  config.origin = "the test";
  return config;
}

std::unique_ptr<Transport> TransportContract::make(const ClusterConfig& config, const Limits& limits,
                                                   std::shared_ptr<ExecPlugin> plugin) const {
  auto transport = GetParam().make(config, limits, std::move(plugin));
  if (!transport) {
    ADD_FAILURE() << transport.error().message;
    std::abort();
  }
  return std::move(*transport);
}

std::string to_string(TransportFailure kind) {
  switch (kind) {
    case TransportFailure::kCancelled:
      return "kCancelled";
    case TransportFailure::kDeadline:
      return "kDeadline";
    case TransportFailure::kUnreachable:
      return "kUnreachable";
    case TransportFailure::kTls:
      return "kTls";
    case TransportFailure::kBroken:
      return "kBroken";
    case TransportFailure::kTooLarge:
      return "kTooLarge";
    case TransportFailure::kNoCredentials:
      return "kNoCredentials";
  }
  return "?";
}

void expect_failure(const Result<Response, TransportError>& result, TransportFailure kind,
                    const std::string& text) {
  if (result) {
    ADD_FAILURE() << "expected " << to_string(kind) << ", got status " << result->status << " "
                  << result->body;
    return;
  }
  EXPECT_EQ(to_string(result.error().kind), to_string(kind)) << result.error().message;
  EXPECT_NE(result.error().message.find(text), std::string::npos)
      << "no \"" << text << "\" in: " << result.error().message;
}

void expect_answer(const Result<Response, TransportError>& result, int status, const std::string& body) {
  if (!result) {
    ADD_FAILURE() << "expected an answer, got " << to_string(result.error().kind) << ": "
                  << result.error().message;
    return;
  }
  EXPECT_EQ(result->status, status);
  EXPECT_EQ(result->body, body);
}

Request patch(std::string body) {
  return {.method = "PATCH",
          .target = "/api/v1/namespaces/a/secrets/b?fieldManager=ses-smtp&force=true",
          .headers = {{"Content-Type", "application/apply-patch+yaml"}, {"Authorization", "Bearer abc"}},
          .body = std::move(body)};
}

INSTANTIATE_TEST_SUITE_P(Cpprest, TransportContract,
                         ::testing::Values(TransportFactory{"Cpprest", &make_cpprest_transport}),
                         [](const auto& test) { return test.param.name; });

}  // namespace sessmtp::kube::testing

// A call that a proxy held up is left behind (cpprest_transport.cpp) and ends when the proxy does: in the
// moment in which this process ends, too, what would end it may have been queued and not run.
// NOLINTNEXTLINE(bugprone-reserved-identifier,readability-identifier-naming): LeakSanitizer's name
extern "C" const char* __lsan_default_suppressions();
// NOLINTNEXTLINE(bugprone-reserved-identifier,readability-identifier-naming)
extern "C" const char* __lsan_default_suppressions() {
  return "leak:_CancelAndRunContinuations\n";
}

int main(int argc, char** argv) {
  using sessmtp::kube::testing::system_ca;
  ::testing::InitGoogleTest(&argc, argv);
  const auto roots =
      std::filesystem::temp_directory_path() / ("contract-roots-" + std::to_string(::getpid()) + ".pem");
  std::ofstream(roots) << system_ca().pem();
  ::setenv("SSL_CERT_FILE", roots.c_str(), 1);
  if (const auto ready = sessmtp::kube::initialize_http_threads(); !ready) {
    std::cerr << ready.error().message << '\n';
    return 1;
  }
  const int result = RUN_ALL_TESTS();
  std::filesystem::remove(roots);
  return result;
}
