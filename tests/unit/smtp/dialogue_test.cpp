#include "smtp/dialogue.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

namespace sessmtp::smtp {
namespace {

using ::testing::ElementsAre;
using Step = Dialogue::Step;

// The verdict once the server has said these lines; "TLS" stands for a handshake.
std::string verdict(ses::Tls tls, const std::vector<std::string>& lines) {
  Dialogue dialogue(tls);
  for (const std::string& line : lines) {
    if (line == "TLS") {
      dialogue.encrypted();
    } else {
      (void)dialogue.hear(line + "\r\n");
    }
  }
  return dialogue.outcome() ? std::string(to_string(dialogue.outcome()->verdict)) : "open";
}

std::string by_starttls(std::vector<std::string> lines) {
  lines.insert(lines.begin(), {"220 hi", "250-hi", "250 STARTTLS", "220 go", "TLS"});
  return verdict(ses::Tls::kStartTls, lines);
}

TEST(DialogueTest, PlainAndLoginEndWith235) {
  EXPECT_EQ(by_starttls({"250-hi", "250 AUTH PLAIN LOGIN", "334 ", "235 ok"}), "Authenticated");
  EXPECT_EQ(by_starttls({"250-hi", "250 AUTH LOGIN", "334 VXNlcm5hbWU6", "334 UGFzc3dvcmQ6", "235 ok"}),
            "Authenticated");
  EXPECT_EQ(verdict(ses::Tls::kImplicit, {"TLS", "220 hi", "250-hi", "250 AUTH PLAIN", "334 ", "235 ok"}),
            "Authenticated");
}

TEST(DialogueTest, CodeWithoutTextIsAReply) {
  EXPECT_EQ(by_starttls({"250-hi", "250 AUTH PLAIN", "334", "235"}), "Authenticated");
}

// As libcurl would have it: any of these would pass for a login, were its result asked alone.
TEST(DialogueTest, NothingElseIsALogin) {
  EXPECT_EQ(verdict(ses::Tls::kStartTls, {"235 welcome"}), "open");
  EXPECT_EQ(verdict(ses::Tls::kStartTls, {"220 hi", "235 welcome"}), "StartTlsNotOffered");
  EXPECT_EQ(by_starttls({"235 welcome"}), "AuthNotOffered");
  EXPECT_EQ(by_starttls({"250 hi"}), "AuthNotOffered");
  EXPECT_EQ(by_starttls({"250-hi", "250 AUTH PLAIN", "235 welcome"}), "ProtocolError");
  EXPECT_EQ(by_starttls({"250-hi", "250 AUTH LOGIN", "334 ", "235 welcome"}), "ProtocolError");
  EXPECT_EQ(by_starttls({"250-hi", "250 AUTH PLAIN", "334 ", "334 "}), "ProtocolError");
  EXPECT_EQ(by_starttls({"250-hi", "250 AUTH PLAIN", "334 ", "250 ok"}), "ProtocolError");
  EXPECT_EQ(by_starttls({"500 what", "250 welcome"}), "ProtocolError");
}

TEST(DialogueTest, NoLoginWithoutTls) {
  EXPECT_EQ(verdict(ses::Tls::kStartTls, {"220 hi", "250-hi", "250 AUTH PLAIN", "334 ", "235 ok"}),
            "StartTlsNotOffered");
  EXPECT_EQ(verdict(ses::Tls::kStartTls, {"220 hi", "250-hi", "250 STARTTLS", "220 go", "250 AUTH PLAIN"}),
            "ProtocolError");
}

TEST(DialogueTest, RefusalBeforeTheLoginSaysNothingAboutThePair) {
  EXPECT_EQ(verdict(ses::Tls::kStartTls, {"535 no"}), "ProtocolError");
  EXPECT_EQ(verdict(ses::Tls::kStartTls, {"220 hi", "535 no"}), "ProtocolError");
  EXPECT_EQ(verdict(ses::Tls::kStartTls, {"220 hi", "250-hi", "250 STARTTLS", "535 no"}),
            "StartTlsNotOffered");
  EXPECT_EQ(by_starttls({"421 busy"}), "TemporaryFailure");
  EXPECT_EQ(by_starttls({"535 no"}), "ProtocolError");
}

TEST(DialogueTest, CapabilitiesAreThoseBehindTls) {
  Dialogue dialogue(ses::Tls::kStartTls);
  for (const char* line : {"220-first\r\n", "220 second\r\n", "250-hi\r\n", "250-BEFORE\r\n",
                           "250 STARTTLS\r\n", "220 go\r\n"}) {
    EXPECT_TRUE(dialogue.hear(line));
  }
  EXPECT_EQ(dialogue.step(), Step::kTls);
  dialogue.encrypted();
  EXPECT_TRUE(dialogue.hear("250-hi\r\n"));
  EXPECT_TRUE(dialogue.hear("250-AFTER\r\n"));
  EXPECT_TRUE(dialogue.hear("250 AUTH CRAM-MD5 LOGIN\r\n"));
  EXPECT_EQ(dialogue.step(), Step::kAuth);
  EXPECT_EQ(dialogue.mechanism(), "LOGIN");
  EXPECT_THAT(dialogue.capabilities(), ElementsAre("AFTER", "AUTH CRAM-MD5 LOGIN"));
}

TEST(DialogueTest, TextIsThatOfTheWholeReplyAndOfTheLastOne) {
  Dialogue dialogue(ses::Tls::kStartTls);
  EXPECT_TRUE(dialogue.hear("220 hi\r\n"));
  EXPECT_TRUE(dialogue.hear("421-too\r\n"));
  EXPECT_FALSE(dialogue.hear("421 busy\r\n"));
  EXPECT_EQ(dialogue.code(), 421);
  EXPECT_EQ(dialogue.text(), "too busy");
  EXPECT_FALSE(dialogue.hear("250 changed my mind\r\n"));
  EXPECT_EQ(dialogue.code(), 421);
}

TEST(DialogueTest, WhatIsNoReplyEndsIt) {
  for (const char* line :
       {"\r\n", "HTTP/1.1 400 Bad Request\r\n", "25\r\n", "+OK POP3\r\n", " 220 hi\r\n", "\n"}) {
    Dialogue dialogue(ses::Tls::kStartTls);
    EXPECT_FALSE(dialogue.hear(line));
    EXPECT_EQ(dialogue.outcome()->verdict, LoginVerdict::kProtocolError);
    EXPECT_EQ(dialogue.code(), 0);
  }
}

TEST(DialogueTest, EndlessReplyEndsInBoundedMemory) {
  Dialogue dialogue(ses::Tls::kStartTls);
  int lines = 0;
  while (dialogue.hear("220-" + std::string(500, 'x') + "\r\n")) {
    ASSERT_LT(++lines, 1000);
  }
  EXPECT_EQ(dialogue.outcome()->detail, "too much text in the greeting");
  EXPECT_LT(dialogue.text().size(), 8192U);
}

}  // namespace
}  // namespace sessmtp::smtp
