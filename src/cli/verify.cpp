#include "cli/verify.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <string_view>
#include <utility>
#include <vector>

#include "base/duration.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/plugin.h"
#include "cli/problem.h"
#include "cli/secret_input.h"
#include "cli/verify_advice.h"
#include "cli/verify_output.h"
#include "ses/region.h"
#include "ses/smtp_password.h"

namespace sessmtp::cli {
namespace {

struct Refusal {
  ExitCode exit_code;
  Problem problem;
};
template <class T>
using Outcome = Result<T, Refusal>;

std::unexpected<Refusal> usage(std::string what, std::string why, std::string fix) {
  return std::unexpected(
      Refusal{kUsage, {.what = std::move(what), .why = std::move(why), .fix = std::move(fix)}});
}

std::unexpected<Refusal> failed(Problem problem) {
  return std::unexpected(Refusal{kFailed, std::move(problem)});
}

constexpr const char* kHowToGiveThePassword =
    "give --password-file FILE, pipe it in, or run it on a terminal and type it at the prompt";

// --- the command line ---

Outcome<void> check_endpoint(const EndpointFlags& flags) {
  if (!flags.region.empty() && !ses::has_region_syntax(flags.region)) {
    const auto meant = ses::suggest_region(flags.region);
    return usage("--region is not the name of an AWS region", "",
                 meant ? "did you mean " + *meant + "?" : "give it as in eu-west-1 or us-gov-west-1");
  }
  if (flags.endpoint.host && flags.endpoint.fips) {
    return usage("--host and --fips exclude each other", "--fips chooses the host itself",
                 "give one of them");
  }
  if (flags.endpoint.port == 0) {
    return usage("--port is no number from 1 to 65535", "",
                 "the ports of SES are 587, 2587, 465, 2465 and 25");
  }
  return {};
}

Outcome<void> check_sources(const VerifyOptions& options) {
  const bool by_hand = !options.username.empty() || !options.password_file.empty();
  if (!options.from_secret.empty() && !options.from_credential.empty()) {
    return usage("--from-secret and --from-credential exclude each other",
                 "a target holds what was written, a credential says what it should hold",
                 "try first one, then the other");
  }
  if (by_hand && (!options.from_secret.empty() || !options.from_credential.empty())) {
    return usage("--username and --password-file do not go with --from-secret or --from-credential",
                 "these take both from the cluster", "leave one of them out");
  }
  return {};
}

Outcome<void> check_options(const VerifyOptions& options) {
  if (options.password_argument) {
    return usage("a password is not taken as an argument",
                 "an argument is visible to every user of this machine and stays in the shell's history; if "
                 "that was a real one, treat it as exposed and replace the key",
                 kHowToGiveThePassword);
  }
  if (auto checked = check_sources(options); !checked) {
    return checked;
  }
  return check_endpoint(options.server);
}

// "shop/mail", or "mail" in the namespace of the flags.
Outcome<kube::NamespacedName> parse_name(const std::string& text, const char* flag,
                                         const std::string& namespace_) {
  const std::size_t slash = text.find('/');
  kube::NamespacedName which{.namespace_ = namespace_, .name = text.substr(slash + 1)};  // npos + 1 is 0
  if (slash != std::string::npos) {
    which.namespace_ = text.substr(0, slash);
  }
  if (!is_dns_name(which.namespace_, 63, false) || !is_dns_name(which.name, 253, true)) {
    return usage(std::string(flag) + " is not the name of an object", "",
                 "give it as NAME or NAMESPACE/NAME");
  }
  return which;
}

// --- the pair by hand ---

SecretBytes without_final_newline(const SecretBytes& bytes) {
  std::string_view text = bytes.expose();
  if (text.ends_with('\n')) {
    text.remove_suffix(text.ends_with("\r\n") ? 2 : 1);
  }
  return SecretBytes(text);
}

Outcome<SecretBytes> read_password(const VerifyOptions& options, const VerifyIo& io) {
  const auto cannot_read = [](const Error& error) {
    return failed(
        {.what = "the password cannot be read", .why = error.message, .fix = kHowToGiveThePassword});
  };
  if (!options.password_file.empty() && options.password_file != "-") {
    Result<std::string> content = read_file(options.password_file, kMaxSecretInput);
    if (!content) {
      return cannot_read(content.error());
    }
    const SecretBytes bytes(*content);
    wipe(content->data(), content->size());
    return without_final_newline(bytes);
  }
  const bool prompts = is_terminal(io.in);
  if (prompts) {
    io.terminal.err << "SMTP password (not shown): " << std::flush;
  }
  const Result<SecretBytes> read = prompts ? read_hidden_line(io.in) : read_all(io.in);
  if (!read) {
    return cannot_read(read.error());
  }
  SecretBytes password = without_final_newline(*read);
  if (password.empty()) {
    return usage("no password was given", prompts ? "" : "standard input is empty", kHowToGiveThePassword);
  }
  return password;
}

std::string variable(const VerifyIo& io, const char* name) {
  return io.terminal.environment(name).value_or("");
}

// The region of the endpoint, where no host says which that is.
std::string default_region(const VerifyIo& io) {
  for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    if (std::string region = variable(io, name); ses::has_region_syntax(region)) {
      io.terminal.err << "note: region " << region << " is from " << name << '\n';
      return region;
    }
  }
  return "";
}

Outcome<LoginPair> pair_by_hand(const VerifyOptions& options, const VerifyIo& io) {
  std::string region = options.server.region;
  if (region.empty() && !options.server.endpoint.host) {
    region = default_region(io);
  }
  const auto endpoint = ses::resolve_endpoint(region, options.server.endpoint);
  if (!endpoint || endpoint->host.empty() || (region.empty() && !options.server.endpoint.host)) {
    return region.empty()
               ? usage("which server to log in at was not given", "",
                       "add --region REGION for the endpoint of SES there, or --host HOST; or name a Secret "
                       "with --from-secret, or a SesSmtpCredential with --from-credential")
               : usage("no public SMTP host name of SES is known in region " + region, "", "add --host");
  }
  std::string username = options.username;
  std::string whose = "--username";
  if (username.empty()) {
    username = variable(io, "SMTP_USERNAME");
    whose = "SMTP_USERNAME";
  }
  if (username.empty()) {
    return usage("no user name was given", "the SMTP user name of SES is the id of the access key",
                 "add --username AKIA…, or set SMTP_USERNAME");
  }
  auto password = read_password(options, io);
  if (!password) {
    return std::unexpected(std::move(password.error()));
  }
  return LoginPair{.username = SecretBytes(username),
                   .password = std::move(*password),
                   .endpoint = *endpoint,
                   .source = whose + (!options.password_file.empty() ? " and --password-file"
                                      : is_terminal(io.in)           ? " and the prompt"
                                                                     : " and standard input")};
}

// --- the login ---

Outcome<LoginPair> pair_from_cluster(const VerifyOptions& options, ClusterAccess& access) {
  const bool secret = !options.from_secret.empty();
  const auto which = parse_name(secret ? options.from_secret : options.from_credential,
                                secret ? "--from-secret" : "--from-credential", access.namespace_name());
  if (!which) {
    return std::unexpected(which.error());
  }
  auto pair = secret ? pair_of_secret(*which, options.server, options.cluster, access)
                     : pair_of_credential(*which, options.server, options.cluster, access);
  if (!pair) {
    return failed(std::move(pair.error()));
  }
  return std::move(*pair);
}

// A person may name any server. Whoever wrote the object may not: they need not have a right to read the
// pair.
smtp::EndpointPolicy policy_for(const VerifyOptions& options) {
  const bool from_cluster = !options.from_secret.empty() || !options.from_credential.empty();
  return from_cluster && !options.server.endpoint.host ? smtp::EndpointPolicy()
                                                       : smtp::EndpointPolicy::everything();
}

Outcome<ExitCode> verify(const VerifyOptions& options, const VerifyIo& io) {
  if (auto checked = check_options(options); !checked) {
    return std::unexpected(std::move(checked.error()));
  }
  std::unique_ptr<ClusterAccess> access;
  if (!options.from_secret.empty() || !options.from_credential.empty()) {
    auto opened = ClusterAccess::open(options.cluster);
    if (!opened) {
      return std::unexpected(Refusal{kUsage, std::move(opened.error())});
    }
    access = std::move(*opened);
  }
  auto pair = access ? pair_from_cluster(options, *access) : pair_by_hand(options, io);
  if (!pair) {
    return std::unexpected(std::move(pair.error()));
  }
  const Paint paint(options.color, io.terminal);
  if (!options.json) {
    io.terminal.out << verify_heading(*pair, paint) << std::flush;
  }
  const auto probe = io.make_probe(
      {.policy = policy_for(options),
       .ca_file = options.ca_file,
       .limits = {.connect = options.timeout, .reply = options.timeout, .total = 3 * options.timeout}});
  const auto report = probe->log_in(pair->endpoint, pair->username, pair->password, {});
  if (!report) {  // nobody can ask it to stop
    return failed({.what = "the login was broken off", .why = "", .fix = "run it again"});
  }
  if (access && smtp::is_refused(report->verdict)) {
    find_key(*pair, options.cluster, *access);
  }
  const WallTime now = io.clock.now();
  const LoginAdvice advice = advise(*report, *pair, now, kubectl(options.cluster));
  io.terminal.out << (options.json ? verify_json(*pair, *report, advice, now)
                                   : verify_page(*report, advice, now, paint, io.terminal.columns))
                  << std::flush;
  if (!io.terminal.out) {
    return failed(
        {.what = "the result could not be written to standard output", .why = "", .fix = "look there"});
  }
  return report->verdict == smtp::LoginVerdict::kAuthenticated ? kOk : kFailed;
}

void add_server_flags(CLI::App& command, VerifyOptions& options) {
  EndpointFlags& server = options.server;
  command
      .add_option("--region", server.region,
                  "Region of the SMTP endpoint [AWS_REGION, then AWS_DEFAULT_REGION]")
      ->type_name("REGION");
  command
      .add_option("--host", server.endpoint.host,
                  "SMTP host, such as a VPC endpoint [email-smtp.REGION.amazonaws.com]")
      ->type_name("HOST");
  command.add_option("--port", server.endpoint.port, "SMTP port [587]")->type_name("PORT");
  command
      .add_option_function<std::string>(
          "--tls",
          [&server](const std::string& name) {
            server.endpoint.tls = name == "implicit" ? ses::Tls::kImplicit : ses::Tls::kStartTls;
          },
          "How TLS begins [implicit on the ports 465 and 2465, else starttls]")
      ->check(CLI::IsMember({"starttls", "implicit"}));
  command.add_flag("--fips", server.endpoint.fips, "Use the FIPS endpoint of the region");
  command
      .add_option("--ca-file", options.ca_file,
                  "PEM file of certificate authorities to trust besides the system's")
      ->type_name("FILE");
  command
      .add_option_function<std::string>(
          "--timeout", [&options](const std::string& text) { options.timeout = *parse_duration(text); },
          "How long to wait for a connection and for each answer; three times that for all")
      ->type_name("DURATION")
      ->check([](const std::string& text) {
        constexpr std::chrono::minutes kMost(10);
        const auto time = parse_duration(text);
        return time && *time > std::chrono::milliseconds(0) && *time <= kMost
                   ? std::string()
                   : std::string("not a length of time such as 10s, at most 10m");
      })
      ->default_str("10s");
}

}  // namespace

