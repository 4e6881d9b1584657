// Where mail is handed to Amazon SES, and the URL form of a credential. Pure; thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/secret_bytes.h"

namespace sessmtp::ses {

enum class Tls : std::uint8_t { kStartTls, kImplicit };

inline constexpr std::uint16_t kDefaultPort = 587;

struct Endpoint {
  std::string host;
  std::uint16_t port = kDefaultPort;
  Tls tls = Tls::kStartTls;

  friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

// "email-smtp.eu-west-1.amazonaws.com:587"
[[nodiscard]] std::string host_and_port(const Endpoint& endpoint);

// What a user may override; unset means the default.
struct EndpointOverrides {
  std::optional<std::string> host = std::nullopt;
  std::optional<std::uint16_t> port = std::nullopt;
  std::optional<Tls> tls = std::nullopt;
  bool fips = false;

  friend bool operator==(const EndpointOverrides&, const EndpointOverrides&) = default;
};

// email-smtp[-fips].<region>.amazonaws.com:587 with STARTTLS, with the overrides applied; TLS is implicit
// by default on 465 and 2465. Empty when no host is given and the region has no default one. Does not judge
// the overrides: whether they fit together is for the caller to check.
[[nodiscard]] std::optional<Endpoint> resolve_endpoint(std::string_view region,
                                                       const EndpointOverrides& overrides);

// That of another region for the same overrides: a host belongs to one region, and a port that is not of SES
// to that host.
[[nodiscard]] std::optional<Endpoint> additional_endpoint(std::string_view region,
                                                          const EndpointOverrides& overrides);

inline constexpr std::array<std::uint16_t, 5> kSesPorts = {25, 465, 587, 2465, 2587};

// How TLS begins there: implicit on 465 and 2465.
[[nodiscard]] constexpr Tls usual_tls(std::uint16_t port) {
  return port == 465 || port == 2465 ? Tls::kImplicit : Tls::kStartTls;
}

// "StartTls" or "Implicit", as in the API.
[[nodiscard]] std::string_view to_string(Tls tls);

// smtp://USER:PASS@HOST:PORT, smtps:// when TLS is implicit. User and password are percent-encoded:
// three passwords in four hold '+' or '/', which break a URL that was put together naively.
[[nodiscard]] SecretBytes smtp_url(const Endpoint& endpoint, const SecretBytes& user,
                                   const SecretBytes& password);

}  // namespace sessmtp::ses
