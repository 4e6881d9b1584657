// `ses-smtp status`: how the SesSmtpCredentials of a namespace or of the cluster are. Needs no right on
// Secrets.
#pragma once

#include <string>

#include "cli/cluster_access.h"
#include "cli/exit_code.h"
#include "cli/terminal.h"

namespace CLI {
class App;
}

namespace sessmtp::cli {

struct StatusOptions {
  std::string name;  // empty: all of them
  bool all_namespaces = false;
  bool json = false;
  ColorWhen color = ColorWhen::kAuto;
  ClusterOptions cluster;
};

// Declares the subcommand; options is filled when app parses and must live as long as app.
CLI::App* add_status(CLI::App& app, StatusOptions& options);

// kOk when all that are shown are ready, suspended or being deleted; kFailed when one is not, or when they
// could not be had; kUsage when there is no usable kubeconfig. Call before any thread is started.
[[nodiscard]] ExitCode run_status(const StatusOptions& options, const Terminal& terminal);

}  // namespace sessmtp::cli
