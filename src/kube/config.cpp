#include "kube/config.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <utility>
#include <vector>

#include "base/base64.h"
#include "base/file.h"
#include "base/text.h"

namespace sessmtp::kube {
namespace {

namespace fs = std::filesystem;

constexpr auto kSupported =
    "supported are token, tokenFile, and client-certificate with client-key (as files or as data); "
    "`kubectl create token SERVICEACCOUNT` makes a token";

std::unexpected<Error> invalid(std::string message) {
  return fail(ErrorCode::kInvalidInput, std::move(message));
}

// A named entry of one of the three lists, with the file it came from. Reads its fields, keeps the first
// thing that is wrong, and never shows a value.
class Entry {
 public:
  Entry() = default;
  Entry(const YAML::Node& fields, fs::path file, std::string label)
      : fields_(fields), file_(std::move(file)), label_(std::move(label)) {}

  [[nodiscard]] const fs::path& file() const { return file_; }
  [[nodiscard]] const std::optional<Error>& error() const { return error_; }
  [[nodiscard]] Error wrong(const std::string& what) const {
    return {ErrorCode::kInvalidInput, label_ + " in " + file_.string() + ": " + what};
  }

  [[nodiscard]] bool has(const char* name) const {
    const YAML::Node value = at(name);
    return value && !value.IsNull();
  }

  std::string text(const char* name) {
    const YAML::Node value = at(name);
    if (!value || value.IsNull()) {
      return {};
    }
    if (!value.IsScalar()) {
      complain(std::string(name) + " must be a text");
      return {};
    }
    return value.Scalar();
  }

  bool flag(const char* name) {
    bool value = false;
    if (has(name) && !YAML::convert<bool>::decode(at(name), value)) {
      complain(std::string(name) + " must be true or false");
    }
    return value;
  }

  // A relative path is relative to the file that names it.
  fs::path path(const char* name) {
    const std::string value = text(name);
    return value.empty() ? fs::path() : (file_.parent_path() / value).lexically_normal();
  }

  Pem pem(const char* file_field, const char* data_field) {
    std::string encoded = text(data_field);
    if (encoded.empty()) {
      return {.data = {}, .file = path(file_field)};
    }
    std::erase_if(encoded, [](char c) { return c == '\n' || c == '\r'; });
    const std::optional<SecretBytes> decoded = base64_decode(encoded);
    wipe(encoded.data(), encoded.size());
    if (!decoded) {
      complain(std::string(data_field) + " is not base64");
      return {};
    }
    return {.data = std::string(decoded->expose()), .file = {}};
  }

 private:
  [[nodiscard]] YAML::Node at(const char* name) const {
    return fields_.IsMap() ? fields_[name] : YAML::Node(YAML::NodeType::Undefined);
  }
  void complain(const std::string& what) {
    if (!error_) {
      error_ = wrong(what);
    }
  }

