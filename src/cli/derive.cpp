#include "cli/derive.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <iostream>
#include <map>
#include <memory>
#include <string_view>
#include <utility>

#include "base/file.h"
#include "base/secret_bytes.h"
#include "base/text.h"
#include "cli/derive_compare.h"
#include "cli/derive_output.h"
#include "cli/output.h"
#include "cli/secret_input.h"
#include "ses/iam_key.h"
#include "ses/region.h"
#include "ses/smtp_password.h"

namespace sessmtp::cli {
namespace {

// An error as people read it: what happened, why it matters, what to do.
struct Problem {
  ExitCode exit_code;
  std::string what;
  std::string why;
  std::string fix;
};

template <class T>
using Outcome = Result<T, Problem>;

std::unexpected<Problem> usage(std::string what, std::string why, std::string fix) {
  return std::unexpected(Problem{kUsage, std::move(what), std::move(why), std::move(fix)});
}

std::unexpected<Problem> failed(std::string what, std::string why, std::string fix) {
  return std::unexpected(Problem{kFailed, std::move(what), std::move(why), std::move(fix)});
}

void note(const DeriveIo& io, std::string_view text) {
  io.err << "note: " << text << '\n';
}
void warn(const DeriveIo& io, std::string_view text) {
  io.err << "warning: " << text << '\n';
}

std::optional<std::string> non_empty_variable(const DeriveIo& io, const char* name) {
  std::optional<std::string> value = io.environment(name);
  return value && !value->empty() ? value : std::nullopt;
}

// --- the command line ---

constexpr std::string_view kHowToGiveTheKey =
    "pipe it (ses-smtp derive --region eu-west-1 < key.txt), give --secret-access-key-file FILE, set "
    "AWS_SECRET_ACCESS_KEY, or run it on a terminal and type the key at the prompt";

// "--regoin" of "--regoin=eu-west-1"; nothing that could be a value.
std::string option_name(std::string_view argument) {
  const auto in_name = [](char c) { return c == '-' || (c >= 'a' && c <= 'z'); };
  const std::string_view name = argument.substr(0, argument.find('='));
  return name.size() > 2 && name.starts_with("--") && std::ranges::all_of(name, in_name) ? std::string(name)
                                                                                         : std::string();
}

Outcome<void> refuse_unrecognized(const DeriveOptions& options) {
  if (options.unrecognized.empty()) {
    return {};
  }
  std::string what = "derive takes options only, and was given something else";
  bool only_names = true;
  for (const std::string& argument : options.unrecognized) {
    const std::string name = option_name(argument);
    only_names = only_names && name == argument;
    if (!name.empty()) {
      what = "derive has no option " + name;
    }
  }
  if (only_names) {
    return usage(std::move(what), "", "ses-smtp derive --help lists the options");
  }
  return usage(
      std::move(what),
      "an argument is visible to every user of this machine and stays in the shell's history, so the "
      "secret access key is never taken from one; if it was a key, treat it as exposed and replace it",
      std::string(kHowToGiveTheKey));
}

Outcome<void> check_secret_name(const DeriveOptions& options) {
  if (options.output != DeriveOutput::kSecret) {
    if (options.secret_name.empty() && options.secret_namespace.empty()) {
      return {};
    }
    return usage("--name and --namespace have no meaning here", "only a Secret has them", "add -o secret");
  }
  if (options.secret_name.empty()) {
    return usage("-o secret needs --name", "a Secret has a name", "add --name NAME");
  }
  if (!is_dns_name(options.secret_name, 253, true)) {
    return usage("--name is not a name that a Secret can have", "Kubernetes refuses it",
                 "use lower-case letters, digits, '-' and '.', at most 253 characters");
  }
  if (!options.secret_namespace.empty() && !is_dns_name(options.secret_namespace, 63, false)) {
    return usage("--namespace is not a name that a namespace can have", "Kubernetes refuses it",
                 "use lower-case letters, digits and '-', at most 63 characters");
  }
  return {};
}

Outcome<void> check_endpoint(const ses::EndpointOverrides& endpoint) {
  if (!endpoint.host && endpoint.port && !std::ranges::count(ses::kSesPorts, *endpoint.port)) {
    return usage("SES does not listen on the port of --endpoint-port",
                 "its ports are 25, 587 and 2587 (STARTTLS), 465 and 2465 (TLS)", "use one of these");
  }
  if (endpoint.host && endpoint.fips) {
    return usage("--endpoint-host and --fips exclude each other", "--fips chooses the host itself",
                 "give one of them");
  }
  if (endpoint.host && !is_dns_name(*endpoint.host, 253, true)) {
    return usage("--endpoint-host is not a host name",
                 "the certificate of the endpoint is checked for a name",
                 "give the DNS name alone, in lower case, without smtp:// and port");
  }
  return {};
}

Outcome<void> check_options(const DeriveOptions& options) {
  if (auto checked = refuse_unrecognized(options); !checked) {
    return checked;
  }
  if (options.signature_version == SignatureVersion::kV2 && options.output != DeriveOutput::kText) {
    return usage("--signature-version V2 goes with -o text only",
                 "SES retired these passwords, a configuration made of one cannot work",
                 "leave one of them out");
  }
  if (!options.compare_files.empty() &&
      (options.output != DeriveOutput::kText || options.signature_version == SignatureVersion::kV2)) {
    return usage("--compare-file goes with neither -o nor --signature-version",
                 "it says whether a password is the right one, and prints none", "leave them out");
  }
  if (auto checked = check_secret_name(options); !checked) {
    return checked;
  }
  return check_endpoint(options.endpoint);
}

// --- the region ---

Outcome<std::string> choose_region(const DeriveOptions& options, const DeriveIo& io) {
  std::string region = options.region;
  std::string from = "--region";
  for (const char* name : {"AWS_REGION", "AWS_DEFAULT_REGION"}) {
    if (!region.empty()) {
      break;
    }
    region = non_empty_variable(io, name).value_or("");
    from = name;
  }
  if (region.empty()) {
    return usage("no region was given",
                 "the same key has another SMTP password in every region, and a password of the wrong one is "
                 "refused with 535",
                 "add --region with the region whose SMTP endpoint you use, such as --region eu-west-1");
  }
  if (!ses::has_region_syntax(region)) {
    const std::optional<std::string> meant = ses::suggest_region(region);
    const bool zone = meant && region.starts_with(*meant);
    return usage(
        from + (zone ? " is an availability zone, not a region" : " is not the name of an AWS region"),
        "a password derived for anything but the endpoint's region is refused with 535",
        meant ? "did you mean " + *meant + "?" : "give it as in eu-west-1 or us-gov-west-1");
  }
  if (from != "--region") {
    note(io, "region " + region + " is from " + from);
  }
  if (!ses::is_known_smtp_region(region)) {
    warn(io, "SES has no SMTP endpoint in region " + region + " that this version knows of (list of " +
                 std::string(ses::kKnownRegionsAsOf) + "); check the spelling");
  }
  return region;
}

// --- the key ---

struct GivenSecret {
  SecretBytes value;
  bool from_environment = false;
};

SecretBytes without_final_newline(const SecretBytes& bytes) {
  std::string_view text = bytes.expose();
  if (text.ends_with('\n')) {
    text.remove_suffix(text.ends_with("\r\n") ? 2 : 1);
  }
  return SecretBytes(text);
}

std::unexpected<Problem> cannot_read(const Error& error) {
  return failed("the secret access key cannot be read", error.message, std::string(kHowToGiveTheKey));
}

Outcome<GivenSecret> read_secret(const DeriveOptions& options, const DeriveIo& io) {
  if (!options.secret_access_key_file.empty()) {
    Result<std::string> content = read_file(options.secret_access_key_file, kMaxSecretInput);
    if (!content) {
      return cannot_read(content.error());
    }
    const SecretBytes bytes(*content);
    wipe(content->data(), content->size());
    return GivenSecret{without_final_newline(bytes)};
  }
  const bool terminal = is_terminal(io.in);
  if (!terminal) {
    const Result<SecretBytes> piped = read_all(io.in);
    if (!piped) {
      return cannot_read(piped.error());
    }
    if (!piped->empty()) {
      return GivenSecret{without_final_newline(*piped)};
    }
  }
  if (std::optional<std::string> value = non_empty_variable(io, "AWS_SECRET_ACCESS_KEY")) {
    note(io, "the secret access key is from AWS_SECRET_ACCESS_KEY");
    const SecretBytes bytes(*value);
    wipe(value->data(), value->size());
    return GivenSecret{without_final_newline(bytes), true};
  }
  if (!terminal) {
    return usage("no secret access key was given",
                 "standard input is empty and AWS_SECRET_ACCESS_KEY is not set",
                 std::string(kHowToGiveTheKey));
  }
  io.err << "Secret access key (not shown): " << std::flush;
  const Result<SecretBytes> typed = read_hidden_line(io.in);
  if (!typed) {
    return cannot_read(typed.error());
  }
  return GivenSecret{without_final_newline(*typed)};
}

Problem explain(ses::KeyProblem problem) {
  using ses::KeyFault;
  const bool is_id = problem.part == ses::KeyPart::kAccessKeyId;
  const std::string part = is_id ? "access key id" : "secret access key";
  switch (problem.fault) {
    case KeyFault::kValueEmpty:
      return {kFailed, "the " + part + " is empty", "nothing but white space was given; is a variable unset?",
              "give the " + part + " of an IAM user"};
    case KeyFault::kTemporaryCredentials:
      return {kFailed, "these are temporary credentials (an access key id ASIA…, or a session token)",
              "SES SMTP has no place for a session token and accepts long-term keys of IAM users only",
              "make an access key for an IAM user that may do ses:SendRawEmail, and derive from that"};
    case KeyFault::kAlreadyDerivedPassword:
      return {kFailed, "what was given as the secret access key is an SES SMTP password already",
              "deriving from it once more gives a password that looks right and is refused with 535",
              "use it as it is in the region that it was made for, or give the IAM user's secret access key"};
    case KeyFault::kSwapped:
      return {kFailed, "what was given as the secret access key is an access key id",
              "the password is derived from the other half of the key pair, the secret access key",
              "give the secret access key (40 characters) here, and the id with --access-key-id"};
    case KeyFault::kNotAnAccessKeyId:
      return {kFailed, "what was given as the access key id is not one",
              "the SMTP user name is the id of an access key, not that of a user (AIDA…) or role (AROA…), "
              "nor an ARN",
              "give the id that begins with AKIA, as in the list of the user's access keys"};
    case KeyFault::kMalformed:
      return {kFailed, "the " + part + " has white space, control or non-ASCII characters inside",
              "no AWS key has; more than the key was given, such as a line of a file with its name",
              "give the bare key alone"};
    case KeyFault::kDoubleEncoded:
      return {kFailed, "the " + part + " is base64-encoded",
              "values in the data of a Secret manifest are, and SES refuses a password derived from the "
              "encoded key",
              "decode it first: base64 -d"};
  }
  return {kFailed, "the key pair cannot be used", "", ""};
}

struct CheckedKey {
  SecretBytes access_key_id;  // empty when none was given
  SecretBytes secret_access_key;
};

Outcome<CheckedKey> check_key(const SecretBytes& id, const GivenSecret& secret, const DeriveIo& io) {
  std::string session_token;
  if (secret.from_environment) {
    session_token = io.environment("AWS_SESSION_TOKEN").value_or("");
  }
  CheckedKey key;
  std::vector<ses::KeyWarning> warnings;
  if (id.empty()) {
    if (!session_token.empty()) {
      return std::unexpected(explain({ses::KeyFault::kTemporaryCredentials, ses::KeyPart::kSessionToken}));
    }
    auto checked = ses::check_secret_access_key(secret.value);
    if (!checked) {
      return std::unexpected(explain({checked.error(), ses::KeyPart::kSecretAccessKey}));
    }
    key.secret_access_key = std::move(checked->value);
    warnings = std::move(checked->warnings);
  } else {
    auto checked = ses::check_iam_key(id, secret.value, SecretBytes(session_token));
    if (!checked) {
      return std::unexpected(explain(checked.error()));
    }
    key.access_key_id = std::move(checked->access_key_id);
    key.secret_access_key = std::move(checked->secret_access_key);
    warnings = std::move(checked->warnings);
  }
  for (const ses::KeyWarning warning : warnings) {
    switch (warning) {
      case ses::KeyWarning::kWhitespaceTrimmed:
        note(io, "white space around the key was left out");
        break;
      case ses::KeyWarning::kUnusualLength:
        warn(io, "the secret access key has " + std::to_string(key.secret_access_key.size()) +
                     " characters, and those of AWS have 40; is it complete?");
        break;
    }
  }
  return key;
}

// --- passwords at hand ---

Outcome<void> compare(const DeriveOptions& options, const SecretBytes& secret_access_key,
                      const std::string& region, const DeriveIo& io) {
  for (const std::string& file : options.compare_files) {
    Result<std::string> content = read_file(file, kMaxSecretInput);
    if (!content) {
      return failed("the password in " + file + " cannot be read", content.error().message,
                    "--compare-file takes a file that holds an SMTP password");
    }
    const SecretBytes given(*content);
    wipe(content->data(), content->size());
    const Result<std::string> wrong = what_is_wrong_with(given, secret_access_key, region);
    if (!wrong) {
      return failed(wrong.error().message, "", "check the installation of OpenSSL");
    }
    if (!wrong->empty()) {
      return failed(file + " does not hold the SMTP password of this key in " + region, *wrong,
                    "derive it without --compare-file, or let a SesSmtpCredential keep it right");
    }
    io.out << file << " holds the SMTP password of this key in " << region << '\n';
  }
  return {};
}

// --- the result ---

std::unexpected<Problem> id_is_missing() {
  return usage("this output needs --access-key-id", "the SMTP user name is the id of the access key",
               "add --access-key-id AKIA…, or use -o text for the password alone");
}

Outcome<Credential> derive(const DeriveOptions& options, const DeriveIo& io) {
  if (auto checked = check_options(options); !checked) {
    return std::unexpected(std::move(checked).error());
  }
  Credential credential;
  const bool v2 = options.signature_version == SignatureVersion::kV2;
  if (v2) {
    note(io,
         "SES retired this signature on 2019-01-10: to recognise an old password, not to make one. It is the "
         "same in every region");
  } else {
    Outcome<std::string> region = choose_region(options, io);
    if (!region) {
      return std::unexpected(std::move(region).error());
    }
    credential.region = std::move(*region);
  }
  const bool password_only = options.output == DeriveOutput::kText;
  if (!password_only) {
    std::optional<ses::Endpoint> endpoint = ses::resolve_endpoint(credential.region, options.endpoint);
    if (!endpoint) {
      return usage("no public SMTP host name of SES is known in region " + credential.region, "",
                   "add --endpoint-host, or use -o text for the password alone");
    }
    credential.endpoint = std::move(*endpoint);
  }
  std::string id = options.access_key_id;
  if (!password_only && id.empty() && !non_empty_variable(io, "AWS_ACCESS_KEY_ID")) {
    return id_is_missing();  // before anybody is asked to type a key
  }

  const Outcome<GivenSecret> secret = read_secret(options, io);
  if (!secret) {
    return std::unexpected(secret.error());
  }
  if (id.empty() && secret->from_environment) {  // the two belong together
    id = non_empty_variable(io, "AWS_ACCESS_KEY_ID").value_or("");
    if (!id.empty()) {
      note(io, "the access key id is from AWS_ACCESS_KEY_ID");
    }
  }
  if (!password_only && id.empty()) {
    return id_is_missing();
  }
  Outcome<CheckedKey> key = check_key(SecretBytes(id), *secret, io);
  if (!key) {
    return std::unexpected(std::move(key).error());
  }

  Result<SecretBytes> password = v2 ? ses::smtp_password_v2(key->secret_access_key)
                                    : ses::smtp_password_v4(key->secret_access_key, credential.region);
  if (!password) {
    return failed(password.error().message, "", "check the installation of OpenSSL");
  }
  if (auto same = compare(options, key->secret_access_key, credential.region, io); !same) {
    return std::unexpected(std::move(same).error());
  }
  credential.username = std::move(key->access_key_id);
  credential.password = std::move(*password);
  if (!password_only) {
    credential.url = ses::smtp_url(credential.endpoint, credential.username, credential.password);
  }
  return credential;
}

// Help that does not offer the hidden positional.
class OptionsOnly final : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App* /*app*/, std::string name) const override {
    return "Usage: " + name + " [OPTIONS]\n";
  }
};

}  // namespace

