#include "cli/controller.h"

#include <malloc.h>
#include <pthread.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <memory>
#include <random>
#include <set>
#include <stop_token>
#include <thread>

#include "base/clock.h"
#include "base/file.h"
#include "cli/cluster_access.h"
#include "kube/client.h"
#include "kube/config.h"
#include "kube/cpprest_transport.h"
#include "operator/controller.h"
#include "server/http_server.h"
#include "ses/smtp_password.h"
#include "smtp/curl_login_probe.h"

namespace sessmtp::cli {
namespace {

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

// A page of metrics may be some megabytes; probes are small, and nobody may keep them out.
constexpr std::size_t kMaxScrapes = 16;
constexpr std::size_t kMaxProbes = 256;

// A server on that address, or none when the address is "0".
Result<std::unique_ptr<server::HttpServer>> serve(const std::string& what, const std::string& address,
                                                  std::size_t max_connections,
                                                  server::HttpServer::Handler handler) {
  const auto parsed = server::parse_bind_address(address);
  if (!parsed) {
    return std::unexpected(parsed.error());
  }
  if (!*parsed) {
    return nullptr;
  }
  auto started =
      server::HttpServer::start(**parsed, std::move(handler), {.max_connections = max_connections});
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

kube::ElectionOptions election_options(const ControllerCommand& command, const kube::ClusterConfig& cluster) {
  return {.namespace_ =
              command.election_namespace.empty() ? cluster.default_namespace : command.election_namespace,
          .name = command.election_id,
          .identity = identity(),
          .lease_duration = std::chrono::milliseconds(command.lease_duration_ms),
          .renew_deadline = std::chrono::milliseconds(command.renew_deadline_ms),
          .retry_period = std::chrono::milliseconds(command.retry_period_ms)};
}

smtp::EndpointPolicy endpoint_policy(const ControllerCommand& command) {
  std::set<smtp::EndpointPolicy::HostAndPort> listed;
  for (const std::string& text : command.verify_allowed_endpoints) {
    if (const auto endpoint = smtp::parse_host_and_port(text)) {  // checked when the flag was read
      listed.insert(*endpoint);
    }
  }
  return smtp::EndpointPolicy(std::move(listed));
}

// Serves metrics and health while the controller runs.
ExitCode serve_and_run(operator_::Controller& controller, const ControllerCommand& command,
                       const sigset_t& stop_signals) {
  const auto metrics_server =
      serve("metrics", command.metrics_bind_address, kMaxScrapes, [&](std::string_view path) {
        return path == "/metrics" ? server::Answer{.content_type = operator_::kMetricsContentType,
                                                   .body = controller.metrics()}
                                  : server::not_found();
      });
  if (!metrics_server) {
    return refuse("metrics cannot be served: choose another --metrics-bind-address, or 0 for none",
                  metrics_server.error());
  }
  const auto health_server =
      serve("health", command.health_bind_address, kMaxProbes, [&](std::string_view path) {
        return path == "/healthz"  ? health_page(controller.liveness())
               : path == "/readyz" ? health_page(controller.readiness())
                                   : server::not_found();
      });
  if (!health_server) {
    return refuse("health cannot be served: choose another --health-probe-bind-address, or 0 for none",
                  health_server.error());
  }
  std::stop_source stop;
  std::jthread signal_thread([&stop, &stop_signals] {
    int signal = 0;
    (void)sigwait(&stop_signals, &signal);
    log::info("asked to stop", {{"signal", signal == SIGINT ? "SIGINT" : "SIGTERM"}});
    stop.request_stop();
  });
  try {
    controller.run(stop.get_token());
    return kOk;
  } catch (const std::exception& error) {
    log::error("unexpected failure, ending", {{"error", error.what()}});
  }
  (void)::kill(::getpid(), SIGTERM);  // taken by the thread that waits for it, which then ends
  return kFailed;
}

}  // namespace

ExitCode run_controller_command(const ControllerCommand& command) {
  const sigset_t stop_signals = block_stop_signals();  // every thread to come inherits it
  // One heap for all threads. With one for each of them, what connections and TLS once took on one thread is
  // not used again by the next, and every reconnect leaves more of it behind.
  (void)mallopt(M_ARENA_MAX, 1);
  log::configure(command.log_level, command.log_format);
  if (const auto passed = ses::known_answer_self_test(); !passed) {
    return log::error("self-test failed, refusing to run", {{"error", passed.error().message}}), kFailed;
  }
  if (const auto threads = kube::initialize_http_threads(); !threads) {
    return log::error("HTTP threads not started", {{"error", threads.error().message}}), kFailed;
  }
  const auto cluster =
      find_cluster({.kubeconfig = command.kubeconfig, .context = command.context}, LookFor::kPodFirst);
  if (!cluster) {
    return refuse("no usable cluster configuration", cluster.error());
  }
  const kube::ElectionOptions election = election_options(command, *cluster);
  if (const auto usable = check(election); command.leader_elect && !usable) {
    return refuse("leader election cannot work", usable.error());
  }
  const SystemClock clock;
  const auto plugin = kube::make_exec_plugin(*cluster, clock);
  const auto transport = kube::make_cpprest_transport(*cluster, {}, plugin);
  const auto election_transport = kube::make_cpprest_transport(*cluster, {}, plugin);
  if (!transport || !election_transport) {
    return refuse("cluster configuration cannot work", (transport ? election_transport : transport).error());
  }
  if (const auto roots =
          command.smtp_ca_file.empty() ? Result<std::string>() : read_file(command.smtp_ca_file);
      !roots) {
    log::warn("--smtp-ca-file cannot be read; it is tried again at each login",
              {{"error", roots.error().message}});
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
  prometheus::Registry metrics;
  operator_::register_build_info(metrics, SESSMTP_VERSION);
  operator_::Answers answers;
  kube::TokenSource tokens(*cluster, clock, plugin);
  kube::Client client(
      **transport, tokens,
      {.deadline = std::chrono::seconds(30), .host = cluster->server, .metrics = &metrics, .on_answer = [&] {
         answers.to_calls.note(clock.steady());
       }});
  kube::Client election_client(
      **election_transport, tokens,
      {.deadline = request_timeout(election), .host = cluster->server, .metrics = &metrics, .on_answer = [&] {
         answers.to_election.note(clock.steady());
       }});
  smtp::CurlLoginProbe probe({.policy = endpoint_policy(command), .ca_file = command.smtp_ca_file});
  operator_::Controller controller(
      client, election_client, probe, answers, clock, metrics,
      {.watch_namespaces = command.watch_namespaces,
       .workers = command.workers,
       .instance = host_name(),
       .watch_timeout = std::chrono::milliseconds(command.watch_timeout_ms),
       .resync_period = std::chrono::milliseconds(command.resync_period_ms),
       .metrics_per_credential = command.metrics_per_credential,
       .election = command.leader_elect ? std::optional(election) : std::nullopt});
  return serve_and_run(controller, command, stop_signals);
}

}  // namespace sessmtp::cli
