#include "server/listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

namespace sessmtp::server {
namespace {

// The error number; 0 for success.
int try_listen(int family, const BindAddress& address, Listener& listener) {
  const int descriptor = ::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) {
    return errno;
  }
  sockaddr_storage storage{};
  socklen_t size = 0;
  if (family == AF_INET6) {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(address.port);
    (void)inet_pton(AF_INET6, address.host.empty() ? "::" : address.host.c_str(), &v6.sin6_addr);
    size = sizeof v6;
    std::memcpy(&storage, &v6, size);
  } else {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(address.port);
    (void)inet_pton(AF_INET, address.host.empty() ? "0.0.0.0" : address.host.c_str(), &v4.sin_addr);
    size = sizeof v4;
    std::memcpy(&storage, &v4, size);
  }
  auto* const name =
      reinterpret_cast<sockaddr*>(&storage);  // NOLINT(*-reinterpret-cast): how sockets are named
  const int on = 1;
  const int off = 0;
  const bool listening =
      ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
      (family == AF_INET || ::setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) == 0) &&
      ::bind(descriptor, name, size) == 0 && ::listen(descriptor, SOMAXCONN) == 0 &&
      ::getsockname(descriptor, name, &size) == 0;
  if (!listening) {
    const int why = errno;
    ::close(descriptor);
    return why;
  }
  in_port_t port = 0;  // stands at the same place for both families
  static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
  std::memcpy(&port, reinterpret_cast<const char*>(&storage) + offsetof(sockaddr_in, sin_port), sizeof port);
  listener = {.descriptor = descriptor, .family = family, .port = ntohs(port)};
  return 0;
}

}  // namespace

Result<Listener> listen_on(const BindAddress& address) {
  const bool everywhere = address.host.empty();
  Listener listener;
  int error = try_listen(everywhere || address.host.contains(':') ? AF_INET6 : AF_INET, address, listener);
  if (everywhere && (error == EAFNOSUPPORT || error == EADDRNOTAVAIL)) {
    error = try_listen(AF_INET, address, listener);  // a host without IPv6
  }
  if (error != 0) {
    return fail(ErrorCode::kIo,
                "listening on " + to_string(address) + ": " + std::generic_category().message(error));
  }
  return listener;
}

}  // namespace sessmtp::server
