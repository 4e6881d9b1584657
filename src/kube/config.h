// Where the API server is and how to prove who we are: from a kubeconfig or from inside a pod.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace sessmtp::kube {

// PEM text that is given inline or lives in a file; a file is read at every use, so rotation needs no
// restart.
struct Pem {
  std::string data;  // wins over the file
  std::filesystem::path file;

  [[nodiscard]] bool empty() const { return data.empty() && file.empty(); }
  [[nodiscard]] Result<std::string> read() const;
};

// A credential plugin: a program that prints a token or a client certificate (exec_plugin.h).
struct ExecConfig {
  std::string command;  // absolute, or a bare name to be found in PATH
  std::vector<std::string> arguments;
  std::vector<std::pair<std::string, std::string>> environment;  // added to ours
  std::string api_version;                                       // client.authentication.k8s.io/v1 or v1beta1
  std::string install_hint;                                      // for people, when it does not run
  bool provide_cluster_info = false;
  std::string cluster_config;  // JSON: the cluster's extension for plugins; empty: none
};

// Acting as somebody else, where RBAC allows it: sent as Impersonate- headers with every request.
struct Impersonation {
  std::string user;  // empty: act as who we are
  std::string uid;
  std::vector<std::string> groups;
  std::vector<std::pair<std::string, std::string>> extra;  // a key may come several times
};

struct ClusterConfig {
  std::string server;  // "https://host:port", perhaps with a path prefix, without a trailing slash; http://
                       // only without a credential
  Pem certificate_authority;  // the only roots trusted; empty: the system's
  Pem client_certificate;
  Pem client_key;
  std::string token;                 // bearer token given inline
  std::filesystem::path token_file;  // wins over token; read again from time to time
  std::string username;              // basic authentication
  std::string password;
  std::optional<ExecConfig> exec;  // only when none of the above proves who we are
  Impersonation impersonate;
  std::string tls_server_name;  // checked instead of the host name in `server`
  bool insecure_skip_tls_verify = false;
  std::string proxy_url;          // http:// only
  std::string default_namespace;  // of the context, or the pod's own
  std::string origin;             // for messages: `context "dev" of /home/me/.kube/config`
};

struct KubeconfigOptions {
  std::string paths;    // --kubeconfig, or KUBECONFIG: a colon-separated list; empty: ~/.kube/config
  std::string context;  // empty: current-context
};

// kInvalidInput says which file and field is wrong and what to do; kNotFound when no file is there. URLs are
// looked at where they are used.
[[nodiscard]] Result<ClusterConfig> load_kubeconfig(const KubeconfigOptions& options);

inline constexpr const char* kServiceAccountDirectory = "/var/run/secrets/kubernetes.io/serviceaccount";

// From KUBERNETES_SERVICE_HOST/PORT and the projected service account volume. kNotFound outside a pod;
// a volume without a CA is an error, never a reason to trust the system's roots.
[[nodiscard]] Result<ClusterConfig> load_in_cluster_config(
    const std::filesystem::path& directory = kServiceAccountDirectory);

}  // namespace sessmtp::kube
