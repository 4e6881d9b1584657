// Where a pair may be sent. Whoever may create a SesSmtpCredential names a host and a port; without this,
// the operator would send the login to a host of theirs, or scan ports for them. Pure; thread-safe.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "ses/endpoint.h"

namespace sessmtp::smtp {

class EndpointPolicy {
 public:
  using HostAndPort = std::pair<std::string, std::uint16_t>;

  // The endpoints of Amazon SES and of VPC endpoints for it, on the ports of SES, and besides exactly these.
  explicit EndpointPolicy(std::set<HostAndPort> listed = {}) : listed_(std::move(listed)) {}
  // For a person who names the endpoint at a command line.
  [[nodiscard]] static EndpointPolicy everything();

  [[nodiscard]] bool allows(const ses::Endpoint& endpoint) const;
  // Of an allowed endpoint, when its name has been resolved: loopback and link-local addresses, in whatever
  // notation, are for listed endpoints only.
  [[nodiscard]] bool allows(const ses::Endpoint& endpoint, const sockaddr& address) const;

 private:
  [[nodiscard]] bool is_listed(const ses::Endpoint& endpoint) const;

  std::set<HostAndPort> listed_;
  bool everything_ = false;
};

// "smtp.example.com:2525"; kInvalidInput says what is wrong with it. The host in lower case.
[[nodiscard]] Result<EndpointPolicy::HostAndPort> parse_host_and_port(std::string_view text);

}  // namespace sessmtp::smtp