  YAML::Node fields_;
  fs::path file_;
  std::string label_;
  std::optional<Error> error_;
};

using Entries = std::map<std::string, Entry>;

// All files merged: of two entries with one name the first counts, as a whole.
struct Merged {
  std::vector<std::string> files;
  std::string current_context;
  Entries clusters, users, contexts;
};

std::string names_of(const Entries& entries) {
  if (entries.empty()) {
    return "there are none";
  }
  std::string names;
  for (const auto& [name, entry] : entries) {
    names += (names.empty() ? "there are: " : ", ") + name;
  }
  return names;
}

// `kind` is "cluster", "user" or "context": the list's name without its s, and the field of an item.
Result<void> merge_list(const YAML::Node& document, const fs::path& file, const std::string& kind,
                        Entries& into) {
  const YAML::Node list = document[kind + "s"];
  if (!list || list.IsNull()) {
    return {};
  }
  const std::string where = file.string() + ", line " + std::to_string(list.Mark().line + 1) + ": ";
  if (!list.IsSequence()) {
    return invalid(where + kind + "s must be a list");
  }
  for (const YAML::Node& item : list) {
    const YAML::Node name = item.IsMap() ? item["name"] : YAML::Node();
    if (!name || !name.IsScalar() || name.Scalar().empty()) {
      return invalid(where + "an item of " + kind + "s has no name");
    }
    into.try_emplace(name.Scalar(), item[kind], file, kind + ' ' + in_quotes(name.Scalar()));
  }
  return {};
}

Result<void> merge_document(const YAML::Node& document, const fs::path& file, Merged& into) {
  if (document.IsNull()) {
    return {};  // an empty file is a kubeconfig too
  }
  if (!document.IsMap()) {
    return invalid(file.string() + ": not a kubeconfig");
  }
  if (const YAML::Node kind = document["kind"]; kind && kind.IsScalar() && kind.Scalar() != "Config") {
    return invalid(file.string() + ": not a kubeconfig but of kind " + in_quotes(kind.Scalar()));
  }
  if (const YAML::Node current = document["current-context"];
      into.current_context.empty() && current && current.IsScalar()) {
    into.current_context = current.Scalar();
  }
  for (const auto& [kind, entries] : {std::pair("cluster", &into.clusters), std::pair("user", &into.users),
                                      std::pair("context", &into.contexts)}) {
    if (Result<void> merged = merge_list(document, file, kind, *entries); !merged) {
      return merged;
    }
  }
  return {};
}

// yaml-cpp throws on anything it does not like, and limits its own depth.
Result<void> merge_file(const fs::path& file, Merged& into) {
  Result<std::string> text = read_file(file);
  if (!text) {
    return std::unexpected(std::move(text.error()));
  }
  Result<void> merged;
  try {
    merged = merge_document(YAML::Load(*text), file, into);
  } catch (const YAML::Exception& e) {
    const std::string line = e.mark.is_null() ? "" : ", line " + std::to_string(e.mark.line + 1);
    merged = invalid(file.string() + line + ": not YAML: " + e.msg.substr(0, e.msg.find(':')));
  } catch (const std::exception&) {
    merged = invalid(file.string() + ": cannot be read as YAML");
  }
  wipe(text->data(), text->size());
  return merged;
}

std::vector<fs::path> candidates(const std::string& paths) {
  std::vector<fs::path> files;
  if (paths.empty()) {
    const char* home = std::getenv("HOME");
    return {fs::path(home != nullptr ? home : "/") / ".kube" / "config"};
  }
  for (std::size_t begin = 0; begin <= paths.size();) {
    const std::size_t end = std::min(paths.find(':', begin), paths.size());
    if (end > begin) {
      files.emplace_back(paths.substr(begin, end - begin));
    }
    begin = end + 1;
  }
  return files;
}

Result<Merged> merge(const std::string& paths) {
  Merged merged;
  std::string tried;
  for (const fs::path& file : candidates(paths)) {
    tried += (tried.empty() ? "" : ", ") + file.string();
    std::error_code absolute_failed;
    const fs::path absolute = fs::absolute(file, absolute_failed);
    Result<void> done = merge_file(absolute_failed ? file : absolute, merged);
    if (done) {
      merged.files.push_back(file.string());
    } else if (done.error().code != ErrorCode::kNotFound) {
      return std::unexpected(std::move(done.error()));
    }
  }
  if (merged.files.empty()) {
    return fail(ErrorCode::kNotFound,
                "no kubeconfig: " + (tried.empty() ? "the list is empty" : tried + " not found"));
  }
  return merged;
}

// Empty when the URL is one we can use, else what is wrong with it.
std::string url_problem(const std::string& url, std::initializer_list<std::string_view> schemes) {
  const std::size_t colon = url.find("://");
  std::string scheme = url.substr(0, colon == std::string::npos ? 0 : colon);
  std::ranges::transform(scheme, scheme.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  if (std::ranges::find(schemes, scheme) == schemes.end()) {
    std::string expected;
    for (const std::string_view one : schemes) {
      expected += (expected.empty() ? "" : " or ") + std::string(one) + "://";
    }
    return "must begin with " + expected;
  }
  const std::string_view rest = std::string_view(url).substr(colon + 3);
  const std::string_view host = rest.substr(0, rest.find('/'));
  if (host.empty()) {
    return "has no host";
  }
  if (host.find('@') != std::string_view::npos) {
    return "must not hold a user name or password";
  }
  if (host.front() == '[') {
    return "is an IPv6 address, which is not supported: use a name that resolves to it, and tls-server-name "
           "if "
           "the certificate does not hold that name";
  }
  return {};
}

Result<void> read_cluster(Entry cluster, ClusterConfig& config) {
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
  if (const std::string problem = url_problem(config.server, {"https", "http"}); !problem.empty()) {
    return std::unexpected(cluster.wrong("server " + problem));
  }
  while (config.server.ends_with('/')) {
    config.server.pop_back();
  }
  if (!config.proxy_url.empty()) {
    if (const std::string problem = url_problem(config.proxy_url, {"http"}); !problem.empty()) {
      return std::unexpected(cluster.wrong("proxy-url " + problem));
    }
  }
  if (config.insecure_skip_tls_verify && !config.certificate_authority.empty()) {
    return std::unexpected(
        cluster.wrong("insecure-skip-tls-verify and a certificate-authority exclude each other"));
  }
  return {};
}

Result<void> read_user(Entry user, ClusterConfig& config) {
  for (const char* field : {"exec", "auth-provider", "username", "password"}) {
    if (user.has(field)) {
      return std::unexpected(user.wrong(std::string(field) + " is not supported; " + kSupported));
    }
  }
  for (const char* field : {"as", "as-uid", "as-groups", "as-user-extra"}) {
    if (user.has(field)) {
      return std::unexpected(user.wrong(std::string(field) + ": acting as somebody else is not supported"));
    }
  }
  config.client_certificate = user.pem("client-certificate", "client-certificate-data");
  config.client_key = user.pem("client-key", "client-key-data");
  config.token_file = user.path("tokenFile");
  if (config.token_file.empty()) {
    config.token = user.text("token");
  }
  if (user.error()) {
    return std::unexpected(*user.error());
  }
  if (config.client_certificate.empty() != config.client_key.empty()) {
    return std::unexpected(user.wrong("client-certificate and client-key are needed together"));
  }
  return {};
}

Result<ClusterConfig> resolve(const Merged& merged, const std::string& asked_for) {
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
  Entry context = found->second;
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
  if (Result<void> read = read_user(its_user->second, config); !read) {
    return std::unexpected(std::move(read.error()));
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
  const Result<Merged> merged = merge(options.paths);
  if (!merged) {
    return std::unexpected(merged.error());
  }
  try {
    return resolve(*merged, options.context);
  } catch (const YAML::Exception&) {
    return invalid("kubeconfig: a field is not of the kind expected");
  }
}

Result<ClusterConfig> load_in_cluster_config(const fs::path& directory) {
  const char* host = std::getenv("KUBERNETES_SERVICE_HOST");
  const char* port = std::getenv("KUBERNETES_SERVICE_PORT");
  if (host == nullptr || *host == '\0' || port == nullptr || *port == '\0') {
    return fail(ErrorCode::kNotFound,
                "not in a pod: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set");
  }
  ClusterConfig config;
  config.origin = "the pod's service account";
  // The HTTP library cannot connect to an IPv6 literal; the certificate always holds this name as well.
  const bool v6 = std::string_view(host).find(':') != std::string_view::npos;
  config.server = std::string("https://") + (v6 ? "kubernetes.default.svc" : host) + ":" + port;
  config.token_file = directory / "token";
  config.certificate_authority.file = directory / "ca.crt";
  for (const fs::path& file : {config.token_file, config.certificate_authority.file}) {
    Result<std::string> content = read_file(file);
    if (!content) {  // kNotFound would mean "not in a pod"
      return invalid(config.origin + ": " + content.error().message);
    }
    const bool empty = content->find_first_not_of(" \t\r\n") == std::string::npos;
    wipe(content->data(), content->size());
    if (empty) {
      return invalid(config.origin + ": " + file.string() + " is empty");
    }
  }
  const std::string own = read_file(directory / "namespace").value_or("default");
  const std::size_t end = own.find_last_not_of(" \t\r\n");
  config.default_namespace = end == std::string::npos ? "default" : own.substr(0, end + 1);
  return config;
}

}  // namespace sessmtp::kube
