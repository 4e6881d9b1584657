#include "cli/verify_advice.h"

#include <algorithm>
#include <chrono>
#include <string_view>

#include "base/base64.h"
#include "base/text.h"
#include "cli/derive_compare.h"
#include "cli/plugin.h"
#include "cli/terminal.h"
#include "ses/iam_key.h"
#include "smtp/endpoint_policy.h"
#include "smtp/login_verdict.h"

namespace sessmtp::cli {
namespace {

using smtp::LoginVerdict;

constexpr std::size_t kSecretAccessKeySize = 40;
constexpr std::size_t kPasswordSize = 44;

bool is_of_base64(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '/';
  });
}

// On any port: a tunnel or a VPC endpoint may have another.
bool is_of_ses(const ses::Endpoint& endpoint) {
  return smtp::EndpointPolicy().allows(
      {.host = endpoint.host, .port = ses::kDefaultPort, .tls = endpoint.tls});
}

std::string region_to_show(const LoginPair& pair) {
  const std::string of_host = region_of_host(pair.endpoint.host);
  return !of_host.empty() ? of_host : pair.region.empty() ? "REGION" : pair.region;
}

std::string about_username(std::string_view name) {
  if (name.empty()) {
    return "the user name is empty";
  }
  if (trimmed(name) != name) {
    return "the user name has white space around it";
  }
  if (name.starts_with("ASIA")) {
    return "the user name is the id of temporary credentials (ASIA…), as a role or a session has them: SES "
           "SMTP has no place for their session token and takes long-term keys of IAM users only. Make an "
           "access key for an IAM user";
  }
  if (name.starts_with("AIDA") || name.starts_with("AROA")) {
    return "the user name is the id of an IAM user or role (AIDA…, AROA…), and SES wants that of an access "
           "key, which begins with AKIA";
  }
  if (!ses::looks_like_access_key_id(name)) {
    return "the user name is not the id of an access key: that is AKIA and 16 more capital letters and "
           "digits, and neither the name of the IAM user nor a mail address";
  }
  return "";
}

std::string about_shape(std::string_view password, const std::string& region) {
  const std::string derive = program() + " derive --region " + region;
  const std::string_view bare = trimmed(password);
  if (bare.empty()) {
    return "the password is empty";
  }
  if (bare != password) {
    return "the password has white space around it, such as a newline of echo or an editor: use echo -n, or "
           "kubectl create secret --from-literal";
  }
  if (ses::looks_like_access_key_id(password)) {
    return "the password has the shape of an access key id: are user name and password swapped?";
  }
  if (password.size() == kSecretAccessKeySize && is_of_base64(password)) {
    return "the password has 40 characters, the shape of a secret access key: SES takes only the password "
           "that is derived from it; " +
           derive + " derives it";
  }
  if (ses::looks_like_smtp_password(password)) {
    return password.starts_with('A') ? "the password has the shape of those that SES retired in 2019 "
                                       "(signature version 2); derive it anew: " +
                                           derive
                                     : "";
  }
  if (password.contains('%')) {
    return "the password is percent-encoded, as it has to be in a URL and nowhere else: give it decoded";
  }
  if (const auto decoded = base64_decode(password);
      decoded && ses::looks_like_smtp_password(decoded->expose())) {
    return "the password is base64-encoded once more, as in the data of a Secret's manifest: decode it";
  }
  return "the password has " + std::to_string(password.size()) + " characters, and one of SES has " +
         std::to_string(kPasswordSize) + ", of which the first is B; is it complete, and is it one of SES?";
}

std::string about_region(const LoginPair& pair) {
  const std::string server = region_of_host(pair.endpoint.host);
  if (server.empty() || pair.region.empty() || server == pair.region) {
    return "";
  }
  return "the password is for region " + pair.region + ", and the server is of region " + server +
         ": the same key has another password in every region";
}

// Against the key itself, which knows better than any shape.
std::string about_key(const LoginPair& pair, bool& is_right) {
  const std::string server = region_of_host(pair.endpoint.host);
  const std::string& region = server.empty() ? pair.region : server;
  if (pair.secret_access_key.empty() || region.empty()) {
    return "";
  }
  const auto wrong = what_is_wrong_with(pair.password, pair.secret_access_key, region);
  is_right = wrong && wrong->empty();
  return is_right || !wrong
             ? ""
             : "the password is not what the credential's source gives for region " + region + ": " + *wrong;
}

