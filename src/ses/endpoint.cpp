#include "ses/endpoint.h"

#include <algorithm>
#include <cstddef>

#include "base/text.h"
#include "ses/region.h"

namespace sessmtp::ses {

std::string host_and_port(const Endpoint& endpoint) {
  return endpoint.host + ':' + std::to_string(endpoint.port);
}

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
  endpoint.tls = overrides.tls.value_or(usual_tls(endpoint.port));
  return endpoint;
}

std::optional<Endpoint> additional_endpoint(std::string_view region, const EndpointOverrides& overrides) {
  const bool of_ses = overrides.port && std::ranges::count(kSesPorts, *overrides.port) > 0;
  return resolve_endpoint(region, {.host = std::nullopt,
                                   .port = of_ses ? overrides.port : std::nullopt,
                                   .tls = std::nullopt,
                                   .fips = overrides.fips});
}

std::string_view to_string(Tls tls) {
  return tls == Tls::kImplicit ? "Implicit" : "StartTls";
}

SecretBytes smtp_url(const Endpoint& endpoint, const SecretBytes& user, const SecretBytes& password) {
  std::string url;
  constexpr std::size_t kRest = sizeof "smtps://:@:65535";
  url.reserve(kRest + endpoint.host.size() + 3 * (user.size() + password.size()));  // grows never: no copies
  url += endpoint.tls == Tls::kImplicit ? "smtps://" : "smtp://";
  append_percent_encoded(url, user.expose());
  url += ':';
  append_percent_encoded(url, password.expose());
  url += '@';
  url += host_and_port(endpoint);
  SecretBytes result(url);
  wipe(url.data(), url.size());
  return result;
}

}  // namespace sessmtp::ses
