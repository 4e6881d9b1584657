#include "cli/derive_compare.h"

#include "base/text.h"
#include "ses/region.h"
#include "ses/smtp_password.h"

namespace sessmtp::cli {
namespace {

std::string_view without_final_newline(std::string_view text) {
  if (text.ends_with('\n')) {
    text.remove_suffix(text.ends_with("\r\n") ? 2 : 1);
  }
  return text;
}

}  // namespace

Result<std::string> what_is_wrong_with(const SecretBytes& given, const SecretBytes& secret_access_key,
                                       std::string_view region) {
  const Result<SecretBytes> right = ses::smtp_password_v4(secret_access_key, region);
  if (!right) {
    return std::unexpected(right.error());
  }
  if (right->equals(SecretBytes(without_final_newline(given.expose())))) {
    return "";
  }
  const SecretBytes bare(trimmed(given.expose()));
  if (bare.empty()) {
    return "it is empty";
  }
  if (right->equals(bare)) {
    return "it is the right one with white space around it";
  }
  if (secret_access_key.equals(bare)) {
    return "it is the secret access key itself, and SES expects the password derived from it";
  }
  for (const std::string_view other : ses::known_smtp_regions()) {
    const Result<SecretBytes> password = ses::smtp_password_v4(secret_access_key, other);
    if (password && password->equals(bare)) {
      return "it is this key's password in " + std::string(other) + "; every region needs its own";
    }
  }
  if (const Result<SecretBytes> old = ses::smtp_password_v2(secret_access_key); old && old->equals(bare)) {
    return "it is this key's password by the signature that SES retired in 2019";
  }
  return "it is not this key's password in any region that this version knows of; perhaps another key's, "
         "such as the one before a rotation";
}

}  // namespace sessmtp::cli
