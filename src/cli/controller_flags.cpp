#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include "base/duration.h"
#include "base/text.h"
#include "cli/controller.h"
#include "server/bind_address.h"
#include "smtp/endpoint_policy.h"

namespace sessmtp::cli {
namespace {

// A DNS label, as namespaces are named; empty text when it is one, as CLI11 has it.
std::string check_namespace(const std::string& name) {
  const bool valid = is_dns_name(name, 63, /*dots=*/false);
  return valid ? std::string() : in_quotes(name) + " is not the name of a namespace";
}

// One that a person gives as "15s" or "1h30m" and that is kept in milliseconds.
void add_duration(CLI::App& sub, const std::string& flag, std::int64_t& ms, const std::string& what,
                  const char* variable, const char* default_text,
                  std::chrono::milliseconds at_most = std::chrono::hours(24 * 365)) {
  const auto read = [at_most](std::string& text) {
    const auto duration = parse_duration(text);
    if (!duration) {
      return in_quotes(text) + " is no length of time; write \"15s\", \"5m\" or \"1h30m\"";
    }
    if (*duration < std::chrono::milliseconds(100) || *duration > at_most) {
      return in_quotes(text) + " is not between 100ms and " +
             std::to_string(std::chrono::duration_cast<std::chrono::minutes>(at_most).count()) + "m";
    }
    text = std::to_string(duration->count());
    return std::string();
  };
  sub.add_option(flag, ms, what)
      ->type_name("DURATION")
      ->transform(CLI::Validator(read, ""))
      ->default_str(default_text)
      ->envname(variable);
}

void add_election(CLI::App& sub, ControllerCommand& command) {
  sub.add_flag("--leader-elect,!--no-leader-elect", command.leader_elect,
               "of several replicas, let one work and the others stand by")
      ->default_str("true")
      ->envname("SES_SMTP_LEADER_ELECT");
  sub.add_option("--leader-election-namespace", command.election_namespace,
                 "namespace of the Lease (default: that of the pod or of the context)")
      ->check(CLI::Validator(check_namespace, "NAMESPACE"))
      ->envname("SES_SMTP_LEADER_ELECTION_NAMESPACE");
  sub.add_option("--leader-election-id", command.election_id, "name of the Lease")
      ->capture_default_str()
      ->envname("SES_SMTP_LEADER_ELECTION_ID");
  add_duration(sub, "--leader-election-lease-duration", command.lease_duration_ms,
               "how long the others wait for a leader that is silent",
               "SES_SMTP_LEADER_ELECTION_LEASE_DURATION", "15s");
  add_duration(sub, "--leader-election-renew-deadline", command.renew_deadline_ms,
               "how long a leader tries to renew before it gives up",
               "SES_SMTP_LEADER_ELECTION_RENEW_DEADLINE", "10s");
  add_duration(sub, "--leader-election-retry-period", command.retry_period_ms,
               "how long to wait between two tries", "SES_SMTP_LEADER_ELECTION_RETRY_PERIOD", "2s");
}

void add_servers(CLI::App& sub, ControllerCommand& command) {
  const CLI::Validator address(
      [](const std::string& text) {
        const auto parsed = server::parse_bind_address(text);
        return parsed ? std::string() : parsed.error().message;
      },
      "ADDRESS");
  sub.add_option("--metrics-bind-address", command.metrics_bind_address,
                 "where /metrics is served, as \":8080\" or \"127.0.0.1:8080\"; \"0\" is nowhere")
      ->check(address)
      ->capture_default_str()
      ->envname("SES_SMTP_METRICS_BIND_ADDRESS");
  sub.add_flag("--metrics-per-credential,!--no-metrics-per-credential", command.metrics_per_credential,
               "series for each credential among the metrics")
      ->default_str("true")
      ->envname("SES_SMTP_METRICS_PER_CREDENTIAL");
  sub.add_option("--health-probe-bind-address", command.health_bind_address,
                 "where /healthz and /readyz are served; \"0\" is nowhere")
      ->check(address)
      ->capture_default_str()
      ->envname("SES_SMTP_HEALTH_PROBE_BIND_ADDRESS");
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
  add_duration(*sub, "--watch-timeout", command.watch_timeout_ms,
               "how long a watch is asked for at least; up to twice that (shorten it for a proxy that ends "
               "quiet connections)",
               "SES_SMTP_WATCH_TIMEOUT", "5m", std::chrono::minutes(14));
  add_duration(*sub, "--resync-period", command.resync_period_ms,
               "how often every credential is looked at again, changed or not", "SES_SMTP_RESYNC_PERIOD",
               "10h");
  sub->add_option(
         "--smtp-ca-file", command.smtp_ca_file,
         "PEM file of certificate authorities to trust at logins (spec.verify), besides the system's")
      ->envname("SES_SMTP_SMTP_CA_FILE");
  sub->add_option("--verify-allowed-endpoints", command.verify_allowed_endpoints,
                  "where spec.verify may log in besides Amazon SES, as host:port, separated by commas")
      ->delimiter(',')
      ->check(CLI::Validator(
          [](const std::string& text) {
            const auto parsed = smtp::parse_host_and_port(text);
            return parsed ? std::string() : parsed.error().message;
          },
          "HOST:PORT"))
      ->envname("SES_SMTP_VERIFY_ALLOWED_ENDPOINTS");
  add_election(*sub, command);
  add_servers(*sub, command);
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

}  // namespace sessmtp::cli
