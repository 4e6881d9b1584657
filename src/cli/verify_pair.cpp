#include "cli/verify_pair.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "api/names.h"
#include "api/ses_smtp_credential.h"
#include "api/source.h"
#include "api/target.h"
#include "base/text.h"
#include "cli/credential_reads.h"
#include "ses/region.h"
#include "ses/smtp_password.h"

namespace sessmtp::cli {
namespace {

constexpr std::array kUrlKeys = {"url", "uri", "SMTP_URL"};

struct KeyNames {
  const char* username;
  const char* password;
  const char* host;
  const char* port;
  const char* tls;
};
constexpr std::array kFormats = {
    KeyNames{"username", "password", "host", "port", "tls"},
    KeyNames{"SMTP_USERNAME", "SMTP_PASSWORD", "SMTP_HOST", "SMTP_PORT", "SMTP_TLS"},
};

std::string named(const kube::NamespacedName& which) {
  return which.namespace_ + '/' + which.name;
}

const SecretBytes* value_of(const kube::Secret& secret, const std::string& key) {
  const auto found = secret.data.find(key);
  return found != secret.data.end() ? &found->second : nullptr;
}

// A value that is no secret: white space around it does not count.
std::string text_at(const kube::Secret& secret, const std::string& key) {
  const SecretBytes* value = value_of(secret, key);
  return value != nullptr ? std::string(trimmed(value->expose())) : "";
}

std::optional<std::string> host_from(std::string text) {
  return text.empty() ? std::nullopt : std::optional(std::move(text));
}

std::optional<std::uint16_t> port_from(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  const bool whole = error == std::errc() && end == text.data() + text.size() && port != 0;
  return whole ? std::optional(port) : std::nullopt;
}

std::optional<ses::Tls> tls_from(std::string_view text) {
  if (text == "implicit") {
    return ses::Tls::kImplicit;
  }
  return text == "starttls" ? std::optional(ses::Tls::kStartTls) : std::nullopt;
}

int hex_digit(char c) {
  constexpr int kTen = 10;
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  if (c >= 'a' && c <= 'f') {
    return c - 'a' + kTen;
  }
  return c >= 'A' && c <= 'F' ? c - 'A' + kTen : -1;
}

SecretBytes percent_decoded(std::string_view text) {
  std::string plain;
  plain.reserve(text.size());  // grows never: no copies
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escape =
        text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0;
    plain += escape ? static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2])) : text[i];
    i += escape ? 2 : 0;
  }
  SecretBytes result(plain);
  wipe(plain.data(), plain.size());
  return result;
}

struct Found {
  SecretBytes username;
  SecretBytes password;
  ses::EndpointOverrides endpoint;
  std::string where;  // "keys username and password"
};

// smtp://USER:PASSWORD@HOST:PORT, smtps:// where TLS comes first.
std::optional<Found> read_url(std::string_view url) {
  constexpr std::uint16_t kSmtps = 465;
  url = trimmed(url);
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos || !url.starts_with("smtp")) {
    return std::nullopt;
  }
  const bool implicit = url.substr(0, scheme) == "smtps";
  url.remove_prefix(scheme + 3);
  const std::size_t at = url.rfind('@');
  const std::size_t colon = url.find(':');
  if (at == std::string_view::npos || colon >= at) {
    return std::nullopt;
  }
  std::string_view host = url.substr(at + 1);
  host = host.substr(0, host.find_first_of("/?#"));
  const std::size_t end = host.rfind(':');
  const auto port = end != std::string_view::npos ? port_from(host.substr(end + 1))
                    : implicit                    ? std::optional(kSmtps)
                                                  : std::optional(ses::kDefaultPort);
  host = host.substr(0, end);
  if (host.empty() || !port) {
    return std::nullopt;
  }
  return Found{.username = percent_decoded(url.substr(0, colon)),
               .password = percent_decoded(url.substr(colon + 1, at - colon - 1)),
               .endpoint = {.host = std::string(host),
                            .port = port,
                            .tls = implicit ? ses::Tls::kImplicit : ses::Tls::kStartTls},
               .where = {}};
}

std::optional<Found> find_pair(const kube::Secret& secret) {
  for (const KeyNames& keys : kFormats) {
    const SecretBytes* username = value_of(secret, keys.username);
    const SecretBytes* password = value_of(secret, keys.password);
    if (username != nullptr && password != nullptr) {
      return Found{.username = username->clone(),
                   .password = password->clone(),
                   .endpoint = {.host = host_from(text_at(secret, keys.host)),
                                .port = port_from(text_at(secret, keys.port)),
                                .tls = tls_from(text_at(secret, keys.tls))},
                   .where = std::string("keys ") + keys.username + " and " + keys.password};
    }
  }
  for (const char* key : kUrlKeys) {
    const SecretBytes* url = value_of(secret, key);
    if (auto found = url != nullptr ? read_url(url->expose()) : std::nullopt) {
      found->where = std::string("key ") + key;
      return found;
    }
  }
  return std::nullopt;
}

