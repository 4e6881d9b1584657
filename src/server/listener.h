// The listening socket, made by hand: Boost.Asio opens sockets without close-on-exec, and programs
// started meanwhile would keep the port.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "server/bind_address.h"

namespace sessmtp::server {

// A descriptor that is not blocking and closed on exec; the caller closes it.
struct Listener {
  int descriptor = -1;
  int family = 0;  // AF_INET6 also for every address of the host
  std::uint16_t port = 0;
};

[[nodiscard]] Result<Listener> listen_on(const BindAddress& address);

}  // namespace sessmtp::server
