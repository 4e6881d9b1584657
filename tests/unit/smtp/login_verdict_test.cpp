#include "smtp/login_verdict.h"

#include <gmock/gmock.h>

#include <set>
#include <string>
#include <vector>

namespace sessmtp::smtp {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using enum LoginVerdict;

const std::vector<LoginVerdict> kAll = {
    kAuthenticated,      kCredentialsInvalid, kNotSubscribed,  kTemporaryFailure,   kEndpointUnreachable,
    kEndpointNotAllowed, kStartTlsNotOffered, kAuthNotOffered, kCertificateInvalid, kProtocolError};

// Amazon SES Developer Guide, "Amazon SES SMTP response codes", as far as they can answer AUTH.
TEST(JudgeReply, RepliesOfSes) {
  EXPECT_EQ(judge_reply(235, "Authentication successful."), kAuthenticated);
  EXPECT_EQ(judge_reply(535, "Authentication Credentials Invalid"), kCredentialsInvalid);
  EXPECT_EQ(judge_reply(535, "Account not subscribed to SES"), kNotSubscribed);
  EXPECT_EQ(judge_reply(421, "Too many concurrent SMTP connections"), kTemporaryFailure);
  EXPECT_EQ(judge_reply(421, "Timeout waiting for data from client."), kTemporaryFailure);
  EXPECT_EQ(judge_reply(451, "Temporary service failure"), kTemporaryFailure);
  EXPECT_EQ(judge_reply(454, "Temporary authentication failure"), kTemporaryFailure);
  EXPECT_EQ(judge_reply(454, "Throttling failure: Maximum sending rate exceeded."), kTemporaryFailure);
  EXPECT_EQ(judge_reply(530, "Authentication required"), kProtocolError);
}

TEST(JudgeReply, NotSubscribedIsToldByTheTextOf535Alone) {
  EXPECT_EQ(judge_reply(535, "5.7.8 ACCOUNT NOT SUBSCRIBED TO SES"), kNotSubscribed);
  EXPECT_EQ(judge_reply(535, ""), kCredentialsInvalid);
  EXPECT_EQ(judge_reply(535, "Not sub scribed"), kCredentialsInvalid);
  EXPECT_EQ(judge_reply(454, "Account not subscribed to SES"), kTemporaryFailure);
  EXPECT_EQ(judge_reply(554, "Account not subscribed to SES"), kProtocolError);
}

TEST(JudgeReply, RepliesOfOtherServers) {
  EXPECT_EQ(judge_reply(400, ""), kTemporaryFailure);
  EXPECT_EQ(judge_reply(432, "A password transition is needed"), kTemporaryFailure);
  EXPECT_EQ(judge_reply(499, ""), kTemporaryFailure);
  EXPECT_EQ(judge_reply(525, "5.7.13 User account disabled"), kCredentialsInvalid);
  EXPECT_EQ(judge_reply(504, "Unrecognized authentication type"), kAuthNotOffered);
  EXPECT_EQ(judge_reply(534, "Authentication mechanism is too weak"), kAuthNotOffered);
  for (const int code : {500, 501, 502, 503, 530, 538, 550, 552, 554, 571}) {
    EXPECT_EQ(judge_reply(code, "Authentication Credentials Invalid"), kProtocolError) << code;
  }
}

TEST(JudgeReply, NothingButTwoThreeFiveIsSuccess) {
  for (int code = -1; code < 1000; ++code) {
    EXPECT_EQ(judge_reply(code, "Authentication successful.") == kAuthenticated, code == 235) << code;
  }
}

TEST(LoginVerdictTest, NamesAreOfTheApi) {
  std::set<std::string_view> names;
  for (const LoginVerdict verdict : kAll) {
    names.insert(to_string(verdict));
  }
  EXPECT_THAT(names, ::testing::UnorderedElementsAre(
                         "Authenticated", "CredentialsInvalid", "NotSubscribed", "TemporaryFailure",
                         "EndpointUnreachable", "EndpointNotAllowed", "StartTlsNotOffered", "AuthNotOffered",
                         "CertificateInvalid", "ProtocolError"));
}

TEST(LoginVerdictTest, EachIsExplainedInItsOwnWords) {
  std::set<std::string_view> texts;
  for (const LoginVerdict verdict : kAll) {
    texts.insert(explain(verdict));
    EXPECT_THAT(std::string(explain(verdict)), Not(HasSubstr("\n")));
  }
  EXPECT_EQ(texts.size(), kAll.size());
  const std::string invalid(explain(kCredentialsInvalid));
  for (const char* cause : {"region", "inactive", "deleted", "minutes"}) {
    EXPECT_THAT(invalid, HasSubstr(cause));
  }
}

}  // namespace
}  // namespace sessmtp::smtp
