#include "cli/render.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string_view>
#include <utility>

#include "api/condition.h"
#include "api/names.h"
#include "base/text.h"
#include "cli/manifests.h"
#include "cli/offline_cluster.h"
#include "cli/output.h"
#include "ses/smtp_password.h"

namespace sessmtp::cli {
namespace {

using nlohmann::json;

constexpr std::string_view kGroup = api::kGroupVersion.substr(0, api::kGroupVersion.find('/') + 1);

bool is_credential(std::string_view api_version, std::string_view kind) {
  return kind == api::kKind && api_version.starts_with(kGroup);
}

bool is_secret(std::string_view api_version, std::string_view kind) {
  return kind == "Secret" && api_version == "v1";
}

// "Secret "shop-iam"", or the kind alone while its name is not known.
std::string called(const json& object) {
  const auto metadata = object.find("metadata");
  const bool named = metadata != object.end() && metadata->is_object() && metadata->contains("name") &&
                     (*metadata)["name"].is_string();
  const std::string kind = object["kind"].get<std::string>();
  return named ? kind + ' ' + in_quotes((*metadata)["name"].get<std::string>()) : kind;
}

// Fills the cluster; what is wrong with the input.
std::vector<std::string> load(const RenderOptions& options, int in, OfflineCluster& cluster) {
  Manifests input = read_manifests(options.files, options.recursive, in,
                                   [](std::string_view version, std::string_view kind) {
                                     return is_credential(version, kind) || is_secret(version, kind);
                                   });
  bool any = false;
  for (Manifest& manifest : input.found) {
    const std::string name = called(manifest.object);
    const bool credential = manifest.object["kind"] == api::kKind;
    any = any || credential;
    const Result<void> added = credential ? cluster.add_credential(std::move(manifest.object))
                                          : cluster.add_secret(std::move(manifest.object));
    if (!added) {
      input.problems.push_back(manifest.where + ": " + name + ": " + added.error().message);
    }
  }
  if (!any && input.problems.empty()) {
    input.problems.emplace_back("there is no SesSmtpCredential in the input");
  }
  return input.problems;
}

bool is_true(const api::Status& status, std::string_view type) {
  const api::Condition* condition = find_condition(status.conditions, type);
  return condition != nullptr && condition->status == "True";
}

// Says what the operator would say by events, and why a credential is not ready. True: it is as it should be.
bool tell(const OfflineCluster::Outcome& outcome, std::ostream& err) {
  const std::string name =
      (outcome.name.namespace_.empty() ? "" : outcome.name.namespace_ + '/') + outcome.name.name + ": ";
  const api::Condition* ready = find_condition(outcome.status.conditions, "Ready");
  for (const kube::Event& event : outcome.events) {
    if (ready != nullptr && event.reason == ready->reason && ready->status != "True") {
      continue;  // the error below
    }
    err << (event.type == kube::EventType::kWarning ? "warning: " : "note: ") << name << event.reason << ": "
        << event.note << '\n';
  }
  if (ready == nullptr) {
    err << "error: " << name << "being deleted, nothing is written\n";
    return false;
  }
  if (is_true(outcome.status, "Suspended")) {
    err << "note: " << name << "suspended, nothing is written\n";
    return true;
  }
  if (ready->status != "True") {
    err << "error: " << name << ready->reason << ": " << ready->message << '\n';
  }
  return ready->status == "True";
}

ExitCode render(const RenderOptions& options, const RenderIo& io) {
  OfflineCluster cluster(options.now.value_or(SystemClock().now()), options.namespace_);
  const std::vector<std::string> problems = load(options, io.in, cluster);
  for (const std::string& problem : problems) {
    io.err << "error: " << problem << '\n';
  }
  if (!problems.empty()) {
    return kFailed;
  }
  auto outcomes = cluster.settle();
  if (!outcomes) {
    io.err << "error: " << outcomes.error().message << '\n';
    return kFailed;
  }
  bool all_well = true;
  std::vector<json> objects;
  for (OfflineCluster::Outcome& outcome : *outcomes) {
    all_well = tell(outcome, io.err) && all_well;
    if (options.show != RenderShow::kSecret) {
      objects.push_back(std::move(outcome.credential));
    }
    if (options.show != RenderShow::kStatus && outcome.target) {
      objects.push_back(std::move(*outcome.target));
    }
  }
  print_objects(objects, options.format, io.out);
  if (!has_been_written(io.out, io.err)) {
    return kFailed;
  }
  return all_well ? kOk : kFailed;
}

}  // namespace

CLI::App* add_render(CLI::App& app, RenderOptions& options) {
  CLI::App* command =
      app.add_subcommand("render", "Show what the operator would write for manifests, without a cluster");
  command->footer(
      "Reads SesSmtpCredentials and Secrets, and looks at no other kind. Prints each credential with its\n"
      "status and the Secret that it would write, in which the SMTP PASSWORD stands: treat the output as\n"
      "you treat the key. Errors and notes go to standard error and hold no value.\n\n"
      "A Secret of the target's name among the input is taken for the one in the cluster. A credential that\n"
      "comes from Git has no uid; its Secret is printed without the owner label and owner reference, which\n"
      "only a cluster can give. Quotas, admission policies and rights are not known here.\n\n"
      "Exit status: 0 every credential would be Ready or is suspended, 1 one would not be or the input is\n"
      "wrong, 2 wrong usage.\n\n"
      "  ses-smtp render -f mail.yaml -f iam-secret.yaml\n"
      "  kustomize build . | ses-smtp render -f - -f iam-secret.yaml --show status\n"
      "  kubectl get sesc,secret -o yaml | ses-smtp render -f - --show secret | kubectl diff -f -");
  const auto add_file = [&options](const std::string& file) { options.files.push_back(file); };
  command
      ->add_option_function<std::string>(
          "-f,--filename", add_file,
          "File or folder with manifests in YAML or JSON, or - for standard input; may be repeated")
      ->trigger_on_parse()
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  command->add_option_function<std::vector<std::string>>(
      "FILE",
      [&options](const std::vector<std::string>& files) {
        options.files.insert(options.files.end(), files.begin(), files.end());
      },
      "The same, without the flag");
  command->add_flag("-R,--recursive", options.recursive, "Folders within folders, too");
  command
      ->add_option("-n,--namespace", options.namespace_, "Namespace of the objects that name none [default]")
      ->check([](const std::string& name) {
        return is_dns_name(name, 63, false) ? std::string()
                                            : in_quotes(name) + " is not the name of a namespace";
      });
  static const std::map<std::string, ObjectFormat> formats = {{"yaml", ObjectFormat::kYaml},
                                                              {"json", ObjectFormat::kJson}};
  command
      ->add_option_function<std::string>(
          "-o,--output", [&options](const std::string& name) { options.format = formats.at(name); },
          "One YAML document for each object, or one List in JSON")
      ->check(CLI::IsMember(formats))
      ->default_str("yaml");
  static const std::map<std::string, RenderShow> shows = {
      {"all", RenderShow::kAll}, {"secret", RenderShow::kSecret}, {"status", RenderShow::kStatus}};
  command
      ->add_option_function<std::string>(
          "--show", [&options](const std::string& name) { options.show = shows.at(name); },
          "Target Secrets, credentials with their status (which hold no value), or both")
      ->check(CLI::IsMember(shows))
      ->default_str("all");
  command
      ->add_option_function<std::string>(
          "--now", [&options](const std::string& time) { options.now = parse_rfc3339(time); },
          "Take this for the time, such as 2026-01-01T00:00:00Z, so that the output is the same each time")
      ->type_name("TIME")
      ->check([](const std::string& time) {
        return parse_rfc3339(time) ? std::string()
                                   : in_quotes(time) + " is not a time such as 2026-01-01T00:00:00Z";
      });
  return command;
}

ExitCode run_render(const RenderOptions& options, const RenderIo& io) {
  if (options.files.empty()) {
    io.err << "error: there is nothing to render\n"
              "  fix: name files or folders with manifests, or - for standard input\n";
    return kUsage;
  }
  if (std::ranges::count(options.files, "-") > 1) {
    io.err << "error: standard input is named twice\n  fix: give -f - once\n";
    return kUsage;
  }
  if (const Result<void> sound = ses::known_answer_self_test(); !sound) {
    io.err << "error: " << sound.error().message << "\n  fix: install a sound build\n";
    return kFailed;
  }
  return render(options, io);
}

}  // namespace sessmtp::cli
