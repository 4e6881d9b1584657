#include "cli/verify.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "../kube/temporary_folder.h"
#include "base/base64.h"
#include "cli/verify_advice.h"
#include "cli/verify_output.h"

namespace sessmtp::cli {
namespace {

using nlohmann::json;
using smtp::LoginReport;
using smtp::LoginVerdict;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

// Public examples of the AWS documentation, and passwords derived by others (tests/vectors.json).
const std::string kId = "AKIAIOSFODNN7EXAMPLE";
const std::string kKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const std::string kPassword = "BLBM/9hSUELfq8Gw+rU1YcBjkOxGbhT2XG763xVLGWL9";  // us-east-1
const std::string kPasswordV2 = "An60U4ZD3sd4fg+FvXUjayOipTt8LO4rUUmhpdX6ctDy";
const WallTime kNow = *parse_rfc3339("2026-11-22T08:00:00Z");

LoginReport report_of(LoginVerdict verdict, int code = 0, std::string reply = {}, std::string detail = {}) {
  LoginReport report;
  report.verdict = verdict;
  report.reply_code = code;
  report.reply = std::move(reply);
  report.detail = std::move(detail);
  return report;
}

const LoginReport kAccepted = report_of(LoginVerdict::kAuthenticated, 235, "Authentication successful.");
const LoginReport kRefused =
    report_of(LoginVerdict::kCredentialsInvalid, 535, "Authentication Credentials Invalid");

// What the command asked for.
struct Asked {
  ses::Endpoint endpoint;
  std::string username;
  std::string password;
};

class ScriptedProbe final : public smtp::LoginProbe {
 public:
  ScriptedProbe(LoginReport report, std::optional<Asked>& asked)
      : report_(std::move(report)), asked_(asked) {}

  [[nodiscard]] std::optional<LoginReport> log_in(const ses::Endpoint& endpoint, const SecretBytes& username,
                                                  const SecretBytes& password, std::stop_token) override {
    asked_ = {endpoint, std::string(username.expose()), std::string(password.expose())};
    return report_;
  }

