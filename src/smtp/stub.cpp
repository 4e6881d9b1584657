#include "smtp/curl_login_probe.h"

namespace sessmtp::smtp {

std::optional<LoginReport> CurlLoginProbe::log_in(const ses::Endpoint& /*endpoint*/,
                                                  const SecretBytes& /*username*/,
                                                  const SecretBytes& /*password*/, std::stop_token /*stop*/) {
  return LoginReport{};
}
Result<EndpointPolicy::HostAndPort> parse_host_and_port(std::string_view text) {
  return EndpointPolicy::HostAndPort{std::string(text), 587};
}
std::string_view explain(LoginVerdict /*verdict*/) {
  return "See the documentation.";
}

}  // namespace sessmtp::smtp
