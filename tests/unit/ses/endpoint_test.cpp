#include "ses/endpoint.h"

#include <gmock/gmock.h>

#include <cstdint>
#include <ostream>
#include <string>

#include "base/text.h"

namespace sessmtp::ses {

void PrintTo(const Endpoint& endpoint, std::ostream* out) {
  *out << endpoint.host << ':' << endpoint.port << ' ' << to_string(endpoint.tls);
}

namespace {

using testing::Optional;

std::string url_of(const Endpoint& endpoint, std::string_view user, std::string_view password) {
  return std::string(smtp_url(endpoint, SecretBytes(user), SecretBytes(password)).expose());
}

TEST(Endpoint, DefaultIsThePublicHostWithStartTlsOn587) {
  EXPECT_THAT(resolve_endpoint("eu-west-1", {}),
              Optional(Endpoint{"email-smtp.eu-west-1.amazonaws.com", 587, Tls::kStartTls}));
}

TEST(Endpoint, FipsHasAHostOfItsOwn) {
  EXPECT_THAT(resolve_endpoint("us-east-1", {.fips = true}),
              Optional(Endpoint{"email-smtp-fips.us-east-1.amazonaws.com", 587, Tls::kStartTls}));
}

TEST(Endpoint, TlsFollowsThePortUnlessItIsGiven) {
  struct Case {
    std::uint16_t port;
    Tls tls;
  };
  for (const Case& c : {Case{25, Tls::kStartTls}, Case{587, Tls::kStartTls}, Case{2587, Tls::kStartTls},
                        Case{465, Tls::kImplicit}, Case{2465, Tls::kImplicit}, Case{1025, Tls::kStartTls}}) {
    EXPECT_EQ(resolve_endpoint("eu-west-1", {.port = c.port}).value().tls, c.tls) << c.port;
  }
  EXPECT_EQ(resolve_endpoint("eu-west-1", {.host = "relay.example", .port = 1025, .tls = Tls::kImplicit})
                .value()
                .tls,
            Tls::kImplicit);
}

TEST(Endpoint, OtherPartitionsNeedAHost) {
  EXPECT_EQ(resolve_endpoint("cn-north-1", {}), std::nullopt);
  EXPECT_THAT(resolve_endpoint("cn-north-1", {.host = "vpce-1.email-smtp.example"}),
              Optional(Endpoint{"vpce-1.email-smtp.example", 587, Tls::kStartTls}));
}

TEST(Endpoint, WhatIsNotARegionNeverBecomesPartOfAHost) {
  EXPECT_EQ(resolve_endpoint("", {}), std::nullopt);
  EXPECT_EQ(resolve_endpoint("evil.example/x", {}), std::nullopt);
}

TEST(Endpoint, TlsIsNamedAsInTheApi) {
  EXPECT_EQ(to_string(Tls::kStartTls), "StartTls");
  EXPECT_EQ(to_string(Tls::kImplicit), "Implicit");
}

TEST(SmtpUrl, EncodesThePlusAndSlashOfAPassword) {
  const Endpoint endpoint{"email-smtp.us-east-1.amazonaws.com", 587, Tls::kStartTls};
  EXPECT_EQ(url_of(endpoint, "AKIAIOSFODNN7EXAMPLE", "BLBM/9hSUELfq8Gw+rU1YcBjkOxGbhT2XG763xVLGWL9"),
            "smtp://AKIAIOSFODNN7EXAMPLE:BLBM%2F9hSUELfq8Gw%2BrU1YcBjkOxGbhT2XG763xVLGWL9"
            "@email-smtp.us-east-1.amazonaws.com:587");
}

TEST(SmtpUrl, ImplicitTlsIsAnotherScheme) {
  EXPECT_EQ(url_of({"h.example", 465, Tls::kImplicit}, "user", "pass"), "smtps://user:pass@h.example:465");
}

TEST(SmtpUrl, UserCannotBreakOutOfItsPlace) {
  EXPECT_EQ(url_of({"h.example", 587, Tls::kStartTls}, "a@evil.example:1/", ""),
            "smtp://a%40evil.example%3A1%2F:@h.example:587");
}

TEST(PercentEncode, LeavesTheUnreservedAndEncodesEverythingElse) {
  EXPECT_EQ(percent_encode("AZaz09-._~"), "AZaz09-._~");
  EXPECT_EQ(percent_encode("+/ %:@?#&="), "%2B%2F%20%25%3A%40%3F%23%26%3D");
  EXPECT_EQ(percent_encode(std::string_view("\0\x7f\xc3\xa9", 4)), "%00%7F%C3%A9");
  EXPECT_EQ(percent_encode(""), "");
}

}  // namespace
}  // namespace sessmtp::ses
