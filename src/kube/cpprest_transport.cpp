#include "kube/cpprest_transport.h"

#include <cpprest/http_client.h>
#include <netinet/tcp.h>
#include <pplx/threadpool.h>
#include <sys/socket.h>

#include <mutex>
#include <optional>
#include <utility>

#include "kube/cpprest_call.h"
#include "kube/tls_policy.h"

// The library's ways that shape this file (cpprestsdk 2.10.18, http_client_asio.cpp):
// - its timeout is one of inactivity and ends the connection, so deadlines are ours: the calling thread
//   waits, and cancels by token when time is up;
// - a response stream of our own gets each piece by _putn, and nothing more is read from the socket until
//   the task returned there completes: so the caller takes bytes straight out of the library's buffer;
// - the error codes it reports are not to be relied on; the texts are constant and pinned by tests/contract;
// - a failed task that nobody looks at ends the process: every chain ends in a handler that cannot fail.

namespace sessmtp::kube {
namespace {

namespace http = web::http;
using Instant = std::chrono::steady_clock::time_point;

// Above every deadline of ours; ends what a silent proxy leaves behind.
constexpr std::chrono::minutes kLibraryTimeout{30};
// What is cancelled ends at once, but for a name lookup and a proxy that does not answer CONNECT: those own
// all they need and are left behind.
constexpr std::chrono::seconds kShutdown{2};
// Idle time, probe interval and number of probes; what was sent must be acknowledged in the time of all.
constexpr int kKeepAliveIdle = 30;
constexpr int kKeepAliveInterval = 10;
constexpr int kKeepAliveProbes = 3;
constexpr unsigned kUserTimeoutMs = 60'000;

using Socket = boost::asio::ip::tcp::socket;

void tune(Socket& socket) {
  const auto set = [fd = socket.native_handle()](int level, int name, auto value) {
    ::setsockopt(fd, level, name, &value, sizeof value);  // best effort: deadlines work without
  };
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, kKeepAliveIdle);
  set(IPPROTO_TCP, TCP_KEEPINTVL, kKeepAliveInterval);
  set(IPPROTO_TCP, TCP_KEEPCNT, kKeepAliveProbes);
  set(IPPROTO_TCP, TCP_USER_TIMEOUT, kUserTimeoutMs);
  set(IPPROTO_TCP, TCP_NODELAY, 1);  // header and body are written apart: Nagle would add 40 ms
}

int socket_slot() {
  static const int slot = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return slot;
}

// The library shows a connection before its socket is open, so the socket is noted there and tuned when
// the handshake begins. It outlives the SSL object: both belong to one connection.
void note_socket(http::client::native_handle handle) {
  auto* stream = static_cast<boost::asio::ssl::stream<Socket&>*>(handle);
  SSL_set_ex_data(stream->native_handle(), socket_slot(), &stream->next_layer());
}

void tune_connected(SSL* ssl) {
  if (auto* socket = static_cast<Socket*>(SSL_get_ex_data(ssl, socket_slot()))) {
    tune(*socket);
  }
}

// The server of a ClusterConfig, taken apart and checked.
struct Server {
  web::uri uri;           // with its port written out
  std::string authority;  // "host:port", for messages
  std::string name;       // expected in the certificate
};

// Connections of one kind of call. Renewed as a whole when one of them turns out to be dead: its
// neighbours are as old.
class Pool {
 public:
  Pool(web::uri server, http::client::http_client_config config)
      : server_(std::move(server)), config_(std::move(config)), client_(make()) {}

  [[nodiscard]] std::shared_ptr<http::client::http_client> client() const {
    const std::lock_guard lock(mutex_);
    return client_;
  }

  std::shared_ptr<http::client::http_client> renew(const std::shared_ptr<http::client::http_client>& dead) {
    const std::lock_guard lock(mutex_);
    if (client_ == dead) {
      client_ = make();
    }
    return client_;
  }

