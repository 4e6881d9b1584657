#include "cli/doctor.h"

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <set>
#include <utility>

#include "api/names.h"
#include "base/text.h"
#include "cli/credential_reads.h"
#include "cli/doctor_walk.h"
#include "cli/finding.h"
#include "cli/output.h"
#include "ses/smtp_password.h"
#include "smtp/curl_login_probe.h"

namespace sessmtp::cli {
namespace {

using nlohmann::json;

ExitCode refuse(const Problem& problem, const Terminal& terminal, ExitCode exit_code) {
  print(problem, terminal.err);
  return exit_code;
}

smtp::CurlLoginProbe make_probe(const DoctorOptions& options) {
  std::set<smtp::EndpointPolicy::HostAndPort> listed;
  for (const std::string& text : options.allowed_endpoints) {
    if (const auto endpoint = smtp::parse_host_and_port(text)) {  // checked when the flag was read
      listed.insert(*endpoint);
    }
  }
  return smtp::CurlLoginProbe(
      {.policy = smtp::EndpointPolicy(std::move(listed)), .ca_file = options.ca_file});
}

// It is not there, or not to be understood: nothing else can be looked at.
Findings only_wrong(const Problem& problem) {
  Finding finding{.step = Step::kCredential, .mark = Mark::kWrong, .text = problem.what};
  if (!problem.why.empty()) {
    finding.details.push_back(problem.why);
  }
  finding.fix = problem.fix;
  return {std::move(finding)};
}

Result<Findings, Problem> examine(const DoctorOptions& options, ClusterAccess& access,
                                  smtp::LoginProbe* probe) {
  const kube::NamespacedName name{access.namespace_name(), options.name};
  const auto object = access.client().get(api::credential_path(name.namespace_, name.name), {});
  if (!object) {
    Problem problem = explain_reading(object.error(), name, options.cluster, access);
    if (object.error().kind == kube::ApiErrorKind::kNotFound) {
      return only_wrong(problem);
    }
    return std::unexpected(std::move(problem));
  }
  auto credential = api::decode_credential(*object);
  if (!credential) {
    return only_wrong({.what = "this version of ses-smtp does not understand its spec",
                       .why = credential.error().message,
                       .fix = "use the ses-smtp of the operator's version"});
  }
  const SystemClock clock;
  return diagnose(look_around(
      {.client = access.client(), .clock = clock, .kubectl = kubectl(options.cluster), .probe = probe},
      *object, std::move(*credential)));
}

void add_login_flags(CLI::App& command, DoctorOptions& options) {
  CLI::Option* login = command.add_flag("--login", options.login,
                                        "Log in to the SMTP server with the derived pair; no mail is sent");
  command
      .add_option("--verify-allowed-endpoints", options.allowed_endpoints,
                  "Where to log in besides Amazon SES, as host:port, separated by commas")
      ->type_name("HOST:PORT")
      ->delimiter(',')
      ->needs(login)
      ->check([](const std::string& text) {
        const auto parsed = smtp::parse_host_and_port(text);
        return parsed ? std::string() : parsed.error().message;
      });
  command
      .add_option("--smtp-ca-file", options.ca_file,
                  "PEM file of certificate authorities to trust at the login, besides the system's")
      ->type_name("FILE")
      ->needs(login);
}

}  // namespace

CLI::App* add_doctor(CLI::App& app, DoctorOptions& options) {
  CLI::App* command = app.add_subcommand("doctor", "Find out what is wrong with a SesSmtpCredential");
  command->footer(
      "Looks at the credential, the operator, the source Secret, what would be derived from it, the target\n"
      "Secret and the pods that use it, names the first thing that is wrong, and says what to do. Nothing "
      "is\n"
      "changed, and no value of a Secret is printed. A step that you lack a right for is unknown; the "
      "others\n"
      "go on.\n\n"
      "Exit status: 0 every step is right, or was left out on purpose, 1 one is wrong or could not be found\n"
      "out, 2 wrong usage or no usable kubeconfig.\n\n"
      "  ses-smtp doctor shop-mail -n shop\n"
      "  ses-smtp doctor shop-mail -n shop --login\n"
      "  ses-smtp doctor shop-mail -o json | jq -r .firstWrong");
  command->add_option("NAME", options.name, "The credential")->required()->check([](const std::string& name) {
    return is_dns_name(name, 253, true) ? std::string() : "that is not a name that an object can have";
  });
  add_namespace_flag(*command, options.cluster);
  add_login_flags(*command, options);
  command
      ->add_option_function<std::string>(
          "-o,--output", [&options](const std::string& name) { options.json = name == "json"; },
          "Text, or an object in JSON")
      ->check(CLI::IsMember({"text", "json"}))
      ->default_str("text");
  add_color_flag(*command, options.color);
  add_cluster_flags(*command, options.cluster);
  return command;
}

ExitCode run_doctor(const DoctorOptions& options, const Terminal& terminal) {
  if (const Result<void> sound = ses::known_answer_self_test(); !sound) {
    return refuse({.what = sound.error().message, .why = "", .fix = "install a sound build"}, terminal,
                  kFailed);
  }
  std::optional<smtp::CurlLoginProbe> probe;  // before any thread is started
  if (options.login) {
    probe.emplace(make_probe(options));
  }
  const auto access = ClusterAccess::open(options.cluster);
  if (!access) {
    return refuse(access.error(), terminal, kUsage);
  }
  const auto findings = examine(options, **access, probe ? &*probe : nullptr);
  if (!findings) {
    return refuse(findings.error(), terminal, kFailed);
  }
  const kube::NamespacedName name{(*access)->namespace_name(), options.name};
  if (options.json) {
    terminal.out << findings_json(name, *findings).dump(2, ' ', false, json::error_handler_t::replace)
                 << '\n';
  } else {
    terminal.out << findings_text(name, *findings, terminal.columns, Paint(options.color, terminal));
  }
  if (!has_been_written(terminal.out, terminal.err)) {
    return kFailed;
  }
  return verdict(*findings) == Mark::kOk ? kOk : kFailed;
}

}  // namespace sessmtp::cli
