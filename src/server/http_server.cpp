#include "server/http_server.h"

#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <cerrno>
#include <exception>
#include <optional>
#include <thread>
#include <utility>

#include "base/log.h"
#include "server/listener.h"

namespace sessmtp::server {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

// When descriptors run out; a listener that stays readable would spin.
constexpr auto kAcceptPause = std::chrono::milliseconds(100);
// After an answer that ends the connection: what the client still sends is read, or a reset could overtake
// the answer.
constexpr auto kLinger = std::chrono::seconds(1);

// What all connections of a server share; they never outlive it.
struct Shared {
  HttpServer::Handler handler;
  HttpServer::Options options;
  std::size_t connections = 0;
};

Answer plain(unsigned status, const char* text) {
  return {.status = status, .body = text};
}

Answer answer_to_fault(const error_code& error) {
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return plain(431, "request header too large\n");
  }
  if (error == http::error::body_limit) {
    return plain(413, "a request has no body here\n");
  }
  return plain(400, "not understood\n");
}

// One connection. It lives as long as an operation of it is under way.
class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(tcp::socket socket, Shared& shared) : stream_(std::move(socket)), shared_(shared) {
    ++shared_.connections;
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { --shared_.connections; }

  void read() {
    parser_.emplace();
    parser_->header_limit(static_cast<std::uint32_t>(shared_.options.max_header));
    parser_->body_limit(0);
    stream_.expires_after(shared_.options.read_timeout);
    http::async_read_header(
        stream_, buffer_, *parser_,
        [self = shared_from_this()](const error_code& error, std::size_t) { self->on_header(error); });
  }

 private:
  void on_header(const error_code& error) {
    if (!error) {
      const bool has_body = parser_->chunked();  // one of a given length is an error already
      // HTTP/1.0 keeps connections only if both sides say so; its clients can connect again.
      const bool keep_alive = parser_->get().version() >= 11 && parser_->keep_alive();
      return write(has_body ? answer_to_fault(http::error::body_limit) : answer_to_request(),
                   !has_body && keep_alive);
    }
    // An error of HTTP can still be answered; one of the connection, or its end, cannot.
    if (error.category() == make_error_code(http::error::bad_method).category() &&
        error != http::error::end_of_stream && error != http::error::partial_message) {
      write(answer_to_fault(error), /*keep_alive=*/false);
    }
  }

  [[nodiscard]] Answer answer_to_request() const {
    const auto& request = parser_->get();
    if (request.method() != http::verb::get && request.method() != http::verb::head) {
      return plain(405, "only GET and HEAD\n");
    }
    std::string_view path(request.target().data(), request.target().size());
    path = path.substr(0, path.find('?'));
    try {
      return shared_.handler(path);
    } catch (const std::exception& failure) {
      log::error("answering a request failed", {{"error", failure.what()}});
      return plain(500, "internal error\n");
    }
  }

  void write(Answer answer, bool keep_alive) {
    const bool head = parser_->get().method() == http::verb::head;
    response_ = {};
    response_.result(answer.status);
    response_.set(http::field::content_type, answer.content_type);
    if (answer.status == 405) {
      response_.set(http::field::allow, "GET, HEAD");
    }
    response_.keep_alive(keep_alive);
    response_.body() = std::move(answer.body);
    response_.prepare_payload();
    serializer_.emplace(response_);
    stream_.expires_after(shared_.options.write_timeout);
    const auto written = [self = shared_from_this(), keep_alive](const error_code& error, std::size_t) {
      if (!error) {
        if (keep_alive) {
          self->read();
        } else {
          self->finish();
        }
      }
    };
    if (head) {
      http::async_write_header(stream_, *serializer_, written);
    } else {
      http::async_write(stream_, *serializer_, written);
    }
  }

  void finish() {
    error_code ignored;
    (void)stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    stream_.expires_after(kLinger);
    discard();
  }

  void discard() {
    stream_.async_read_some(asio::buffer(discarded_),
                            [self = shared_from_this()](const error_code& error, std::size_t) {
                              if (!error) {
                                self->discard();
                              }
                            });
  }

  beast::tcp_stream stream_;
  Shared& shared_;
  beast::flat_buffer buffer_{shared_.options.max_header * 2};
  std::optional<http::request_parser<http::empty_body>> parser_;
  http::response<http::string_body> response_;
  std::optional<http::response_serializer<http::string_body>> serializer_;
  std::array<char, 1024> discarded_{};
};

}  // namespace

class HttpServer::Impl {
 public:
  Impl(const Listener& listener, Handler handler, const Options& options)
      : shared_{.handler = std::move(handler), .options = options},
        protocol_(listener.family == AF_INET6 ? tcp::v6() : tcp::v4()),
        port_(listener.port),
        acceptor_(io_, protocol_, listener.descriptor),
        pause_(io_),
        thread_([this] { run(); }) {}
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;
  ~Impl() {
    io_.stop();
    thread_.join();
  }

  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  void run() noexcept {
    wait_for_connection();
    while (!io_.stopped()) {
      try {
        io_.run();
      } catch (const std::exception& failure) {  // out of memory: costs the connection it happened to
        log::error("a connection failed", {{"error", failure.what()}});
      }
    }
  }

  void wait_for_connection() {
    acceptor_.async_wait(tcp::acceptor::wait_read, [this](const error_code&) { accept(); });
  }

  // By hand for the same reason as the listener.
  void accept() {
    const int descriptor =
        ::accept4(acceptor_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (descriptor < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
      pause_.expires_after(kAcceptPause);
      return pause_.async_wait([this](const error_code&) { wait_for_connection(); });
    }
    wait_for_connection();
    if (descriptor >= 0) {
      tcp::socket socket(io_, protocol_, descriptor);
      error_code ignored;
      (void)socket.set_option(tcp::no_delay(true),
                              ignored);  // or each pipelined answer waits for a delayed ACK
      if (shared_.connections < shared_.options.max_connections) {
        std::make_shared<Connection>(std::move(socket), shared_)->read();
      }
    }
  }

  // Destroyed from the end: the thread, what waits in io_ (the connections), then what they refer to.
  Shared shared_;
  const tcp protocol_;
  const std::uint16_t port_;
  asio::io_context io_{1};
  tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  std::thread thread_;
};

Result<std::unique_ptr<HttpServer>> HttpServer::start(const BindAddress& address, Handler handler,
                                                      const Options& options) {
  const auto listener = listen_on(address);
  if (!listener) {
    return std::unexpected(listener.error());
  }
  auto impl = std::make_unique<Impl>(*listener, std::move(handler), options);
  return std::unique_ptr<HttpServer>(new HttpServer(std::move(impl)));
}

Result<std::unique_ptr<HttpServer>> HttpServer::start(const BindAddress& address, Handler handler) {
  return start(address, std::move(handler), Options{});
}

HttpServer::HttpServer(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
HttpServer::~HttpServer() = default;

std::uint16_t HttpServer::port() const {
  return impl_->port();
}

}  // namespace sessmtp::server
