// Whom a transport believes, and what it tells about those it does not.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "transport_fixture.h"

namespace sessmtp::kube::testing {
namespace {

void say_hello(Connection& connection) {
  while (connection.read_request()) {
    connection.answer(200, "hello");
  }
}

Result<Response, TransportError> get(Transport& transport) {
  return transport.send({}, kPatience, {});
}

ServerOptions with_identity(const Identity& identity) {
  return {.identity = identity, .client_authority = {}};
}

TEST_P(TransportContract, ServerOfTheClustersCaIsBelieved) {
  FaultyServer server(https(), say_hello);
  expect_answer(get(*connect(server)), 200, "hello");
}

TEST_P(TransportContract, NameInsteadOfAddressIsBelieved) {
  FaultyServer server(https(), say_hello);
  ClusterConfig config = config_for(server);
  config.server = server.url("localhost");
  expect_answer(get(*make(config)), 200, "hello");
}

TEST_P(TransportContract, ServerOfAnotherCaIsRefused) {
  const CertificateAuthority other("other");
  FaultyServer server(with_identity(other.issue()), say_hello);
  expect_failure(get(*connect(server)), TransportFailure::kTls, "not signed by the cluster's CA");
}

TEST_P(TransportContract, ServerOfAnImpostorCaOfTheSameNameIsRefused) {
  const CertificateAuthority impostor("cluster");
  FaultyServer server(with_identity(impostor.issue()), say_hello);
  expect_failure(get(*connect(server)), TransportFailure::kTls, "not signed by the cluster's CA");
}

TEST_P(TransportContract, SystemRootsDoNotCountWhenTheClusterHasACa) {
  FaultyServer server(with_identity(system_ca().issue()), say_hello);
  expect_failure(get(*connect(server)), TransportFailure::kTls, "not signed by the cluster's CA");
}

TEST_P(TransportContract, SystemRootsCountWhenTheClusterHasNoCa) {
  FaultyServer server(with_identity(system_ca().issue()), say_hello);
  ClusterConfig config = config_for(server);
  config.certificate_authority = {};
  expect_answer(get(*make(config)), 200, "hello");
}

TEST_P(TransportContract, WrongHostNameIsRefusedAndExplained) {
  FaultyServer server(with_identity(cluster_ca().issue({.names = {"DNS:example.org", "IP:10.0.0.1"}})),
                      say_hello);
  const auto result = get(*connect(server));
  expect_failure(result, TransportFailure::kTls, "not valid for 127.0.0.1");
  expect_failure(result, TransportFailure::kTls, "example.org, 10.0.0.1");
}

TEST_P(TransportContract, CommonNameIsNoHostName) {
  FaultyServer server(with_identity(cluster_ca().issue({.common_name = "localhost", .names = {}})),
                      say_hello);
  ClusterConfig config = config_for(server);
  config.server = server.url("localhost");
  expect_failure(get(*make(config)), TransportFailure::kTls, "not valid for localhost");
}

TEST_P(TransportContract, ExpiredCertificateIsRefused) {
  FaultyServer server(with_identity(cluster_ca().issue({.not_before = -7200, .not_after = -3600})),
                      say_hello);
  expect_failure(get(*connect(server)), TransportFailure::kTls, "check the clock");
}

TEST_P(TransportContract, CertificateOfTheFutureIsRefused) {
  FaultyServer server(with_identity(cluster_ca().issue({.not_before = 3600, .not_after = 7200})), say_hello);
  expect_failure(get(*connect(server)), TransportFailure::kTls, "check the clock");
}

TEST_P(TransportContract, ServerThatSpeaksOnlyOldTlsIsRefused) {
  FaultyServer server({.identity = server_identity(), .client_authority = {}, .outdated = true}, say_hello);
  expect_failure(get(*connect(server)), TransportFailure::kTls, "protocol");
}

TEST_P(TransportContract, TlsServerNameReplacesTheHostInCheckAndSni) {
  std::promise<std::string> seen;
  FaultyServer server(with_identity(cluster_ca().issue({.names = {"DNS:kubernetes.test"}})),
                      [&](Connection& connection) {
                        seen.set_value(connection.server_name());
                        say_hello(connection);
                      });
  ClusterConfig config = config_for(server);
  config.tls_server_name = "kubernetes.test";
  expect_answer(get(*make(config)), 200, "hello");
  EXPECT_EQ(seen.get_future().get(), "kubernetes.test");
}

TEST_P(TransportContract, AddressesAreNotSentAsServerName) {
  std::promise<std::string> seen;
  FaultyServer server(https(), [&](Connection& connection) {
    seen.set_value(connection.server_name());
    say_hello(connection);
  });
  expect_answer(get(*connect(server)), 200, "hello");
  EXPECT_EQ(seen.get_future().get(), "");
}

TEST_P(TransportContract, VerificationIsSkippedOnlyOnRequest) {
  const CertificateAuthority other("other");
  FaultyServer server(with_identity(other.issue({.names = {}})), say_hello);
  ClusterConfig config = config_for(server);
  config.certificate_authority = {};
  expect_failure(get(*make(config)), TransportFailure::kTls, "not signed by a CA of this system");
  config.insecure_skip_tls_verify = true;
  expect_answer(get(*make(config)), 200, "hello");
}

TEST_P(TransportContract, ClientCertificateIsPresented) {
  const CertificateAuthority people("people");
  FaultyServer server({.identity = server_identity(), .client_authority = people.pem()}, say_hello);
  ClusterConfig config = config_for(server);
  const Identity me = people.issue({.common_name = "me", .names = {}});
  config.client_certificate.data = me.certificate;
  config.client_key.data = me.key;
  expect_answer(get(*make(config)), 200, "hello");
}

TEST_P(TransportContract, MissingClientCertificateIsExplained) {
  const CertificateAuthority people("people");
  FaultyServer server({.identity = server_identity(), .client_authority = people.pem()}, say_hello);
  expect_failure(get(*connect(server)), TransportFailure::kTls, "certificate");
}

TEST_P(TransportContract, RefusedClientCertificateIsExplained) {
  const CertificateAuthority people("people");
  FaultyServer server({.identity = server_identity(), .client_authority = people.pem()}, say_hello);
  ClusterConfig config = config_for(server);
  const Identity stranger = CertificateAuthority("strangers").issue({.common_name = "me", .names = {}});
  config.client_certificate.data = stranger.certificate;
  config.client_key.data = stranger.key;
  expect_failure(get(*make(config)), TransportFailure::kTls, "the server ended the TLS session: unknown CA");
}

TEST_P(TransportContract, RotatedCaFileIsReadAtTheNextConnection) {
  const auto file =
      std::filesystem::path(::testing::TempDir()) / ("rotated-" + std::to_string(::getpid()) + ".crt");
  const CertificateAuthority old("old");
  std::ofstream(file) << old.pem();
  FaultyServer server(https(), [](Connection& connection) {
    if (connection.read_request()) {
      connection.answer(200, "hello", "Connection: close\r\n");
    }
  });
  ClusterConfig config = config_for(server);
  config.certificate_authority = {.data = {}, .file = file};
  const auto transport = make(config);
  expect_failure(get(*transport), TransportFailure::kTls, "not signed by the cluster's CA");
  std::ofstream(file) << cluster_ca().pem();
  expect_answer(get(*transport), 200, "hello");
  std::filesystem::remove(file);
}

// A fault of ours is not the server's, whatever stage it shows at.
TEST_P(TransportContract, ClientKeyThatIsGoneIsLoggedOnceAndIsNoFaultOfTheServer) {
  const CertificateAuthority people("people");
  const Identity me = people.issue({.common_name = "me", .names = {}});
  const auto file =
      std::filesystem::path(::testing::TempDir()) / ("client-" + std::to_string(::getpid()) + ".key");
  std::ofstream(file) << me.key;
  FaultyServer server({.identity = server_identity(), .client_authority = people.pem()},
                      [](Connection& connection) {
                        if (connection.read_request()) {
                          connection.answer(200, "hello", "Connection: close\r\n");
                        }
                      });
  ClusterConfig config = config_for(server);
  config.client_certificate.data = me.certificate;
  config.client_key.file = file;
  const auto transport = make(config);
  ::testing::internal::CaptureStderr();
  std::filesystem::remove(file);
  expect_failure(get(*transport), TransportFailure::kNoCredentials, file.string());
  std::ofstream(file) << people.issue().key;
  expect_failure(get(*transport), TransportFailure::kNoCredentials, "do not fit");
  std::ofstream(file) << me.key;
  expect_answer(get(*transport), 200, "hello");
  const std::string logged = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::ranges::count(logged, '\n'), 2) << logged;
  EXPECT_NE(logged.find(file.string()), std::string::npos) << logged;
  EXPECT_NE(logged.find("usable again"), std::string::npos) << logged;
  std::filesystem::remove(file);
}

TEST_P(TransportContract, PlainHttpServerIsNotMistakenForABrokenLine) {
  FaultyServer server({.identity = std::nullopt, .client_authority = {}}, [](Connection& connection) {
    connection.write("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
  });
  ClusterConfig config = config_for(server);
  config.server = "https://127.0.0.1:" + std::to_string(server.port());
  expect_failure(get(*make(config)), TransportFailure::kTls, "wrong version number");
}

TEST_P(TransportContract, BadConfigurationIsRefusedAtOnce) {
  struct Case {
    std::string text;
    std::function<void(ClusterConfig&)> change;
  };
  const std::string pem = cluster_ca().pem();
  const Identity mine = cluster_ca().issue();
  const Identity other = cluster_ca().issue();
  const Case cases[] = {
      {"IPv6", [](ClusterConfig& c) { c.server = "https://[::1]:6443"; }},
      {"not a URL", [](ClusterConfig& c) { c.server = "https://exa mple"; }},
      {"ftp", [](ClusterConfig& c) { c.server = "ftp://example.org"; }},
      {"scheme, host and port", [](ClusterConfig& c) { c.server = "https://me:hunter2@h"; }},
      {"server of the test", [](ClusterConfig& c) { c.server = "h:6443"; }},
      {"server of the test", [](ClusterConfig& c) { c.server = "https://"; }},
      {"socks5", [](ClusterConfig& c) { c.proxy_url = "socks5://127.0.0.1:1080"; }},
      {"proxy-url of the test: only http is", [](ClusterConfig& c) { c.proxy_url = "https://p:1"; }},
      {"proxy-url of the test: IPv6", [](ClusterConfig& c) { c.proxy_url = "http://[::1]:1"; }},
      {"no PEM certificate", [](ClusterConfig& c) { c.certificate_authority.data = "nonsense"; }},
      {"/nowhere/ca.crt",
       [](ClusterConfig& c) { c.certificate_authority = {.data = {}, .file = "/nowhere/ca.crt"}; }},
      {"client key",
       [&](ClusterConfig& c) {
         c.client_certificate.data = mine.certificate;
         c.client_key.data = "nonsense";
       }},
      {"do not fit",
       [&](ClusterConfig& c) {
         c.client_certificate.data = mine.certificate;
         c.client_key.data = other.key;
       }},
  };
  for (const Case& one : cases) {
    ClusterConfig config;
    config.server = "https://127.0.0.1:6443";
    config.certificate_authority.data = pem;
    config.origin = "the test";
    one.change(config);
    const auto transport = GetParam().make(config, {}, nullptr);
    ASSERT_FALSE(transport) << one.text;
    EXPECT_NE(transport.error().message.find(one.text), std::string::npos) << transport.error().message;
    EXPECT_EQ(transport.error().message.find("hunter2"), std::string::npos);
  }
}

}  // namespace
}  // namespace sessmtp::kube::testing