std::string get_secret(const LoginPair& pair, const std::string& how, std::string_view field) {
  constexpr std::string_view kKind = "Secret ";
  std::string name = pair.source.substr(0, pair.source.find(','));
  if (!name.starts_with(kKind)) {
    return "";
  }
  name.erase(0, kKind.size());
  const std::size_t slash = name.find('/');
  return how + " get secret " + name.substr(slash + 1) + " --namespace " + name.substr(0, slash) +
         " -o jsonpath='" + std::string(field) + "'";
}

void add_region_cause(const LoginPair& pair, const std::string& how, std::vector<Cause>& causes) {
  const std::string region = region_to_show(pair);
  const std::string compare = program() + " derive --region " + region +
                              " --compare-file FILE, with the password in that file, says "
                              "which region it is of; it asks for the secret access key";
  const std::string annotated = get_secret(pair, how, R"({.metadata.annotations.ses-smtp\.dev/region})");
  causes.push_back({.what = "the password was derived for another region than the server's" +
                            (region == "REGION" ? std::string() : ", which is " + region),
                    .check = annotated.empty() || pair.region.empty() ? compare : annotated});
}

std::vector<Cause> causes_of_refusal(const LoginPair& pair, bool is_right, WallTime now,
                                     const std::string& how) {
  std::vector<Cause> causes;
  if (!is_right && pair.region.empty()) {
    add_region_cause(pair, how, causes);
  }
  causes.push_back(
      {.what = "the key is inactive or was deleted",
       .check =
           "aws iam list-access-keys --user-name USER shows each key of the IAM user as Active or Inactive"});
  causes.push_back(
      {.what = "the user name is the id of one key and the password is of another, as when one of "
               "the two was changed alone",
       .check = is_right ? "aws sts get-caller-identity, with this id and secret access key in the "
                           "environment, says whether they belong together"
                         : program() + " derive --region " + region_to_show(pair) +
                               " --compare-file FILE, with the secret access key of this very id"});
  if (!pair.username.expose().starts_with("AKIA")) {
    causes.push_back({.what = "the key is one of a role or a session, which SES SMTP cannot take",
                      .check = "its id must begin with AKIA, and it must come without a session token"});
  }
  constexpr std::chrono::minutes kYoung(10);
  std::string young = "the key is younger than a few minutes, and SES does not know it yet";
  if (pair.key_since && now - *pair.key_since < kYoung) {
    young += "; this cluster has had it for " +
             short_age(std::chrono::duration_cast<std::chrono::seconds>(now - *pair.key_since));
    causes.insert(causes.begin(), {.what = std::move(young), .check = "try again in a few minutes"});
  } else {
    causes.push_back({.what = std::move(young), .check = "try again in a few minutes"});
  }
  return causes;
}

// TLS at once and STARTTLS were mistaken for each other, as far as that can be told.
std::vector<Cause> causes_of_tls(const smtp::LoginReport& report, const LoginPair& pair) {
  if (pair.endpoint.tls == ses::Tls::kImplicit && report.detail.contains("wrong version number")) {
    return {{.what = "TLS does not come first at this port", .check = "--tls starttls"}};
  }
  if (pair.endpoint.tls == ses::Tls::kStartTls && report.detail.contains("TLS comes first")) {
    return {{.what = "TLS comes first at this port", .check = "--tls implicit"}};
  }
  return {};
}

std::vector<Cause> causes_of_silence(const LoginPair& pair) {
  const std::string host = pair.endpoint.host;
  std::vector<Cause> causes = {
      {.what = "the host name is wrong, or is not known here", .check = "getent hosts " + host},
      {.what = "a firewall, security group or network policy between here and the server",
       .check = "try it from where the mail program runs, and another port: 587, 2587, 465 and 2465 all work "
                "with SES"}};
  constexpr std::uint16_t kSmtp = 25;
  if (pair.endpoint.port == kSmtp) {
    causes.insert(causes.begin(), {.what = "port 25, which most clouds block or throttle for outgoing mail",
                                   .check = "--port 587"});
  }
  return causes;
}

