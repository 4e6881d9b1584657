#include "ses/smtp_password.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <string>

#include "base/file.h"
#include "base/json.h"
#include "ses/iam_key.h"

namespace sessmtp::ses {
namespace {

// tests/vectors.json says where each expected password comes from; none was computed with our code.
nlohmann::json vectors(const char* group) {
  const Result<std::string> text = read_file(SESSMTP_TEST_VECTORS);
  Result<nlohmann::json> document = parse_json(text.value());
  return document.value().at(group);
}

std::string value_of(const nlohmann::json& vector, const char* key) {
  return vector.at(key).get<std::string>();
}

std::string text_of(const Result<SecretBytes>& password) {
  return password ? std::string(password->expose()) : "error: " + password.error().message;
}

constexpr const char* kExampleKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

TEST(SmtpPassword, V4EqualsThePublishedAndTheIndependentlyComputedVectors) {
  const nlohmann::json cases = vectors("v4");
  ASSERT_GE(cases.size(), 19U);
  for (const nlohmann::json& vector : cases) {
    SCOPED_TRACE(vector.dump());
    const SecretBytes key(value_of(vector, "secret"));
    EXPECT_EQ(text_of(smtp_password_v4(key, value_of(vector, "region"))), value_of(vector, "password"));
  }
}

TEST(SmtpPassword, V2EqualsThePublishedAndTheIndependentlyComputedVectors) {
  const nlohmann::json cases = vectors("v2");
  ASSERT_GE(cases.size(), 4U);
  for (const nlohmann::json& vector : cases) {
    SCOPED_TRACE(vector.dump());
    EXPECT_EQ(text_of(smtp_password_v2(SecretBytes(value_of(vector, "secret")))),
              value_of(vector, "password"));
  }
}

TEST(SmtpPassword, TheConstantsOfALookAlikeServiceCanBeGiven) {
  for (const nlohmann::json& vector : vectors("other_constants")) {
    const std::string date = value_of(vector, "date");
    const std::string service = value_of(vector, "service");
    const SecretBytes key(value_of(vector, "secret"));
    EXPECT_EQ(text_of(smtp_password_v4(key, value_of(vector, "region"), {.date = date, .service = service})),
              value_of(vector, "password"));
  }
}

TEST(SmtpPassword, EveryVectorIsRecognisedAsAPasswordAndNoKeyIs) {
  for (const char* group : {"v4", "v2"}) {
    for (const nlohmann::json& vector : vectors(group)) {
      EXPECT_TRUE(looks_like_smtp_password(value_of(vector, "password"))) << vector;
      EXPECT_FALSE(looks_like_smtp_password(value_of(vector, "secret"))) << vector;
    }
  }
}

TEST(SmtpPassword, OneKeyHasAnotherPasswordInEveryRegion) {
  const SecretBytes key(kExampleKey);
  EXPECT_NE(text_of(smtp_password_v4(key, "eu-west-1")), text_of(smtp_password_v4(key, "eu-west-2")));
}

TEST(SmtpPassword, AnEmptyKeyGivesAPasswordRatherThanACrash) {
  // python3: base64(b"\x02" + hmac(b"", "SendRawEmail", sha256))
  EXPECT_EQ(text_of(smtp_password_v2(SecretBytes())), "Av3ai2mSBPobuXOcAOht462/jGm4yOHPX4whE/jhYijX");
}

TEST(SmtpPassword, SelfTestPassesOnASoundBuild) {
  const Result<void> result = known_answer_self_test();
  EXPECT_TRUE(result) << result.error().message;
}

}  // namespace
}  // namespace sessmtp::ses
