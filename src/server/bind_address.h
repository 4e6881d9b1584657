// Where a server listens, written as controller-runtime's flags are: ":8080", "127.0.0.1:8080",
// "[::1]:8080", or "0" for not at all. Host names are not resolved.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sessmtp::server {

struct BindAddress {
  std::string host;        // an IP address without brackets; empty: every address of the host, IPv4 and IPv6
  std::uint16_t port = 0;  // 0: whichever is free

  friend bool operator==(const BindAddress&, const BindAddress&) = default;
};

// Nothing for "0"; kInvalidInput when it is none of the forms above.
[[nodiscard]] Result<std::optional<BindAddress>> parse_bind_address(std::string_view text);

// ":8080", "127.0.0.1:8080", "[::1]:8080"
[[nodiscard]] std::string to_string(const BindAddress& address);

}  // namespace sessmtp::server
