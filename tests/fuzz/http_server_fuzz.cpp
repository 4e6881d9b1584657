// Requests to the server of metrics and health, over loopback, in pieces: each is answered by a whole answer
// of HTTP or by the end of the connection, never by an error of ours, and the server stays.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "fuzz.h"
#include "server/http_server.h"

namespace {

using namespace sessmtp;
using fuzz::require;

class Connection {
 public:
  explicit Connection(std::uint16_t port) : descriptor_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sockaddr name{};
    static_assert(sizeof name == sizeof address);
    std::memcpy(&name, &address, sizeof name);
    const int on = 1;
    const timeval limit{.tv_sec = 20, .tv_usec = 0};
    // Resets at its end: no ports are left waiting behind thousands of connections.
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    (void)::setsockopt(descriptor_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    (void)::setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    (void)::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    require(::connect(descriptor_, &name, sizeof name) == 0, "the server takes connections");
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  ~Connection() { ::close(descriptor_); }

  void send(std::string_view bytes) const {
    (void)::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  // All that comes until the server closes.
  [[nodiscard]] std::string rest() const {
    (void)::shutdown(descriptor_, SHUT_WR);
    std::string all;
    std::array<char, 4096> piece{};
    ssize_t count = 0;
    while ((count = ::recv(descriptor_, piece.data(), piece.size(), 0)) > 0) {
      all.append(piece.data(), static_cast<std::size_t>(count));
    }
    require(count == 0 || errno == ECONNRESET, "a connection ends when its client has ended");
    return all;
  }

 private:
  int descriptor_;
};

// Takes a whole answer off; with `head`, one that has no body.
unsigned take_answer(std::string_view& bytes, bool head) {
  constexpr std::string_view kStart = "HTTP/1.", kLength = "Content-Length: ", kEnd = "\r\n\r\n";
  const std::size_t end = bytes.find(kEnd);
  require(bytes.starts_with(kStart) && end != std::string_view::npos, "an answer is of HTTP");
  const std::string_view header = bytes.substr(0, end);
  const std::size_t length_at = header.find(kLength);
  require(length_at != std::string_view::npos, "an answer has a length");
  std::size_t length = 0;
  const std::string_view number = header.substr(length_at + kLength.size());
  (void)std::from_chars(number.data(), number.data() + number.size(), length);
  unsigned status = 0;
  const std::string_view code = header.substr(std::min(header.size(), kStart.size() + 2));
  (void)std::from_chars(code.data(), code.data() + code.size(), status);
  bytes.remove_prefix(end + kEnd.size());
  if (!head) {
    require(bytes.size() >= length, "an answer is whole");
    bytes.remove_prefix(length);
  }
  return status;
}

server::Answer answer(std::string_view path) {
  return path == "/metrics" ? server::Answer{.status = 200, .body = "up 1\n"}
                            : server::Answer{.status = 404, .body = "not here\n"};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto kServer = server::HttpServer::start({.host = "127.0.0.1", .port = 0}, answer);
  require(kServer.has_value(), "the server starts");
  const std::string_view input = fuzz::text_of_input(data, size);
  std::string all;
  {
    const Connection connection((*kServer)->port());
    // Two pieces: each costs a round through two kernels' worth of sockets.
    connection.send(input.substr(0, input.size() / 2));
    connection.send(input.substr(input.size() / 2));
    all = connection.rest();
  }
  const bool heads = input.contains("HEAD");  // whose answers have a length and no body
  std::string_view answers = all;
  while (!answers.empty() && !heads) {
    const unsigned status = take_answer(answers, false);
    require(
        status == 200 || status == 400 || status == 404 || status == 405 || status == 413 || status == 431,
        "an answer is one of ours");
  }
  return 0;
}
