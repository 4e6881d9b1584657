#include <cstdlib>
#include <string_view>

#include "base/file.h"
#include "base/secret_bytes.h"
#include "base/text.h"
#include "kube/config.h"

namespace sessmtp::kube {

namespace fs = std::filesystem;

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
  const bool v6 = std::string_view(host).contains(':');
  config.server = std::string("https://") + (v6 ? "kubernetes.default.svc" : host) + ":" + port;
  config.token_file = directory / "token";
  config.certificate_authority.file = directory / "ca.crt";
  for (const fs::path& file : {config.token_file, config.certificate_authority.file}) {
    Result<std::string> content = read_file(file);
    if (!content) {  // kNotFound would mean "not in a pod"
      return fail(ErrorCode::kInvalidInput, config.origin + ": " + content.error().message);
    }
    const bool empty = trimmed(*content).empty();
    wipe(content->data(), content->size());
    if (empty) {
      return fail(ErrorCode::kInvalidInput, config.origin + ": " + file.string() + " is empty");
    }
  }
  const std::string own = read_file(directory / "namespace").value_or("default");
  config.default_namespace = trimmed(own).empty() ? "default" : trimmed(own);
  return config;
}

}  // namespace sessmtp::kube
