#include "kube/client.h"

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "kube/json_splitter.h"
#include "kube/line_splitter.h"

namespace sessmtp::kube {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr auto kListIdle = 70s;         // the server gives itself 60 s
constexpr auto kWatchIdleMargin = 10s;  // beyond the server's own timeout

constexpr std::string_view kMetadata = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
constexpr std::string_view kMetadataList = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

std::string accept(Representation representation, std::string_view metadata_form) {
  return representation == Representation::kFull ? std::string("application/json")
                                                 : std::string(metadata_form) + ",application/json;q=0.1";
}

std::unexpected<ApiError> bad_answer(int status, std::string message) {
  ApiError error;
  error.http_status = status;
  error.message = std::move(message);
  return std::unexpected(std::move(error));
}

class Query {
 public:
  explicit Query(std::string_view path) : target_(path) {}
  Query& add(std::string_view name, std::string_view value) {
    target_ += (first_ ? '?' : '&');
    first_ = false;
    target_ += std::string(name) + '=' + percent_encode(value);
    return *this;
  }
  Query& add_unless_empty(std::string_view name, std::string_view value) {
    return value.empty() ? *this : add(name, value);
  }
  [[nodiscard]] std::string str() const { return target_; }

 private:
  std::string target_;
  bool first_ = true;
};

}  // namespace

Client::Client(Transport& transport, TokenSource& tokens, ClientOptions options)
    : transport_(transport),
      tokens_(tokens),
      options_(std::move(options)),
      requests_(options_.metrics == nullptr
                    ? nullptr
                    : &prometheus::BuildCounter()
                           .Name("rest_client_requests_total")
                           .Help("Number of HTTP requests, partitioned by status code, method, and host.")
                           .Register(*options_.metrics)) {}

template <class Send>
Result<Response, TransportError> Client::authorized(Request request, const std::stop_token& stop,
                                                    const Send& send) {
  const std::size_t own_headers = request.headers.size();
  const auto credential = tokens_.authorize(request.headers, stop);
  if (!credential) {
    return std::unexpected(TransportError{
        stop.stop_requested() ? TransportFailure::kCancelled : TransportFailure::kNoCredentials,
        credential.error().message});
  }
  auto response = send(request);
  if (response && response->status == 401) {
    tokens_.reject(*credential);
    request.headers.resize(own_headers);
    if (const auto fresh = tokens_.authorize(request.headers, stop); fresh && *fresh != *credential) {
      return send(request);
    }
  }
  return response;
}

Result<Response, TransportError> Client::stream(const std::string& target, const std::string& accept,
                                                std::chrono::milliseconds idle, std::stop_token stop,
                                                const Transport::OnBytes& on_bytes) {
  const std::uint64_t silences = silences_;
  auto response =
      authorized({.method = "GET", .target = target, .headers = {{"Accept", accept}}, .body = {}}, stop,
                 [&](const Request& ready) { return transport_.stream(ready, idle, stop, on_bytes); });
  note("GET", response, silences);
  return response;
}

ApiResult<Response> Client::call(Request request, std::stop_token stop) {
  const std::string method = request.method;
  const std::uint64_t silences = silences_;
  auto response = authorized(std::move(request), stop, [&](const Request& ready) {
    return transport_.send(ready, options_.deadline, stop);
  });
  note(method, response, silences);
  if (!response) {
    return std::unexpected(to_api_error(response.error()));
  }
  if (response->status < 200 || response->status > 299) {
    return std::unexpected(to_api_error(*response));
  }
  return std::move(*response);
}

ApiResult<json> Client::call_for_json(Request request, std::stop_token stop) {
  const auto response = call(std::move(request), stop);
  if (!response) {
    return std::unexpected(response.error());
  }
  auto parsed = parse_json(response->body);
  if (!parsed || !parsed->is_object()) {
    return bad_answer(response->status,
                      "the answer is " + (parsed ? "not a JSON object" : parsed.error().message));
  }
  return std::move(*parsed);
}

void Client::note(std::string_view method, const Result<Response, TransportError>& answer,
                  std::uint64_t silences) {
  note_reachable(answer, silences);
  if (answer && options_.on_answer) {
    options_.on_answer();
  }
  const bool cancelled = !answer && answer.error().kind == TransportFailure::kCancelled;
  if (requests_ != nullptr && !cancelled) {
    requests_
        ->Add({{"code", answer ? std::to_string(answer->status) : "<error>"},
               {"host", options_.host},
               {"method", std::string(method)}})
        .Increment();
  }
}

void Client::note_reachable(const Result<Response, TransportError>& answer, std::uint64_t silences) {
  if (answer) {
    // A server that ends still answers what it had begun: only what was asked after the last silence tells.
    if (silences == silences_ && away_.exchange(false)) {
      log::info("API server answers again");
    }
    return;
  }
  const TransportFailure kind = answer.error().kind;
  if (kind == TransportFailure::kCancelled || kind == TransportFailure::kTooLarge ||
      kind == TransportFailure::kNoCredentials) {
    return;
  }
  ++silences_;
  if (!away_.exchange(true)) {
    log::warn("API server does not answer, trying again",
              {{"error", answer.error().message},
               {"hint",
                "check that this address is right, and that the server runs and can be reached from here"}});
  }
}

