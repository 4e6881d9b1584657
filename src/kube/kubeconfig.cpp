#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "base/file.h"
#include "base/text.h"
#include "kube/config.h"
#include "kube/exec_plugin.h"
#include "kube/kubeconfig_file.h"

namespace sessmtp::kube {
namespace {

std::unexpected<Error> invalid(std::string message) {
  return fail(ErrorCode::kInvalidInput, std::move(message));
}

std::string names_of(const KubeconfigEntries& entries) {
  if (entries.empty()) {
    return "there are none";
  }
  std::string names;
  for (const auto& [name, entry] : entries) {
    names += (names.empty() ? "there are: " : ", ") + name;
  }
  return names;
}

bool is_https(std::string_view url) {
  constexpr std::string_view kHttps = "https://";
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return url.size() > kHttps.size() && std::ranges::equal(url.substr(0, kHttps.size()), kHttps, {}, lower);
}

Result<void> read_cluster(KubeconfigEntry cluster, ClusterConfig& config) {
  config.server = cluster.text("server");
  config.certificate_authority = cluster.pem("certificate-authority", "certificate-authority-data");
  config.tls_server_name = cluster.text("tls-server-name");
  config.insecure_skip_tls_verify = cluster.flag("insecure-skip-tls-verify");
  config.proxy_url = cluster.text("proxy-url");
  if (cluster.error()) {
    return std::unexpected(*cluster.error());
  }
  if (config.server.empty()) {
    return std::unexpected(cluster.wrong("server is missing"));
  }
  while (config.server.ends_with('/')) {
    config.server.pop_back();
  }
  if (config.insecure_skip_tls_verify && !config.certificate_authority.empty()) {
    return std::unexpected(
        cluster.wrong("insecure-skip-tls-verify and a certificate-authority exclude each other"));
  }
  return {};
}

// As client-go:tools/clientcmd/validation.go has it, for a program that nobody can answer questions of.
Result<void> read_exec(const KubeconfigEntry& user, KubeconfigEntry cluster, ClusterConfig& config) {
  KubeconfigEntry entry = user.inside("exec");
  ExecConfig exec{.command = entry.text("command"),
                  .arguments = entry.texts("args"),
                  .environment = {},
                  .api_version = entry.text("apiVersion"),
                  .install_hint = entry.text("installHint"),
                  .provide_cluster_info = entry.flag("provideClusterInfo"),
                  .cluster_config = {}};
  for (KubeconfigEntry& variable : entry.items("env")) {
    exec.environment.emplace_back(variable.text("name"), variable.text("value"));
    const std::string& name = exec.environment.back().first;
    if (variable.error()) {
      return std::unexpected(*variable.error());
    }
    if (name.empty() || name.contains('=')) {
      return std::unexpected(entry.wrong("an item of env has no usable name"));
    }
  }
  const std::string mode = entry.text("interactiveMode");
  if (entry.error()) {
    return std::unexpected(*entry.error());
  }
  if (exec.command.empty()) {
    return std::unexpected(entry.wrong("command is missing"));
  }
  if (exec.api_version != kExecV1 && exec.api_version != kExecV1beta1) {
    return std::unexpected(entry.wrong(std::string("apiVersion must be ") + kExecV1 + " or " + kExecV1beta1));
  }
  if (mode == "Always") {
    return std::unexpected(
        entry.wrong("interactiveMode is Always, but there is no terminal here to ask at; use a plugin that "
                    "works without"));
  }
  const bool optional = mode.empty() && exec.api_version == kExecV1beta1;
  if (mode != "Never" && mode != "IfAvailable" && !optional) {
    return std::unexpected(entry.wrong("interactiveMode must be Never or IfAvailable"));
  }
  if (exec.command.contains('/')) {
    exec.command = entry.path("command");  // else it is looked for in PATH
  }
  std::erase_if(exec.install_hint, [](char c) { return static_cast<unsigned char>(c) < ' ' && c != '\n'; });
  for (KubeconfigEntry& extension : cluster.items("extensions")) {
    if (extension.text("name") == "client.authentication.k8s.io/exec") {
      exec.cluster_config = extension.json("extension");
      if (extension.error()) {
        return std::unexpected(*extension.error());
      }
    }
  }
  config.exec = std::move(exec);
  return {};
}

Result<void> read_impersonation(KubeconfigEntry& user, ClusterConfig& config) {
  Impersonation& who = config.impersonate;
  who.user = user.line("as");
  who.uid = user.line("as-uid");
  who.groups = user.texts("as-groups");
  who.extra = user.map_of_texts("as-user-extra");
  for (const std::string& group : who.groups) {
    if (has_control_characters(group)) {
      return std::unexpected(user.wrong("as-groups must hold no control characters"));
    }
  }
  for (const auto& [key, value] : who.extra) {
    if (key.empty() || has_control_characters(value)) {
      return std::unexpected(user.wrong("as-user-extra must hold no empty keys and no control characters"));
    }
  }
  if (who.user.empty() && !(who.uid.empty() && who.groups.empty() && who.extra.empty())) {
    return std::unexpected(user.wrong("as-uid, as-groups and as-user-extra need as"));
  }
  return {};
}

Result<void> read_user(KubeconfigEntry user, const KubeconfigEntry& cluster, ClusterConfig& config) {
  if (user.has("auth-provider")) {
    return std::unexpected(
        user.wrong("auth-provider was removed from Kubernetes; the provider's credential plugin (exec) "
                   "replaces it"));
  }
  config.client_certificate = user.pem("client-certificate", "client-certificate-data");
  config.client_key = user.pem("client-key", "client-key-data");
  config.token_file = user.path("tokenFile");
  if (config.token_file.empty()) {
    config.token = user.line("token");
  }
  config.username = user.text("username");
  config.password = user.text("password");
  const bool basic = !config.username.empty() || !config.password.empty();
  if (Result<void> impersonation = read_impersonation(user, config); !impersonation) {
    return impersonation;
  }
  if (user.error()) {
    return std::unexpected(*user.error());
  }
  if (config.client_certificate.empty() != config.client_key.empty()) {
    return std::unexpected(user.wrong("client-certificate and client-key are needed together"));
  }
  const bool token = !config.token.empty() || !config.token_file.empty();
  if (basic && token) {
    return std::unexpected(user.wrong("a token and username with password exclude each other"));
  }
  if (basic && config.username.contains(':')) {
    return std::unexpected(user.wrong("username must not hold a colon"));  // RFC 7617
  }
  // A plugin is not asked when there is a credential: client-go:plugin/pkg/client/auth/exec/exec.go.
  if (user.has("exec") && !basic && !token && config.client_certificate.empty()) {
    return read_exec(user, cluster, config);
  }
  return {};
}

// Never sent in clear text. client-go:tools/clientcmd/client_config.go leaves them out without a word and
// goes on as nobody; a program that runs for months had better say so.
bool holds_credential(const ClusterConfig& config) {
  return !config.token.empty() || !config.token_file.empty() || !config.username.empty() ||
         !config.password.empty() || !config.client_certificate.empty() || config.exec;
}

Result<ClusterConfig> resolve(const MergedKubeconfig& merged, const std::string& asked_for) {
  const std::string& name = asked_for.empty() ? merged.current_context : asked_for;
  std::string files;
  for (const std::string& file : merged.files) {
    files += (files.empty() ? "" : ", ") + file;
  }
  if (name.empty()) {
    return invalid(files + ": current-context is not set; choose a context: " + names_of(merged.contexts));
  }
  const auto found = merged.contexts.find(name);
  if (found == merged.contexts.end()) {
    return invalid(files + ": no context " + in_quotes(name) + "; " + names_of(merged.contexts));
  }
  KubeconfigEntry context = found->second;
  const std::string cluster = context.text("cluster");
  const std::string user = context.text("user");
  ClusterConfig config;
  config.default_namespace = context.text("namespace");
  if (config.default_namespace.empty()) {
    config.default_namespace = "default";
  }
  config.origin = "context " + in_quotes(name) + " of " + context.file().string();
  if (context.error()) {
    return std::unexpected(*context.error());
  }
  const auto its_cluster = merged.clusters.find(cluster);
  if (its_cluster == merged.clusters.end()) {
    return std::unexpected(
        context.wrong("no cluster " + in_quotes(cluster) + "; " + names_of(merged.clusters)));
  }
  if (Result<void> read = read_cluster(its_cluster->second, config); !read) {
    return std::unexpected(std::move(read.error()));
  }
  if (user.empty()) {
    return config;  // anonymous
  }
  const auto its_user = merged.users.find(user);
  if (its_user == merged.users.end()) {
    return std::unexpected(context.wrong("no user " + in_quotes(user) + "; " + names_of(merged.users)));
  }
  if (Result<void> read = read_user(its_user->second, its_cluster->second, config); !read) {
    return std::unexpected(std::move(read.error()));
  }
  if (holds_credential(config) && !is_https(config.server)) {
    return std::unexpected(its_user->second.wrong(
        "credentials are sent over TLS only: the server of the cluster must begin with https://"));
  }
  return config;
}

}  // namespace

Result<std::string> Pem::read() const {
  if (!data.empty()) {
    return data;
  }
  return read_file(file);
}

Result<ClusterConfig> load_kubeconfig(const KubeconfigOptions& options) {
  const Result<MergedKubeconfig> merged = merge_kubeconfigs(options.paths);
  if (!merged) {
    return std::unexpected(merged.error());
  }
  try {
    return resolve(*merged, options.context);
  } catch (const YAML::Exception&) {
    return invalid("kubeconfig: a field is not of the kind expected");
  }
}

}  // namespace sessmtp::kube