std::string keys_of(const kube::Secret& secret) {
  std::vector<std::string> names;
  for (const auto& [name, value] : secret.data) {
    names.push_back(name);
  }
  return names.empty() ? "no key at all" : joined(names);
}

Problem no_pair(const kube::Secret& secret) {
  return {.what = "Secret " + named(secret.meta.key()) + " holds no user name and password for SMTP",
          .why =
              "looked for are username and password, SMTP_USERNAME and SMTP_PASSWORD, or a URL smtp://… in "
              "url, uri or SMTP_URL; found: " +
              keys_of(secret),
          .fix = "name the Secret that the mail program uses, or give --username and the password itself"};
}

// The keys of an additional region in place of those of the primary one.
Result<void, Problem> pick_region(const kube::Secret& secret, const std::string& region,
                                  const std::string& primary, Found& found) {
  const std::string key = "password." + region;
  if (const SecretBytes* password = value_of(secret, key)) {
    found.password = password->clone();
    found.where = "keys username and " + key;
    found.endpoint.host = host_from(text_at(secret, "host." + region));
    return {};
  }
  if (primary.empty() || primary == region) {
    return {};
  }
  return std::unexpected(
      Problem{.what = "Secret " + named(secret.meta.key()) + " has no password for region " + region,
              .why = "it is for region " + primary + ", and has no key " + key,
              .fix = "leave --region out, or add the region to spec.additionalRegions of its credential"});
}

Problem no_endpoint(const std::string& region, const std::string& whose) {
  if (region.empty()) {
    return {.what = whose + " does not say which server it is for",
            .why = "it has neither a host nor a region",
            .fix = "add --region with the region of the SMTP endpoint, or --host"};
  }
  return {.what = "no public SMTP host name of SES is known in region " + in_quotes(region),
          .why = "",
          .fix = "add --host"};
}

void override_with(const ses::EndpointOverrides& flags, ses::EndpointOverrides& endpoint) {
  if (flags.host || flags.fips) {
    endpoint.host = flags.host;
  }
  endpoint.fips = endpoint.fips || flags.fips;
  if (flags.port) {
    endpoint.port = flags.port;
    endpoint.tls = std::nullopt;  // it was for the other port
  }
  if (flags.tls) {
    endpoint.tls = flags.tls;
  }
}

Result<kube::Secret, Problem> read_secret(const kube::NamespacedName& which, const ClusterOptions& options,
                                          ClusterAccess& access) {
  auto object = access.client().get(api::secret_path(which.namespace_, which.name), {});
  if (!object) {
    Problem problem = explain(object.error(), "Secret " + named(which) + " cannot be read", access.config());
    if (object.error().kind == kube::ApiErrorKind::kForbidden) {
      problem.fix = "ask for the right to read this Secret; " +
                    can_i(kubectl(options), "get", "secrets/" + which.name, which.namespace_) +
                    " says whether you have it";
    } else if (object.error().kind == kube::ApiErrorKind::kNotFound) {
      problem = {.what = "there is no Secret " + named(which),
                 .why = "",
                 .fix = kubectl(options) + " get secrets --namespace " + which.namespace_ +
                        " lists those that are there"};
    }
    return std::unexpected(std::move(problem));
  }
  auto secret = kube::decode_secret(*object);
  if (!secret) {
    return std::unexpected(Problem{.what = "Secret " + named(which) + " cannot be understood",
                                   .why = secret.error().message,
                                   .fix = "look at it with kubectl"});
  }
  return std::move(*secret);
}

struct CredentialKey {
  api::SesSmtpCredential credential;
  api::Source source;
};

std::unexpected<Problem> cannot_publish(const kube::NamespacedName& which, const std::string& why) {
  return std::unexpected(
      Problem{.what = "SesSmtpCredential " + named(which) + " gives no pair to log in with",
              .why = why,
              .fix = "set that right; the operator publishes nothing new for it either"});
}

Result<CredentialKey, Problem> read_key(const kube::NamespacedName& which, const ClusterOptions& options,
                                        ClusterAccess& access) {
  const auto object = access.client().get(api::credential_path(which.namespace_, which.name), {});
  if (!object) {
    return std::unexpected(explain_reading(object.error(), which, options, access));
  }
  auto credential = api::decode_credential(*object);
  if (!credential) {
    return cannot_publish(which, credential.error().message);
  }
  const auto secret = read_secret(
      {.namespace_ = which.namespace_, .name = credential->spec.source.secret_name}, options, access);
  if (!secret) {
    return std::unexpected(secret.error());
  }
  auto source = api::read_source(*secret, credential->spec.source);
  if (!source) {
    return cannot_publish(which, source.error().message);
  }
  return CredentialKey{.credential = std::move(*credential), .source = std::move(*source)};
}

}  // namespace

