// The password that Amazon SES's SMTP interface expects for an IAM access key.
//
// Source: Amazon SES Developer Guide, "Obtaining Amazon SES SMTP credentials by converting existing
// AWS credentials". Pure; thread-safe.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.h"
#include "base/secret_bytes.h"

namespace sessmtp::ses {

// What AWS's page fixes. Look-alike services use other values, hence one struct and no literals.
struct SigningConstants {
  std::string_view date = "11111111";  // not a date: the text that AWS chose
  std::string_view service = "ses";
  std::string_view terminal = "aws4_request";
  std::string_view message = "SendRawEmail";
  std::uint8_t version = 0x04;
};

// 44 base64 characters, one password for each region. Fails (kInternal) only when OpenSSL does.
[[nodiscard]] Result<SecretBytes> smtp_password_v4(const SecretBytes& secret_access_key,
                                                   std::string_view region,
                                                   const SigningConstants& constants = {});

// The form retired on 2019-01-10, without a region; to recognise old passwords, never to make new ones.
[[nodiscard]] Result<SecretBytes> smtp_password_v2(const SecretBytes& secret_access_key);

// Derives documented vectors and compares. A program that fails this must refuse to run: a wrong
// password looks just like a right one.
[[nodiscard]] Result<void> known_answer_self_test();

}  // namespace sessmtp::ses
