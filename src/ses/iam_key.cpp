#include "ses/iam_key.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <utility>

#include "base/base64.h"

namespace sessmtp::ses {
namespace {

constexpr std::size_t kSecretLength = 40;    // of every secret access key AWS has issued so far
constexpr std::size_t kPasswordLength = 44;  // base64 of a version byte and 32 bytes of HMAC

constexpr bool is_upper(char c) {
  return c >= 'A' && c <= 'Z';
}
constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
constexpr char lower(char c) {
  return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c;
}
constexpr bool is_alnum(char c) {
  return is_digit(c) || (lower(c) >= 'a' && lower(c) <= 'z');
}
constexpr bool is_base64(char c) {
  return is_alnum(c) || c == '+' || c == '/';
}
constexpr bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}
constexpr bool is_graphic(char c) {
  return c > ' ' && c < '\x7f';
}

// Like text, but in lower case, which is what column is in.
bool same_ignoring_case(std::string_view text, std::string_view column) {
  return std::ranges::equal(text, column, {}, lower);
}

bool is_already_derived(std::string_view secret) {
  return looks_like_smtp_password(secret) || is_ses_console_csv(secret);
}

// Prefixes: IAM User Guide, "IAM identifiers", "Understanding unique ID prefixes".
bool is_not_an_access_key_id(std::string_view id) {
  constexpr std::array<std::string_view, 11> kOtherPrefixes = {"AIDA", "AROA", "AIPA", "AGPA", "ANPA", "ANVA",
                                                               "APKA", "ASCA", "ABIA", "ACCA", "arn:"};
  const auto is_word = [](char c) { return is_alnum(c) || c == '_'; };
  return std::ranges::any_of(kOtherPrefixes, [id](std::string_view p) { return id.starts_with(p); }) ||
         id.size() < 16 || id.size() > 128 || !std::ranges::all_of(id, is_word);
}

// As `kubectl create secret --from-env-file` takes them over from a file made for a shell.
bool is_in_quotes(std::string_view value) {
  return value.size() > 1 && (value.front() == '"' || value.front() == '\'') && value.back() == value.front();
}

bool is_malformed_secret(std::string_view secret) {
  return !std::ranges::all_of(secret, is_graphic) || is_in_quotes(secret);
}

// `echo KEY | base64` encodes the newline as well, hence trimmed.
bool is_double_encoded_secret(std::string_view secret) {
  const std::optional<SecretBytes> decoded = base64_decode(secret);
  const std::string_view key = decoded ? trimmed(decoded->expose()) : std::string_view();
  return key.size() == kSecretLength && std::ranges::all_of(key, is_base64);
}

bool is_double_encoded_id(std::string_view id) {
  const std::optional<SecretBytes> decoded = base64_decode(id);
  return decoded && looks_like_access_key_id(trimmed(decoded->expose()));
}

std::vector<KeyWarning> warnings_about(bool was_trimmed, std::string_view secret) {
  std::vector<KeyWarning> warnings;
  if (was_trimmed) {
    warnings.push_back(KeyWarning::kWhitespaceTrimmed);
  }
  if (secret.size() != kSecretLength) {
    warnings.push_back(KeyWarning::kUnusualLength);
  }
  return warnings;
}

}  // namespace

Result<IamKey, KeyProblem> check_iam_key(const SecretBytes& access_key_id,
                                         const SecretBytes& secret_access_key,
                                         const SecretBytes& session_token) {
  const std::string_view id = trimmed(access_key_id.expose());
  const std::string_view secret = trimmed(secret_access_key.expose());
  const auto refuse = [](KeyFault fault, KeyPart part) { return std::unexpected(KeyProblem{fault, part}); };

  if (id.empty()) {
    return refuse(KeyFault::kValueEmpty, KeyPart::kAccessKeyId);
  }
  if (secret.empty()) {
    return refuse(KeyFault::kValueEmpty, KeyPart::kSecretAccessKey);
  }
  if (id.starts_with("ASIA")) {
    return refuse(KeyFault::kTemporaryCredentials, KeyPart::kAccessKeyId);
  }
  if (!trimmed(session_token.expose()).empty()) {
    return refuse(KeyFault::kTemporaryCredentials, KeyPart::kSessionToken);
  }
  if (is_already_derived(secret)) {
    return refuse(KeyFault::kAlreadyDerivedPassword, KeyPart::kSecretAccessKey);
  }
  if (looks_like_access_key_id(secret)) {  // also when the id stands in both places
    return refuse(KeyFault::kSwapped, KeyPart::kSecretAccessKey);
  }
  if (is_not_an_access_key_id(id) && !is_double_encoded_id(id)) {
    return refuse(KeyFault::kNotAnAccessKeyId, KeyPart::kAccessKeyId);
  }
  if (is_malformed_secret(secret)) {
    return refuse(KeyFault::kMalformed, KeyPart::kSecretAccessKey);
  }
  if (is_double_encoded_id(id)) {
    return refuse(KeyFault::kDoubleEncoded, KeyPart::kAccessKeyId);
  }
  if (is_double_encoded_secret(secret)) {
    return refuse(KeyFault::kDoubleEncoded, KeyPart::kSecretAccessKey);
  }
  const bool was_trimmed = id.size() != access_key_id.size() || secret.size() != secret_access_key.size();
  return IamKey{SecretBytes(id), SecretBytes(secret), warnings_about(was_trimmed, secret)};
}