std::string region_of_host(std::string_view host) {
  for (const std::string_view prefix : {"email-smtp.", "email-smtp-fips."}) {
    const std::size_t at = host.find(prefix);
    if (at == std::string_view::npos || (at > 0 && host[at - 1] != '.')) {
      continue;
    }
    const std::string_view rest = host.substr(at + prefix.size());
    const std::string_view region = rest.substr(0, rest.find('.'));
    const std::string_view domain = rest.substr(region.size());
    if (ses::has_region_syntax(region) && (domain == ".amazonaws.com" || domain == ".vpce.amazonaws.com")) {
      return std::string(region);
    }
  }
  return "";
}

Result<LoginPair, Problem> pair_in(const kube::Secret& secret, const EndpointFlags& flags) {
  auto found = find_pair(secret);
  if (!found) {
    return std::unexpected(no_pair(secret));
  }
  std::string region(secret.meta.annotation(api::kRegionAnnotation));
  if (region.empty()) {
    region = text_at(secret, "region");
  }
  if (!ses::has_region_syntax(region)) {
    region.clear();
  }
  if (!flags.region.empty()) {
    const std::string primary = region.empty() ? region_of_host(found->endpoint.host.value_or("")) : region;
    if (auto picked = pick_region(secret, flags.region, primary, *found); !picked) {
      return std::unexpected(std::move(picked.error()));
    }
    region = flags.region;
  }
  override_with(flags.endpoint, found->endpoint);
  const auto endpoint = ses::resolve_endpoint(region, found->endpoint);
  if (!endpoint) {
    return std::unexpected(no_endpoint(region, "Secret " + named(secret.meta.key())));
  }
  LoginPair pair{.username = std::move(found->username),
                 .password = std::move(found->password),
                 .endpoint = *endpoint,
                 .region = region,
                 .source = "Secret " + named(secret.meta.key()) + ", " + found->where,
                 .key_since = parse_rfc3339(secret.meta.annotation(api::kKeySinceAnnotation))};
  if (const std::string_view owner = secret.meta.annotation(api::kCredentialAnnotation);
      is_dns_name(owner, 253, true)) {
    pair.credential = {.namespace_ = secret.meta.namespace_, .name = std::string(owner)};
  }
  return pair;
}

Result<LoginPair, Problem> pair_of_secret(const kube::NamespacedName& which, const EndpointFlags& flags,
                                          const ClusterOptions& options, ClusterAccess& access) {
  const auto secret = read_secret(which, options, access);
  if (!secret) {
    return std::unexpected(secret.error());
  }
  return pair_in(*secret, flags);
}

void find_key(LoginPair& pair, const ClusterOptions& options, ClusterAccess& access) {
  if (!pair.credential || !pair.secret_access_key.empty()) {
    return;
  }
  if (auto key = read_key(*pair.credential, options, access);
      key && key->source.key.access_key_id.equals(pair.username)) {
    pair.secret_access_key = std::move(key->source.key.secret_access_key);
  }
}

Result<LoginPair, Problem> pair_of_credential(const kube::NamespacedName& which, const EndpointFlags& flags,
                                              const ClusterOptions& options, ClusterAccess& access) {
  auto key = read_key(which, options, access);
  if (!key) {
    return std::unexpected(std::move(key.error()));
  }
  const api::Spec& spec = key->credential.spec;
  const auto primary = api::choose_region(spec, key->source);
  if (!primary) {
    return cannot_publish(which, primary.error().message);
  }
  const std::string region = flags.region.empty() ? *primary : flags.region;
  ses::EndpointOverrides overrides = spec.endpoint;
  if (region != *primary) {
    const auto additional = ses::additional_endpoint(region, spec.endpoint);
    overrides = additional ? ses::EndpointOverrides{.host = additional->host,
                                                    .port = additional->port,
                                                    .tls = additional->tls}
                           : ses::EndpointOverrides{};
  }
  override_with(flags.endpoint, overrides);
  const auto endpoint = ses::resolve_endpoint(region, overrides);
  if (!endpoint) {
    return std::unexpected(no_endpoint(region, "SesSmtpCredential " + named(which)));
  }
  auto password = ses::smtp_password_v4(key->source.key.secret_access_key, region);
  if (!password) {
    return std::unexpected(
        Problem{.what = password.error().message, .why = "", .fix = "check the installation of OpenSSL"});
  }
  return LoginPair{
      .username = std::move(key->source.key.access_key_id),
      .password = std::move(*password),
      .endpoint = *endpoint,
      .region = region,
      .source = "SesSmtpCredential " + named(which) + ", derived from Secret " + spec.source.secret_name,
      .credential = which,
      .secret_access_key = std::move(key->source.key.secret_access_key),
      .key_since = key->credential.status.key_since};
}

}  // namespace sessmtp::cli