 private:
  [[nodiscard]] std::shared_ptr<http::client::http_client> make() const {
    return std::make_shared<http::client::http_client>(server_, config_);
  }

  const web::uri server_;
  const http::client::http_client_config config_;
  mutable std::mutex mutex_;
  std::shared_ptr<http::client::http_client> client_;
};

class CpprestTransport final : public Transport {
 public:
  CpprestTransport(const Server& server, const http::client::http_client_config& config,
                   std::shared_ptr<TlsPolicy> tls, std::string host_header, const Limits& limits)
      : authority_(server.authority),
        host_header_(std::move(host_header)),
        limits_(limits),
        tls_(std::move(tls)),
        short_calls_(server.uri, config),
        streams_(server.uri, config) {}

  ~CpprestTransport() override { pending_->wait_for_none(kShutdown); }

  Result<Response, TransportError> send(const Request& request, std::chrono::milliseconds deadline,
                                        std::stop_token stop) override {
    const Instant end = std::chrono::steady_clock::now() + deadline;
    return run(short_calls_, request, {end, deadline, stop, nullptr});
  }

  Result<Response, TransportError> stream(const Request& request, std::chrono::milliseconds idle,
                                          std::stop_token stop, const OnBytes& on_bytes) override {
    const Instant end = std::chrono::steady_clock::now() + std::min(idle, limits_.stream_head);
    return run(streams_, request, {end, idle, stop, &on_bytes});
  }

 private:
  struct Terms {
    Instant deadline;                    // of the whole answer, or of a stream's head
    std::chrono::milliseconds patience;  // as asked for; of a stream: between two pieces
    const std::stop_token& stop;
    const OnBytes* on_bytes;  // of a stream
  };

  Result<Response, TransportError> run(Pool& pool, const Request& asked, const Terms& terms) {
    std::optional<Request> named;
    if (!host_header_.empty()) {
      named = asked;
      named->headers.emplace_back("Host", host_header_);
    }
    const Request& request = named ? *named : asked;
    if (tls_ && tls_->rotated(limits_.rotation_check)) {
      renew_all();
    }
    auto client = pool.client();
    for (bool again = false;; again = true) {
      const auto room = terms.on_bytes == nullptr ? std::optional(limits_.body_size) : std::nullopt;
      const auto call = std::make_shared<Call>(pending_, room);
      const Instant begin = std::chrono::steady_clock::now();
      const struct Guard {  // whatever way this ends, the library must not be left waiting
        Call& call;
        ~Guard() { call.give_up(); }
      } guard{*call};
      Call::start(call, *client, request);
      Result<Response, TransportError> result = receive(*call, terms, begin);
      const bool dead_connection = !result && result.error().kind == TransportFailure::kBroken &&
                                   !call->head_seen() && !call->on_new_connection();
      if (!result && result.error().kind == TransportFailure::kDeadline) {
        renew_all();  // if the network has died silently, every connection has: the next call finds out at
                      // once
      }
      if (!dead_connection || again) {
        return result;
      }
      client = pool.renew(client);
    }
  }

  // Calls under way end on the connections they have.
  void renew_all() {
    short_calls_.renew(short_calls_.client());
    streams_.renew(streams_.client());
  }

  Result<Response, TransportError> receive(Call& call, const Terms& terms, Instant begin) const {
    Response response;
    Instant deadline = terms.deadline;
    bool deliver = false;
    std::size_t room = limits_.stream_error_size;
    while (true) {
      switch (call.wait(deadline, terms.stop)) {
        case Call::Event::kStopped:
          return error(TransportFailure::kCancelled, "cancelled");
        case Call::Event::kTimeout:
          return error(TransportFailure::kDeadline, late(call, terms));
        case Call::Event::kHead:
          take_head(call, response);
          deliver = response.status == 200;
          if (deliver) {
            deadline = std::chrono::steady_clock::now() + terms.patience;
          }
          break;
        case Call::Event::kPiece: {
          const std::string_view piece = call.piece();
          if (deliver) {
            (*terms.on_bytes)(piece);
            deadline = std::chrono::steady_clock::now() + terms.patience;
          } else if (piece.size() <= room) {
            response.body += piece;
            room -= piece.size();
          } else {
            response.body += piece.substr(0, room);
            return response;  // the start of an error is enough
          }
          call.take();
          break;
        }
        case Call::Event::kTooLarge:
          return too_large();
        case Call::Event::kEnd:
          if (call.failure()) {
            return explain(*call.failure(), begin);
          }
          if (terms.on_bytes == nullptr) {
            take_head(call, response);
            response.body = call.body();
          }
          return response;
      }
    }
  }

