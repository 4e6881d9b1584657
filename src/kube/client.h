// Every call that this program makes to the API server, and nothing but calls.
//
// Thread-safe. Each call is safe to repeat.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <stop_token>
#include <string>
#include <string_view>

#include "kube/api_error.h"
#include "kube/object.h"
#include "kube/token_source.h"
#include "kube/transport.h"

namespace sessmtp::kube {

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

// The end of a list, or of one page of it.
struct ListEnd {
  std::string resource_version;
  std::string continue_token;  // empty: there is no further page
};

inline constexpr std::string_view kFieldManager = "ses-smtp-operator";

struct ClientOptions {
  std::chrono::milliseconds deadline{30'000};  // of each call but lists and watches
  std::string host;                            // the API server, as metrics name it
  prometheus::Registry* metrics = nullptr;     // outlives the client
  std::function<void()> on_answer = nullptr;   // after each answer, of whatever status
};

class Client {
 public:
  Client(Transport& transport, TokenSource& tokens, ClientOptions options = {});

  [[nodiscard]] ApiResult<nlohmann::json> get(std::string_view path, std::stop_token stop);
  // Hands over each object as it arrives, or an empty text for one that is too long; what came before an
  // error is to be thrown away.
  [[nodiscard]] ApiResult<ListEnd> list(std::string_view path, const ListOptions& options,
                                        std::stop_token stop,
                                        const std::function<void(std::string_view object)>& on_object);
  // Returns when the server ends the watch; an answer other than 200 is an error. A line that is too long
  // comes empty.
  [[nodiscard]] ApiResult<void> watch(std::string_view path, const WatchOptions& options,
                                      std::stop_token stop,
                                      const std::function<void(std::string_view line)>& on_line);
  // Server-side apply of the full intent as kFieldManager, by force: a field left out is removed if it was
  // ours. What must not be taken over is guarded by a uid or resourceVersion in the intent.
  // Only its metadata comes back.
  [[nodiscard]] ApiResult<ObjectMeta> apply(std::string_view path, const nlohmann::json& intent,
                                            std::stop_token stop);
  // Merge patch (RFC 7386) of an object that exists; kNotFound otherwise.
  [[nodiscard]] ApiResult<nlohmann::json> merge_patch(std::string_view path, const nlohmann::json& patch,
                                                      std::stop_token stop);
  // PUT of the whole object with the resourceVersion it was read at; kConflict when it has another by now.
  [[nodiscard]] ApiResult<nlohmann::json> replace(std::string_view path, const nlohmann::json& object,
                                                  std::stop_token stop);
  // The object carries its name, so that a repeated create answers 409 instead of making two.
  [[nodiscard]] ApiResult<nlohmann::json> create(std::string_view path, const nlohmann::json& object,
                                                 std::stop_token stop);

 private:
  [[nodiscard]] ApiResult<Response> call(Request request, std::stop_token stop);
  [[nodiscard]] ApiResult<nlohmann::json> call_for_json(Request request, std::stop_token stop);
  [[nodiscard]] ApiResult<nlohmann::json> write(std::string_view method, const std::string& target,
                                                std::string_view content_type, const nlohmann::json& body,
                                                std::stop_token stop);
  template <class Send>
  [[nodiscard]] Result<Response, TransportError> authorized(Request request, const std::stop_token& stop,
                                                            const Send& send);
  [[nodiscard]] Result<Response, TransportError> stream(const std::string& target, const std::string& accept,
                                                        std::chrono::milliseconds idle, std::stop_token stop,
                                                        const Transport::OnBytes& on_bytes);
  // Counts the answer, and notes whether the API server is there.
  // `silences` is how often it had been silent when the request began.
  void note(std::string_view method, const Result<Response, TransportError>& answer, std::uint64_t silences);
  // One line when the API server stops to answer and one when it answers again, whoever asked.
  void note_reachable(const Result<Response, TransportError>& answer, std::uint64_t silences);

  Transport& transport_;
  TokenSource& tokens_;
  const ClientOptions options_;
  prometheus::Family<prometheus::Counter>* const requests_;  // none: not counted
  std::atomic<bool> away_ = false;
  std::atomic<std::uint64_t> silences_ = 0;
};

// "/api/v1/namespaces/shop/secrets/mail"; without a namespace the whole cluster, without a name the
// collection.
[[nodiscard]] std::string resource_path(std::string_view group_version, std::string_view namespace_,
                                        std::string_view plural, std::string_view name = {});

}  // namespace sessmtp::kube