Result<SecretAccessKey, KeyFault> check_secret_access_key(const SecretBytes& secret_access_key) {
  const std::string_view secret = trimmed(secret_access_key.expose());
  if (secret.empty()) {
    return std::unexpected(KeyFault::kValueEmpty);
  }
  if (is_already_derived(secret)) {
    return std::unexpected(KeyFault::kAlreadyDerivedPassword);
  }
  if (looks_like_access_key_id(secret)) {
    return std::unexpected(KeyFault::kSwapped);
  }
  if (is_malformed_secret(secret)) {
    return std::unexpected(KeyFault::kMalformed);
  }
  if (is_double_encoded_secret(secret)) {
    return std::unexpected(KeyFault::kDoubleEncoded);
  }
  return SecretAccessKey{SecretBytes(secret),
                         warnings_about(secret.size() != secret_access_key.size(), secret)};
}

std::string mask_access_key_id(std::string_view access_key_id) {
  if (!access_key_id.starts_with("AKIA") || !looks_like_access_key_id(access_key_id)) {
    return "****";
  }
  std::string masked(access_key_id);
  std::fill(masked.begin() + 4, masked.end() - 4, '*');
  return masked;
}

bool looks_like_smtp_password(std::string_view value) {
  if (value.size() != kPasswordLength || !std::ranges::all_of(value, is_base64)) {
    return false;
  }
  // The version byte 0x04 or 0x02 makes the first character and the upper bits of the second.
  return (value[0] == 'B' && value[1] >= 'A' && value[1] <= 'P') ||
         (value[0] == 'A' && value[1] >= 'g' && value[1] <= 'v');
}

// Its header changed over the years: "IAM User Name,Smtp Username,Smtp Password",
// "IAM user name,SMTP user name,SMTP password".
bool is_ses_console_csv(std::string_view text) {
  std::string_view header = text.substr(0, text.find_first_of("\r\n"));
  bool user = false;
  bool password = false;
  while (!header.empty()) {
    const std::size_t comma = std::min(header.find(','), header.size());
    std::string_view column = trimmed(header.substr(0, comma));
    header.remove_prefix(std::min(comma + 1, header.size()));
    if (column.size() >= 2 && column.front() == '"' && column.back() == '"') {
      column = column.substr(1, column.size() - 2);
    }
    user =
        user || same_ignoring_case(column, "smtp username") || same_ignoring_case(column, "smtp user name");
    password = password || same_ignoring_case(column, "smtp password");
  }
  return user && password;
}

bool looks_like_access_key_id(std::string_view value) {
  return value.size() == 20 && (value.starts_with("AKIA") || value.starts_with("ASIA")) &&
         std::ranges::all_of(value, [](char c) { return is_upper(c) || is_digit(c); });
}

std::string_view trimmed(std::string_view value) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  const auto drop_front = [&value] {
    value.remove_prefix(std::size_t(std::ranges::find_if_not(value, is_space) - value.begin()));
  };
  drop_front();
  if (value.starts_with(kByteOrderMark)) {
    value.remove_prefix(kByteOrderMark.size());
    drop_front();
  }
  while (!value.empty() && is_space(value.back())) {
    value.remove_suffix(1);
  }
  return value;
}

}  // namespace sessmtp::ses