  static void take_head(const Call& call, Response& response) {
    response.status = call.head().status;
    response.retry_after = call.head().retry_after;
    response.flow_schema = call.head().flow_schema;
  }

  [[nodiscard]] std::unexpected<TransportError> error(TransportFailure kind, const std::string& what) const {
    return std::unexpected(TransportError{kind, authority_ + ": " + what});
  }

  [[nodiscard]] std::unexpected<TransportError> too_large() const {
    return error(TransportFailure::kTooLarge,
                 "the answer is larger than " + std::to_string(limits_.body_size) + " bytes");
  }

  [[nodiscard]] static std::string late(const Call& call, const Terms& terms) {
    const std::string time = std::to_string(terms.patience.count()) + " ms";
    if (terms.on_bytes == nullptr) {
      return "no complete answer in " + time;
    }
    return call.head_seen() ? "no byte in " + time : "no answer in time";
  }

  // The stage is what the library's constant texts say reliably; the reason is ours where we have one.
  [[nodiscard]] std::unexpected<TransportError> explain(const Call::Failure& failure, Instant begin) const {
    const auto stage = [&failure](std::string_view text) { return failure.text.contains(text); };
    if (failure.ours) {
      return error(TransportFailure::kNoCredentials, failure.text);
    }
    if (stage("Error resolving")) {
      return error(TransportFailure::kUnreachable, "the name cannot be resolved");
    }
    if (stage("proxy")) {
      return error(TransportFailure::kUnreachable, "the proxy: " + failure.text);
    }
    if (stage("Failed to connect")) {
      // The library reports "refused" as "no route".
      return error(TransportFailure::kUnreachable, failure.code == EHOSTUNREACH
                                                       ? "connection refused, or no route to the host"
                                                       : std::generic_category().message(failure.code));
    }
    const bool handshake = stage("SSL handshake");
    if (const auto refusal = handshake && tls_ ? tls_->refusal_since(begin) : std::nullopt) {
      return error(TransportFailure::kTls, *refusal);
    }
    // With TLS 1.3 a server refuses our certificate after the handshake has ended for us.
    if (const auto alert = tls_ ? tls_->alert_since(begin) : std::nullopt) {
      return error(TransportFailure::kTls, "the server ended the TLS session: " + *alert);
    }
    if (handshake) {
      const auto code = static_cast<unsigned long>(failure.code);
      const char* reason = ERR_GET_LIB(code) == ERR_LIB_SSL ? ERR_reason_error_string(code) : nullptr;
      if (reason != nullptr && ERR_GET_REASON(code) != SSL_R_UNEXPECTED_EOF_WHILE_READING) {
        return error(TransportFailure::kTls, std::string("TLS handshake: ") + reason);
      }
      return error(TransportFailure::kBroken, "the connection ended during the TLS handshake");
    }
    return error(TransportFailure::kBroken,
                 "the connection ended before the answer did (" + failure.text + ")");
  }

  const std::string authority_;
  const std::string host_header_;  // empty: the library's
  const Limits limits_;
  const std::shared_ptr<TlsPolicy> tls_;  // none for http
  const std::shared_ptr<Pending> pending_ = std::make_shared<Pending>();
  Pool short_calls_;
  Pool streams_;
};

}  // namespace