 private:
  LoginReport report_;
  std::optional<Asked>& asked_;
};

class FixedClock final : public Clock {
 public:
  [[nodiscard]] WallTime now() const override { return kNow; }
  [[nodiscard]] SteadyTime steady() const override { return {}; }
};

struct Ran {
  int exit_code = -1;
  std::string out;
  std::string err;
  std::optional<Asked> asked;           // empty: nobody logged in
  smtp::CurlLoginProbeOptions options;  // of the login
  [[nodiscard]] json object() const { return json::parse(out); }
};

Ran run(const LoginReport& report, const std::string& input, std::vector<std::string> arguments,
        const std::map<std::string, std::string>& environment = {}) {
  const TemporaryFolder folder;
  const int in = open(folder.write("input", input).c_str(), O_RDONLY | O_CLOEXEC);
  CLI::App app;
  VerifyOptions options;
  add_verify(app, options);
  arguments.insert(arguments.begin(), "verify");
  std::ranges::reverse(arguments);  // as CLI11 wants them
  app.parse(arguments);
  std::ostringstream out;
  std::ostringstream err;
  Ran ran;
  const Terminal terminal{.out = out, .err = err, .environment = [&environment](const char* name) {
                            const auto found = environment.find(name);
                            return found != environment.end() ? std::optional(found->second) : std::nullopt;
                          }};
  ran.exit_code = run_verify(options, {in, terminal, FixedClock(), [&](smtp::CurlLoginProbeOptions wanted) {
                                         ran.options = std::move(wanted);
                                         return std::make_unique<ScriptedProbe>(report, ran.asked);
                                       }});
  close(in);
  ran.out = out.str();
  ran.err = err.str();
  for (const std::string& text : {ran.out, ran.err}) {
    for (const std::string& value : {kId, kKey, kPassword, kPasswordV2, base64_encode(kPassword)}) {
      EXPECT_THAT(text, Not(HasSubstr(value)));
    }
  }
  return ran;
}

Ran in_us_east_1(const LoginReport& report, const std::string& password, std::vector<std::string> more = {},
                 const std::string& username = kId) {
  more.insert(more.begin(), {"--region", "us-east-1", "--username", username});
  return run(report, password, std::move(more));
}

// ---- what is asked of the server -------------------------------------------------------------------------

TEST(Verify, LogsInAtTheEndpointOfTheRegion) {
  const Ran ran = in_us_east_1(kAccepted, kPassword + "\n");
  EXPECT_EQ(ran.exit_code, kOk) << ran.err;
  ASSERT_TRUE(ran.asked);
  EXPECT_EQ(ran.asked->endpoint, (ses::Endpoint{.host = "email-smtp.us-east-1.amazonaws.com"}));
  EXPECT_EQ(ran.asked->username, kId);
  EXPECT_EQ(ran.asked->password, kPassword) << "the newline of echo does not count";
  EXPECT_THAT(ran.out, AllOf(StartsWith("Login at email-smtp.us-east-1.amazonaws.com:587 (STARTTLS) as "
                                        "AKIA************MPLE\n"),
                             HasSubstr("235 Authentication successful."), HasSubstr("The login works.")));
  EXPECT_EQ(ran.err, "");
}

TEST(Verify, TakesTheServerFromTheFlags) {
  const Ran named =
      run(kAccepted, kPassword, {"--host", "mail.example.com", "--port", "465", "--username", kId});
  EXPECT_EQ(named.asked->endpoint,
            (ses::Endpoint{.host = "mail.example.com", .port = 465, .tls = ses::Tls::kImplicit}));
  EXPECT_TRUE(named.options.policy.allows(named.asked->endpoint)) << "a person has named it";
  const Ran fips = in_us_east_1(kAccepted, kPassword, {"--fips", "--tls", "implicit", "--port", "2587"});
  EXPECT_EQ(fips.asked->endpoint, (ses::Endpoint{.host = "email-smtp-fips.us-east-1.amazonaws.com",
                                                 .port = 2587,
                                                 .tls = ses::Tls::kImplicit}));
  const Ran patient = in_us_east_1(kAccepted, kPassword, {"--timeout", "2s", "--ca-file", "ca.pem"});
  EXPECT_EQ(patient.options.limits.reply, std::chrono::seconds(2));
  EXPECT_EQ(patient.options.limits.total, std::chrono::seconds(6));
  EXPECT_EQ(patient.options.ca_file, "ca.pem");
}

TEST(Verify, TakesUserNameAndRegionFromTheEnvironment) {
  const Ran ran = run(kAccepted, kPassword, {}, {{"SMTP_USERNAME", kId}, {"AWS_REGION", "eu-west-1"}});
  EXPECT_EQ(ran.asked->endpoint.host, "email-smtp.eu-west-1.amazonaws.com");
  EXPECT_EQ(ran.asked->username, kId);
  EXPECT_THAT(ran.err, HasSubstr("note: region eu-west-1 is from AWS_REGION"));
}

TEST(Verify, ReadsThePasswordFromAFile) {
  const TemporaryFolder folder;
  const std::string file = folder.write("password", kPassword + "\r\n");
  EXPECT_EQ(in_us_east_1(kAccepted, "something else", {"--password-file", file}).asked->password, kPassword);
  const Ran lost = in_us_east_1(kAccepted, "", {"--password-file", file + ".lost"});
  EXPECT_EQ(lost.exit_code, kFailed);
  EXPECT_FALSE(lost.asked);
}

TEST(Verify, RefusesWrongUsageBeforeAnyLogin) {
  const std::map<std::vector<std::string>, std::string> wrong = {
      {{"--username", kId}, "which server to log in at was not given"},
      {{"--region", "us-east-1"}, "no user name was given"},
      {{"--region", "us-east-1a", "--username", kId}, "did you mean us-east-1?"},
      {{"--region", "cn-north-1", "--username", kId}, "no public SMTP host name of SES is known"},
      {{"--host", "a.example", "--fips", "--username", kId}, "exclude each other"},
      {{"--host", "a.example", "--port", "0", "--username", kId}, "--port"},
      {{"--from-secret", "a", "--from-credential", "b"}, "exclude each other"},
      {{"--from-secret", "a", "--username", kId}, "do not go with"},
      {{"--region", "us-east-1", "--username", kId, "--password", kPassword}, "not taken as an argument"},
      {{"--region", "us-east-1", "--username", kId, "--password=" + kPassword}, "not taken as an argument"},
  };
  for (const auto& [arguments, words] : wrong) {
    const Ran ran = run(kAccepted, kPassword, arguments);
    EXPECT_EQ(ran.exit_code, kUsage) << words;
    EXPECT_FALSE(ran.asked) << words;
    EXPECT_THAT(ran.err, AllOf(StartsWith("error: "), HasSubstr(words), HasSubstr("\n  fix: ")));
    EXPECT_EQ(ran.out, "");
  }
  EXPECT_EQ(in_us_east_1(kAccepted, "").exit_code, kUsage) << "no password";
}

// ---- what is said of the answer --------------------------------------------------------------------------

TEST(Verify, SaysEveryVerdict) {
  const std::map<LoginVerdict, std::pair<std::string, std::string>> texts = {
      {LoginVerdict::kCredentialsInvalid, {"The login was refused (CredentialsInvalid)", "likeliest first"}},
      {LoginVerdict::kNotSubscribed, {"The login was refused (NotSubscribed)", "SES console"}},
      {LoginVerdict::kTemporaryFailure, {"(TemporaryFailure)", "Try again later"}},
      {LoginVerdict::kEndpointUnreachable, {"not tried (EndpointUnreachable)", "firewall"}},
      {LoginVerdict::kEndpointNotAllowed, {"not tried (EndpointNotAllowed)", "add --host email-smtp"}},
      {LoginVerdict::kStartTlsNotOffered, {"not tried (StartTlsNotOffered)", "offers no TLS"}},
      {LoginVerdict::kAuthNotOffered, {"not tried (AuthNotOffered)", "no login with PLAIN"}},
      {LoginVerdict::kCertificateInvalid, {"not tried (CertificateInvalid)", "not to be trusted"}},
      {LoginVerdict::kProtocolError, {"not tried (ProtocolError)", "does not speak SMTP"}},
  };
  for (const auto& [verdict, words] : texts) {
    const Ran ran = in_us_east_1(report_of(verdict, 0, "", "some detail"), kPassword);
    EXPECT_EQ(ran.exit_code, kFailed);
    EXPECT_THAT(ran.out, AllOf(HasSubstr(words.first), HasSubstr(words.second), HasSubstr("some detail")));
    const json object = in_us_east_1(report_of(verdict), kPassword, {"-o", "json"}).object();
    EXPECT_EQ(object["verdict"], smtp::to_string(verdict));
    EXPECT_EQ(object["authenticated"], false);
  }
}

TEST(Verify, NamesTheUsualCausesOfARefusal) {
  const json causes = in_us_east_1(kRefused, kPassword, {"-o", "json"}).object()["causes"];
  std::vector<std::string> texts;
  for (const json& cause : causes) {
    texts.push_back(cause["cause"].get<std::string>());
    EXPECT_NE(cause["check"], "");
  }
  EXPECT_THAT(texts, ElementsAre(HasSubstr("another region than the server's, which is us-east-1"),
                                 HasSubstr("inactive or was deleted"), HasSubstr("of another"),
                                 HasSubstr("younger than a few minutes")));
}

TEST(Verify, SeesWhatIsWrongWithThePassword) {
  const std::map<std::string, std::string> wrong = {
      {kKey,
       "the shape of a secret access key: SES takes only the password that is derived from it; ses-smtp "
       "derive --region us-east-1"},
      {kPasswordV2, "SES retired in 2019"},
      {kPassword + " \n", "white space around it"},
      {kId, "swapped"},
      {"BLBM%2F9hSUELfq8Gw%2BrU1YcBjkOxGbhT2XG763xVLGWL9", "percent-encoded"},
      {base64_encode(kPassword), "base64-encoded once more"},
      {kPassword.substr(1), "43 characters, and one of SES has 44"},
  };
  for (const auto& [password, words] : wrong) {
    const json object = in_us_east_1(kRefused, password, {"-o", "json"}).object();
    EXPECT_THAT(object["findings"], ElementsAre(HasSubstr(words)));
    EXPECT_THAT(object["causes"], IsEmpty()) << "what is found needs no guesses";
  }
  EXPECT_THAT(in_us_east_1(kRefused, kPassword, {"-o", "json"}).object()["findings"], IsEmpty());
}

TEST(Verify, SeesWhatIsWrongWithTheUserName) {
  const std::map<std::string, std::string> wrong = {
      {"ASIAIOSFODNN7EXAMPLE", "temporary credentials"},
      {"AIDAIOSFODNN7EXAMPLE", "IAM user or role"},
      {"mail@example.com", "not the id of an access key"},
      {" " + kId, "white space"},
  };
  for (const auto& [username, words] : wrong) {
    const json object = in_us_east_1(kRefused, kPassword, {"-o", "json"}, username).object();
    EXPECT_THAT(object["findings"], ElementsAre(HasSubstr(words)));
  }
}

TEST(Verify, KnowsNoShapesOfOtherServers) {
  const Ran ran =
      run(kRefused, "hunter2", {"--host", "mail.example.com", "--username", "shop", "-o", "json"});
  EXPECT_THAT(ran.object()["findings"], IsEmpty());
  EXPECT_EQ(ran.object()["username"], "****");
  EXPECT_THAT(ran.out, HasSubstr("role or a session"));
  const Ran tunnel = run(kRefused, kKey, {"--host", "localhost", "--username", kId});
  EXPECT_THAT(tunnel.out, HasSubstr("the shape of a secret access key"))
      << "the user name tells that it is SES";
}

TEST(Verify, HintsAtTheWrongKindOfTls) {
  const Ran implicit = in_us_east_1(report_of(LoginVerdict::kEndpointUnreachable, 0, "",
                                              "no connection: SSL routines::wrong version number"),
                                    kPassword, {"--tls", "implicit"});
  EXPECT_THAT(implicit.out, HasSubstr("check: --tls starttls"));
  const Ran unknown_ca = in_us_east_1(
      report_of(LoginVerdict::kCertificateInvalid, 0, "", "the certificate is of an unknown CA: CN = x"),
      kPassword);
  EXPECT_THAT(unknown_ca.out, AllOf(HasSubstr("--ca-file"), HasSubstr("proxy")));
  EXPECT_THAT(in_us_east_1(report_of(LoginVerdict::kEndpointUnreachable), kPassword, {"--port", "25"}).out,
              HasSubstr("1. port 25, which most clouds block"));
}

TEST(Verify, ShowsAllThatTheServerSaid) {
  LoginReport report = kAccepted;
  report.address = "192.0.2.1";
  report.tls_version = "TLSv1.3";
  report.cipher = "TLS_AES_128_GCM_SHA256";
  report.capabilities = {"8BITMIME", "AUTH PLAIN LOGIN"};
  report.mechanism = "PLAIN";
  report.certificate = {.subject = "CN = a.example",
                        .issuer = "CN = Some CA",
                        .names = {"a.example", "b.example"},
                        .not_before = parse_rfc3339("2026-01-01T00:00:00Z"),
                        .not_after = parse_rfc3339("2026-11-25T07:59:59Z")};
  EXPECT_THAT(in_us_east_1(report, kPassword).out,
              AllOf(HasSubstr("192.0.2.1"), HasSubstr("TLSv1.3, TLS_AES_128_GCM_SHA256"),
                    HasSubstr("CN = a.example"), HasSubstr("a.example, b.example"), HasSubstr("CN = Some CA"),
                    HasSubstr("2026-11-25T07:59:59Z (2 days)"), HasSubstr("8BITMIME, AUTH PLAIN LOGIN"),
                    HasSubstr("AUTH PLAIN\n")));
  EXPECT_EQ(in_us_east_1(report, kPassword, {"-o", "json"}).object()["certificate"]["daysLeft"], 2);
  report.certificate->not_after = kNow - std::chrono::seconds(1);
  EXPECT_THAT(in_us_east_1(report, kPassword).out, HasSubstr("(expired)"));
}

TEST(Verify, HasAllFieldsInEveryJson) {
  const json full = in_us_east_1(kAccepted, kPassword, {"-o", "json"}).object();
  const json empty =
      in_us_east_1(report_of(LoginVerdict::kEndpointUnreachable), kPassword, {"-o", "json"}).object();
  std::vector<std::string> names;
  for (const auto& [name, value] : full.items()) {
    names.push_back(name);
    EXPECT_TRUE(empty.contains(name)) << name;
  }
  EXPECT_THAT(names, ElementsAre("address", "authenticated", "capabilities", "causes", "certificate",
                                 "detail", "endpoint", "findings", "meaning", "mechanism", "next", "refused",
                                 "region", "reply", "source", "tls", "username", "verdict"))
      << "docs/command-line.md lists them";
}

// ---- pairs in Secrets ------------------------------------------------------------------------------------

kube::Secret secret_with(const std::map<std::string, std::string>& data,
                         const std::map<std::string, std::string>& annotations = {}) {
  kube::Secret secret;
  secret.meta.namespace_ = "shop";
  secret.meta.name = "mail";
  secret.meta.annotations = annotations;
  for (const auto& [key, value] : data) {
    secret.data.emplace(key, SecretBytes(value));
  }
  return secret;
}

const std::map<std::string, std::string> kAnnotations = {{"ses-smtp.dev/region", "us-east-1"},
                                                         {"ses-smtp.dev/credential", "mail"}};
const ses::Endpoint kEndpoint{.host = "email-smtp.us-east-1.amazonaws.com"};

void expect_pair(const Result<LoginPair, Problem>& pair, const ses::Endpoint& endpoint,
                 const std::string& where) {
  ASSERT_TRUE(pair) << pair.error().what;
  EXPECT_EQ(pair->username.expose(), kId);
  EXPECT_EQ(pair->password.expose(), kPassword);
  EXPECT_EQ(pair->endpoint, endpoint);
  EXPECT_EQ(pair->source, "Secret shop/mail, " + where);
}

TEST(VerifyPair, IsFoundInEveryFormat) {
  const std::string host = kEndpoint.host;
  expect_pair(
      pair_in(secret_with({{"username", kId}, {"password", kPassword}, {"host", host}, {"port", "2465"}}),
              {}),
      {.host = host, .port = 2465, .tls = ses::Tls::kImplicit}, "keys username and password");
  expect_pair(pair_in(secret_with({{"username", kId}, {"password", kPassword}}, kAnnotations), {}), kEndpoint,
              "keys username and password");
  expect_pair(pair_in(secret_with({{"SMTP_USERNAME", kId},
                                   {"SMTP_PASSWORD", kPassword},
                                   {"SMTP_HOST", host},
                                   {"SMTP_PORT", "2525"},
                                   {"SMTP_TLS", "implicit"}}),
                      {}),
              {.host = host, .port = 2525, .tls = ses::Tls::kImplicit},
              "keys SMTP_USERNAME and SMTP_PASSWORD");
  const std::string url = "smtps://" + kId + ":BLBM%2F9hSUELfq8Gw%2BrU1YcBjkOxGbhT2XG763xVLGWL9@" + host;
  for (const std::string key : {"url", "uri", "SMTP_URL"}) {
    expect_pair(pair_in(secret_with({{key, url + ":465"}}), {}),
                {.host = host, .port = 465, .tls = ses::Tls::kImplicit}, "key " + key);
  }
}

TEST(VerifyPair, IsOfAnAdditionalRegionWhenThatIsAskedFor) {
  const kube::Secret secret = secret_with({{"username", kId},
                                           {"password", "another"},
                                           {"host", "email-smtp.eu-west-1.amazonaws.com"},
                                           {"region", "eu-west-1"},
                                           {"password.us-east-1", kPassword},
                                           {"host.us-east-1", kEndpoint.host}});
  expect_pair(pair_in(secret, {.region = "us-east-1", .endpoint = {}}), kEndpoint,
              "keys username and password.us-east-1");
  const auto missing = pair_in(secret, {.region = "us-west-2", .endpoint = {}});
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().why, HasSubstr("password.us-west-2"));
}

// Whoever writes the Secret does not write to the terminal of whoever looks at it, nor what is to be typed.
TEST(VerifyPair, PrintsNoControlCharactersOfASecret) {
  const std::string host = "\x1b]0;a\x07.example";
  const auto pair =
      pair_in(secret_with({{"username", kId}, {"password", kPassword}, {"host", host}},
                          {{"ses-smtp.dev/region", "us-east-1"}, {"ses-smtp.dev/credential", "a; id"}}),
              {});
  ASSERT_TRUE(pair);
  EXPECT_FALSE(pair->credential);
  const LoginReport report = report_of(LoginVerdict::kEndpointNotAllowed);
  std::ostringstream out;
  const Paint paint(ColorWhen::kNever, {.out = out, .err = out, .environment = {}});
  const std::string text = verify_heading(*pair, paint) +
                           verify_page(report, advise(report, *pair, kNow, "kubectl"), kNow, paint, 0);
  EXPECT_THAT(text, AllOf(HasSubstr("]0;a .example"), Not(HasSubstr("\x1b")), Not(HasSubstr("\x07"))));
}

TEST(VerifyPair, YieldsToTheFlags) {
  const kube::Secret secret =
      secret_with({{"username", kId}, {"password", kPassword}, {"host", kEndpoint.host}, {"port", "465"}});
  expect_pair(pair_in(secret, {.region = {}, .endpoint = {.host = "a.example", .port = 587}}),
              {.host = "a.example"}, "keys username and password");
}

TEST(VerifyPair, IsMissedByTheNamesOfKeysOnly) {
  const auto pair = pair_in(secret_with({{"token", kPassword}, {"user", kId}}), {});
  ASSERT_FALSE(pair);
  EXPECT_THAT(pair.error().why, AllOf(HasSubstr("SMTP_USERNAME"), HasSubstr("found: token, user"),
                                      Not(HasSubstr(kPassword)), Not(HasSubstr(kId))));
  const auto nowhere = pair_in(secret_with({{"username", kId}, {"password", kPassword}}), {});
  ASSERT_FALSE(nowhere);
  EXPECT_THAT(nowhere.error().fix, HasSubstr("--region"));
}

TEST(VerifyPair, IsComparedWithItsKey) {
  LoginPair pair{.username = SecretBytes(kId),
                 .password = SecretBytes(kPassword),
                 .endpoint = {.host = "email-smtp.eu-west-1.amazonaws.com"},
                 .source = "Secret shop/mail, keys username and password"};
  pair.secret_access_key = SecretBytes(kKey);
  EXPECT_THAT(advise(kRefused, pair, kNow, "kubectl").findings,
              Contains(HasSubstr("it is this key's password in us-east-1")));
  pair.endpoint = kEndpoint;
  pair.region = "us-east-1";
  pair.key_since = kNow - std::chrono::seconds(40);
  pair.credential = {.namespace_ = "shop", .name = "mail"};
  const LoginAdvice advice = advise(kRefused, pair, kNow, "kubectl");
  EXPECT_THAT(advice.findings, IsEmpty());
  ASSERT_FALSE(advice.causes.empty());
  EXPECT_THAT(advice.causes.front().what, HasSubstr("has had it for 40s")) << "the likeliest of a new key";
  EXPECT_THAT(advice.next, HasSubstr("doctor mail --namespace shop"));
  pair.region = "eu-west-1";
  pair.secret_access_key = {};
  EXPECT_THAT(advise(kRefused, pair, kNow, "kubectl").findings,
              ElementsAre(HasSubstr("for region eu-west-1, and the server is of region us-east-1")));
}

TEST(VerifyPair, TellsTheRegionOfAHost) {
  EXPECT_EQ(region_of_host("email-smtp.eu-west-1.amazonaws.com"), "eu-west-1");
  EXPECT_EQ(region_of_host("email-smtp-fips.us-gov-west-1.amazonaws.com"), "us-gov-west-1");
  EXPECT_EQ(region_of_host("vpce-1-2.email-smtp.eu-west-1.vpce.amazonaws.com"), "eu-west-1");
  for (const char* other : {"email-smtp.example.com", "xemail-smtp.eu-west-1.amazonaws.com", "localhost", "",
                            "email-smtp.eu-west-1.amazonaws.com.example.com"}) {
    EXPECT_EQ(region_of_host(other), "") << other;
  }
}

}  // namespace
}  // namespace sessmtp::cli
