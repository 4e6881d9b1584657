#include "cli/cluster_access.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ostream>
#include <string_view>
#include <utility>

#include "base/log.h"
#include "base/text.h"
#include "cli/terminal.h"
#include "kube/cpprest_transport.h"
#include "kube/exec_plugin.h"

namespace sessmtp::cli {
namespace {

// Nobody looks at a silent terminal for longer.
constexpr std::chrono::seconds kPatience(15);

std::unexpected<Problem> no_cluster(const Error& error) {
  return std::unexpected(Problem{.what = "there is no usable cluster configuration",
                                 .why = error.message,
                                 .fix = "try the same with kubectl: kubectl config view --minify"});
}

// As a shell takes it for one word.
std::string shell_word(const std::string& text) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view("-_./:@,+=").contains(c);
  };
  if (std::ranges::all_of(text, plain)) {
    return text;
  }
  std::string quoted = "'";
  for (const char c : text) {
    quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  return quoted + '\'';
}

}  // namespace

void print(const Problem& problem, std::ostream& err) {
  err << "error: " << printable(problem.what) << '\n';
  if (!problem.why.empty()) {
    err << "  why: " << printable(problem.why) << '\n';
  }
  err << "  fix: " << printable(problem.fix) << '\n';
}

void add_cluster_flags(CLI::App& command, ClusterOptions& options) {
  command
      .add_option("--kubeconfig", options.kubeconfig,
                  "Kubeconfig files, separated by colons [~/.kube/config, else the pod's service account]")
      ->type_name("FILE")
      ->envname("KUBECONFIG");
  command.add_option("--context", options.context, "Context of the kubeconfig [its current-context]")
      ->type_name("NAME");
}

CLI::Option* add_namespace_flag(CLI::App& command, ClusterOptions& options) {
  return command.add_option("-n,--namespace", options.namespace_, "Namespace [that of the context]")
      ->type_name("NAMESPACE")
      ->check([](const std::string& name) {
        return is_dns_name(name, 63, false) ? std::string()
                                            : in_quotes(name) + " is not the name of a namespace";
      });
}

Result<kube::ClusterConfig> find_cluster(const ClusterOptions& options, LookFor order) {
  const bool named = !options.kubeconfig.empty() || !options.context.empty();
  if (order == LookFor::kPodFirst && !named) {
    auto in_cluster = kube::load_in_cluster_config();
    if (in_cluster || in_cluster.error().code != ErrorCode::kNotFound) {
      return in_cluster;
    }
  }
  auto loaded = kube::load_kubeconfig({.paths = options.kubeconfig, .context = options.context});
  if (loaded || loaded.error().code != ErrorCode::kNotFound) {
    return loaded;
  }
  if (order == LookFor::kKubeconfigFirst && !named) {
    auto in_cluster = kube::load_in_cluster_config();
    if (in_cluster || in_cluster.error().code != ErrorCode::kNotFound) {
      return in_cluster;
    }
  }
  loaded.error().message += "; name one with --kubeconfig or KUBECONFIG, or run in a pod";
  return loaded;
}

Result<std::unique_ptr<ClusterAccess>, Problem> ClusterAccess::open(const ClusterOptions& options) {
  log::configure(log::Level::kError, log::Format::kText);  // what goes wrong is said once, by the command
  if (const auto threads = kube::initialize_http_threads(); !threads) {
    return std::unexpected(Problem{.what = threads.error().message, .why = "", .fix = "run it again"});
  }
  auto config = find_cluster(options, LookFor::kKubeconfigFirst);
  if (!config) {
    return no_cluster(config.error());
  }
  std::unique_ptr<ClusterAccess> access(new ClusterAccess(std::move(*config)));
  access->namespace_ = options.namespace_.empty() ? access->config_.default_namespace : options.namespace_;
  const auto plugin = kube::make_exec_plugin(access->config_, access->clock_);
  auto transport = kube::make_cpprest_transport(access->config_, {.stream_head = kPatience}, plugin);
  if (!transport) {
    return no_cluster(transport.error());
  }
  access->transport_ = std::move(*transport);
  access->tokens_ = std::make_unique<kube::TokenSource>(access->config_, access->clock_, plugin);
  access->client_ = std::make_unique<kube::Client>(
      *access->transport_, *access->tokens_,
      kube::ClientOptions{.deadline = kPatience, .host = access->config_.server});
  return access;
}

std::string kubectl(const ClusterOptions& options) {
  const char* variable = std::getenv("KUBECONFIG");
  std::string command = "kubectl";
  if (!options.kubeconfig.empty() && (variable == nullptr || options.kubeconfig != variable)) {
    command = "KUBECONFIG=" + shell_word(options.kubeconfig) + " kubectl";
  }
  return options.context.empty() ? command : command + " --context " + shell_word(options.context);
}

bool is_about_access(const kube::ApiError& error) {
  return error.kind == kube::ApiErrorKind::kNoAnswer || error.kind == kube::ApiErrorKind::kUnauthorized ||
         error.kind == kube::ApiErrorKind::kServerError || error.kind == kube::ApiErrorKind::kBadAnswer;
}

Problem explain(const kube::ApiError& error, const std::string& what, const kube::ClusterConfig& config) {
  const std::string server = config.server + " (" + config.origin + ")";
  switch (error.kind) {
    case kube::ApiErrorKind::kUnauthorized:
      return {.what = what + ": the API server does not know who you are",
              .why = error.summary() + " from " + server,
              .fix = "renew your login; kubectl auth whoami says whether it works"};
    case kube::ApiErrorKind::kForbidden:
      return {.what = what + ": you may not do that",
              .why = error.message,
              .fix = "ask whoever administers the cluster for this right"};
    case kube::ApiErrorKind::kNoAnswer:
      return {.what = what + ": the API server " + server + " does not answer",
              .why = error.message,
              .fix = "check that this is the cluster you mean, and that kubectl version reaches it"};
    default:
      return {.what = what,
              .why = error.summary() + " from " + server,
              .fix = "try again; if it stays, look into the API server's log"};
  }
}

}  // namespace sessmtp::cli
