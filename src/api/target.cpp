#include "api/target.h"

#include <algorithm>

#include "api/names.h"
#include "ses/smtp_password.h"

namespace sessmtp::api {
namespace {

bool same_value(const kube::SecretData& data, const std::string& key, const SecretBytes& value) {
  const auto found = data.find(key);
  return found != data.end() && found->second.equals(value);
}

std::vector<std::string> missing(const std::map<std::string, std::string>& live,
                                 const std::map<std::string, std::string>& intent) {
  std::vector<std::string> names;
  for (const auto& [name, value] : intent) {
    const auto found = live.find(name);
    if (found == live.end() || found->second != value) {
      names.push_back(name);
    }
  }
  return names;
}

}  // namespace

Result<kube::Secret, Problem> render_target(const SesSmtpCredential& credential,
                                            const Ingredients& ingredients) {
  const auto& [key, region, endpoint, additional_endpoints, key_since, previous] = ingredients;
  auto password = ses::smtp_password_v4(key.secret_access_key, region);
  if (!password) {
    return std::unexpected(
        Problem{Reason::kApiError, "the password cannot be derived: " + password.error().message});
  }
  kube::Secret secret;
  secret.type = credential.spec.target.type;
  secret.meta.namespace_ = credential.meta.namespace_;
  secret.meta.name = credential.spec.target.name;
  secret.meta.labels = {{std::string(kManagedByLabel), std::string(kManagedBy)},
                        {std::string(kOwnerUidLabel), credential.meta.uid}};
  secret.meta.annotations = {{std::string(kCredentialAnnotation), credential.meta.name},
                             {std::string(kRegionAnnotation), region},
                             {std::string(kKeySinceAnnotation), to_rfc3339(key_since)}};
  secret.meta.owner_references = {{.api_version = std::string(kGroupVersion),
                                   .kind = std::string(kKind),
                                   .name = credential.meta.name,
                                   .uid = credential.meta.uid,
                                   .controller = true}};
  secret.data.emplace("url", ses::smtp_url(endpoint, key.access_key_id, *password));
  secret.data.emplace(kUsernameKey, key.access_key_id.clone());
  secret.data.emplace(kPasswordKey, std::move(*password));
  secret.data.emplace("host", SecretBytes(endpoint.host));
  secret.data.emplace("port", SecretBytes(std::to_string(endpoint.port)));
  secret.data.emplace("region", SecretBytes(region));
  return secret;
}

Drift drift(const kube::Secret& live, const kube::Secret& intent) {
  Drift result;
  for (const auto& [key, value] : intent.data) {
    if (!same_value(live.data, key, value)) {
      result.keys.push_back(key);
    }
  }
  result.metadata = missing(live.meta.labels, intent.meta.labels);
  std::ranges::move(missing(live.meta.annotations, intent.meta.annotations),
                    std::back_inserter(result.metadata));
  const bool owned =
      std::ranges::all_of(intent.meta.owner_references, [&](const kube::OwnerReference& owner) {
        return std::ranges::find(live.meta.owner_references, owner) != live.meta.owner_references.end();
      });
  if (!owned) {
    result.metadata.emplace_back("ownerReferences");
  }
  return result;
}

bool holds_pair_of(const kube::Secret& live, const ses::IamKey& key) {
  if (!same_value(live.data, kUsernameKey, key.access_key_id)) {
    return false;
  }
  const auto password = ses::smtp_password_v4(key.secret_access_key, live.meta.annotation(kRegionAnnotation));
  return password && same_value(live.data, kPasswordKey, *password);
}

}  // namespace sessmtp::api
