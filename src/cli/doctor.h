// `ses-smtp doctor`: walks from the source Secret to the pods that use the target, and names the first thing
// that is wrong and what to do about it. Changes nothing, prints no value of a Secret.
#pragma once

#include <string>
#include <vector>

#include "cli/cluster_access.h"
#include "cli/exit_code.h"
#include "cli/terminal.h"

namespace CLI {
class App;
}

namespace sessmtp::cli {

struct DoctorOptions {
  std::string name;
  bool login = false;
  std::vector<std::string> allowed_endpoints;  // host:port, to log in to besides Amazon SES
  std::string ca_file;
  bool json = false;
  ColorWhen color = ColorWhen::kAuto;
  ClusterOptions cluster;
};

// Declares the subcommand; options is filled when app parses and must live as long as app.
CLI::App* add_doctor(CLI::App& app, DoctorOptions& options);

// kOk when every step is right or was left out on purpose; kFailed when one is wrong or could not be found
// out; kUsage when there is no usable kubeconfig. Call before any thread is started.
[[nodiscard]] ExitCode run_doctor(const DoctorOptions& options, const Terminal& terminal);

}  // namespace sessmtp::cli
