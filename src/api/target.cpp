#include "api/target.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <iterator>
#include <set>
#include <string_view>
#include <utility>

#include "api/names.h"
#include "api/template.h"
#include "base/hmac.h"
#include "base/text.h"
#include "ses/region.h"
#include "ses/smtp_password.h"

namespace sessmtp::api {
namespace {

using Texts = std::map<std::string, std::string>;

// As the API server counts: the values, not the keys (MaxSecretSize of k8s.io/api/core/v1).
constexpr std::size_t kMaxSecretSize = 1024UL * 1024;

constexpr std::string_view kPreviousUsernameKey = "previous-username";
constexpr std::string_view kPreviousPasswordKey = "previous-password";

// ---- what is written -------------------------------------------------------------------------------------

// A region's own values: "password" for the primary one, "password@eu-west-1" for each.
Result<void> add_region(TemplateValues& values, const std::string& suffix, const ses::IamKey& key,
                        const std::string& region, const ses::Endpoint& endpoint) {
  auto password = ses::smtp_password_v4(key.secret_access_key, region);
  if (!password) {
    return std::unexpected(std::move(password.error()));
  }
  values.emplace("host" + suffix, SecretBytes(endpoint.host));
  values.emplace("url" + suffix, ses::smtp_url(endpoint, key.access_key_id, *password));
  values.emplace("password" + suffix, std::move(*password));
  return {};
}

Result<TemplateValues> values_of(const Ingredients& from) {
  TemplateValues values;
  values.emplace("username", from.key.access_key_id.clone());
  values.emplace("port", SecretBytes(std::to_string(from.endpoint.port)));
  values.emplace("region", SecretBytes(from.region));
  values.emplace("tls", SecretBytes(from.endpoint.tls == ses::Tls::kImplicit ? "implicit" : "starttls"));
  if (from.previous) {
    values.emplace("previousUsername", from.previous->username.clone());
    values.emplace("previousPassword", from.previous->password.clone());
  }
  for (const std::string& suffix : {std::string(), '@' + from.region}) {
    if (auto added = add_region(values, suffix, from.key, from.region, from.endpoint); !added) {
      return std::unexpected(std::move(added.error()));
    }
  }
  for (const auto& [region, endpoint] : from.additional_endpoints) {
    if (auto added = add_region(values, '@' + region, from.key, region, endpoint); !added) {
      return std::unexpected(std::move(added.error()));
    }
  }
  return values;
}

Texts templates_of(TargetFormat format, const Ingredients& from) {
  switch (format) {
    case TargetFormat::kDefault: {
      Texts texts{{"username", "$(username)"}, {"password", "$(password)"}, {"host", "$(host)"},
                  {"port", "$(port)"},         {"region", "$(region)"},     {"url", "$(url)"}};
      for (const auto& [region, endpoint] : from.additional_endpoints) {
        for (const std::string name : {"password", "host", "url"}) {
          texts.emplace(name + '.' + region, "$(" + name + '@' + region + ')');
        }
      }
      return texts;
    }
    case TargetFormat::kBasicAuth:
      return {{"username", "$(username)"}, {"password", "$(password)"}};
    case TargetFormat::kEnv:
      return {{"SMTP_HOST", "$(host)"},         {"SMTP_PORT", "$(port)"}, {"SMTP_USERNAME", "$(username)"},
              {"SMTP_PASSWORD", "$(password)"}, {"SMTP_URL", "$(url)"},   {"SMTP_TLS", "$(tls)"}};
    case TargetFormat::kServiceBinding:
      return {{"type", "smtp"},    {"provider", "aws-ses"},     {"host", "$(host)"},
              {"port", "$(port)"}, {"username", "$(username)"}, {"password", "$(password)"},
              {"uri", "$(url)"}};
    case TargetFormat::kNone:
      break;
  }
  return {};
}

constexpr bool shows_previous(TargetFormat format) {
  return format != TargetFormat::kEnv && format != TargetFormat::kNone;
}

Problem invalid(const std::string& key, const std::string& what) {
  return {Reason::kTemplateInvalid, "spec.target.data[" + in_quotes(key) + "]: " + what};
}

Result<SecretBytes, Problem> expand_key(const std::string& key, const std::string& text,
                                        const TemplateValues& values) {
  const auto parsed = parse_template(text);
  if (!parsed) {
    return std::unexpected(invalid(key, describe(parsed.error())));
  }
  auto value = expand(*parsed, values);
  if (!value) {
    return std::unexpected(invalid(key, describe(value.error())));
  }
  return std::move(*value);
}

void add_previous(kube::SecretData& data, const PreviousPair& previous) {
  data.emplace(kPreviousUsernameKey, previous.username.clone());
  data.emplace(kPreviousPasswordKey, previous.password.clone());
  for (const auto& [region, password] : previous.regional_passwords) {
    data.emplace(std::string(kPreviousPasswordKey) + '.' + region, password.clone());
  }
}

std::optional<Problem> judge_size(const kube::SecretData& data) {
  std::size_t total = 0;
  std::vector<std::pair<std::size_t, std::string>> keys;
  for (const auto& [key, value] : data) {
    total += value.size();
    keys.emplace_back(value.size(), key);
  }
  if (total <= kMaxSecretSize) {
    return std::nullopt;
  }
  std::ranges::sort(keys, std::greater<>());
  keys.resize(std::min<std::size_t>(keys.size(), 3));
  std::vector<std::string> largest;
  largest.reserve(keys.size());
  for (const auto& [size, key] : keys) {
    largest.push_back(key + " (" + std::to_string(size) + ')');
  }
  return Problem{Reason::kTargetTooLarge,
                 "the target would hold " + std::to_string(total) + " bytes, and a Secret can hold " +
                     std::to_string(kMaxSecretSize) + "; the largest keys are " + joined(largest) +
                     ": shorten their templates in spec.target.data"};
}

Result<kube::SecretData, Problem> render_data(const Spec& spec, const Ingredients& from) {
  const auto values = values_of(from);
  if (!values) {
    return std::unexpected(
        Problem{Reason::kApiError, "the password cannot be derived: " + values.error().message});
  }
  Texts texts = templates_of(spec.target.format, from);
  for (const auto& [key, text] : spec.target.data) {
    texts.insert_or_assign(key, text);
  }
  kube::SecretData data;
  for (const auto& [key, text] : texts) {
    auto value = expand_key(key, text, *values);
    if (!value) {
      return std::unexpected(std::move(value.error()));
    }
    data.emplace(key, std::move(*value));
  }
  if (from.previous && shows_previous(spec.target.format)) {
    add_previous(data, *from.previous);
  }
  if (auto problem = judge_size(data)) {
    return std::unexpected(std::move(*problem));
  }
  return data;
}

// Everything but the data and the two annotations about time: what makes the Secret ours.
void claim(kube::Secret& secret, const SesSmtpCredential& credential, const std::string& region) {
  const TargetSpec& target = credential.spec.target;
  secret.type = target.type;
  secret.meta.labels = {{std::string(kManagedByLabel), std::string(kManagedBy)},
                        {std::string(kOwnerUidLabel), credential.meta.uid}};
  secret.meta.labels.insert(target.labels.begin(), target.labels.end());
  secret.meta.annotations.emplace(kCredentialAnnotation, credential.meta.name);
  secret.meta.annotations.emplace(kRegionAnnotation, region);
  secret.meta.annotations.insert(target.annotations.begin(), target.annotations.end());
  if (target.deletion_policy == DeletionPolicy::kDelete) {
    secret.meta.owner_references = {{.api_version = std::string(kGroupVersion),
                                     .kind = std::string(kKind),
                                     .name = credential.meta.name,
                                     .uid = credential.meta.uid,
                                     .controller = true}};
  }
}

// ---- how far the live Secret is from it ------------------------------------------------------------------

bool same_value(const kube::SecretData& data, const std::string& key, const SecretBytes& value) {
  const auto found = data.find(key);
  return found != data.end() && found->second.equals(value);
}

void compare(std::vector<std::string>& names, const Texts& live, const Texts& intent,
             const std::set<std::string>& applied) {
  for (const auto& [name, value] : intent) {
    const auto found = live.find(name);
    if (found == live.end() || found->second != value) {
      names.push_back(name);
    }
  }
  for (const std::string& name : applied) {
    if (live.contains(name) && !intent.contains(name)) {
      names.push_back(name);
    }
  }
}

bool same_owners(const kube::Secret& live, const kube::Secret& intent) {
  const auto& wanted = intent.meta.owner_references;
  const auto& there = live.meta.owner_references;
  return std::ranges::all_of(wanted,
                             [&](const kube::OwnerReference& owner) {
                               return std::ranges::find(there, owner) != there.end();
                             }) &&
         std::ranges::none_of(there, [&](const kube::OwnerReference& owner) {
           return live.applied.owners.contains(owner.uid) &&
                  std::ranges::find(wanted, owner.uid, &kube::OwnerReference::uid) == wanted.end();
         });
}

// ---- the pair in it --------------------------------------------------------------------------------------

// As far as managedFields tell; a target restored from a backup may have none.
bool is_ours(const kube::Secret& live, const std::string& key) {
  return live.applied.data.empty() || live.applied.data.contains(key);
}

bool looks_like_id(std::string_view text) {
  return text.size() >= 16 && text.size() <= 128 && std::ranges::all_of(text, [](char c) {
           return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
         });
}

std::optional<PreviousPair> read_pair(const kube::Secret& live, std::string_view username_key,
                                      std::string_view password_key, WallTime expires_at) {
  const auto username = live.data.find(std::string(username_key));
  const auto password = live.data.find(std::string(password_key));
  if (username == live.data.end() || password == live.data.end() ||
      !looks_like_id(username->second.expose()) ||
      !ses::looks_like_smtp_password(password->second.expose())) {
    return std::nullopt;
  }
  PreviousPair pair{.username = username->second.clone(),
                    .password = password->second.clone(),
                    .regional_passwords = {},
                    .expires_at = expires_at};
  const std::string prefix = std::string(password_key) + '.';
  for (auto at = live.data.lower_bound(prefix); at != live.data.end() && at->first.starts_with(prefix);
       ++at) {
    std::string region = at->first.substr(prefix.size());
    if (ses::has_region_syntax(region) && ses::looks_like_smtp_password(at->second.expose())) {
      pair.regional_passwords.emplace(std::move(region), at->second.clone());
    }
  }
  return pair;
}

SecretBytes filtered(const SecretBytes& value, TemplateFilter filter) {
  TemplateValues values;
  values.emplace("value", value.clone());
  const Template reference{TemplateReference{.value = "value", .filter = filter, .region_position = {}}};
  return std::move(*expand(reference, values));
}

bool stands_somewhere(const kube::Secret& live, const SecretBytes& password) {
  const std::array<SecretBytes, 3> forms = {password.clone(), filtered(password, TemplateFilter::kUrlencode),
                                            filtered(password, TemplateFilter::kBase64)};
  return std::ranges::any_of(live.data, [&](const auto& entry) {
    const auto& [key, value] = entry;
    const std::string_view text = value.expose();
    return is_ours(live, key) && !key.starts_with(kPreviousPasswordKey) &&
           std::ranges::any_of(forms,
                               [text](const SecretBytes& form) { return text.contains(form.expose()); });
  });
}

std::string hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char byte : bytes) {
    const auto value = static_cast<unsigned char>(byte);
    text += kDigits[value >> 4U];
    text += kDigits[value & 0xFU];
  }
  return text;
}

}  // namespace

