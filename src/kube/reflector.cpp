#include "kube/reflector.h"

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/log.h"
#include "base/wait.h"

namespace sessmtp::kube {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr int kPageSize = 500;  // client-go:tools/pager/pager.go
// An API server that has just started may refuse for some seconds what it allows afterwards.
constexpr int kPatience = 5;
constexpr auto kMinWatchTimeout = 300s;  // the server ends a watch after a random 5 to 10 minutes

std::string version_of(const json& object) {
  const auto metadata = object.find("metadata");
  if (metadata == object.end() || !metadata->is_object()) {
    return {};
  }
  const auto version = metadata->find("resourceVersion");
  return version != metadata->end() && version->is_string() ? version->get<std::string>() : std::string();
}

std::string continue_of(const json& list) {
  const json::json_pointer where("/metadata/continue");
  return list.contains(where) && list.at(where).is_string() ? list.at(where).get<std::string>()
                                                            : std::string();
}

ApiError bad_answer(std::string message) {
  ApiError error;
  error.message = std::move(message);
  return error;
}

const ApiError* error_of(const ReflectorInput& input) {
  if (const auto* failed = std::get_if<ListFailed>(&input)) {
    return &failed->error;
  }
  if (const auto* failed = std::get_if<ProbeFailed>(&input)) {
    return &failed->error;
  }
  if (const auto* ended = std::get_if<WatchEnded>(&input); ended != nullptr && ended->error) {
    return &*ended->error;
  }
  return nullptr;
}

}  // namespace

Reflector::Reflector(Client& client, const Clock& clock, Options options, Handlers handlers)
    : client_(client),
      clock_(clock),
      options_(std::move(options)),
      handlers_(std::move(handlers)),
      random_(std::random_device{}()) {}

void Reflector::run(std::stop_token stop) {
  ReflectorState state;
  while (wait_for(state.wait, stop)) {
    const ReflectorInput input = perform(state, stop);
    if (stop.stop_requested()) {
      return;
    }
    report(input);
    state = next(std::move(state), input, random_fraction());
  }
}

ReflectorInput Reflector::perform(const ReflectorState& state, std::stop_token stop) {
  switch (state.action) {
    case ReflectorAction::kList:
      return list(state.resource_version, stop);
    case ReflectorAction::kProbe: {
      const auto answer = client_.list(options_.path,
                                       {.resource_version = state.resource_version,
                                        .continue_token = {},
                                        .field_selector = options_.field_selector,
                                        .limit = 1,
                                        .representation = options_.representation},
                                       stop);
      if (answer) {
        return ProbeSucceeded{};
      }
      return ProbeFailed{answer.error()};
    }
    case ReflectorAction::kWatch:
      break;
  }
  return watch(state.resource_version, stop);
}

ReflectorInput Reflector::list(const std::string& resource_version, std::stop_token stop) {
  // A version neither "" nor "0" is not paged: that keeps the answer in the server's watch cache.
  const bool paged = resource_version.empty() || resource_version == "0";
  ListOptions request{.resource_version = resource_version,
                      .continue_token = {},
                      .field_selector = options_.field_selector,
                      .limit = paged ? kPageSize : 0,
                      .representation = options_.representation};
  std::vector<json> objects;
  std::string version;
  do {
    auto page = client_.list(options_.path, request, stop);
    if (!page) {
      return ListFailed{std::move(page.error())};
    }
    const auto items = page->find("items");
    if (items == page->end() || !(items->is_array() || items->is_null())) {
      return ListFailed{bad_answer("a list without items")};
    }
    if (version.empty()) {
      version = version_of(*page);  // the first page's version is the list's
    }
    for (json& item : *items) {
      objects.push_back(std::move(item));
    }
    request.continue_token = continue_of(*page);
  } while (!request.continue_token.empty());
  if (version.empty()) {
    return ListFailed{bad_answer("a list without resourceVersion")};
  }
  listed_ = true;
  refusals_ = 0;
  handlers_.replace(objects);
  return Listed{std::move(version)};
}

ReflectorInput Reflector::watch(const std::string& resource_version, std::stop_token stop) {
  const SteadyTime began = clock_.steady();
  WatchEnded result;
  const auto timeout = kMinWatchTimeout + std::chrono::seconds(static_cast<int>(300.0 * random_fraction()));
  const auto answer = client_.watch(options_.path,
                                    {.resource_version = resource_version,
                                     .field_selector = options_.field_selector,
                                     .timeout = timeout,
                                     .representation = options_.representation},
                                    stop, [&](std::string_view line) { handle_line(line, result); });
  result.lasted = std::chrono::duration_cast<std::chrono::milliseconds>(clock_.steady() - began);
  if (!answer && !result.error) {
    result.error = answer.error();
  }
  return result;
}

void Reflector::handle_line(std::string_view line, WatchEnded& so_far) {
  const auto event = parse_json(line);
  const auto object = event && event->is_object() ? event->find("object") : json::const_iterator();
  if (!event || !event->is_object() || object == event->end() || !object->is_object()) {
    log::error("watch line not understood, skipped", {{"path", options_.path}});
    return;
  }
  const auto type_field = event->find("type");
  const std::string type =
      type_field != event->end() && type_field->is_string() ? type_field->get<std::string>() : std::string();
  if (type == "ERROR") {
    const auto code = object->find("code");
    Response status;
    status.status = code != object->end() && code->is_number_integer() ? code->get<int>() : 500;
    status.body = to_json_text(*object);
    so_far.error = to_api_error(status);
    return;
  }
  if (type == "ADDED" || type == "MODIFIED") {
    handlers_.put(*object);
  } else if (type == "DELETED") {
    handlers_.remove(*object);
  } else if (type != "BOOKMARK") {
    log::error("watch event of unknown type, skipped", {{"path", options_.path}, {"type", type}});
    return;
  }
  if (std::string version = version_of(*object); !version.empty()) {
    so_far.resource_version = std::move(version);
  }
}

void Reflector::report(const ReflectorInput& input) {
  const ApiError* error = error_of(input);
  if (error == nullptr) {
    if (!last_trouble_.empty()) {
      log::info("reading works again", {{"path", options_.path}});
      last_trouble_.clear();
    }
    return;
  }
  if (std::holds_alternative<ListFailed>(input) && error->kind == ApiErrorKind::kForbidden &&
      (!listed_ || ++refusals_ >= kPatience)) {
    handlers_.refused(*error);
  }
  const bool said_elsewhere = error->kind == ApiErrorKind::kGone || error->kind == ApiErrorKind::kNoAnswer;
  std::string trouble = error->summary() + (error->message.empty() ? "" : ": " + error->message);
  if (said_elsewhere || trouble == last_trouble_) {
    return;
  }
  last_trouble_ = std::move(trouble);
  const auto [what, hint] = [&]() -> std::pair<const char*, std::string> {
    switch (error->kind) {
      case ApiErrorKind::kNotFound:
        return {"resource is not there, waiting for it", options_.hint_when_missing};
      case ApiErrorKind::kForbidden:
        return {"not allowed to read, trying again", "grant the rights of deploy/rbac.yaml"};
      case ApiErrorKind::kUnauthorized:
        return {"the API server does not know us, trying again",
                "the token or certificate has expired or is from another cluster: renew the kubeconfig"};
      default:
        return {"reading failed, trying again", "the API server's own log says more"};
    }
  }();
  log::warn(what, {{"path", options_.path}, {"error", last_trouble_}, {"hint", hint}});
}

double Reflector::random_fraction() {
  return std::uniform_real_distribution<double>(0.0, 1.0)(random_);
}

}  // namespace sessmtp::kube
