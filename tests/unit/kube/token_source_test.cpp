#include "kube/token_source.h"

#include <gmock/gmock.h>

#include "fake_clock.h"
#include "temporary_folder.h"

namespace sessmtp::kube {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

class TokenSourceTest : public testing::Test {
 protected:
  void write(const std::string& token) { config_.token_file = folder_.write("token", token); }
  static std::string authorization(TokenSource& tokens) {
    Headers headers;
    const auto credential = tokens.authorize(headers);
    return !credential ? "(error) " + credential.error().message : headers.empty() ? "" : headers[0].second;
  }
  static std::uint64_t number(TokenSource& tokens) {
    Headers headers;
    return tokens.authorize(headers).value();
  }

  FakeClock clock_;
  ClusterConfig config_;
  TemporaryFolder folder_;
};

// client-go:transport/token_source.go: a minute, less ten seconds of leeway.
TEST_F(TokenSourceTest, AFileIsReadAgainAfterFiftySecondsAndTrimmed) {
  write(" first\n");
  TokenSource tokens(config_, clock_);
  EXPECT_EQ(authorization(tokens), "Bearer first");
  write("second");
  clock_.advance(49s);
  EXPECT_EQ(authorization(tokens), "Bearer first");
  clock_.advance(1s);
  EXPECT_EQ(authorization(tokens), "Bearer second");
}

TEST_F(TokenSourceTest, ATimeOfDayThatJumpsDoesNotKeepAFileFromBeingRead) {
  write("first");
  TokenSource tokens(config_, clock_);
  EXPECT_EQ(authorization(tokens), "Bearer first");
  write("second");
  clock_.set_ahead(-5h);
  clock_.advance(50s);
  EXPECT_EQ(authorization(tokens), "Bearer second");
  write("third");
  clock_.set_ahead(10h);
  EXPECT_EQ(authorization(tokens), "Bearer second") << "nor is it read at every call";
}

TEST_F(TokenSourceTest, AFileThatCannotBeReadLeavesTheLastGoodToken) {
  write("good");
  TokenSource tokens(config_, clock_);
  EXPECT_EQ(authorization(tokens), "Bearer good");
  for (const char* bad : {" \n", "a\nb"}) {
    write(bad);
    clock_.advance(50s);
    EXPECT_EQ(authorization(tokens), "Bearer good");
  }
  std::filesystem::remove(config_.token_file);
  clock_.advance(50s);
  EXPECT_EQ(authorization(tokens), "Bearer good");
  write("better");
  EXPECT_EQ(authorization(tokens), "Bearer better") << "tried at each call while it fails";
}

TEST_F(TokenSourceTest, AFileThatNeverHeldATokenIsAnErrorAndNotNobody) {
  write(" ");
  TokenSource tokens(config_, clock_);
  EXPECT_THAT(authorization(tokens), HasSubstr("token: empty"));
}

// Whoever asks for a credential leaves it to this class to say that there is none.
TEST_F(TokenSourceTest, AFileThatNeverHeldATokenIsLoggedOnceAndOnceWhenItDoes) {
  write(" ");
  TokenSource tokens(config_, clock_);
  const auto logged = [&tokens] {
    testing::internal::CaptureStderr();
    (void)authorization(tokens);
    return testing::internal::GetCapturedStderr();
  };
  EXPECT_THAT(logged(), HasSubstr(config_.token_file.string() + ": empty"));
  EXPECT_EQ(logged(), "");
  write("good");
  EXPECT_THAT(logged(), HasSubstr("token file usable again"));
  EXPECT_EQ(logged(), "");
}

TEST_F(TokenSourceTest, OnlyARefusalOfTheCurrentTokenReadsTheFileAgain) {
  write("first");
  TokenSource tokens(config_, clock_);
  const std::uint64_t first = number(tokens);
  write("second");
  tokens.reject(first);
  const std::uint64_t second = number(tokens);
  EXPECT_NE(second, first);
  write("third");
  tokens.reject(first);  // of a call that began before the second was read
  EXPECT_EQ(authorization(tokens), "Bearer second");
  tokens.reject(second);
  EXPECT_EQ(authorization(tokens), "Bearer third");
}

TEST_F(TokenSourceTest, ARefusedTokenThatIsStillInTheFileKeepsItsNumber) {
  write("same");
  TokenSource tokens(config_, clock_);
  const std::uint64_t first = number(tokens);
  tokens.reject(first);
  EXPECT_EQ(number(tokens), first);
}

TEST_F(TokenSourceTest, APasswordIsSentAsBasicAuthentication) {
  config_.username = "Aladdin";  // RFC 7617, section 2
  config_.password = "open sesame";
  TokenSource tokens(config_, clock_);
  EXPECT_EQ(authorization(tokens), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
}

TEST_F(TokenSourceTest, ImpersonationIsSentWithTheCredential) {
  config_.token = "t";
  config_.impersonate = {.user = "jane",
                         .uid = "7",
                         .groups = {"a", "system:b"},
                         .extra = {{"example.org/Scope%", "x y"}, {"example.org/Scope%", "z"}}};
  TokenSource tokens(config_, clock_);
  Headers headers = {{"Accept", "application/json"}};
  ASSERT_TRUE(tokens.authorize(headers));
  EXPECT_THAT(headers, ElementsAre(Pair("Accept", "application/json"), Pair("Authorization", "Bearer t"),
                                   Pair("Impersonate-User", "jane"), Pair("Impersonate-Uid", "7"),
                                   Pair("Impersonate-Group", "a"), Pair("Impersonate-Group", "system:b"),
                                   Pair("Impersonate-Extra-example.org%2FScope%25", "x y"),
                                   Pair("Impersonate-Extra-example.org%2FScope%25", "z")));
}

TEST_F(TokenSourceTest, WithoutAnyCredentialNothingIsAdded) {
  TokenSource tokens(config_, clock_);
  EXPECT_EQ(authorization(tokens), "");
}

}  // namespace
}  // namespace sessmtp::kube