Result<kube::Secret, Problem> render_target(const SesSmtpCredential& credential,
                                            const Ingredients& ingredients) {
  auto data = render_data(credential.spec, ingredients);
  if (!data) {
    return std::unexpected(std::move(data.error()));
  }
  kube::Secret secret;
  secret.meta.namespace_ = credential.meta.namespace_;
  secret.meta.name = credential.spec.target.name;
  secret.meta.annotations.emplace(kKeySinceAnnotation, to_rfc3339(ingredients.key_since));
  if (ingredients.previous) {
    secret.meta.annotations.emplace(kPreviousExpiresAtAnnotation,
                                    to_rfc3339(ingredients.previous->expires_at));
  }
  if (credential.spec.target.conflict_policy != ConflictPolicy::kMerge) {
    claim(secret, credential, ingredients.region);
  }
  secret.data = std::move(*data);
  return secret;
}

std::string data_digest(const kube::SecretData& data, const std::string& credential_uid) {
  std::size_t size = 0;
  for (const auto& [key, value] : data) {
    size += key.size() + value.size() + 2 * (sizeof "18446744073709551615:");
  }
  std::string text;
  text.reserve(size);                      // grows never: no copies
  for (const auto& [key, value] : data) {  // with their lengths: no two maps give one text
    text.append(std::to_string(key.size())).append(":").append(key);
    text.append(std::to_string(value.size())).append(":").append(value.expose());
  }
  const auto mac = hmac_sha256(SecretBytes(credential_uid), text);
  wipe(text.data(), text.size());
  return mac ? hex(mac->expose().substr(0, 8)) : std::string();
}

