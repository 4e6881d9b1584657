#include "base/base64.h"

#include <gmock/gmock.h>

#include <optional>
#include <string>
#include <string_view>

namespace sessmtp {
namespace {

std::optional<std::string> decoded(std::string_view text) {
  const std::optional<SecretBytes> bytes = base64_decode(text);
  return bytes ? std::optional<std::string>(bytes->expose()) : std::nullopt;
}

struct Case {
  std::string_view bytes;
  std::string_view text;
};

// RFC 4648 section 10, and bytes that need the last two letters of the alphabet.
constexpr Case kCases[] = {{"", ""},
                           {"f", "Zg=="},
                           {"fo", "Zm8="},
                           {"foo", "Zm9v"},
                           {"foob", "Zm9vYg=="},
                           {"fooba", "Zm9vYmE="},
                           {"foobar", "Zm9vYmFy"},
                           {{"\xfb\xef\xff", 3}, "++//"},
                           {{"\0\0\0", 3}, "AAAA"}};

TEST(Base64, EncodesTheVectorsOfTheRfc) {
  for (const Case& c : kCases) {
    EXPECT_EQ(base64_encode(c.bytes), c.text);
  }
}

TEST(Base64, DecodesTheVectorsOfTheRfc) {
  for (const Case& c : kCases) {
    EXPECT_EQ(decoded(c.text), c.bytes);
  }
}

TEST(Base64, RoundTripKeepsEveryByte) {
  std::string all;
  for (int i = 0; i < 256; ++i) {
    all += static_cast<char>(i);
    EXPECT_EQ(decoded(base64_encode(all)), all);
  }
}

TEST(Base64, AnythingButTheCanonicalFormIsRefused) {
  for (const std::string_view text : {"Zg", "Zg=", "Z===", "====", "=", "Zm9v=", "Zm9v\n", " Zm9v", "Zm 9",
                                      "Zm9-", "Zm9_", "Z=g=", "Zm9vZg==Zm9v",
                                      /* bits after the end */ "Zh==", "Zm9=", "Zm9\xc3"}) {
    EXPECT_EQ(decoded(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace sessmtp
