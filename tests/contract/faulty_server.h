// An HTTPS server that does what its script says, faults included.
//
// One thread a connection, blocking sockets. A script never sleeps: it waits for the client, for a gate
// of the test, or for the client to go away. The destructor unblocks and joins everything.
#pragma once

#include <openssl/ssl.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "certificates.h"

namespace sessmtp::kube::testing {

struct ReceivedRequest {
  std::string method;
  std::string target;
  std::map<std::string, std::string> headers;  // names in lower case; several of one name a line each
  std::string body;
};

class Connection {
 public:
  Connection(int socket, SSL* ssl, int number) : socket_(socket), ssl_(ssl), number_(number) {}

  // 0 for the first connection of a server.
  [[nodiscard]] int number() const { return number_; }
  [[nodiscard]] std::string server_name() const;  // as in SNI
  [[nodiscard]] std::string client_name() const;  // common name of the client's certificate

  // Nothing when the client has closed.
  std::optional<ReceivedRequest> read_request();
  // False when the client has closed.
  bool write(std::string_view bytes);
  // A whole answer with a Content-Length.
  bool answer(int status, std::string_view body, std::string_view extra_headers = "");
  // The head of a chunked answer, one chunk, the last chunk.
  bool begin_chunked(int status = 200);
  bool chunk(std::string_view bytes);
  bool end_chunked();

  // The connection is gone at once: without the TLS farewell.
  void cut();
  // Waits until the client has closed, at most `time`: true if it has.
  bool peer_closes_within(std::chrono::milliseconds time);
  void wait_until_peer_closes();

  // For a proxy: relays to a port of this host until one side closes.
  void relay_to(int port);

 private:
  long read_some(char* buffer, std::size_t size);

  const int socket_;
  SSL* const ssl_;  // none: plain
  const int number_;
  std::string buffer_;
};

struct ServerOptions {
  std::optional<Identity> identity;  // none: plain HTTP
  std::string client_authority;      // PEM; given: a client certificate is required
  bool handshake = true;             // false: the script runs on the bare TCP connection
  bool outdated = false;             // TLS 1.1 at most, with what that needs
};

class FaultyServer {
 public:
  using Script = std::function<void(Connection&)>;

  FaultyServer(ServerOptions options, Script script);
  ~FaultyServer();
  FaultyServer(const FaultyServer&) = delete;
  FaultyServer& operator=(const FaultyServer&) = delete;

  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] std::string url(const std::string& host = "127.0.0.1") const;
  [[nodiscard]] int connections() const { return connections_; }

 private:
  void accept_all();
  void serve(int socket, int number);

  const ServerOptions options_;
  const Script script_;
  SSL_CTX* context_ = nullptr;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<int> connections_ = 0;
  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;
  std::list<int> sockets_;
  std::list<std::jthread> threads_;
  std::jthread acceptor_;
};

// A port where nobody listens.
[[nodiscard]] int unused_port();

// A listener whose queue is full: a connection to its port never completes.
class DeafListener {
 public:
  DeafListener();
  ~DeafListener();
  DeafListener(const DeafListener&) = delete;
  DeafListener& operator=(const DeafListener&) = delete;
  [[nodiscard]] int port() const { return port_; }

 private:
  std::list<int> sockets_;
  int port_ = 0;
};

}  // namespace sessmtp::kube::testing
