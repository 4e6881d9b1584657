// Credentials that change while a transport lives.
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>

#include "kube/client.h"
#include "kube/token_source.h"
#include "transport_fixture.h"

namespace sessmtp::kube::testing {
namespace {

using ::testing::ElementsAre;
namespace fs = std::filesystem;

class Files {
 public:
  Files() : folder_(fs::path(::testing::TempDir()) / ("rotation-" + std::to_string(::getpid()))) {
    fs::create_directory(folder_);
  }
  ~Files() { fs::remove_all(folder_); }
  Files(const Files&) = delete;
  Files& operator=(const Files&) = delete;

  [[nodiscard]] fs::path write(const std::string& name, const std::string& content) const {
    std::ofstream(folder_ / name) << content;
    return folder_ / name;
  }

 private:
  const fs::path folder_;
};

// Accepts people of its CA and keeps who they were; connections stay open.
class Door {
 public:
  Door()
      : server({.identity = server_identity(), .client_authority = people.pem()}, [](Connection& connection) {
          while (connection.read_request()) {
            const std::string name = connection.client_name();
            connection.answer(200, R"({"name":")" + name + "\"}");
          }
        }) {}

  [[nodiscard]] Identity issue(const std::string& name) const {
    return people.issue({.common_name = name, .names = {}});
  }

  const CertificateAuthority people{"people"};
  FaultyServer server;
};

TEST_P(TransportContract, RotatedClientCertificateFileReplacesOldConnections) {
  const Door door;
  const Files files;
  ClusterConfig config = config_for(door.server);
  const auto write = [&](const std::string& name) {
    const Identity me = door.issue(name);
    config.client_certificate.file = files.write("tls.crt", me.certificate);
    config.client_key.file = files.write("tls.key", me.key);
  };
  write("old");
  const auto transport = make(config, {.rotation_check = 0ms});
  expect_answer(transport->send({}, kPatience, {}), 200, R"({"name":"old"})");
  write("new");
  expect_answer(transport->send({}, kPatience, {}), 200, R"({"name":"new"})");
  const int connections = door.server.connections();
  fs::remove(config.client_key.file);  // in the middle of a rotation: what is open is used on
  expect_answer(transport->send({}, kPatience, {}), 200, R"({"name":"new"})");
  EXPECT_EQ(door.server.connections(), connections);
}

TEST_P(TransportContract, ClientCertificateOfAPluginIsUsedAndReplaced) {
  const Door door;
  struct StoppedClock final : Clock {
    [[nodiscard]] WallTime now() const override { return begin + passed; }
    [[nodiscard]] SteadyTime steady() const override { return SteadyTime(1h) + passed; }
    const WallTime begin = SystemClock().now();
    std::chrono::seconds passed{0};
  } clock;
  ClusterConfig config = config_for(door.server);
  config.exec = ExecConfig{.command = "plugin",
                           .arguments = {},
                           .environment = {},
                           .api_version = kExecV1,
                           .install_hint = {},
                           .cluster_config = {}};
  int runs = 0;
  const auto print = [&](const ChildProcess&, const std::stop_token&) -> Result<std::string> {
    const Identity me = door.issue(++runs == 1 ? "first" : "second");
    const auto expires = to_rfc3339_micro(clock.now() + 60s);
    return nlohmann::json{{"apiVersion", kExecV1},
                          {"kind", "ExecCredential"},
                          {"status",
                           {{"clientCertificateData", me.certificate},
                            {"clientKeyData", me.key},
                            {"expirationTimestamp", expires}}}}
        .dump();
  };
  const auto plugin = std::make_shared<ExecPlugin>(config, clock, print);
  const auto transport = make(config, {}, plugin);
  TokenSource tokens(config, clock, plugin);
  Client client(*transport, tokens);
  for (const std::string expected : {"first", "first", "second"}) {
    if (expected == "second") {
      clock.passed = 60s;  // nothing runs meanwhile
    }
    const auto answer = client.get("/", {});
    ASSERT_TRUE(answer) << answer.error().message;
    EXPECT_EQ(answer->at("name"), expected);
  }
}

TEST_P(TransportContract, RotatedTokenIsPickedUpAfterARefusal) {
  std::mutex mutex;
  std::vector<std::string> seen;
  std::string valid = "Bearer old";
  FaultyServer server(https(), [&](Connection& connection) {
    while (auto request = connection.read_request()) {
      const std::lock_guard lock(mutex);
      const std::string given = request->headers["authorization"];
      seen.push_back(given);
      connection.answer(given == valid ? 200 : 401, "{}");
    }
  });
  const Files files;
  ClusterConfig config = config_for(server);
  config.token_file = files.write("token", "old\n");
  const auto transport = make(config);
  const SystemClock clock;
  TokenSource tokens(config, clock);
  Client client(*transport, tokens);
  EXPECT_TRUE(client.get("/", {}));
  {
    const std::lock_guard lock(mutex);
    valid = "Bearer new";
  }
  static_cast<void>(files.write("token", "new\n"));
  EXPECT_TRUE(client.get("/", {}));
  const std::lock_guard lock(mutex);
  EXPECT_THAT(seen, ElementsAre("Bearer old", "Bearer old", "Bearer new"));
}

TEST_P(TransportContract, RedirectNeverTakesTheTokenAlong) {
  std::atomic<int> reached = 0;
  FaultyServer other(https(), [&](Connection& connection) {
    ++reached;
    static_cast<void>(connection.read_request());
    connection.answer(200, "{}");
  });
  FaultyServer server(https(), [&](Connection& connection) {
    while (connection.read_request()) {
      connection.answer(307, "", "Location: " + other.url() + "/steal\r\n");
    }
  });
  ClusterConfig config = config_for(server);
  config.token = "secret";
  const auto transport = make(config);
  const SystemClock clock;
  TokenSource tokens(config, clock);
  Client client(*transport, tokens);
  EXPECT_FALSE(client.get("/", {}));
  EXPECT_FALSE(client.watch("/", {}, {}, [](std::string_view) {}));
  EXPECT_EQ(reached, 0);
}

}  // namespace
}  // namespace sessmtp::kube::testing
