#include "smtp/endpoint_policy.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "base/text.h"

namespace sessmtp::smtp {
namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::size_t kMaxName = 253;

std::string lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return result;
}

std::vector<std::string_view> labels_of(std::string_view host) {
  std::vector<std::string_view> labels;
  for (std::size_t dot = host.find('.'); dot != std::string_view::npos; dot = host.find('.')) {
    labels.push_back(host.substr(0, dot));
    host.remove_prefix(dot + 1);
  }
  labels.push_back(host);
  return labels;
}

// email-smtp.REGION.amazonaws.com, email-smtp-fips.REGION.amazonaws.com,
// vpce-ID.email-smtp.REGION.vpce.amazonaws.com. The host in lower case.
bool is_ses_host(std::string_view host) {
  if (!is_dns_name(host, kMaxName, true)) {
    return false;
  }
  constexpr std::string_view kVpce = "vpce-";
  const std::vector<std::string_view> label = labels_of(host);
  const std::size_t count = label.size();
  if (count < 4 || label[count - 2] != "amazonaws" || label[count - 1] != "com") {
    return false;
  }
  if (count == 4) {
    return label[0] == "email-smtp" || label[0] == "email-smtp-fips";
  }
  return count == 6 && label[0].starts_with(kVpce) && label[0].size() > kVpce.size() &&
         label[1] == "email-smtp" && label[3] == "vpce";
}

bool begins(Bytes address, Bytes prefix) {
  return std::ranges::equal(address.first(prefix.size()), prefix);
}

// This machine, this link and, on it, the services that hand out credentials of the machine.
bool is_local_v4(Bytes address) {
  constexpr std::uint8_t kLoopback = 127;
  constexpr std::array<std::uint8_t, 2> kLinkLocal = {169, 254};
  return address[0] == 0 || address[0] == kLoopback || begins(address, kLinkLocal);
}

bool is_local_v6(Bytes address) {
  constexpr std::size_t kV4Size = 4;
  constexpr std::array<std::uint8_t, 12> kZero = {};  // "::", "::1", and IPv4 in its oldest form
  constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  constexpr std::array<std::uint8_t, 12> kNat64 = {0, 0x64, 0xff, 0x9b};
  constexpr std::array<std::uint8_t, 2> k6to4 = {0x20, 0x02};
  constexpr std::array<std::uint8_t, 4> kAwsMetadata = {0xfd, 0x00, 0x0e, 0xc2};
  constexpr std::array<std::uint8_t, 4> kGoogleMetadata = {0xfd, 0x20, 0x00, 0xce};
  if (begins(address, kZero) || begins(address, kMapped) || begins(address, kNat64)) {
    return is_local_v4(address.subspan(kMapped.size(), kV4Size));
  }
  if (begins(address, k6to4)) {
    return is_local_v4(address.subspan(k6to4.size(), kV4Size));
  }
  const bool link_local = address[0] == 0xfe && (address[1] & 0xc0U) == 0x80;
  return link_local || begins(address, kAwsMetadata) || begins(address, kGoogleMetadata);
}

}  // namespace

EndpointPolicy EndpointPolicy::everything() {
  EndpointPolicy policy;
  policy.everything_ = true;
  return policy;
}

bool EndpointPolicy::is_listed(const ses::Endpoint& endpoint) const {
  return everything_ || listed_.contains({lower(endpoint.host), endpoint.port});
}

bool EndpointPolicy::allows(const ses::Endpoint& endpoint) const {
  return is_listed(endpoint) ||
         (std::ranges::count(ses::kSesPorts, endpoint.port) > 0 && is_ses_host(lower(endpoint.host)));
}

bool EndpointPolicy::allows(const ses::Endpoint& endpoint, const sockaddr& address) const {
  if (is_listed(endpoint)) {
    return true;
  }
  if (address.sa_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address, sizeof v4);
    std::array<std::uint8_t, sizeof v4.sin_addr> bytes{};
    std::memcpy(bytes.data(), &v4.sin_addr, bytes.size());
    return !is_local_v4(bytes);
  }
  if (address.sa_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &address, sizeof v6);
    return !is_local_v6(v6.sin6_addr.s6_addr);
  }
  return false;
}

Result<EndpointPolicy::HostAndPort> parse_host_and_port(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return fail(ErrorCode::kInvalidInput, in_quotes(text) + ": no port; write host:port");
  }
  std::string host = lower(text.substr(0, colon));
  if (!is_dns_name(host, kMaxName, true)) {
    return fail(
        ErrorCode::kInvalidInput,
        in_quotes(text) + ": no host name before the port; write host:port, such as smtp.example.com:587");
  }
  const std::string_view digits = text.substr(colon + 1);
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc() || end != digits.data() + digits.size() || port == 0) {
    return fail(ErrorCode::kInvalidInput, in_quotes(text) + ": the port is no number from 1 to 65535");
  }
  return EndpointPolicy::HostAndPort(std::move(host), port);
}

}  // namespace sessmtp::smtp
