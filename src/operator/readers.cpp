#include "operator/readers.h"

#include <nlohmann/json.hpp>
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

// Gives what was decoded to `use`.
template <class T, class Use>
Result<void> then(Result<T> decoded, const Use& use) {
  if (!decoded) {
    return std::unexpected(std::move(decoded.error()));
  }
  use(std::move(*decoded));
  return {};
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

Result<void> CredentialReader::put(std::string_view object) {
  return then(credential_from(object),
              [this](const api::SesSmtpCredential& credential) { cache_.put_credential(credential); });
}

Result<void> CredentialReader::remove(std::string_view object) {
  return then(kube::parse_meta(object),
              [this](const kube::ObjectMeta& meta) { cache_.remove_credential(meta); });
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

Result<void> SecretReader::put(std::string_view object) {
  return then(kube::parse_meta(object), [this](const kube::ObjectMeta& meta) { cache_.put_secret(meta); });
}

Result<void> SecretReader::remove(std::string_view object) {
  return then(kube::parse_meta(object), [this](const kube::ObjectMeta& meta) { cache_.remove_secret(meta); });
}

void SecretReader::lost() {
  cache_.lost_secrets(scope_);
}

void SecretReader::refused(const kube::ApiError& /*error*/) {
  cache_.refuse_secrets(scope_);
}

}  // namespace sessmtp::operator_
