#include "smtp/redactor.h"

#include <gmock/gmock.h>

#include <string>

#include "base/base64.h"

namespace sessmtp::smtp {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const std::string kUser = "AKIAIOSFODNN7EXAMPLE";
const std::string kPassword = "BP+1mPjDfhDaB63eiNnn3zxWTgaExy5Tn/sQ2n5kOzXY";

std::string clean(const std::string& text, std::size_t size = 200) {
  return Redactor(SecretBytes(kUser), SecretBytes(kPassword)).clean(text, size);
}

TEST(RedactorTest, BlanksThePairInEachFormItIsSentIn) {
  EXPECT_EQ(clean("user " + kUser + ", password " + kPassword + "."), "user ****, password ****.");
  EXPECT_EQ(clean(base64_encode(kUser) + " " + base64_encode(kPassword)), "**** ****");
  const std::string plain = std::string(1, '\0') + kUser + std::string(1, '\0') + kPassword;
  EXPECT_EQ(clean("AUTH PLAIN " + base64_encode(plain)), "AUTH PLAIN ****");
}

TEST(RedactorTest, BlanksPartsOfIt) {
  EXPECT_EQ(clean("it ends with " + kPassword.substr(20)), "it ends with ****");
  EXPECT_EQ(clean("it begins with " + kPassword.substr(0, 8) + "..."), "it begins with ****...");
  for (std::size_t from = 0; from + 8 <= kPassword.size(); ++from) {
    EXPECT_EQ(clean(kPassword.substr(from, 8)), "****");
  }
}

TEST(RedactorTest, ShortPairsAreBlankedWhole) {
  EXPECT_EQ(Redactor(SecretBytes("me"), SecretBytes("pw")).clean("me or pw", 100), "**** or ****");
}

TEST(RedactorTest, BlanksThePairHoweverItIsShown) {
  const Redactor redactor(SecretBytes("m\xc3\xa9"), SecretBytes("it is a pass \t word"));
  EXPECT_EQ(redactor.clean("not it  is\ta \r\npass word", 100), "not ****");
  EXPECT_EQ(redactor.clean("nor m\xff\xfe", 100), "nor ****");
}

TEST(RedactorTest, LeavesOtherTextAsItIs) {
  EXPECT_EQ(clean("Authentication Credentials Invalid"), "Authentication Credentials Invalid");
  EXPECT_EQ(clean("AKIA and EXAMPLE"), "AKIA and EXAMPLE");
}

TEST(RedactorTest, IsOneLineOfPrintableAscii) {
  EXPECT_EQ(clean(" a\r\nb\t c  \x1b[31m\x7f\xc3\xa9 "), "a b c ?[31m???");
  EXPECT_EQ(clean(std::string("a\0b", 3)), "a?b");
  EXPECT_EQ(clean(""), "");
}

TEST(RedactorTest, IsNoLongerThanAllowed) {
  EXPECT_EQ(clean(std::string(50, 'x'), 10), "xxxxxxx...");
  EXPECT_EQ(clean(std::string(10, 'x'), 10), "xxxxxxxxxx");
  EXPECT_THAT(clean(std::string(190, 'x') + kPassword), Not(HasSubstr(kPassword.substr(0, 4))));
}

TEST(RedactorTest, CleansEveryTextOfAReport) {
  LoginReport report;
  report.detail = report.reply = report.address = report.tls_version = report.cipher = kPassword;
  report.capabilities = {kPassword};
  report.certificate =
      Certificate{.subject = kPassword, .issuer = kUser, .names = {kUser}, .not_before = {}, .not_after = {}};
  Redactor(SecretBytes(kUser), SecretBytes(kPassword)).clean(report);
  for (const std::string& text : {report.detail, report.reply, report.address, report.tls_version,
                                  report.cipher, report.capabilities[0], report.certificate->subject,
                                  report.certificate->issuer, report.certificate->names[0]}) {
    EXPECT_EQ(text, "****");
  }
}

}  // namespace
}  // namespace sessmtp::smtp
