// Hosts and ports, as people write them in flags and specs: what was understood is read as the same when it
// is written again, and no address of this machine or of a cloud's metadata passes as one of Amazon SES.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <string_view>

#include "base/text.h"
#include "fuzz.h"
#include "server/bind_address.h"
#include "ses/endpoint.h"
#include "ses/region.h"
#include "smtp/endpoint_policy.h"

namespace {

using namespace sessmtp;
using fuzz::require;

void check_bind_address(std::string_view text) {
  const auto address = server::parse_bind_address(text);
  if (!address || !*address) {
    return;
  }
  const std::string written = server::to_string(**address);
  const auto again = server::parse_bind_address(written);
  require(again && *again == *address, "an address to listen on is read as it was written");
  require(!has_control_characters(written), "an address has no control characters");
}

void check_host_and_port(std::string_view text) {
  const auto parsed = smtp::parse_host_and_port(text);
  if (!parsed) {
    return;
  }
  const ses::Endpoint endpoint{.host = parsed->first, .port = parsed->second, .tls = ses::Tls::kStartTls};
  require(smtp::parse_host_and_port(host_and_port(endpoint)) == *parsed, "host and port are read as written");
  require(smtp::EndpointPolicy({*parsed}).allows(endpoint), "what was listed is allowed");
  const bool ses_port = std::ranges::count(ses::kSesPorts, parsed->second) > 0;
  const bool amazon = parsed->first.contains(".amazonaws.com");
  require(!smtp::EndpointPolicy().allows(endpoint) || (ses_port && amazon),
          "only Amazon SES passes unlisted");
}

void check_region(std::string_view text) {
  const auto endpoint = ses::resolve_endpoint(text, {});
  require(endpoint.has_value() == ses::has_default_endpoint(text), "a region has an endpoint, or has none");
  if (endpoint) {
    require(is_dns_name(endpoint->host, 253, true), "the host of a region is a name");
    require(smtp::EndpointPolicy().allows(*endpoint), "the endpoint of a region is of Amazon SES");
  }
}

// An address in any of its notations, of a name that is allowed.
void check_resolved(std::string_view text) {
  const ses::Endpoint endpoint{
      .host = "email-smtp.eu-west-1.amazonaws.com", .port = 587, .tls = ses::Tls::kStartTls};
  const std::string name(text);
  sockaddr_storage storage{};
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  bool local = false;
  if (inet_pton(AF_INET, name.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    std::memcpy(&storage, &v4, sizeof v4);
    const std::uint32_t address = ntohl(v4.sin_addr.s_addr);
    local = address >> 24U == 127 || address >> 24U == 0 || address >> 16U == 0xa9fe;
  } else if (inet_pton(AF_INET6, name.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    std::memcpy(&storage, &v6, sizeof v6);
    std::uint32_t last = 0;
    std::memcpy(&last, &v6.sin6_addr.s6_addr[12], sizeof last);
    last = ntohl(last);
    const bool mapped_local =
        IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr) && (last >> 24U == 127 || last >> 16U == 0xa9fe);
    local = IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr) || IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr) ||
            IN6_IS_ADDR_LINKLOCAL(&v6.sin6_addr) || mapped_local;
  } else {
    return;
  }
  const auto* whole = reinterpret_cast<const sockaddr*>(&storage);
  require(!local || !smtp::EndpointPolicy().allows(endpoint, *whole), "nothing local passes as Amazon SES");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of_input(data, size);
  check_bind_address(text);
  check_host_and_port(text);
  check_region(text);
  check_resolved(text);
  return 0;
}
