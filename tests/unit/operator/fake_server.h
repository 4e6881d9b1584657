// An API server in memory, behind HTTP: the fake API with lists in pages, watches, leases, events and a
// schema, for any number of clients on any number of threads.
//
//   FakeServer server;
//   FakeConnection connection(server);  // a kube::Transport
//   server.use([](World& world) { world.source(kKey).credential(); });
//   EXPECT_TRUE(server.eventually([](const World& world) { return world.says() == "Ready=True Synced"; }));
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "kube/transport.h"
#include "world.h"

namespace sessmtp::operator_ {

// What kSchemaPath answers when the CRD has all fields but these.
[[nodiscard]] json crd_schema(const std::set<std::string>& without = {});

// Thread-safe but for world(), which is for tests of a single thread.
class FakeServer {
 public:
  // Somebody else's client, or a look at the world.
  template <class Use>
  auto use(const Use& use) {
    const std::scoped_lock lock(mutex_);
    struct Notify {
      std::condition_variable_any& changed;
      ~Notify() { changed.notify_all(); }
    } notify{changed_};
    return use(world_);
  }
  World& world() { return world_; }

  // Waits until it is so. False when that takes a minute.
  [[nodiscard]] bool eventually(const std::function<bool(World&)>& condition);

  void set_schema(std::optional<json> schema);  // none: there is no CRD
  void cut_watches();

 private:
  friend class FakeConnection;
  struct Watch {
    std::string collection;
    std::string selector;
    bool metadata_only;
    std::uint64_t version;
    std::chrono::steady_clock::time_point end;
    std::optional<int> generation = std::nullopt;
  };
  static constexpr std::size_t kPageSize = 2;  // so that few objects make several pages

  [[nodiscard]] Answer handle(const kube::Request& request);
  [[nodiscard]] Answer write(const std::string& path, const kube::Request& request);
  [[nodiscard]] Answer list(const std::string& collection, const kube::Request& request) const;
  // The lines that are new; waits for some. Empty: the time is over. Nothing: cut, or asked to stop.
  [[nodiscard]] std::optional<std::string> next_lines(Watch& watch, std::stop_token stop);

  std::mutex mutex_;
  std::condition_variable_any changed_;
  World world_;
  std::optional<json> schema_ = crd_schema();
  int generation_ = 0;  // of watches: those of an earlier one are cut
};

// One client's way to the server, which can be told to fail. Thread-safe.
//
// Calls are named by verb and path without group: "GET shop/secrets/iam", "LIST secrets" (of all namespaces),
// "WATCH shop/secrets", "PATCH shop/sessmtpcredentials/mail/status", "GET openapi".
class FakeConnection final : public kube::Transport {
 public:
  explicit FakeConnection(FakeServer& server) : server_(server) {}

  using Meanwhile = std::function<void(std::stop_token)>;
  void before(const std::string& call, Meanwhile meanwhile);  // the next one only; may block or throw
  void refuse(const std::string& call, Answer answer, std::optional<std::chrono::seconds> retry_after = {});
  void cut(const std::string& call);
  void heal();  // nothing fails any more

  [[nodiscard]] std::vector<std::string> calls() const;
  [[nodiscard]] bool called(const std::string& prefix) const;
  void forget_calls();

  Result<kube::Response, kube::TransportError> send(const kube::Request& request,
                                                    std::chrono::milliseconds deadline,
                                                    std::stop_token stop) override;
  Result<kube::Response, kube::TransportError> stream(const kube::Request& request,
                                                      std::chrono::milliseconds idle, std::stop_token stop,
                                                      const OnBytes& on_bytes) override;

 private:
  struct Refusal {
    Answer answer;
    std::optional<std::chrono::seconds> retry_after;
  };
  // What happens instead of an answer of the server.
  [[nodiscard]] std::optional<Result<kube::Response, kube::TransportError>> trouble(
      const kube::Request& request, std::stop_token stop);

  FakeServer& server_;
  mutable std::mutex mutex_;
  std::vector<std::string> calls_;
  std::map<std::string, Meanwhile> before_;
  std::map<std::string, Refusal> refused_;
  std::set<std::string> cut_;
};

}  // namespace sessmtp::operator_