ApiResult<json> Client::get(std::string_view path, std::stop_token stop) {
  return call_for_json(
      {.method = "GET", .target = std::string(path), .headers = {{"Accept", "application/json"}}, .body = {}},
      stop);
}

ApiResult<ListEnd> Client::list(std::string_view path, const ListOptions& options, std::stop_token stop,
                                const std::function<void(std::string_view)>& on_object) {
  Query query(path);
  query.add_unless_empty("fieldSelector", options.field_selector)
      .add_unless_empty("resourceVersion", options.continue_token.empty() ? options.resource_version : "")
      .add_unless_empty("continue", options.continue_token);
  if (options.limit > 0) {
    query.add("limit", std::to_string(options.limit));
  }
  JsonSplitter objects("items", on_object);
  const auto response = stream(query.str(), accept(options.representation, kMetadataList), kListIdle, stop,
                               [&objects](std::string_view bytes) { objects.feed(bytes); });
  if (!response) {
    return std::unexpected(to_api_error(response.error()));
  }
  if (response->status != 200) {
    return std::unexpected(to_api_error(*response));
  }
  const auto envelope = parse_json(objects.envelope());
  if (!envelope || !envelope->is_object()) {
    return bad_answer(200, "the list is " + (envelope ? "not a JSON object" : envelope.error().message));
  }
  const auto items = envelope->find("items");
  if (items == envelope->end() || !(items->is_null() || (items->is_array() && items->empty()))) {
    return bad_answer(200, "the list has no items, or some that are not objects");
  }
  const json& metadata = member_of(*envelope, "metadata");
  ListEnd end{.resource_version = text_of(metadata, "resourceVersion"),
              .continue_token = text_of(metadata, "continue")};
  if (end.resource_version.empty()) {
    return bad_answer(200, "the list has no resourceVersion");
  }
  return end;
}

ApiResult<void> Client::watch(std::string_view path, const WatchOptions& options, std::stop_token stop,
                              const std::function<void(std::string_view)>& on_line) {
  Query query(path);
  query.add("watch", "true")
      .add("allowWatchBookmarks", "true")
      .add("timeoutSeconds", std::to_string(options.timeout.count()))
      .add_unless_empty("resourceVersion", options.resource_version)
      .add_unless_empty("fieldSelector", options.field_selector);
  LineSplitter lines(on_line);
  const auto response =
      stream(query.str(), accept(options.representation, kMetadata), options.timeout + kWatchIdleMargin, stop,
             [&lines](std::string_view bytes) { lines.feed(bytes); });
  if (!response) {
    return std::unexpected(to_api_error(response.error()));
  }
  if (response->status != 200) {
    return std::unexpected(to_api_error(*response));
  }
  return {};
}

ApiResult<json> Client::write(std::string_view method, const std::string& target,
                              std::string_view content_type, const json& body, std::stop_token stop) {
  return call_for_json(
      {.method = std::string(method),
       .target = target,
       .headers = {{"Accept", "application/json"}, {"Content-Type", std::string(content_type)}},
       .body = to_json_text(body)},
      stop);
}

ApiResult<ObjectMeta> Client::apply(std::string_view path, const json& intent, std::stop_token stop) {
  const auto response =
      call({.method = "PATCH",
            .target = Query(path).add("fieldManager", kFieldManager).add("force", "true").str(),
            .headers = {{"Accept", accept(Representation::kMetadataOnly, kMetadata)},
                        {"Content-Type", "application/apply-patch+yaml"}},
            .body = to_json_text(intent)},
           stop);
  if (!response) {
    return std::unexpected(response.error());
  }
  auto meta = parse_meta(response->body);
  return meta ? ApiResult<ObjectMeta>(std::move(*meta)) : bad_answer(response->status, meta.error().message);
}

ApiResult<json> Client::merge_patch(std::string_view path, const json& patch, std::stop_token stop) {
  const Query query = Query(path).add("fieldManager", kFieldManager);
  return write("PATCH", query.str(), "application/merge-patch+json", patch, stop);
}

ApiResult<json> Client::replace(std::string_view path, const json& object, std::stop_token stop) {
  const Query query = Query(path).add("fieldManager", kFieldManager);
  return write("PUT", query.str(), "application/json", object, stop);
}

ApiResult<json> Client::create(std::string_view path, const json& object, std::stop_token stop) {
  const Query query = Query(path).add("fieldManager", kFieldManager);
  return write("POST", query.str(), "application/json", object, stop);
}

std::string resource_path(std::string_view group_version, std::string_view namespace_,
                          std::string_view plural, std::string_view name) {
  std::string path = group_version == "v1" ? "/api/v1" : "/apis/" + std::string(group_version);
  if (!namespace_.empty()) {
    path += "/namespaces/" + percent_encode(namespace_);
  }
  path += '/' + std::string(plural);
  if (!name.empty()) {
    path += '/' + percent_encode(name);
  }
  return path;
}

}  // namespace sessmtp::kube
