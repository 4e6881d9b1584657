// `ses-smtp controller`: runs the operator against a kubeconfig, or inside a pod.
#pragma once

#include <cstdint>
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
  std::int64_t watch_timeout_ms = 300'000;
  std::int64_t resync_period_ms = 36'000'000;
  std::string smtp_ca_file;                           // besides the system's roots
  std::vector<std::string> verify_allowed_endpoints;  // "host:port", besides those of Amazon SES
  bool leader_elect = true;
  std::string election_namespace;  // empty: that of the pod or the context
  std::string election_id = "ses-smtp-operator";
  std::int64_t lease_duration_ms = 15'000;
  std::int64_t renew_deadline_ms = 10'000;
  std::int64_t retry_period_ms = 2'000;
  std::string metrics_bind_address = ":8080";  // "0": not served
  bool metrics_per_credential = true;
  std::string health_bind_address = ":8081";
  log::Level log_level = log::Level::kInfo;
  log::Format log_format = log::Format::kJson;
};

// Declares the subcommand; command is filled when app parses and must live as long as app.
CLI::App* add_controller(CLI::App& app, ControllerCommand& command);

// Runs until SIGTERM or SIGINT, then returns kOk. kUsage when the configuration can never work: no
// retry heals a broken kubeconfig. Call before any thread is started.
[[nodiscard]] ExitCode run_controller_command(const ControllerCommand& command);

}  // namespace sessmtp::cli
