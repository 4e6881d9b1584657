// What a login probe must tell of a server, whatever that server does: tried against the fake SES, by
// STARTTLS and by TLS from the first byte. After each test the server's records say that nothing of a pair
// was ever readable on the way, and the report that nothing of it is told.
#include <ostream>

#include "login_fixture.h"

namespace sessmtp::smtp::testing {
namespace {

using ::testing::AllOf;
using ::testing::Combine;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Values;
using ::testing::ValuesIn;
using Json = nlohmann::json;

TEST_P(LoginContract, PairOfTheKeyLogsIn) {
  const LoginReport report = log_in(pair_of_key());
  EXPECT_EQ(report.verdict, LoginVerdict::kAuthenticated) << report.detail;
  EXPECT_EQ(report.reply_code, 235);
  EXPECT_EQ(report.reply, "Authentication successful.");
  EXPECT_EQ(report.address, "127.0.0.1");
  EXPECT_EQ(report.tls_version, "TLSv1.3");
  EXPECT_THAT(report.cipher, HasSubstr("TLS_AES"));
  EXPECT_EQ(report.mechanism, "PLAIN");
  EXPECT_THAT(report.capabilities, Contains("AUTH LOGIN PLAIN"));
  ASSERT_TRUE(report.certificate);
  EXPECT_THAT(report.certificate->subject, HasSubstr(kHost));
  EXPECT_THAT(report.certificate->issuer, HasSubstr("Fake SES test CA"));
  EXPECT_THAT(report.certificate->names, Contains(kHost));
  ASSERT_TRUE(report.certificate->not_before && report.certificate->not_after);
  EXPECT_EQ(*report.certificate->not_after - *report.certificate->not_before, std::chrono::days(60));
  EXPECT_EQ(server().records("mail").size(), 0U);
}

TEST_P(LoginContract, EachLoginHasAConnectionOfItsOwn) {
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(log_in(pair_of_key()).verdict, LoginVerdict::kAuthenticated);
  }
  EXPECT_EQ(server().records("connected").size(), 3U);
}

TEST_P(LoginContract, PasswordOfAnotherRegionIsRefused) {
  const LoginReport report = log_in(pair_of_key("eu-central-1"));
  EXPECT_EQ(report.verdict, LoginVerdict::kCredentialsInvalid);
  EXPECT_EQ(report.reply_code, 535);
  EXPECT_EQ(report.reply, "Authentication Credentials Invalid");
}

TEST_P(LoginContract, KeyThatIsRevokedIsRefusedAtOnce) {
  EXPECT_EQ(log_in(pair_of_key()).verdict, LoginVerdict::kAuthenticated);
  server().accept({});
  EXPECT_EQ(log_in(pair_of_key()).verdict, LoginVerdict::kCredentialsInvalid);
}

TEST_P(LoginContract, LongUserNameLogsIn) {
  const std::string user(128, 'W');
  server().accept({{user, kSecret}});
  EXPECT_EQ(log_in({SecretBytes(user), pair_of_key().password.clone()}).verdict,
            LoginVerdict::kAuthenticated);
}

TEST_P(LoginContract, CharactersThatMeanSomethingElsewhereArriveAsTheyAre) {
  server().conduct({{"logins", {{"us:er;AUTH=@%40/?#", "235 Hello"}}}, {"login", "535 Who?"}});
  EXPECT_EQ(log_in({SecretBytes("us:er;AUTH=@%40/?#"), SecretBytes("+/= :@%2B")}).reply, "Hello");
}

TEST_P(LoginContract, LoginIsUsedWhereThereIsNoPlain) {
  server().conduct({{"auth", {"CRAM-MD5", "LOGIN", "XOAUTH2", "NTLM", "GSSAPI", "EXTERNAL"}}});
  const LoginReport report = log_in(pair_of_key());
  EXPECT_EQ(report.verdict, LoginVerdict::kAuthenticated) << report.detail;
  EXPECT_EQ(report.mechanism, "LOGIN");
}

TEST_P(LoginContract, PlainIsPreferredToAllElse) {
  server().conduct({{"auth", {"CRAM-MD5", "LOGIN", "PLAIN", "SCRAM-SHA-256", "DIGEST-MD5", "OAUTHBEARER"}}});
  const LoginReport report = log_in(pair_of_key());
  EXPECT_EQ(report.verdict, LoginVerdict::kAuthenticated) << report.detail;
  EXPECT_EQ(report.mechanism, "PLAIN");
}

TEST_P(LoginContract, WithoutAMechanismOfSesNothingIsTried) {
  server().conduct({{"auth", {"CRAM-MD5", "XOAUTH2", "NTLM", "GSSAPI", "EXTERNAL"}}});
  const LoginReport report = log_in(pair_of_key());
  EXPECT_EQ(report.verdict, LoginVerdict::kAuthNotOffered);
  EXPECT_THAT(report.detail, HasSubstr("CRAM-MD5"));
  EXPECT_EQ(report.mechanism, "");
  EXPECT_THAT(server().records("login"), IsEmpty());
}

TEST_P(LoginContract, CertificateIsToldAlsoWhenItWasNotAccepted) {
  server().conduct({{"certificate", "other-host"}});
  const LoginReport report = log_in(pair_of_key());
  EXPECT_EQ(report.address, "127.0.0.1");
  ASSERT_TRUE(report.certificate);
  EXPECT_THAT(report.certificate->names, ElementsAre("mail.example.com"));
  EXPECT_EQ(report.tls_version, "");
}

TEST_P(LoginContract, ServerThatSaysThePairBackIsNotQuoted) {
  const Pair pair = pair_of_key();
  const std::string user(pair.username.expose());
  const std::string password(pair.password.expose());
  const std::string both = std::string(1, '\0') + user + std::string(1, '\0') + password;
  server().conduct(
      {{"login", "535 You said " + user + " and " + password + " or " + base64_encode(password) + "\n" +
                     base64_encode(both) + " " + base64_encode(user) + " " + password.substr(5, 30)}});
  const LoginReport report = log_in(pair);
  EXPECT_EQ(report.verdict, LoginVerdict::kCredentialsInvalid);
  EXPECT_EQ(report.reply, "You said **** and **** or **** **** **** ****");
}

TEST_P(LoginContract, ServersCapabilitiesAreNotQuotedAsTheyCome) {
  const Pair pair = pair_of_key();
  server().conduct(
      {{"capabilities",
        {"X-ECHO " + std::string(pair.password.expose()), "X-\x07\x1b[2J\u00ff", std::string(5000, 'x')}}});
  const LoginReport report = log_in(pair);
  EXPECT_EQ(report.verdict, LoginVerdict::kAuthenticated) << report.detail;
  EXPECT_THAT(report.capabilities, AllOf(Contains("X-ECHO ****"), Contains(HasSubstr("X-??[2J?"))));
}

TEST_P(LoginContract, WhatCannotBeAPairIsNotSent) {
  const std::string nul("pass\0word", 9);
  for (const auto& [user, password] :
       {std::pair<std::string, std::string>("", "x"), {"x", ""}, {"x", nul}, {nul, "x"}}) {
    EXPECT_EQ(log_in({SecretBytes(user), SecretBytes(password)}).verdict, LoginVerdict::kCredentialsInvalid);
  }
  EXPECT_THAT(server().records("connected"), IsEmpty());
}

TEST_P(LoginContract, PrivateCaIsTrustedBesidesTheSystems) {
  use_system_roots(server().ca());
  options().ca_file.clear();
  EXPECT_EQ(log_in(pair_of_key()).verdict, LoginVerdict::kAuthenticated);
  options().ca_file = another_ca();
  EXPECT_EQ(log_in(pair_of_key()).verdict, LoginVerdict::kAuthenticated);
}

TEST_P(LoginContract, CaFileThatCannotBeUsedIsSaidSo) {
  const std::filesystem::path file = server().folder() / "broken.crt";
  std::string pem = read_file(server().ca()).value();
  for (const auto& [content, what] :
       {std::pair<std::string, std::string>("", "no PEM certificate"),
        {pem + pem.substr(0, pem.size() / 2) + "\n-----END CERTIFICATE-----\n", "broken certificate"}}) {
    std::ofstream(file) << content;
    options().ca_file = file;
    const LoginReport report = log_in(pair_of_key());
    EXPECT_EQ(report.verdict, LoginVerdict::kCertificateInvalid);
    EXPECT_THAT(report.detail, AllOf(HasSubstr("the CA file"), HasSubstr(what)));
  }
  options().ca_file = "/nonexistent/ca.crt";
  EXPECT_THAT(log_in(pair_of_key()).detail, HasSubstr("No such file"));
  EXPECT_THAT(server().records("connected"), IsEmpty());
}

TEST_P(LoginContract, NeitherProxyNorNetrcOfTheEnvironmentCounts) {
  const ScopedEnvironment proxies({{"ALL_PROXY", "http://127.0.0.1:1"},
                                   {"all_proxy", "socks5h://127.0.0.1:1"},
                                   {"http_proxy", "http://127.0.0.1:1"},
                                   {"smtp_proxy", "http://127.0.0.1:1"},
                                   {"smtps_proxy", "http://127.0.0.1:1"}});
  EXPECT_EQ(log_in(pair_of_key()).verdict, LoginVerdict::kAuthenticated);
}

TEST_P(LoginContract, TlsBelow12IsRefused) {
  server().conduct({{"tls", "1.1"}});
  EXPECT_THAT(log_in(pair_of_key()).detail, HasSubstr("during TLS"));  // the fake gives no reason
  EXPECT_THAT(server().records("login"), IsEmpty());
  server().conduct({{"tls", "1.2"}});
  EXPECT_EQ(log_in(pair_of_key()).tls_version, "TLSv1.2");
}

TEST_P(LoginContract, TheOtherKindOfPortIsToldFromADeadOne) {
  const bool implicit = GetParam() == ses::Tls::kImplicit;
  ses::Endpoint endpoint = server().endpoint(implicit ? ses::Tls::kStartTls : ses::Tls::kImplicit);
  endpoint.tls = GetParam();
  options().limits.reply = 500ms;
  const LoginReport report = log_in(pair_of_key(), endpoint);
  EXPECT_EQ(report.verdict, implicit ? LoginVerdict::kProtocolError : LoginVerdict::kEndpointUnreachable);
  EXPECT_THAT(report.detail, HasSubstr(implicit ? "no TLS: wrong version number" : "TLS comes first"));
}

INSTANTIATE_TEST_SUITE_P(Tls, LoginContract, Values(ses::Tls::kStartTls, ses::Tls::kImplicit), &name_of_tls);

// -- one conduct, one verdict

struct Case {
  const char* name;
  Json conduct;
  LoginVerdict verdict;
  const char* detail;
  int code = 0;
  bool starttls_only = false;

