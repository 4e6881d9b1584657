#include "ses/endpoint.h"

#include <cstddef>

#include "ses/region.h"

namespace sessmtp::ses {
namespace {

constexpr bool is_unreserved(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

void append_encoded(std::string& to, std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (const char c : text) {
    if (is_unreserved(c)) {
      to += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      to += '%';
      to += kHex[byte >> 4U];
      to += kHex[byte & 15U];
    }
  }
}

}  // namespace

std::optional<Endpoint> resolve_endpoint(std::string_view region, const EndpointOverrides& overrides) {
  Endpoint endpoint;
  if (overrides.host) {
    endpoint.host = *overrides.host;
  } else if (has_default_endpoint(region)) {
    endpoint.host = overrides.fips ? "email-smtp-fips." : "email-smtp.";
    endpoint.host.append(region).append(".amazonaws.com");
  } else {
    return std::nullopt;
  }
  endpoint.port = overrides.port.value_or(kDefaultPort);
  const bool implicit_port = endpoint.port == 465 || endpoint.port == 2465;
  endpoint.tls = overrides.tls.value_or(implicit_port ? Tls::kImplicit : Tls::kStartTls);
  return endpoint;
}

std::string_view to_string(Tls tls) {
  return tls == Tls::kImplicit ? "Implicit" : "StartTls";
}

SecretBytes smtp_url(const Endpoint& endpoint, const SecretBytes& user, const SecretBytes& password) {
  std::string url;
  constexpr std::size_t kRest = sizeof "smtps://:@:65535";
  url.reserve(kRest + endpoint.host.size() + 3 * (user.size() + password.size()));  // grows never: no copies
  url += endpoint.tls == Tls::kImplicit ? "smtps://" : "smtp://";
  append_encoded(url, user.expose());
  url += ':';
  append_encoded(url, password.expose());
  url += '@';
  url += endpoint.host;
  url += ':';
  url += std::to_string(endpoint.port);
  SecretBytes result(url);
  wipe(url.data(), url.size());
  return result;
}

std::string percent_encode(std::string_view text) {
  std::string encoded;
  encoded.reserve(3 * text.size());  // the text may be a secret: no copies left behind by growing
  append_encoded(encoded, text);
  return encoded;
}

}  // namespace sessmtp::ses
