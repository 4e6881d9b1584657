#include "ses/smtp_password.h"

#include <array>
#include <cstddef>
#include <string>
#include <utility>

#include "base/base64.h"
#include "base/hmac.h"

namespace sessmtp::ses {
namespace {

SecretBytes join(std::string_view front, std::string_view back) {
  std::string bytes;
  bytes.reserve(front.size() + back.size());
  bytes.append(front).append(back);
  SecretBytes joined(bytes);
  wipe(bytes.data(), bytes.size());
  return joined;
}

SecretBytes with_version(std::uint8_t version, const SecretBytes& signature) {
  const char first = static_cast<char>(version);
  const SecretBytes bytes = join({&first, 1}, signature.expose());
  std::string text = base64_encode(bytes.expose());
  SecretBytes password(text);
  wipe(text.data(), text.size());
  return password;
}

}  // namespace

Result<SecretBytes> smtp_password_v4(const SecretBytes& secret_access_key, std::string_view region,
                                     const SigningConstants& constants) {
  SecretBytes signature = join("AWS4", secret_access_key.expose());
  for (const std::string_view stage :
       {constants.date, region, constants.service, constants.terminal, constants.message}) {
    Result<SecretBytes> next = hmac_sha256(signature, stage);
    if (!next) {
      return std::unexpected(std::move(next).error());
    }
    signature = std::move(*next);  // wipes the key of the stage before
  }
  return with_version(constants.version, signature);
}

Result<SecretBytes> smtp_password_v2(const SecretBytes& secret_access_key) {
  const Result<SecretBytes> signature = hmac_sha256(secret_access_key, "SendRawEmail");
  if (!signature) {
    return std::unexpected(signature.error());
  }
  return with_version(0x02, *signature);
}

Result<void> known_answer_self_test() {
  // The example key of the AWS documentation; the passwords are in public test suites (aws-sdk-php).
  const SecretBytes key("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
  struct Answer {
    Result<SecretBytes> derived;
    std::string_view expected;
  };
  const std::array<Answer, 3> answers = {{
      {smtp_password_v4(key, "us-east-1"), "BLBM/9hSUELfq8Gw+rU1YcBjkOxGbhT2XG763xVLGWL9"},
      {smtp_password_v4(key, "us-east-2"), "BMPPgbAHoFVbze1Ud0oA5uNdXRwUXUZ+qOwphGJbl/cS"},
      {smtp_password_v2(key), "An60U4ZD3sd4fg+FvXUjayOipTt8LO4rUUmhpdX6ctDy"},
  }};
  for (const Answer& answer : answers) {
    if (!answer.derived) {
      return std::unexpected(answer.derived.error());
    }
    if (answer.derived->expose() != answer.expected) {
      return fail(ErrorCode::kInternal,
                  "the self-test of the password derivation failed: this program or its OpenSSL library is "
                  "damaged, and every password it made would be refused by SES");
    }
  }
  return {};
}

}  // namespace sessmtp::ses
