#include "cli/controller.h"

#include <pthread.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdlib>
#include <map>
#include <stop_token>
#include <thread>

#include "base/clock.h"
#include "base/text.h"
#include "kube/client.h"
#include "kube/config.h"
#include "kube/cpprest_transport.h"
#include "operator/controller.h"
#include "ses/smtp_password.h"

namespace sessmtp::cli {
namespace {

// As controller-runtime: a kubeconfig that is named wins, then the pod's own account, then ~/.kube/config.
Result<kube::ClusterConfig> find_cluster(const ControllerCommand& command) {
  if (command.kubeconfig.empty() && command.context.empty()) {
    auto in_cluster = kube::load_in_cluster_config();
    if (in_cluster || in_cluster.error().code != ErrorCode::kNotFound) {
      return in_cluster;
    }
  }
  auto loaded = kube::load_kubeconfig({.paths = command.kubeconfig, .context = command.context});
  if (!loaded && loaded.error().code == ErrorCode::kNotFound) {
    loaded.error().message += "; name one with --kubeconfig or KUBECONFIG, or run in a pod";
  }
  return loaded;
}

// A DNS label, as namespaces are named; empty text when it is one, as CLI11 has it.
std::string check_namespace(const std::string& name) {
  const bool valid = is_dns_name(name, 63, /*dots=*/false);
  return valid ? std::string() : in_quotes(name) + " is not the name of a namespace";
}

std::string host_name() {
  char name[256] = "";
  (void)gethostname(name, sizeof name - 1);
  return name;
}

// Signals that mean "stop" are taken by a thread that waits for them, not by a handler.
sigset_t block_stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  (void)pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

ExitCode refuse(const std::string& what, const Error& error) {
  log::error(what, {{"error", error.message}});
  return kUsage;
}

}  // namespace

CLI::App* add_controller(CLI::App& app, ControllerCommand& command) {
  CLI::App* sub =
      app.add_subcommand("controller", "Keep the target Secret of each SesSmtpCredential up to date");
  sub->add_option(
         "--kubeconfig", command.kubeconfig,
         "kubeconfig files, separated by colons (default: in a pod its service account, else ~/.kube/config)")
      ->envname("KUBECONFIG");
  sub->add_option("--context", command.context, "context of the kubeconfig (default: its current-context)")
      ->envname("SES_SMTP_CONTEXT");
  sub->add_option("--watch-namespaces", command.watch_namespaces,
                  "namespaces to serve, separated by commas (default: all)")
      ->delimiter(',')
      ->check(CLI::Validator(check_namespace, "NAMESPACE"))
      ->envname("SES_SMTP_WATCH_NAMESPACES");
  sub->add_option("--max-concurrent-reconciles", command.workers, "credentials worked on at the same time")
      ->check(CLI::Range(1, 256))
      ->capture_default_str()
      ->envname("SES_SMTP_MAX_CONCURRENT_RECONCILES");
  static const std::map<std::string, log::Level> levels = {{"debug", log::Level::kDebug},
                                                           {"info", log::Level::kInfo},
                                                           {"warn", log::Level::kWarn},
                                                           {"error", log::Level::kError}};
  static const std::map<std::string, log::Format> formats = {{"json", log::Format::kJson},
                                                             {"text", log::Format::kText}};
  sub->add_option_function<std::string>(
         "--log-level", [&command](const std::string& name) { command.log_level = levels.at(name); },
         "what to log")
      ->check(CLI::IsMember(levels))
      ->default_str("info")
      ->envname("SES_SMTP_LOG_LEVEL");
  sub->add_option_function<std::string>(
         "--log-format", [&command](const std::string& name) { command.log_format = formats.at(name); },
         "one JSON object or one plain text a line")
      ->check(CLI::IsMember(formats))
      ->default_str("json")
      ->envname("SES_SMTP_LOG_FORMAT");
  return sub;
}

ExitCode run_controller_command(const ControllerCommand& command) {
  const sigset_t stop_signals = block_stop_signals();  // every thread to come inherits it
  log::configure(command.log_level, command.log_format);
  if (const auto passed = ses::known_answer_self_test(); !passed) {
    return log::error("self-test failed, refusing to run", {{"error", passed.error().message}}), kFailed;
  }
  if (const auto threads = kube::initialize_http_threads(); !threads) {
    return log::error("HTTP threads not started", {{"error", threads.error().message}}), kFailed;
  }
  const auto cluster = find_cluster(command);
  if (!cluster) {
    return refuse("no usable cluster configuration", cluster.error());
  }
  const auto transport = kube::make_cpprest_transport(*cluster);
  if (!transport) {
    return refuse("cluster configuration cannot work", transport.error());
  }
  if (cluster->insecure_skip_tls_verify) {
    log::warn("the API server's certificate is not checked (insecure-skip-tls-verify)");
  }
  log::info("starting", {{"version", SESSMTP_VERSION},
                         {"server", cluster->server},
                         {"configuration", cluster->origin},
                         {"namespaces", command.watch_namespaces.empty()
                                            ? std::string("all")
                                            : CLI::detail::join(command.watch_namespaces, ",")}});
  const SystemClock clock;
  kube::TokenSource tokens(*cluster, clock);
  prometheus::Registry metrics;
  kube::Client client(**transport, tokens,
                      {.deadline = std::chrono::seconds(30), .host = cluster->server, .metrics = &metrics});

  std::stop_source stop;
  const std::jthread signal_thread([&stop, &stop_signals] {
    int signal = 0;
    (void)sigwait(&stop_signals, &signal);
    log::info("asked to stop", {{"signal", signal == SIGINT ? "SIGINT" : "SIGTERM"}});
    stop.request_stop();
  });
  operator_::run_controller(
      client, clock, metrics,
      {.watch_namespaces = command.watch_namespaces, .workers = command.workers, .instance = host_name()},
      stop.get_token());
  return kOk;
}

}  // namespace sessmtp::cli
