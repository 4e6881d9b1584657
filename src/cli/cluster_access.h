// The way from a command to the API server: where it is, who we are, and what is said when that cannot work.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "cli/problem.h"
#include "kube/api_error.h"
#include "kube/client.h"
#include "kube/config.h"
#include "kube/token_source.h"
#include "kube/transport.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace sessmtp::cli {

struct ClusterOptions {
  std::string kubeconfig = {};  // empty: what the command finds by itself
  std::string context = {};     // empty: the current one
  std::string namespace_ = {};  // empty: that of the context, or of the pod
};

// --kubeconfig (KUBECONFIG) and --context; -n, --namespace.
void add_cluster_flags(CLI::App& command, ClusterOptions& options);
CLI::Option* add_namespace_flag(CLI::App& command, ClusterOptions& options);

// In which order a configuration that nobody named is looked for.
enum class LookFor : std::uint8_t {
  kPodFirst,         // as controller-runtime: the pod's own account, then ~/.kube/config
  kKubeconfigFirst,  // as kubectl: ~/.kube/config, then the pod's own account
};
[[nodiscard]] Result<kube::ClusterConfig> find_cluster(const ClusterOptions& options, LookFor order);

// All that calls to the API server need, for a command that a person waits for. One for each process and
// before any thread is started: it starts those of the HTTP library. client() is thread-safe.
class ClusterAccess {
 public:
  // Calls nobody yet. A credential plugin is run with the first call.
  [[nodiscard]] static Result<std::unique_ptr<ClusterAccess>, Problem> open(const ClusterOptions& options);

  [[nodiscard]] kube::Client& client() { return *client_; }
  // What -n says, else the namespace of the context or of the pod.
  [[nodiscard]] const std::string& namespace_name() const { return namespace_; }
  [[nodiscard]] const kube::ClusterConfig& config() const { return config_; }

 private:
  explicit ClusterAccess(kube::ClusterConfig config) : config_(std::move(config)) {}

  kube::ClusterConfig config_;
  std::string namespace_;
  SystemClock clock_;
  std::unique_ptr<kube::Transport> transport_;
  std::unique_ptr<kube::TokenSource> tokens_;
  std::unique_ptr<kube::Client> client_;
};

// What "kubectl" is to be called with so that it means the cluster of these options: "kubectl --context dev".
[[nodiscard]] std::string kubectl(const ClusterOptions& options);

// An error that says nothing of the object that was asked for, but that there is no talking to the API
// server: no answer, or 401. `what` is the attempt: "the credentials cannot be listed".
[[nodiscard]] bool is_about_access(const kube::ApiError& error);
[[nodiscard]] Problem explain(const kube::ApiError& error, const std::string& what,
                              const kube::ClusterConfig& config);

}  // namespace sessmtp::cli