bool is_of_unknown_ca(const smtp::LoginReport& report) {
  return report.detail.contains("unknown CA") || report.detail.contains("self-signed");
}

void explain_cut(const smtp::LoginReport& report, const LoginPair& pair, LoginAdvice& advice) {
  if (!report.detail.contains("during TLS")) {
    return;
  }
  advice.meaning = "The server ended the conversation when TLS was to begin, so nothing was sent to log in.";
  advice.causes.push_back(
      {.what = "the server has neither TLS 1.2 nor TLS 1.3, or something on the way does "
               "not let TLS through",
       .check = "openssl s_client -starttls smtp -connect " + host_and_port(pair.endpoint)});
}

void explain_certificate(const smtp::LoginReport& report, const LoginPair& pair, LoginAdvice& advice) {
  if (report.detail.starts_with("the CA file")) {
    advice.meaning = "The file of --ca-file cannot be used, so there was no connection.";
    return;
  }
  if (is_of_unknown_ca(report)) {
    advice.causes.push_back({.what = "the server has a private CA",
                             .check = "get its certificate from whoever runs the server, and give it with "
                                      "--ca-file FILE (PEM)"});
    if (is_of_ses(pair.endpoint)) {
      advice.causes.push_back({.what = "something on the way opens TLS connections, such as a proxy of the "
                                       "company",
                               .check = "its issuer above is none of Amazon's; ask for a way around it"});
    }
  }
  if (report.detail.contains("certificate is not for")) {
    advice.causes.push_back({.what = "this is another server, or it is called by another name",
                             .check = "give --host with one of the names above"});
  }
}

}  // namespace

std::vector<std::string> findings_in(const LoginPair& pair) {
  std::vector<std::string> findings;
  if (!is_of_ses(pair.endpoint) && !ses::looks_like_access_key_id(pair.username.expose())) {
    return findings;
  }
  for (std::string text : {about_username(pair.username.expose()),
                           about_shape(pair.password.expose(), region_to_show(pair)), about_region(pair)}) {
    if (!text.empty()) {
      findings.push_back(std::move(text));
    }
  }
  return findings;
}

LoginAdvice advise(const smtp::LoginReport& report, const LoginPair& pair, WallTime now,
                   const std::string& how) {
  LoginAdvice advice{
      .meaning = std::string(smtp::explain(report.verdict)), .findings = {}, .causes = {}, .next = {}};
  if (report.verdict == LoginVerdict::kAuthenticated) {
    return advice;
  }
  advice.findings = findings_in(pair);
  bool is_right = false;
  if (std::string text = about_key(pair, is_right); !text.empty()) {
    advice.findings.push_back(std::move(text));
  }
  advice.causes = causes_of_tls(report, pair);
  switch (report.verdict) {
    case LoginVerdict::kEndpointNotAllowed:
      advice.meaning =
          "The password was not sent: this server is no SMTP endpoint of Amazon SES, and is named by "
          "whoever wrote the object and not by you. If it is the right one, add --host " +
          pair.endpoint.host + '.';
      break;
    case LoginVerdict::kTemporaryFailure:
      explain_cut(report, pair, advice);
      break;
    case LoginVerdict::kCredentialsInvalid:
      advice.meaning = "The server does not take this user name and password.";
      if (advice.findings.empty()) {
        advice.causes = causes_of_refusal(pair, is_right, now, how);
      }
      break;
    case LoginVerdict::kEndpointUnreachable:
      advice.meaning = "There was no SMTP server to talk to.";
      if (advice.causes.empty()) {
        advice.causes = causes_of_silence(pair);
      }
      break;
    case LoginVerdict::kCertificateInvalid:
      explain_certificate(report, pair, advice);
      break;
    default:
      break;
  }
  if (smtp::is_refused(report.verdict) && pair.credential) {
    advice.next = program() + " doctor " + pair.credential->name + " --namespace " +
                  pair.credential->namespace_ + " looks at the credential and at what uses it.";
  }
  return advice;
}

}  // namespace sessmtp::cli
