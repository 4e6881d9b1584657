// A kubeconfig, as a person or a cloud's tool wrote it: no message quotes a credential of it, and what comes
// of it can go into a request.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/text.h"
#include "fuzz.h"
#include "kube/config.h"

namespace {

using namespace sessmtp;
using fuzz::require;

// In memory: the parser takes the names of files.
class MemoryFile {
 public:
  MemoryFile() : descriptor_(::memfd_create("kubeconfig", MFD_CLOEXEC)) {}
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  ~MemoryFile() { ::close(descriptor_); }

  void hold(std::string_view bytes) const {
    require(::ftruncate(descriptor_, 0) == 0 &&
                ::pwrite(descriptor_, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()),
            "a file in memory takes some bytes");
  }
  [[nodiscard]] std::string path() const { return "/proc/self/fd/" + std::to_string(descriptor_); }

 private:
  int descriptor_;
};

// Texts of a document: those under the fields of credentials, and all others, which a message may show.
class Texts {
 public:
  explicit Texts(std::string_view document) {
    try {
      walk(YAML::Load(std::string(document)), false, 0);
    } catch (const std::exception&) {
      secret_.clear();  // what can be secret in it, nobody knows
    }
  }

  [[nodiscard]] bool quoted_in(std::string_view message) const {
    constexpr std::size_t kNoAccident = 12;
    return std::ranges::any_of(secret_, [&](const std::string& text) {
      return text.size() >= kNoAccident && message.contains(text) &&
             std::ranges::none_of(open_, [&](const std::string& open) { return open.contains(text); });
    });
  }

 private:
  void walk(const YAML::Node& node, bool secret, int depth) {
    constexpr int kDeepest = 20;
    constexpr int kMost = 1000;
    static const std::set<std::string> kSecretFields = {"token", "password", "client-key-data", "value"};
    if (depth > kDeepest || ++seen_ > kMost) {
      return;
    }
    if (node.IsScalar()) {
      (secret ? secret_ : open_).insert(node.Scalar());
    } else if (node.IsSequence()) {
      for (const YAML::Node& item : node) {
        walk(item, secret, depth + 1);
      }
    } else if (node.IsMap()) {
      for (const auto& field : node) {
        walk(field.first, false, depth + 1);
        walk(field.second, secret || kSecretFields.contains(field.first.Scalar()), depth + 1);
      }
    }
  }

  std::set<std::string> secret_, open_;
  int seen_ = 0;
};

void check(const Result<kube::ClusterConfig>& config, const Texts& texts) {
  if (!config) {
    require(!texts.quoted_in(config.error().message), "no credential is quoted");
    return;
  }
  for (const std::string* line : {&config->token, &config->impersonate.user, &config->impersonate.uid}) {
    require(!has_control_characters(*line), "what becomes a header is one line");
  }
  const bool identity =
      !config->token.empty() || !config->password.empty() || config->exec || !config->client_key.empty();
  require(!identity || !config->server.starts_with("http://"), "no credential goes in clear text");
  require(config->client_certificate.empty() == config->client_key.empty(),
          "certificate and key go together");
  if (config->exec) {
    const std::string& cluster = config->exec->cluster_config;
    require(cluster.empty() || parse_json(cluster).has_value(), "what a plugin is told is JSON");
    require(!config->exec->command.empty(), "a plugin has a program");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const MemoryFile kFile;
  const std::string_view document = fuzz::text_of_input(data, size);
  kFile.hold(document);
  const Texts texts(document);
  check(kube::load_kubeconfig({.paths = kFile.path(), .context = ""}), texts);
  check(kube::load_kubeconfig({.paths = kFile.path() + ':' + kFile.path(), .context = "dev"}), texts);
  return 0;
}