CLI::App* add_derive(CLI::App& app, DeriveOptions& options) {
  CLI::App* command = app.add_subcommand("derive", "Derive the SES SMTP password of an IAM access key");
  command->footer(
      "The secret access key is read from --secret-access-key-file, else from standard input, else from\n"
      "AWS_SECRET_ACCESS_KEY; on a terminal you are asked for it. It is never taken from an argument.\n\n"
      "  ses-smtp derive --region eu-west-1 < key.txt\n"
      "  ses-smtp derive --region eu-west-1 --access-key-id AKIA... -o secret --name smtp < key.txt \\\n"
      "    | kubectl apply -f -");
  // Collected and refused by run_derive: the parser's own message would print what may be a secret. The
  // hidden positional is for what follows "--", which would go to the program's own parser else.
  command->formatter(std::make_shared<OptionsOnly>());
  command->allow_extras();
  command->add_option("argument", options.unrecognized)->group("");
  command->callback([command, &options] {
    const std::vector<std::string> more = command->remaining();
    options.unrecognized.insert(options.unrecognized.end(), more.begin(), more.end());
  });

  command->add_option("--region", options.region,
                      "Region of the SMTP endpoint [AWS_REGION, then AWS_DEFAULT_REGION]");
  command->add_option("--access-key-id", options.access_key_id, "SMTP user name, for every output but text");
  command->add_option("--secret-access-key-file", options.secret_access_key_file,
                      "File that holds the secret access key");
  command
      ->add_option("--compare-file", options.compare_files,
                   "Say whether the password in this file is the right one, and if not, what it is; may be "
                   "repeated")
      ->allow_extra_args(false);
  static const std::map<std::string, DeriveOutput> outputs = {
      {"text", DeriveOutput::kText}, {"json", DeriveOutput::kJson}, {"yaml", DeriveOutput::kYaml},
      {"env", DeriveOutput::kEnv},   {"url", DeriveOutput::kUrl},   {"secret", DeriveOutput::kSecret}};
  command
      ->add_option_function<std::string>(
          "-o,--output", [&options](const std::string& name) { options.output = outputs.at(name); },
          "The password (text), or the whole set; secret is a manifest for kubectl apply")
      ->check(CLI::IsMember(outputs))
      ->default_str("text");
  command->add_option("--name", options.secret_name, "Name of the Secret, for -o secret");
  command->add_option("-n,--namespace", options.secret_namespace, "Namespace of the Secret, for -o secret");
  command->add_option("--endpoint-host", options.endpoint.host,
                      "SMTP host, such as a VPC endpoint [email-smtp.REGION.amazonaws.com]");
  command->add_option("--endpoint-port", options.endpoint.port, "SMTP port [587]");
  command->add_flag("--fips", options.endpoint.fips, "Use the FIPS endpoint of the region");
  command
      ->add_option_function<std::string>(
          "--signature-version",
          [&options](const std::string& name) {
            options.signature_version = name == "V2" ? SignatureVersion::kV2 : SignatureVersion::kV4;
          },
          "V2 was retired in 2019, for diagnosis only")
      ->check(CLI::IsMember({"V4", "V2"}))
      ->default_str("V4");
  return command;
}

ExitCode run_derive(const DeriveOptions& options, const DeriveIo& io) {
  Outcome<Credential> credential;
  if (const Result<void> sound = ses::known_answer_self_test(); sound) {
    credential = derive(options, io);
  } else {
    credential = failed(sound.error().message, "", "install a sound build");
  }
  if (!credential) {
    const Problem& problem = credential.error();
    io.err << "error: " << problem.what << '\n';
    if (!problem.why.empty()) {
      io.err << "  why: " << problem.why << '\n';
    }
    io.err << "  fix: " << problem.fix << '\n';
    return problem.exit_code;
  }
  if (options.compare_files.empty()) {
    print(*credential, options, io.out);
  }
  if (!has_been_written(io.out, io.err)) {
    return kFailed;
  }
  return kOk;
}

}  // namespace sessmtp::cli
