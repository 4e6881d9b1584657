// `ses-smtp controller`: runs the operator against a kubeconfig, or inside a pod.
#pragma once

#include <string>
#include <vector>

#include "base/log.h"
#include "cli/exit_code.h"

namespace CLI {
class App;
}

namespace sessmtp::cli {

struct ControllerCommand {
  std::string kubeconfig;  // empty: inside a pod, or ~/.kube/config
  std::string context;
  std::vector<std::string> watch_namespaces;
  int workers = 8;
  log::Level log_level = log::Level::kInfo;
  log::Format log_format = log::Format::kJson;
};

// Declares the subcommand; command is filled when app parses and must live as long as app.
CLI::App* add_controller(CLI::App& app, ControllerCommand& command);

// Runs until SIGTERM or SIGINT, then returns kOk. kUsage when the configuration can never work: no
// retry heals a broken kubeconfig. Call before any thread is started.
[[nodiscard]] ExitCode run_controller_command(const ControllerCommand& command);

}  // namespace sessmtp::cli
