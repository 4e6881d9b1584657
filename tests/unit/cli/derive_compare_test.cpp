#include "cli/derive_compare.h"

#include <gmock/gmock.h>

#include <string>

namespace sessmtp::cli {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// The AWS documentation's example key, and its passwords as others derived them (tests/vectors.json).
const std::string kSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const std::string kUsEast1 = "BLBM/9hSUELfq8Gw+rU1YcBjkOxGbhT2XG763xVLGWL9";
const std::string kUsEast2 = "BMPPgbAHoFVbze1Ud0oA5uNdXRwUXUZ+qOwphGJbl/cS";
const std::string kV2 = "An60U4ZD3sd4fg+FvXUjayOipTt8LO4rUUmhpdX6ctDy";

std::string judge(const std::string& given) {
  const Result<std::string> wrong = what_is_wrong_with(SecretBytes(given), SecretBytes(kSecret), "us-east-1");
  EXPECT_TRUE(wrong);
  EXPECT_THAT(*wrong, Not(HasSubstr(kSecret)));
  EXPECT_THAT(*wrong, Not(HasSubstr(kUsEast1)));
  return wrong.value_or("failed");
}

TEST(DeriveCompare, RightPasswordHasNothingWrong) {
  EXPECT_THAT(judge(kUsEast1), IsEmpty());
  EXPECT_THAT(judge(kUsEast1 + "\n"), IsEmpty());
  EXPECT_THAT(judge(kUsEast1 + "\r\n"), IsEmpty());
}

TEST(DeriveCompare, SaysWhatAWrongPasswordIs) {
  EXPECT_THAT(judge(kUsEast2), HasSubstr("this key's password in us-east-2"));
  EXPECT_THAT(judge(kSecret), HasSubstr("the secret access key itself"));
  EXPECT_THAT(judge(kUsEast1 + " \n"), HasSubstr("white space"));
  EXPECT_THAT(judge(kUsEast1 + "\n\n"), HasSubstr("white space"));
  EXPECT_THAT(judge(kV2), HasSubstr("retired in 2019"));
  EXPECT_THAT(judge(" \n"), HasSubstr("empty"));
  EXPECT_THAT(judge(kUsEast1.substr(1)), HasSubstr("not this key's password in any region"));
}

}  // namespace
}  // namespace sessmtp::cli