std::unique_ptr<smtp::LoginProbe> make_curl_probe(smtp::CurlLoginProbeOptions options) {
  return std::make_unique<smtp::CurlLoginProbe>(std::move(options));
}

CLI::App* add_verify(CLI::App& app, VerifyOptions& options) {
  CLI::App* command =
      app.add_subcommand("verify", "Log in at the SMTP server, send no mail, and explain the answer");
  command->footer(
      "The password is read from --password-file or from standard input; on a terminal you are asked for\n"
      "it. It is never taken from an argument, and nothing that is printed holds it. It goes over TLS to a\n"
      "server whose certificate was checked, and nowhere else: there is no flag against that. For a server\n"
      "with a private CA, give the CA's certificate with --ca-file.\n\n"
      "A login does not show the right to send (ses:SendRawEmail), nor that the sender is verified.\n\n"
      "Exit status: 0 the server took user name and password, 1 it did not or could not be asked, 2 wrong\n"
      "usage or no usable kubeconfig.\n\n"
      "  ses-smtp verify --region eu-west-1 --username AKIA...\n"
      "  ses-smtp verify --from-secret shop/shop-mail\n"
      "  ses-smtp verify --from-credential shop-mail -n shop --region eu-central-1\n"
      "  ses-smtp verify --from-secret shop-mail -o json | jq -r .verdict");
  command
      ->add_option("--username", options.username, "SMTP user name, the id of the access key [SMTP_USERNAME]")
      ->type_name("ID");
  command->add_option("--password-file", options.password_file, "File that holds the SMTP password")
      ->type_name("FILE");
  // Only to be refused with a better word than "unknown".
  command
      ->add_option_function<std::vector<std::string>>(
          "-p,--password,--pass",
          [&options](const std::vector<std::string>& /*values*/) { options.password_argument = true; })
      ->expected(0, 1)
      ->group("");
  command
      ->add_option("--from-secret", options.from_secret,
                   "Take user name, password and endpoint from this Secret")
      ->type_name("[NAMESPACE/]SECRET");
  command
      ->add_option("--from-credential", options.from_credential,
                   "Take what the operator would publish for this SesSmtpCredential")
      ->type_name("[NAMESPACE/]CREDENTIAL");
  add_server_flags(*command, options);
  command
      ->add_option_function<std::string>(
          "-o,--output", [&options](const std::string& name) { options.json = name == "json"; },
          "A page for people, or one object in JSON")
      ->check(CLI::IsMember({"text", "json"}))
      ->default_str("text");
  add_color_flag(*command, options.color);
  add_namespace_flag(*command, options.cluster);
  add_cluster_flags(*command, options.cluster);
  return command;
}

ExitCode run_verify(const VerifyOptions& options, const VerifyIo& io) {
  Outcome<ExitCode> outcome = kFailed;
  if (const Result<void> sound = ses::known_answer_self_test(); sound) {
    outcome = verify(options, io);
  } else {
    outcome = failed({.what = sound.error().message, .why = "", .fix = "install a sound build"});
  }
  if (!outcome) {
    print(outcome.error().problem, io.terminal.err);
    return outcome.error().exit_code;
  }
  return *outcome;
}

}  // namespace sessmtp::cli
