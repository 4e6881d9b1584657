#include "operator/readers.h"

#include <nlohmann/json.hpp>
#include <type_traits>
#include <utility>

namespace sessmtp::operator_ {
namespace {

// Names the object where it can be named, so that a person finds it.
Result<api::SesSmtpCredential> credential_from(std::string_view text) {
  const auto object = kube::parse_object(text);
  if (!object) {
    return std::unexpected(object.error());
  }
  auto credential = api::decode_credential(*object);
  if (!credential) {
    const auto meta = kube::decode_meta(*object);
    return std::unexpected(
        std::move(credential.error()).in(meta ? meta->namespace_ + '/' + meta->name : "?"));
  }
  return credential;
}

// What `use` makes of what was decoded.
template <class T, class Use>
Result<std::invoke_result_t<Use, T>> then(Result<T> decoded, const Use& use) {
  if (!decoded) {
    return std::unexpected(std::move(decoded.error()));
  }
  if constexpr (std::is_void_v<std::invoke_result_t<Use, T>>) {
    use(*decoded);
    return {};
  } else {
    return use(*decoded);
  }
}

}  // namespace

void CredentialReader::list_begins() {
  unreadable_.clear();
  cache_.begin_credential_list(scope_);
}

Result<void> CredentialReader::listed(std::string_view object) {
  auto result = then(credential_from(object), [this](const api::SesSmtpCredential& credential) {
    cache_.listed_credential(scope_, credential);
  });
  if (!result) {
    if (const auto meta = kube::parse_meta(object)) {
      unreadable_.insert(meta->key());
    }
  }
  return result;
}

void CredentialReader::list_ends() {
  cache_.end_credential_list(scope_, std::exchange(unreadable_, {}));
}

Result<std::string> CredentialReader::put(std::string_view object) {
  // Most events are echoes of our own writes.
  if (auto meta = kube::parse_meta(object); meta && cache_.knows(*meta)) {
    return std::move(meta->resource_version);
  }
  return then(credential_from(object), [this](const api::SesSmtpCredential& credential) {
    cache_.put_credential(credential);
    return credential.meta.resource_version;
  });
}

Result<std::string> CredentialReader::remove(std::string_view object) {
  return then(kube::parse_meta(object), [this](const kube::ObjectMeta& meta) {
    cache_.remove_credential(meta);
    return meta.resource_version;
  });
}

void CredentialReader::refused(const kube::ApiError& /*error*/) {
  cache_.refuse_credentials(scope_);
}

void CredentialReader::missing() {
  cache_.forget_credentials(scope_);
}

void SecretReader::list_begins() {
  cache_.begin_secret_list(scope_);
}

Result<void> SecretReader::listed(std::string_view object) {
  return then(kube::parse_meta(object),
              [this](const kube::ObjectMeta& meta) { cache_.listed_secret(scope_, meta); });
}

void SecretReader::list_ends() {
  cache_.end_secret_list(scope_);
}

Result<std::string> SecretReader::put(std::string_view object) {
  return then(kube::parse_meta(object), [this](const kube::ObjectMeta& meta) {
    cache_.put_secret(meta);
    return meta.resource_version;
  });
}

Result<std::string> SecretReader::remove(std::string_view object) {
  return then(kube::parse_meta(object), [this](const kube::ObjectMeta& meta) {
    cache_.remove_secret(meta);
    return meta.resource_version;
  });
}

void SecretReader::lost() {
  cache_.lost_secrets(scope_);
}

void SecretReader::refused(const kube::ApiError& /*error*/) {
  cache_.refuse_secrets(scope_);
}

}  // namespace sessmtp::operator_
