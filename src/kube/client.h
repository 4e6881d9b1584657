// Every call that this program makes to the API server, and nothing but calls.
//
// Thread-safe. Holds no state but the bearer token. Each call is safe to repeat.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/secret_bytes.h"
#include "kube/api_error.h"
#include "kube/config.h"
#include "kube/transport.h"

namespace sessmtp::kube {

// The bearer token of a ClusterConfig; a token file is read again once a minute, and a read that
// fails leaves the last good token. Thread-safe.
class TokenSource {
 public:
  TokenSource(const ClusterConfig& config, const Clock& clock);

  // Empty: the client proves itself by certificate, or not at all.
  [[nodiscard]] SecretBytes token();
  // The server said 401 to what token() gave: read the file again at the next call.
  void reject();

 private:
  const Clock& clock_;
  const std::filesystem::path file_;
  std::mutex mutex_;
  SecretBytes token_;
  std::optional<SteadyTime> read_at_;
};

enum class Representation { kFull, kMetadataOnly };

struct ListOptions {
  std::string resource_version;  // "" is a quorum read, "0" whatever the watch cache holds
  std::string continue_token;
  std::string field_selector;
  int limit = 0;  // 0: all at once
  Representation representation = Representation::kFull;
};

struct WatchOptions {
  std::string resource_version;
  std::string field_selector;
  std::chrono::seconds timeout{300};  // the server ends the watch then
  Representation representation = Representation::kFull;
};

inline constexpr std::string_view kFieldManager = "ses-smtp-operator";

class Client {
 public:
  Client(Transport& transport, TokenSource& tokens) : transport_(transport), tokens_(tokens) {}

  [[nodiscard]] ApiResult<nlohmann::json> get(std::string_view path, std::stop_token stop);
  [[nodiscard]] ApiResult<nlohmann::json> list(std::string_view path, const ListOptions& options,
                                               std::stop_token stop);
  // Returns when the server ends the watch; an answer other than 200 is an error.
  [[nodiscard]] ApiResult<void> watch(std::string_view path, const WatchOptions& options,
                                      std::stop_token stop,
                                      const std::function<void(std::string_view line)>& on_line);
  // Server-side apply of the full intent as kFieldManager, by force: a field left out is removed if it was
  // ours. What must not be taken over is guarded by a uid or resourceVersion in the intent.
  [[nodiscard]] ApiResult<nlohmann::json> apply(std::string_view path, const nlohmann::json& intent,
                                                std::stop_token stop);
  // The object carries its name, so that a repeated create answers 409 instead of making two.
  [[nodiscard]] ApiResult<nlohmann::json> create(std::string_view path, const nlohmann::json& object,
                                                 std::stop_token stop);

 private:
  [[nodiscard]] ApiResult<nlohmann::json> call(Request request, std::stop_token stop);
  template <class Send>
  [[nodiscard]] Result<Response, TransportError> authorized(Request request, const Send& send);

  // One line when the API server stops to answer and one when it answers again, whoever asked.
  void note_reachable(const Result<Response, TransportError>& answer);

  Transport& transport_;
  TokenSource& tokens_;
  std::atomic<bool> away_ = false;
};

// "/api/v1/namespaces/shop/secrets/mail"; without a namespace the whole cluster, without a name the
// collection.
[[nodiscard]] std::string resource_path(std::string_view group_version, std::string_view namespace_,
                                        std::string_view plural, std::string_view name = {});

}  // namespace sessmtp::kube
