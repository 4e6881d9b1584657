#include "client.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <utility>

namespace sessmtp::server {

Client::Client(std::uint16_t port, const char* address) {
  const int family = std::strchr(address, ':') == nullptr ? AF_INET : AF_INET6;
  descriptor_ = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (family == AF_INET) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    inet_pton(AF_INET, address, &to.sin_addr);
    connected_ = ::connect(descriptor_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  } else {
    sockaddr_in6 to{};
    to.sin6_family = AF_INET6;
    to.sin6_port = htons(port);
    inet_pton(AF_INET6, address, &to.sin6_addr);
    connected_ = ::connect(descriptor_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  }
}

Client::~Client() {
  ::close(descriptor_);
}

bool Client::send(std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) {
      return false;
    }
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

bool Client::readable_within(int milliseconds) const {
  pollfd wait{.fd = descriptor_, .events = POLLIN, .revents = 0};
  return ::poll(&wait, 1, milliseconds) == 1;
}

bool Client::receive() {
  char block[65536];
  if (!readable_within(10'000)) {
    timed_out_ = true;
    return false;
  }
  const ssize_t size = ::recv(descriptor_, block, sizeof block, 0);
  received_.append(block, size > 0 ? static_cast<std::size_t>(size) : 0);
  return size > 0;
}

std::string Client::rest() {
  while (receive()) {
  }
  return timed_out_ ? "never closed after: " + received_ : std::exchange(received_, {});
}

std::string Client::answer(bool has_body) {
  constexpr std::string_view kLength = "Content-Length: ";
  while (!received_.contains("\r\n\r\n")) {
    if (!receive()) {
      return std::exchange(received_, {});
    }
  }
  std::size_t size = received_.find("\r\n\r\n") + 4;
  if (const std::size_t at = received_.find(kLength); has_body && at < size) {
    size += std::stoul(received_.substr(at + kLength.size()));
  }
  while (received_.size() < size) {
    if (!receive()) {
      break;
    }
  }
  std::string whole = received_.substr(0, size);
  received_.erase(0, size);
  return whole;
}

}  // namespace sessmtp::server