Drift drift(const kube::Secret& live, const kube::Secret& intent) {
  Drift result;
  for (const auto& [key, value] : intent.data) {
    if (!same_value(live.data, key, value)) {
      result.keys.push_back(key);
    }
  }
  for (const std::string& key : live.applied.data) {
    if (live.data.contains(key) && !intent.data.contains(key)) {
      result.keys.push_back(key);
    }
  }
  compare(result.metadata, live.meta.labels, intent.meta.labels, live.applied.labels);
  compare(result.metadata, live.meta.annotations, intent.meta.annotations, live.applied.annotations);
  if (!same_owners(live, intent)) {
    result.metadata.emplace_back("ownerReferences");
  }
  return result;
}

std::optional<PreviousPair> pair_of(const kube::Secret& live, WallTime expires_at) {
  for (const auto& [username, password] :
       {std::pair(kUsernameKey, kPasswordKey), std::pair("SMTP_USERNAME", "SMTP_PASSWORD")}) {
    auto pair = is_ours(live, username) && is_ours(live, password)
                    ? read_pair(live, username, password, expires_at)
                    : std::nullopt;
    if (pair) {
      return pair;
    }
  }
  return std::nullopt;
}

std::optional<PreviousPair> previous_pair_of(const kube::Secret& live) {
  const auto expires_at = parse_rfc3339(live.meta.annotation(kPreviousExpiresAtAnnotation));
  return expires_at ? read_pair(live, kPreviousUsernameKey, kPreviousPasswordKey, *expires_at) : std::nullopt;
}

bool holds_pair_of(const kube::Secret& live, const ses::IamKey& key,
                   const std::vector<std::string>& regions) {
  std::set<std::string> tried(regions.begin(), regions.end());
  tried.emplace(live.meta.annotation(kRegionAnnotation));
  const auto pair = pair_of(live);
  return std::ranges::any_of(tried, [&](const std::string& region) {
    const auto password = ses::smtp_password_v4(key.secret_access_key, region);
    if (!password) {
      return false;
    }
    return pair ? pair->username.equals(key.access_key_id) && pair->password.equals(*password)
                : stands_somewhere(live, *password);
  });
}

}  // namespace sessmtp::api
