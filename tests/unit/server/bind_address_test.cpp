#include "server/bind_address.h"

#include <gtest/gtest.h>

namespace sessmtp::server {
namespace {

// The address as it is written, "off", or "refused".
std::string read_back(std::string_view text) {
  const auto address = parse_bind_address(text);
  if (!address) {
    return "refused";
  }
  return *address ? to_string(**address) : "off";
}

TEST(BindAddress, IsWrittenAsControllerRuntimeWritesIt) {
  for (const char* text : {":8080", ":0", "127.0.0.1:8080", "0.0.0.0:65535", "[::1]:8080", "[::]:1"}) {
    EXPECT_EQ(read_back(text), text);
  }
  EXPECT_EQ(read_back("0"), "off");
}

TEST(BindAddress, RefusesWhatCannotBeListenedOn) {
  for (const char* text :
       {"", ":", "8080", "localhost:8080", "::1:8080", "[]:8080", "[::1]", "[127.0.0.1]:80", "1.2.3:80",
        ":65536", ":-1", ":80x", ": 80", "127.0.0.1:", "http://127.0.0.1:80"}) {
    EXPECT_EQ(read_back(text), "refused") << text;
  }
  using namespace std::string_view_literals;
  EXPECT_EQ(read_back("127.0.0.1\0.example.com:80"sv), "refused");
}

TEST(BindAddress, TheMessageShowsTheFormsThatWork) {
  EXPECT_EQ(parse_bind_address("localhost:8080").error().message,
            R"("localhost:8080" is not an address to listen on: the host is no IP address; use ":8080", )"
            R"("127.0.0.1:8080", "[::1]:8080", or "0" for none)");
}

}  // namespace
}  // namespace sessmtp::server
