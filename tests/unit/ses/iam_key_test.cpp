#include "ses/iam_key.h"

#include <gmock/gmock.h>

#include <array>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

#include "base/base64.h"

namespace sessmtp::ses {

void PrintTo(const KeyProblem& problem, std::ostream* out) {
  constexpr std::array kFaults = {"kValueEmpty",   "kTemporaryCredentials", "kAlreadyDerivedPassword",
                                  "kSwapped",      "kNotAnAccessKeyId",     "kMalformed",
                                  "kDoubleEncoded"};
  constexpr std::array kParts = {"kAccessKeyId", "kSecretAccessKey", "kSessionToken"};
  *out << kFaults.at(std::size_t(problem.fault)) << " of " << kParts.at(std::size_t(problem.part));
}

namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// Public examples of the AWS documentation, and passwords derived from them.
const std::string kId = "AKIAIOSFODNN7EXAMPLE";
const std::string kSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const std::string kPasswordV4 = "BLBM/9hSUELfq8Gw+rU1YcBjkOxGbhT2XG763xVLGWL9";
const std::string kPasswordV2 = "An60U4ZD3sd4fg+FvXUjayOipTt8LO4rUUmhpdX6ctDy";

// The problem that is found, or nothing when the pair is accepted.
std::optional<KeyProblem> problem_of(std::string_view id, std::string_view secret,
                                     std::string_view token = "") {
  const auto key = check_iam_key(SecretBytes(id), SecretBytes(secret), SecretBytes(token));
  return key ? std::nullopt : std::optional(key.error());
}

constexpr std::optional<KeyProblem> kAccepted = std::nullopt;

constexpr std::optional<KeyProblem> id_is(KeyFault fault) {
  return KeyProblem{fault, KeyPart::kAccessKeyId};
}
constexpr std::optional<KeyProblem> secret_is(KeyFault fault) {
  return KeyProblem{fault, KeyPart::kSecretAccessKey};
}

TEST(IamKey, ProperPairIsTakenAsItIs) {
  const auto key = check_iam_key(SecretBytes(kId), SecretBytes(kSecret), SecretBytes());
  ASSERT_TRUE(key);
  EXPECT_EQ(key->access_key_id.expose(), kId);
  EXPECT_EQ(key->secret_access_key.expose(), kSecret);
  EXPECT_THAT(key->warnings, IsEmpty());
}

TEST(IamKey, EmptyValuesAreRefused) {
  EXPECT_EQ(problem_of("", kSecret), id_is(KeyFault::kValueEmpty));
  EXPECT_EQ(problem_of(kId, ""), secret_is(KeyFault::kValueEmpty));
  EXPECT_EQ(problem_of(kId, " \r\n"), secret_is(KeyFault::kValueEmpty));
  EXPECT_EQ(problem_of("\xEF\xBB\xBF", kSecret), id_is(KeyFault::kValueEmpty));
}

TEST(IamKey, TemporaryCredentialsAreRefused) {
  EXPECT_EQ(problem_of("ASIAIOSFODNN7EXAMPLE", kSecret), id_is(KeyFault::kTemporaryCredentials));
  EXPECT_EQ(problem_of("\nASIAIOSFODNN7EXAMPLE", kSecret), id_is(KeyFault::kTemporaryCredentials));
  EXPECT_EQ(problem_of(kId, kSecret, "IQoJb3JpZ2luX2VjEXAMPLE"),
            (KeyProblem{KeyFault::kTemporaryCredentials, KeyPart::kSessionToken}));
}

TEST(IamKey, AnEmptySessionTokenIsAsGoodAsNone) {
  EXPECT_EQ(problem_of(kId, kSecret, ""), kAccepted);
  EXPECT_EQ(problem_of(kId, kSecret, "\n"), kAccepted);
}

TEST(IamKey, PasswordsThatAreDerivedAlreadyAreRefused) {
  EXPECT_EQ(problem_of(kId, kPasswordV4), secret_is(KeyFault::kAlreadyDerivedPassword));
  EXPECT_EQ(problem_of(kId, kPasswordV2), secret_is(KeyFault::kAlreadyDerivedPassword));
  EXPECT_EQ(problem_of(kId, kPasswordV4 + "\n"), secret_is(KeyFault::kAlreadyDerivedPassword));
}

TEST(IamKey, OnlyTheExactShapeOfAPasswordIsTakenForOne) {
  const std::string rest(42, 'x');
  struct Case {
    std::string value;
    bool password;
  };
  for (const Case& c :
       {Case{"BA" + rest, true}, Case{"BP" + rest, true}, Case{"BQ" + rest, false}, Case{"B@" + rest, false},
        Case{"Ag" + rest, true}, Case{"Av" + rest, true}, Case{"Af" + rest, false}, Case{"Aw" + rest, false},
        Case{"CA" + rest, false}, Case{"BA" + rest + "x", false}, Case{"BA" + rest.substr(1), false},
        Case{"BA" + rest.substr(1) + "=", false}, Case{"BA" + rest.substr(1) + " ", false}}) {
    EXPECT_EQ(looks_like_smtp_password(c.value), c.password) << c.value;
  }
  EXPECT_EQ(problem_of(kId, "BQ" + rest), kAccepted);  // 44 characters, an unusual length and no more
}

TEST(IamKey, TheCsvFileOfTheSesConsoleIsRefusedAsAnSmtpPassword) {
  for (const std::string_view header :
       {"IAM User Name,Smtp Username,Smtp Password", "IAM user name,SMTP user name,SMTP password",
        "\"IAM user name\",\"SMTP user name\",\"SMTP password\"",
        "\xEF\xBB\xBFIAM user name,SMTP user name,SMTP password",
        "IAM User Name, Smtp Username, Smtp Password\r"}) {
    const std::string csv = std::string(header) + "\n\"shop\"," + kId + "," + kPasswordV4 + "\n";
    EXPECT_EQ(problem_of(kId, csv), secret_is(KeyFault::kAlreadyDerivedPassword)) << csv;
  }
}

TEST(IamKey, AnotherCsvFileIsNotMistakenForThatOfTheSesConsole) {
  EXPECT_EQ(problem_of(kId, "Access key ID,Secret access key\n" + kId + "," + kSecret),
            secret_is(KeyFault::kMalformed));
  EXPECT_EQ(problem_of(kId, "Smtp Password"), secret_is(KeyFault::kMalformed));
}

TEST(IamKey, IdInTheSecretsPlaceIsRefusedAsSwapped) {
  EXPECT_EQ(problem_of(kSecret, kId), secret_is(KeyFault::kSwapped));
  EXPECT_EQ(problem_of(kSecret, "ASIAIOSFODNN7EXAMPLE"), secret_is(KeyFault::kSwapped));
  EXPECT_EQ(problem_of("AIDAIOSFODNN7EXAMPLE", kId), secret_is(KeyFault::kSwapped));
}

TEST(IamKey, WhatOnlyResemblesAnIdIsNotTakenForASwap) {
  EXPECT_EQ(problem_of(kId, "AKIAiosfodnn7example"), kAccepted);
  EXPECT_EQ(problem_of(kId, kId + "X"), kAccepted);
}

TEST(IamKey, IdsOfOtherThingsAreRefused) {
  for (const std::string_view prefix :
       {"AIDA", "AROA", "AIPA", "AGPA", "ANPA", "ANVA", "APKA", "ASCA", "ABIA", "ACCA"}) {
    EXPECT_EQ(problem_of(std::string(prefix) + "IOSFODNN7EXAMPLE", kSecret),
              id_is(KeyFault::kNotAnAccessKeyId))
        << prefix;
  }
  EXPECT_EQ(problem_of("arn:aws:iam::123456789012:user/shop", kSecret), id_is(KeyFault::kNotAnAccessKeyId));
  EXPECT_EQ(problem_of("AKIA-IOSFODNN7EXAMPLE", kSecret), id_is(KeyFault::kNotAnAccessKeyId));
  EXPECT_EQ(problem_of("AKIA IOSFODNN7EXAMPLE", kSecret), id_is(KeyFault::kNotAnAccessKeyId));
  EXPECT_EQ(problem_of("shop-mail@example.com", kSecret), id_is(KeyFault::kNotAnAccessKeyId));
}

TEST(IamKey, IdsHave16To128WordCharacters) {
  EXPECT_EQ(problem_of(std::string(15, 'A'), kSecret), id_is(KeyFault::kNotAnAccessKeyId));
  EXPECT_EQ(problem_of(std::string(16, 'A'), kSecret), kAccepted);
  EXPECT_EQ(problem_of(std::string(128, 'A'), kSecret), kAccepted);
  EXPECT_EQ(problem_of(std::string(129, 'A'), kSecret), id_is(KeyFault::kNotAnAccessKeyId));
  EXPECT_EQ(problem_of("vendor_key_id_0123", kSecret), kAccepted);
}

TEST(IamKey, WhiteSpaceAroundAValueIsTrimmedWithAWarning) {
  struct Case {
    std::string id;
    std::string secret;
  };
  for (const Case& c : {Case{kId, kSecret + "\n"}, Case{kId, kSecret + "\r\n"}, Case{kId, "\t " + kSecret},
                        Case{kId, "\xEF\xBB\xBF" + kSecret}, Case{kId, "\xEF\xBB\xBF\n" + kSecret + " "},
                        Case{kId + "\n", kSecret}, Case{" " + kId, kSecret}}) {
    const auto key = check_iam_key(SecretBytes(c.id), SecretBytes(c.secret), SecretBytes());
    ASSERT_TRUE(key) << c.secret;
    EXPECT_EQ(key->access_key_id.expose(), kId);
    EXPECT_EQ(key->secret_access_key.expose(), kSecret);
    EXPECT_THAT(key->warnings, ElementsAre(KeyWarning::kWhitespaceTrimmed));
  }
}

TEST(IamKey, BytesThatNoKeyHoldsAreRefused) {
  const std::string half = kSecret.substr(0, 20);
  for (const std::string& inside :
       {std::string(" "), std::string("\n"), std::string("\t"), std::string(1, '\0'), std::string("\x1b"),
        std::string("\x7f"), std::string("é"), std::string("\xff"), std::string("\xEF\xBB\xBF")}) {
    EXPECT_EQ(problem_of(kId, half + inside + half), secret_is(KeyFault::kMalformed)) << inside;
  }
  EXPECT_EQ(problem_of(kId, kSecret + '\0'), secret_is(KeyFault::kMalformed));
  EXPECT_EQ(problem_of(kId, half + "=-_!~" + half), kAccepted);  // look-alike services have other alphabets
}

TEST(IamKey, ValuesEncodedTwiceAreRefused) {
  EXPECT_EQ(problem_of(kId, base64_encode(kSecret)), secret_is(KeyFault::kDoubleEncoded));
  EXPECT_EQ(problem_of(kId, base64_encode(kSecret + "\n")), secret_is(KeyFault::kDoubleEncoded));
  EXPECT_EQ(problem_of(base64_encode(kId + "\n"), kSecret), id_is(KeyFault::kDoubleEncoded));
}

TEST(IamKey, OtherBase64IsNotTakenForAnEncodedKey) {
  EXPECT_EQ(problem_of(kId, base64_encode(kSecret + "x")), kAccepted);
  EXPECT_EQ(problem_of(kId, base64_encode("not a key: it holds white space here!!!!")), kAccepted);
}

TEST(IamKey, AnUnusualLengthIsAcceptedWithAWarning) {
  for (const std::string& secret :
       {kSecret.substr(1), kSecret + "x", std::string("x"), std::string(200, 'x')}) {
    const auto key = check_iam_key(SecretBytes(kId), SecretBytes(secret), SecretBytes());
    ASSERT_TRUE(key) << secret;
    EXPECT_THAT(key->warnings, ElementsAre(KeyWarning::kUnusualLength)) << secret;
  }
}

TEST(IamKey, BothWarningsCanComeTogether) {
  const auto key = check_iam_key(SecretBytes(kId), SecretBytes("short\n"), SecretBytes());
  ASSERT_TRUE(key);
  EXPECT_THAT(key->warnings, ElementsAre(KeyWarning::kWhitespaceTrimmed, KeyWarning::kUnusualLength));
}

// Each pair has two faults, the upper one of the table is reported.
TEST(IamKey, TheFirstFaultOfTheTableIsTheOneReported) {
  const std::string inner_space = "wJalrXUtnFEMI K7MDENG";
  EXPECT_EQ(problem_of("", "", "token"), id_is(KeyFault::kValueEmpty));
  EXPECT_EQ(problem_of("ASIAIOSFODNN7EXAMPLE", ""), secret_is(KeyFault::kValueEmpty));
  EXPECT_EQ(problem_of("ASIAIOSFODNN7EXAMPLE", kPasswordV4), id_is(KeyFault::kTemporaryCredentials));
  EXPECT_EQ(problem_of("AIDAIOSFODNN7EXAMPLE", kPasswordV4), secret_is(KeyFault::kAlreadyDerivedPassword));
  EXPECT_EQ(problem_of("arn:aws:iam::1:user/x", kId), secret_is(KeyFault::kSwapped));
  EXPECT_EQ(problem_of("AIDAIOSFODNN7EXAMPLE", inner_space), id_is(KeyFault::kNotAnAccessKeyId));
  EXPECT_EQ(problem_of(base64_encode(kId + "\n"), inner_space), secret_is(KeyFault::kMalformed));
}

TEST(SecretAccessKeyAlone, IsCheckedLikeThatOfAPair) {
  const auto fault_of = [](const std::string& secret) -> std::optional<KeyFault> {
    const auto checked = check_secret_access_key(SecretBytes(secret));
    return checked ? std::nullopt : std::optional(checked.error());
  };
  EXPECT_EQ(fault_of(kSecret), std::nullopt);
  EXPECT_EQ(fault_of(" "), KeyFault::kValueEmpty);
  EXPECT_EQ(fault_of(kPasswordV4), KeyFault::kAlreadyDerivedPassword);
  EXPECT_EQ(fault_of(kId), KeyFault::kSwapped);
  EXPECT_EQ(fault_of("two words"), KeyFault::kMalformed);
  EXPECT_EQ(fault_of(base64_encode(kSecret)), KeyFault::kDoubleEncoded);
}

TEST(SecretAccessKeyAlone, IsTrimmedWithAWarning) {
  const auto checked = check_secret_access_key(SecretBytes(kSecret + "\n"));
  ASSERT_TRUE(checked);
  EXPECT_EQ(checked->value.expose(), kSecret);
  EXPECT_THAT(checked->warnings, ElementsAre(KeyWarning::kWhitespaceTrimmed));
}

TEST(MaskedId, ShowsFourAndFourOfALongTermIdAndNothingOfAnythingElse) {
  EXPECT_EQ(mask_access_key_id(kId), "AKIA************MPLE");
  for (const std::string_view other :
       {"", "ASIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPL", "AKIAIOSFODNN7EXAMPLEX", "AKIAiosfodnn7example",
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "AKIAIOSFODNN7EXAMPL\n"}) {
    EXPECT_EQ(mask_access_key_id(other), "****") << other;
  }
}

}  // namespace
}  // namespace sessmtp::ses
