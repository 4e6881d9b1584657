#include "cli/status.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <ostream>
#include <tuple>
#include <utility>

#include "api/names.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/credential_reads.h"
#include "cli/credential_view.h"
#include "cli/output.h"
#include "cli/plugin.h"
#include "cli/status_table.h"

namespace sessmtp::cli {
namespace {

using nlohmann::json;

ExitCode refuse(const Problem& problem, const Terminal& terminal, ExitCode exit_code) {
  print(problem, terminal.err);
  return exit_code;
}

Result<std::vector<CredentialView>, Problem> read(const StatusOptions& options, ClusterAccess& access) {
  const std::string where = options.all_namespaces ? "" : access.namespace_name();
  std::vector<CredentialView> views;
  if (options.name.empty()) {
    const auto objects = list_credentials(access.client(), where);
    if (!objects) {
      return std::unexpected(
          explain_reading(objects.error(), {.namespace_ = where, .name = {}}, options.cluster, access));
    }
    std::ranges::transform(*objects, std::back_inserter(views), view_of);
  } else {
    const auto object = access.client().get(api::credential_path(where, options.name), {});
    if (!object) {
      return std::unexpected(explain_reading(object.error(), {.namespace_ = where, .name = options.name},
                                             options.cluster, access));
    }
    views.push_back(view_of(*object));
  }
  std::ranges::sort(views, {},
                    [](const CredentialView& view) { return std::tie(view.namespace_, view.name); });
  return views;
}

void print_views(const std::vector<CredentialView>& views, const StatusOptions& options,
                 const ClusterAccess& access, const Terminal& terminal) {
  if (options.json) {
    json list = json::array();
    std::ranges::transform(views, std::back_inserter(list),
                           [](const CredentialView& view) { return to_json(view); });
    terminal.out << list.dump(2, ' ', false, json::error_handler_t::replace) << '\n';
  } else if (views.empty()) {
    terminal.err << "There is no SesSmtpCredential in "
                 << (options.all_namespaces
                         ? "the cluster"
                         : "namespace " + access.namespace_name() + "; --all-namespaces looks everywhere")
                 << ".\n";
  } else {
    terminal.out << status_table(
        views,
        {.namespaces = options.all_namespaces, .columns = terminal.columns, .now = SystemClock().now()},
        Paint(options.color, terminal));
  }
}

}  // namespace

CLI::App* add_status(CLI::App& app, StatusOptions& options) {
  CLI::App* command = app.add_subcommand("status", "Show how the SesSmtpCredentials of a cluster are");
  command->footer(
      "Reads SesSmtpCredentials alone; no right on Secrets is needed. ROTATED is how long ago the key pair "
      "last\n"
      "changed, AGE how old the object is. Below a credential that is not ready stands what to do.\n\n"
      "Exit status: 0 all that are shown are ready, suspended or being deleted, 1 one is not or they could "
      "not\n"
      "be read, 2 wrong usage or no usable kubeconfig.\n\n"
      "  ses-smtp status -n shop\n"
      "  ses-smtp status -A -o json | jq -r '.[] | select((.ready or .suspended) | not) | .name'");
  command->add_option("NAME", options.name, "Show this one alone");
  CLI::Option* all =
      command->add_flag("-A,--all-namespaces", options.all_namespaces, "Those of all namespaces");
  add_namespace_flag(*command, options.cluster)->excludes(all);
  command
      ->add_option_function<std::string>(
          "-o,--output", [&options](const std::string& name) { options.json = name == "json"; },
          "A table, or a list of objects in JSON")
      ->check(CLI::IsMember({"table", "json"}))
      ->default_str("table");
  add_color_flag(*command, options.color);
  add_cluster_flags(*command, options.cluster);
  return command;
}

ExitCode run_status(const StatusOptions& options, const Terminal& terminal) {
  if (!options.name.empty() && options.all_namespaces) {
    return refuse({.what = "a name and --all-namespaces exclude each other",
                   .why = "one object is in one namespace",
                   .fix = "leave one of them out, or give --namespace"},
                  terminal, kUsage);
  }
  if (!options.name.empty() && !is_dns_name(options.name, 253, true)) {
    return refuse({.what = in_quotes(printable(options.name)) + " is not a name that an object can have",
                   .why = "",
                   .fix = program() + " status lists them"},
                  terminal, kUsage);
  }
  const auto access = ClusterAccess::open(options.cluster);
  if (!access) {
    return refuse(access.error(), terminal, kUsage);
  }
  const auto views = read(options, **access);
  if (!views) {
    return refuse(views.error(), terminal, kFailed);
  }
  print_views(*views, options, **access, terminal);
  if (!has_been_written(terminal.out, terminal.err)) {
    return kFailed;
  }
  return std::ranges::all_of(*views, &CredentialView::is_well) ? kOk : kFailed;
}

}  // namespace sessmtp::cli
