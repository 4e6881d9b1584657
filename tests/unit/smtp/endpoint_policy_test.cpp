#include "smtp/endpoint_policy.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <string>

namespace sessmtp::smtp {
namespace {

using ::testing::HasSubstr;

using Ports = std::initializer_list<std::uint16_t>;
const ses::Endpoint kSes = {"email-smtp.eu-west-1.amazonaws.com", 587, ses::Tls::kStartTls};

bool allows(const EndpointPolicy& policy, const std::string& host, std::uint16_t port = 587) {
  return policy.allows({host, port, ses::usual_tls(port)});
}

bool leads_to(const EndpointPolicy& policy, const ses::Endpoint& endpoint, const std::string& address) {
  sockaddr_storage storage{};
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  if (inet_pton(AF_INET, address.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    std::memcpy(&storage, &v4, sizeof v4);
  } else if (inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    std::memcpy(&storage, &v6, sizeof v6);
  } else {
    ADD_FAILURE() << address << " is no address";
  }
  return policy.allows(endpoint, reinterpret_cast<const sockaddr&>(storage));
}

TEST(EndpointPolicyTest, EndpointsOfSesAreAllowed) {
  const EndpointPolicy policy;
  for (const char* host :
       {"email-smtp.eu-west-1.amazonaws.com", "email-smtp-fips.us-gov-west-1.amazonaws.com",
        "EMAIL-SMTP.EU-West-1.AmazonAWS.com", "vpce-0a1b2c3d-x9y8z7.email-smtp.us-east-1.vpce.amazonaws.com",
        "vpce-0a1b2c3d-x9y8z7-us-east-1a.email-smtp.us-east-1.vpce.amazonaws.com"}) {
    for (const std::uint16_t port : Ports{25, 465, 587, 2465, 2587}) {
      EXPECT_TRUE(allows(policy, host, port)) << host << ':' << port;
    }
  }
}

TEST(EndpointPolicyTest, OtherPortsAreNot) {
  for (const std::uint16_t port : Ports{0, 22, 24, 26, 80, 443, 588, 2525, 8080, 65535}) {
    EXPECT_FALSE(allows(EndpointPolicy(), kSes.host, port)) << port;
  }
}

TEST(EndpointPolicyTest, HostsThatOnlyLookLikeSesAreNot) {
  for (const std::string& host : {
           std::string(),
           std::string("localhost"),
           std::string("127.0.0.1"),
           std::string("::1"),
           std::string("[::1]"),
           std::string("amazonaws.com"),
           std::string("email-smtp.amazonaws.com"),
           std::string("email-smtp..amazonaws.com"),
           std::string("email-smtp.eu-west-1.amazonaws.com."),
           std::string(".email-smtp.eu-west-1.amazonaws.com"),
           std::string("email-smtp.eu-west-1.amazonaws.com.evil.example"),
           std::string("email-smtp.eu-west-1.amazonaws.com.cn"),
           std::string("email-smtp.eu-west-1.amazonaws.co"),
           std::string("email-smtp.eu-west-1.amazonaws.comm"),
           std::string("email-smtp.eu-west-1.evilamazonaws.com"),
           std::string("email-smtp.eu-west-1.amazonaws.com@evil.example"),
           std::string("evil.example#.email-smtp.eu-west-1.amazonaws.com"),
           std::string("evil.example/email-smtp.eu-west-1.amazonaws.com"),
           std::string("user@email-smtp.eu-west-1.amazonaws.com"),
           std::string("email-smtp.eu-west-1.amazonaws.com:587"),
           std::string("email-smtp.eu-west-1.amazonaws.com "),
           std::string(" email-smtp.eu-west-1.amazonaws.com"),
           std::string("email-smtp.eu-west-1.amazonaws.com\n"),
           std::string("email-smtp.eu-west-1.amazonaws.com\0", 35),
           std::string("email-smtp.eu_west.amazonaws.com"),
           std::string("email-smtp.*.amazonaws.com"),
           std::string("email-smtp.-.amazonaws.com"),
           std::string("email-smtp.eu-west-1-.amazonaws.com"),
           std::string("email-smtp.a.b.amazonaws.com"),
           std::string("email-smtp-fipsx.us-east-1.amazonaws.com"),
           std::string("xemail-smtp.us-east-1.amazonaws.com"),
           std::string("email.us-east-1.amazonaws.com"),
           std::string("inbound-smtp.us-east-1.amazonaws.com"),
           std::string("email-smtp.us-east-1.vpce.amazonaws.com"),
           std::string("vpce-1.email-smtp.us-east-1.amazonaws.com"),
           std::string("vpce-.email-smtp.us-east-1.vpce.amazonaws.com"),
           std::string("vpce.email-smtp.us-east-1.vpce.amazonaws.com"),
           std::string("vpce-1.email-smtp-fips.us-east-1.vpce.amazonaws.com"),
           std::string("vpce-1.s3.us-east-1.vpce.amazonaws.com"),
           std::string("x.vpce-1.email-smtp.us-east-1.vpce.amazonaws.com"),
           std::string("\xd0\xb5mail-smtp.us-east-1.amazonaws.com"),  // a Cyrillic letter
           "email-smtp." + std::string(300, 'a') + ".amazonaws.com",
       }) {
    EXPECT_FALSE(allows(EndpointPolicy(), host)) << host;
  }
}

TEST(EndpointPolicyTest, ListedPairsAreAllowedExactly) {
  const EndpointPolicy policy({{"smtp.example.com", 2525}});
  EXPECT_TRUE(allows(policy, "smtp.example.com", 2525));
  EXPECT_TRUE(allows(policy, "SMTP.example.COM", 2525));
  EXPECT_TRUE(allows(policy, kSes.host));
  EXPECT_FALSE(allows(policy, "smtp.example.com", 587));
  EXPECT_FALSE(allows(policy, "smtp.example.com.", 2525));
  EXPECT_FALSE(allows(policy, "x.smtp.example.com", 2525));
  EXPECT_FALSE(allows(policy, "example.com", 2525));
}

TEST(EndpointPolicyTest, AddressesOfTheInternetAndOfPrivateNetworksAreAllowed) {
  for (const char* address :
       {"52.1.2.3", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.253.255.255", "169.255.0.0",
        "126.255.255.255", "128.0.0.0", "1.0.0.0", "2600:1f18::1", "fd00:1234::1", "fe00::1", "fec0::1",
        "::ffff:10.0.0.1", "64:ff9b::0a00:0001", "2002:0a00:0001::1"}) {
    EXPECT_TRUE(leads_to(EndpointPolicy(), kSes, address)) << address;
  }
}

TEST(EndpointPolicyTest, AddressesOfThisMachineAndItsLinkAreForListedEndpointsOnly) {
  const ses::Endpoint listed = {"smtp.example.com", 2525, ses::Tls::kStartTls};
  const EndpointPolicy policy({{listed.host, listed.port}});
  for (const char* address : {"127.0.0.1",
                              "127.255.255.255",
                              "127.1.2.3",
                              "0.0.0.0",
                              "0.1.2.3",
                              "169.254.0.0",
                              "169.254.169.254",
                              "169.254.170.2",
                              "169.254.255.255",
                              "::",
                              "::1",
                              "::127.0.0.1",
                              "::169.254.169.254",
                              "::ffff:127.0.0.1",
                              "::ffff:0.0.0.0",
                              "::ffff:169.254.169.254",
                              "fe80::1",
                              "febf:ffff::1",
                              "fd00:ec2::254",
                              "fd00:ec2::23",
                              "fd20:ce::254",
                              "64:ff9b::7f00:1",
                              "64:ff9b::a9fe:a9fe",
                              "2002:7f00:1::",
                              "2002:a9fe:a9fe::1"}) {
    EXPECT_FALSE(leads_to(policy, kSes, address)) << address;
    EXPECT_TRUE(leads_to(policy, listed, address)) << address;
    EXPECT_TRUE(leads_to(EndpointPolicy::everything(), kSes, address)) << address;
  }
}

TEST(EndpointPolicyTest, AddressesThatAreNoneOfTheInternetAreRefused) {
  sockaddr_un file{};
  file.sun_family = AF_UNIX;
  EXPECT_FALSE(EndpointPolicy().allows(kSes, reinterpret_cast<const sockaddr&>(file)));
}

TEST(EndpointPolicyTest, EverythingIsAllowedToAPerson) {
  EXPECT_TRUE(allows(EndpointPolicy::everything(), "localhost", 1));
  EXPECT_TRUE(allows(EndpointPolicy::everything(), "127.0.0.1", 65535));
}

TEST(HostAndPort, IsParsed) {
  const auto parsed = parse_host_and_port("SMTP.Example.com:2525");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(*parsed, EndpointPolicy::HostAndPort("smtp.example.com", 2525));
  EXPECT_EQ(parse_host_and_port("localhost:1").value().second, 1);
  EXPECT_EQ(parse_host_and_port("a.b:65535").value().second, 65535);
}

TEST(HostAndPort, SaysWhatIsWrong) {
  for (const char* text : {"",
                           "smtp.example.com",
                           ":",
                           ":25",
                           "smtp.example.com:",
                           "a:0",
                           "a:65536",
                           "a:-1",
                           "a:+1",
                           "a: 1",
                           "a:1 ",
                           "a:0x19",
                           "a:25:25",
                           "[::1]:25",
                           "::1:25",
                           "smtp.example.com.:25",
                           ".example.com:25",
                           "a..b:25",
                           "a b:25",
                           "a/b:25",
                           "u@a:25",
                           "*.example.com:25",
                           "a_b:25"}) {
    const auto parsed = parse_host_and_port(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, ErrorCode::kInvalidInput);
    EXPECT_THAT(parsed.error().message, HasSubstr('"' + std::string(text) + '"'));
  }
}

}  // namespace
}  // namespace sessmtp::smtp