Result<void> initialize_http_threads() {
  try {
    crossplat::threadpool::initialize_with_threads(1);
    return {};
  } catch (const std::exception& e) {
    return fail(ErrorCode::kInternal, std::string("HTTP threads: ") + e.what());
  }
}

namespace {

Result<web::uri> checked_uri(const std::string& text, const std::string& what, bool https_allowed,
                             int http_port) {
  const auto wrong = [&](const std::string& why) {
    return fail(ErrorCode::kInvalidInput, what + ": " + why);
  };
  try {
    const web::uri uri(text);
    const bool https = https_allowed && uri.scheme() == "https";
    if (!https && uri.scheme() != "http") {
      return wrong("only " + std::string(https_allowed ? "https and http are" : "http is") +
                   " supported, not \"" + uri.scheme() + "\"");
    }
    if (uri.host().empty() || !uri.user_info().empty() || !uri.query().empty() || !uri.fragment().empty()) {
      return wrong("give scheme, host and port only");
    }
    if (uri.host().front() == '[') {
      return wrong(
          "IPv6 addresses are not supported; use a name that resolves to it, and tls-server-name if the "
          "certificate does not hold that name");
    }
    return uri.port() > 0 ? uri : web::uri_builder(uri).set_port(https ? 443 : http_port).to_uri();
  } catch (const std::exception&) {
    return wrong("not a URL");  // the text may hold a password
  }
}

}  // namespace

Result<std::unique_ptr<Transport>> make_cpprest_transport(const ClusterConfig& config, const Limits& limits,
                                                          const std::shared_ptr<ExecPlugin>& plugin) {
  const Result<web::uri> uri = checked_uri(config.server, "server of " + config.origin, true, 80);
  if (!uri) {
    return std::unexpected(uri.error());
  }
  Server server{*uri, uri->host() + ":" + std::to_string(uri->port()),
                config.tls_server_name.empty() ? uri->host() : config.tls_server_name};

  http::client::http_client_config options;
  options.set_timeout(kLibraryTimeout);
  options.set_max_redirects(0);  // the library would take the Authorization header along
  if (!config.proxy_url.empty()) {
    const Result<web::uri> proxy = checked_uri(config.proxy_url, "proxy-url of " + config.origin, false, 80);
    if (!proxy) {
      return std::unexpected(proxy.error());
    }
    options.set_proxy(web::web_proxy(*proxy));
  }

  std::shared_ptr<TlsPolicy> tls;
  if (uri->scheme() == "https") {
    tls = std::make_shared<TlsPolicy>(config, server.name, &tune_connected, plugin);
    const std::unique_ptr<SSL_CTX, decltype([](SSL_CTX* c) { SSL_CTX_free(c); })> trial(
        SSL_CTX_new(TLS_client_method()));
    if (Result<void> usable = tls->apply(trial.get()); !usable) {
      return std::unexpected(std::move(usable.error()).in(config.origin));
    }
    options.set_validate_certificates(!config.insecure_skip_tls_verify);
    options.set_tlsext_sni_enabled(!is_ip_literal(server.name));
    options.set_ssl_context_callback([tls](boost::asio::ssl::context& context) {
      Call::note_new_connection();
      const Result<void> done = tls->apply(context.native_handle());
      tls->note(done);
      if (!done) {
        throw SetupFailed(done.error().message);
      }
    });
    if (config.proxy_url.empty()) {  // through a proxy the handle is of another type at first
      options.set_nativehandle_options(&note_socket);
    }
  }
  try {
    // The library takes the name to send as SNI and to look for in the certificate from the Host header.
    return std::make_unique<CpprestTransport>(server, options, std::move(tls), config.tls_server_name,
                                              limits);
  } catch (const std::exception& e) {
    return fail(ErrorCode::kInternal, "HTTP client for " + server.authority + ": " + e.what());
  }
}

}  // namespace sessmtp::kube
