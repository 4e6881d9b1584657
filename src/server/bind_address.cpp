#include "server/bind_address.h"

#include <arpa/inet.h>

#include <charconv>

#include "base/text.h"

namespace sessmtp::server {
namespace {

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc{} && stop == text.data() + text.size() ? std::optional(port) : std::nullopt;
}

bool is_ip(int family, const std::string& host) {
  in6_addr ignored{};
  return !host.contains('\0') && inet_pton(family, host.c_str(), &ignored) == 1;
}

}  // namespace

Result<std::optional<BindAddress>> parse_bind_address(std::string_view text) {
  if (text == "0") {
    return std::nullopt;
  }
  const auto wrong = [text](const char* why) {
    return fail(ErrorCode::kInvalidInput,
                in_quotes(text) + " is not an address to listen on: " + why +
                    R"(; use ":8080", "127.0.0.1:8080", "[::1]:8080", or "0" for none)");
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return wrong("there is no port");
  }
  const auto port = parse_port(text.substr(colon + 1));
  if (!port) {
    return wrong("the port is no number from 0 to 65535");
  }
  std::string host(text.substr(0, colon));
  const bool brackets = host.starts_with('[') && host.ends_with(']');
  if (brackets) {
    host = host.substr(1, host.size() - 2);
  }
  if (!(host.empty() && !brackets) && !is_ip(brackets ? AF_INET6 : AF_INET, host)) {
    return wrong("the host is no IP address");
  }
  return BindAddress{.host = std::move(host), .port = *port};
}

std::string to_string(const BindAddress& address) {
  const bool v6 = address.host.contains(':');
  return (v6 ? '[' + address.host + ']' : address.host) + ':' + std::to_string(address.port);
}

}  // namespace sessmtp::server
