#include "cli/controller.h"

#include <pthread.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <stop_token>
#include <thread>

#include "base/clock.h"
#include "base/text.h"
#include "kube/client.h"
#include "kube/config.h"
#include "kube/cpprest_transport.h"
#include "operator/controller.h"
#include "server/http_server.h"
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

// Host name and a random part: no two processes that ever were have the same.
std::string identity() {
  std::random_device random;
  char suffix[20];
  (void)std::snprintf(suffix, sizeof suffix, "_%08x%08x", random(), random());
  return host_name() + suffix;
}

// "15s", "1h", "500ms".
void add_duration(CLI::App& sub, const std::string& flag, std::int64_t& ms, const std::string& what,
                  const char* variable, const char* default_text) {
  static const std::map<std::string, std::int64_t> kUnits = {
      {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}};
  using Unit = CLI::AsNumberWithUnit;
  sub.add_option(flag, ms, what)
      ->transform(
          Unit(kUnits, static_cast<Unit::Options>(Unit::CASE_SENSITIVE | Unit::UNIT_REQUIRED), "DURATION"))
      ->check(CLI::Range(std::int64_t{100}, std::int64_t{1} << 40).description(""))
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
  sub.add_option("--health-probe-bind-address", command.health_bind_address,
                 "where /healthz and /readyz are served; \"0\" is nowhere")
      ->check(address)
      ->capture_default_str()
      ->envname("SES_SMTP_HEALTH_PROBE_BIND_ADDRESS");
}

// A server on that address, or none when the address is "0".
Result<std::unique_ptr<server::HttpServer>> serve(const std::string& what, const std::string& address,
                                                  server::HttpServer::Handler handler) {
  const auto parsed = server::parse_bind_address(address);
  if (!parsed) {
    return std::unexpected(parsed.error());
  }
  if (!*parsed) {
    return nullptr;
  }
  auto started = server::HttpServer::start(**parsed, std::move(handler));
  if (started) {
    server::BindAddress bound = **parsed;
    bound.port = (*started)->port();
    log::info("serving", {{"what", what}, {"address", to_string(bound)}});
  }
  return started;
}

server::Answer health_page(const operator_::HealthReport& report) {
  return {.status = report.status(), .body = report.text};
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
  add_duration(*sub, "--watch-timeout", command.watch_timeout_ms,
               "how long a watch is asked for at least; up to twice that (shorten it for a proxy that ends "
               "quiet connections)",
               "SES_SMTP_WATCH_TIMEOUT", "5m");
  add_duration(*sub, "--resync-period", command.resync_period_ms,
               "how often every credential is looked at again, changed or not", "SES_SMTP_RESYNC_PERIOD",
               "10h");
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
  const kube::ElectionOptions election{.namespace_ = command.election_namespace.empty()
                                                         ? cluster->default_namespace
                                                         : command.election_namespace,
                                       .name = command.election_id,
                                       .identity = identity(),
                                       .lease_duration = std::chrono::milliseconds(command.lease_duration_ms),
                                       .renew_deadline = std::chrono::milliseconds(command.renew_deadline_ms),
                                       .retry_period = std::chrono::milliseconds(command.retry_period_ms)};
  if (const auto usable = check(election); command.leader_elect && !usable) {
    return refuse("leader election cannot work", usable.error());
  }
  log::info("starting", {{"version", SESSMTP_VERSION},
                         {"server", cluster->server},
                         {"configuration", cluster->origin},
                         {"namespaces", command.watch_namespaces.empty()
                                            ? std::string("all")
                                            : CLI::detail::join(command.watch_namespaces, ",")}});
  const SystemClock clock;
  kube::TokenSource tokens(*cluster, clock);
  const auto election_transport = kube::make_cpprest_transport(*cluster);
  if (!election_transport) {
    return refuse("cluster configuration cannot work", election_transport.error());
  }
  prometheus::Registry metrics;
  operator_::register_build_info(metrics, SESSMTP_VERSION);
  operator_::Answers answers;
  kube::Client client(
      **transport, tokens,
      {.deadline = std::chrono::seconds(30), .host = cluster->server, .metrics = &metrics, .on_answer = [&] {
         answers.to_calls.note(clock.steady());
       }});
  kube::Client election_client(**election_transport, tokens,
                               {.deadline = kube::request_timeout(election),
                                .host = cluster->server,
                                .metrics = &metrics,
                                .on_answer = [&] { answers.to_election.note(clock.steady()); }});
  operator_::Controller controller(
      client, election_client, answers, clock, metrics,
      {.watch_namespaces = command.watch_namespaces,
       .workers = command.workers,
       .instance = host_name(),
       .watch_timeout = std::chrono::milliseconds(command.watch_timeout_ms),
       .resync_period = std::chrono::milliseconds(command.resync_period_ms),
       .election = command.leader_elect ? std::optional(election) : std::nullopt});
  const auto metrics_server = serve("metrics", command.metrics_bind_address, [&](std::string_view path) {
    return path == "/metrics"
               ? server::Answer{.content_type = operator_::kMetricsContentType, .body = controller.metrics()}
               : server::not_found();
  });
  if (!metrics_server) {
    return refuse("metrics cannot be served", metrics_server.error());
  }
  const auto health_server = serve("health", command.health_bind_address, [&](std::string_view path) {
    return path == "/healthz"  ? health_page(controller.liveness())
           : path == "/readyz" ? health_page(controller.readiness())
                               : server::not_found();
  });
  if (!health_server) {
    return refuse("health cannot be served", health_server.error());
  }

  std::stop_source stop;
  const std::jthread signal_thread([&stop, &stop_signals] {
    int signal = 0;
    (void)sigwait(&stop_signals, &signal);
    log::info("asked to stop", {{"signal", signal == SIGINT ? "SIGINT" : "SIGTERM"}});
    stop.request_stop();
  });
  controller.run(stop.get_token());
  return kOk;
}

}  // namespace sessmtp::cli