  friend std::ostream& operator<<(std::ostream& out, const Case& one) { return out << one.conduct; }
};

class LoginVerdicts : public LoginTest, public ::testing::WithParamInterface<std::tuple<ses::Tls, Case>> {
 protected:
  [[nodiscard]] ses::Tls tls() const override { return std::get<0>(GetParam()); }
};

TEST_P(LoginVerdicts, IsAsExpected) {
  const Case& expected = std::get<1>(GetParam());
  if (expected.starttls_only && tls() == ses::Tls::kImplicit) {
    return;  // there is no STARTTLS to go wrong
  }
  server().conduct(expected.conduct);
  if (expected.conduct.contains("hang")) {
    options().limits = {.connect = 2s, .reply = 2s, .total = 10s};
  }
  const auto began = std::chrono::steady_clock::now();
  const LoginReport report = log_in(pair_of_key());
  EXPECT_LT(std::chrono::steady_clock::now() - began, 8s);  // less than the sum of all limits
  EXPECT_EQ(to_string(report.verdict), to_string(expected.verdict));
  EXPECT_THAT(report.detail, HasSubstr(expected.detail));
  EXPECT_EQ(report.reply_code, expected.code);
}

const std::vector<Case>& cases() {
  using enum LoginVerdict;
  static const std::vector<Case> all = {
      {"Busy",
       {{"greeting", "421 Too many concurrent SMTP connections"}},
       kTemporaryFailure,
       "greeting",
       421},
      {"NoService", {{"greeting", "554 No SMTP service here"}}, kProtocolError, "greeting", 554},
      {"NotSubscribed", {{"login", "535 Account not subscribed to SES"}}, kNotSubscribed, "PLAIN", 535},
      {"Throttled",
       {{"login", "454 Throttling failure: Daily message quota exceeded."}},
       kTemporaryFailure,
       "PLAIN",
       454},
      {"CannotSay", {{"login", "454 Temporary authentication failure"}}, kTemporaryFailure, "PLAIN", 454},
      {"ServiceFailure", {{"login", "451 Temporary service failure"}}, kTemporaryFailure, "PLAIN", 451},
      {"GoesAway", {{"login", "421 Timeout waiting for data from client."}}, kTemporaryFailure, "PLAIN", 421},
      {"AuthenticationRequired",
       {{"login", "530 Authentication required"}},
       kProtocolError,
       "unexpected",
       530},
      {"TooWeak", {{"login", "534 Authentication mechanism is too weak"}}, kAuthNotOffered, "PLAIN", 534},
      {"Blocked", {{"login", "554 Transaction failed: blocked"}}, kProtocolError, "unexpected", 554},
      {"OneMoreQuestion", {{"login", "334 WW91ciBtb3RoZXIncyBuYW1lPw=="}}, kProtocolError, "unexpected", 334},
      {"OkButNot235", {{"login", "250 Ok"}}, kProtocolError, "unexpected", 250},
      {"ManyLines", {{"login", "535 No\n235 Yes\n535 No"}}, kCredentialsInvalid, "PLAIN", 535},
      {"NoAuth", {{"auth", false}}, kAuthNotOffered, "no AUTH", 250},
      {"Expired", {{"certificate", "expired"}}, kCertificateInvalid, "expired at 20"},
      {"NotYetValid", {{"certificate", "not-yet-valid"}}, kCertificateInvalid, "not valid before 20"},
      {"OtherHost", {{"certificate", "other-host"}}, kCertificateInvalid, "but for mail.example.com"},
      {"UnknownCa", {{"certificate", "unknown-ca"}}, kCertificateInvalid, "unknown CA"},
      {"SelfSigned", {{"certificate", "self-signed"}}, kCertificateInvalid, "self-signed"},
      {"GarbageAtGreeting", {{"garbage", "greeting"}}, kProtocolError, "no SMTP in the greeting"},
      {"GarbageAtEhlo", {{"garbage", "ehlo"}}, kProtocolError, "no SMTP in the reply to EHLO"},
      {"GarbageAtLogin", {{"garbage", "login"}}, kProtocolError, "no SMTP in the reply to the login"},
      {"EndlessGreeting", {{"endless", "greeting"}}, kProtocolError, "too much text in the greeting"},
      {"EndlessEhlo", {{"endless", "ehlo"}}, kProtocolError, "too much text in the reply to EHLO"},
      {"EndlessLineAtGreeting", {{"endless-line", "greeting"}}, kProtocolError, "the greeting"},
      {"EndlessLineAtEhlo", {{"endless-line", "ehlo"}}, kProtocolError, "the reply to EHLO"},
      {"CutAtGreeting", {{"cut", "greeting"}}, kEndpointUnreachable, "cut before the greeting"},
      {"CutAtEhlo", {{"cut", "ehlo"}}, kTemporaryFailure, "cut before the reply to EHLO"},
      {"CutAtLogin", {{"cut", "login"}}, kTemporaryFailure, "cut before the reply to the login"},
      {"SilentAtGreeting", {{"hang", "greeting"}}, kEndpointUnreachable, "not the greeting within 2s"},
      {"SilentAtEhlo", {{"hang", "ehlo"}}, kTemporaryFailure, "not the reply to EHLO within 2s"},
      {"SilentAtLogin", {{"hang", "login"}}, kTemporaryFailure, "not the reply to the login within 2s"},
      {"NoStartTls", {{"starttls", false}}, kStartTlsNotOffered, "no STARTTLS", 250, true},
      {"NoStartTlsButAuth",
       {{"starttls", false}, {"auth_before_tls", true}},
       kStartTlsNotOffered,
       "no STARTTLS",
       250,
       true},
      {"AuthBeforeTls", {{"auth_before_tls", true}}, kAuthenticated, "PLAIN", 235, true},
      {"StartTlsRefused", {{"starttls", "refused"}}, kTemporaryFailure, "STARTTLS refused", 454, true},
      {"PlainTextForTls",
       {{"starttls", "plaintext"}},
       kProtocolError,
       "no TLS: wrong version number",
       0,
       true},
      {"CutAtStartTls",
       {{"cut", "starttls"}},
       kTemporaryFailure,
       "cut before the reply to STARTTLS",
       0,
       true},
      {"SilentAtStartTls",
       {{"hang", "starttls"}},
       kTemporaryFailure,
       "not the reply to STARTTLS within 2s",
       0,
       true},
      {"CutAtTlsAfterStartTls", {{"cut", "tls"}}, kTemporaryFailure, "cut during TLS", 0, true},
      {"SilentAtTlsAfterStartTls", {{"hang", "tls"}}, kTemporaryFailure, "no TLS within 2s", 0, true},
  };
  return all;
}

INSTANTIATE_TEST_SUITE_P(Server, LoginVerdicts,
                         Combine(Values(ses::Tls::kStartTls, ses::Tls::kImplicit), ValuesIn(cases())),
                         [](const auto& test) {
                           const ses::Tls tls = std::get<0>(test.param);
                           return std::string(ses::to_string(tls)) + std::get<1>(test.param).name;
                         });

class ImplicitTls : public LoginTest {
 protected:
  [[nodiscard]] ses::Tls tls() const override { return ses::Tls::kImplicit; }
};

TEST_F(ImplicitTls, CutOrSilentBeforeItMeansUnreachable) {
  server().conduct({{"cut", "tls"}});
  const LoginReport cut = log_in(pair_of_key());
  EXPECT_EQ(cut.verdict, LoginVerdict::kEndpointUnreachable);
  EXPECT_EQ(cut.detail, "the connection was cut during TLS");
  server().conduct({{"hang", "tls"}});
  options().limits.connect = 500ms;
  const LoginReport silent = log_in(pair_of_key());
  EXPECT_EQ(silent.verdict, LoginVerdict::kEndpointUnreachable);
  EXPECT_EQ(silent.detail, "no TLS within 500ms");
}

}  // namespace
}  // namespace sessmtp::smtp::testing
