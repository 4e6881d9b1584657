#include "kube/reflector.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/json.h"
#include "base/log.h"
#include "kube/json_splitter.h"
#include "kube/object.h"

namespace sessmtp::kube {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

// The HTTP library holds a page as a whole; client-go's 500 (tools/pager/pager.go) would be a megabyte.
constexpr int kPageSize = 200;
// An API server that has just started may refuse for some seconds what it allows afterwards.
constexpr int kPatience = 5;
constexpr int kPatienceAtFirst = 3;  // the start of the others waits for it

double seconds(WallTime time) {
  return std::chrono::duration<double>(time.time_since_epoch()).count();
}

prometheus::Labels labels_of(const Reflector::Options& options) {
  return {{"resource", options.resource}, {"namespace", options.namespace_}};
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

Reflector::Reflector(Client& client, const Clock& clock, prometheus::Registry& metrics, Options options,
                     ReflectorHandler& handler, Wait wait)
    : client_(client),
      clock_(clock),
      options_(std::move(options)),
      handler_(handler),
      wait_(std::move(wait)),
      last_event_(prometheus::BuildGauge()
                      .Name("ses_smtp_watch_last_event_timestamp_seconds")
                      .Help("When the API server was last heard about this resource, bookmarks included.")
                      .Register(metrics)
                      .Add(labels_of(options_))),
      bad_objects_(prometheus::BuildCounter()
                       .Name("ses_smtp_watch_bad_objects_total")
                       .Help("Objects and events that could not be understood and were skipped.")
                       .Register(metrics)
                       .Add(labels_of(options_))),
      random_(std::random_device{}()) {}

void Reflector::run(std::stop_token stop) {
  note_round();
  last_event_.Set(seconds(clock_.now()));  // silence is counted from here
  while (wait_(state_.wait, stop)) {
    note_round();
    const ReflectorInput input = attempt(stop);
    if (stop.stop_requested()) {
      return;
    }
    report(input);
    state_ = next(std::move(state_), input, random_fraction());
    note_round();
  }
}

// What throws, such as no memory, counts as a failed list: everything is looked at again, with backoff.
ReflectorInput Reflector::attempt(std::stop_token stop) {
  try {
    return perform(state_, stop);
  } catch (const std::exception& exception) {
    bad_objects_.Increment();
    ApiError error;
    error.message = std::string("unexpected failure: ") + exception.what();
    return ListFailed{.error = std::move(error)};
  }
}

std::optional<Reflector::Progress> Reflector::progress() const {
  const std::scoped_lock lock(mutex_);
  if (!started_) {
    return std::nullopt;
  }
  return Progress{.started = *started_, .last_round = last_round_, .heard = heard_.get()};
}

ReflectorInput Reflector::perform(const ReflectorState& state, std::stop_token stop) {
  switch (state.action) {
    case ReflectorAction::kList:
      return list(state, stop);
    case ReflectorAction::kProbe:
      return probe(state.resource_version, stop);
    case ReflectorAction::kWatch:
      break;
  }
  return watch(state.resource_version, stop);
}

ReflectorInput Reflector::list(const ReflectorState& state, std::stop_token stop) {
  // No version is named: the server would not cut the list of an older one into pages, and a page is what is
  // held in memory here. Since Kubernetes 1.31 its watch cache answers this, too.
  ListOptions request{.resource_version = {},
                      .continue_token = {},
                      .field_selector = options_.field_selector,
                      .limit = state.paged ? kPageSize : 0,
                      .representation = options_.representation};
  handler_.list_begins();
  bool lost = false;
  std::string version;
  do {
    auto page = client_.list(options_.path, request, stop, [&](std::string_view object) {
      note_success();
      lost = lost || object.empty();
      if (!object.empty()) {
        if (const auto handled = handler_.listed(object); !handled) {
          note_bad(handled.error());
        }
      }
    });
    if (!page) {
      return ListFailed{.error = std::move(page.error()), .on_later_page = !version.empty()};
    }
    note_success();
    if (version.empty()) {
      version = std::move(page->resource_version);  // the first page's version is the list's
    }
    request.continue_token = std::move(page->continue_token);
  } while (!request.continue_token.empty());
  listed_ = true;
  denials_ = 0;
  handler_.list_ends();
  if (lost) {
    note_lost();
  }
  return Listed{std::move(version)};
}

ReflectorInput Reflector::probe(const std::string& resource_version, std::stop_token stop) {
  const auto answer = client_.list(options_.path,
                                   {.resource_version = resource_version,
                                    .continue_token = {},
                                    .field_selector = options_.field_selector,
                                    .limit = 1,
                                    .representation = options_.representation},
                                   stop, [](std::string_view) {});
  if (!answer) {
    return ProbeFailed{answer.error()};
  }
  note_success();
  return ProbeSucceeded{};
}

ReflectorInput Reflector::watch(const std::string& resource_version, std::stop_token stop) {
  const SteadyTime began = clock_.steady();
  WatchEnded result;
  const auto timeout =
      std::chrono::duration_cast<std::chrono::seconds>(options_.watch_timeout * (1.0 + random_fraction()));
  const auto answer = client_.watch(options_.path,
                                    {.resource_version = resource_version,
                                     .field_selector = options_.field_selector,
                                     .timeout = std::max(timeout, std::chrono::seconds(1)),
                                     .representation = options_.representation},
                                    stop, [&](std::string_view line) { handle_line(line, result); });
  result.lasted = std::chrono::duration_cast<std::chrono::milliseconds>(clock_.steady() - began);
  if (answer) {
    note_success();
  } else if (!result.error) {
    result.error = answer.error();
  }
  return result;
}

void Reflector::handle_line(std::string_view line, WatchEnded& so_far) {
  note_success();
  if (line.empty()) {
    note_lost();
    return;
  }
  std::string object;
  JsonSplitter splitter("object", [&object](std::string_view text) { object = text; });
  splitter.feed(line);
  const auto event = parse_json(splitter.envelope());
  const auto type = event && event->is_object() ? event->find("type") : json::const_iterator();
  if (!event || !event->is_object() || type == event->end() || !type->is_string() || object.empty()) {
    note_bad({ErrorCode::kInvalidInput, "a watch event without type or object"});
    return;
  }
  handle_event(type->get<std::string>(), object, so_far);
}

void Reflector::handle_event(const std::string& type, std::string_view object, WatchEnded& so_far) {
  if (type == "ERROR") {
    const auto status = parse_json(object);
    const auto code = status ? status->find("code") : json::const_iterator();
    const bool has_code = status && code != status->end() && code->is_number_integer();
    so_far.error = to_api_error(Response{
        .status = has_code ? code->get<int>() : 500, .body = std::string(object), .retry_after = {}});
    return;
  }
  const bool deleted = type == "DELETED";
  std::string version;
  if (deleted || type == "ADDED" || type == "MODIFIED") {
    auto handled = deleted ? handler_.remove(object) : handler_.put(object);
    if (!handled) {
      note_bad(handled.error());
    }
    version = handled ? std::move(*handled) : resource_version_of(object);
  } else if (type == "BOOKMARK") {
    version = resource_version_of(object);
  } else {
    note_bad({ErrorCode::kInvalidInput, "a watch event of unknown type"});
  }
  if (!version.empty()) {
    so_far.resource_version = std::move(version);
  }
}

void Reflector::note_bad(const Error& error) {
  bad_objects_.Increment();
  log::error("object not understood, skipped", {{"path", options_.path}, {"error", error.message}});
}

void Reflector::note_lost() {
  bad_objects_.Increment();
  log::error("object too long to be read, skipped", {{"path", options_.path}});
  handler_.lost();
}

void Reflector::note_round() {
  const std::scoped_lock lock(mutex_);
  last_round_ = clock_.steady();
  started_ = started_.value_or(last_round_);
}

void Reflector::note_heard() {
  heard_.note(clock_.steady());
}

void Reflector::note_success() {
  note_heard();
  last_event_.Set(seconds(clock_.now()));
}

void Reflector::report(const ReflectorInput& input) {
  const bool listing = std::holds_alternative<Listed>(input) || std::holds_alternative<ListFailed>(input);
  const ApiError* error = error_of(input);
  if (error == nullptr) {
    std::string& trouble = listing ? list_trouble_ : watch_trouble_;
    if (!std::exchange(trouble, {}).empty()) {
      log::info("reading works again", {{"path", options_.path}, {"verb", listing ? "list" : "watch"}});
    }
    return;
  }
  if (error->http_status != 0) {
    note_heard();
  }
  if (listing) {
    tell_handler(*error);
  }
  const bool said_elsewhere = error->kind == ApiErrorKind::kGone || error->kind == ApiErrorKind::kNoAnswer;
  if (!said_elsewhere) {
    report_trouble(*error, listing);
  }
}

void Reflector::tell_handler(const ApiError& error) {
  const bool denied = error.kind == ApiErrorKind::kForbidden || error.kind == ApiErrorKind::kNotFound;
  denials_ = denied ? denials_ + 1 : 0;
  if (denials_ < (listed_ ? kPatience : kPatienceAtFirst)) {
    return;
  }
  if (error.kind == ApiErrorKind::kForbidden) {
    handler_.refused(error);
  } else {
    handler_.missing();
  }
}

void Reflector::report_trouble(const ApiError& error, bool listing) {
  std::string& last = listing ? list_trouble_ : watch_trouble_;
  std::string trouble = error.summary() + (error.message.empty() ? "" : ": " + error.message);
  if (trouble == last) {
    return;
  }
  last = std::move(trouble);
  const auto [what, hint] = [&] -> std::pair<const char*, std::string> {
    switch (error.kind) {
      case ApiErrorKind::kNotFound:
        return {"resource is not there, waiting for it", options_.hint_when_missing};
      case ApiErrorKind::kForbidden:
        return {"not allowed to read, trying again",
                "grant the rights of deploy/base/rbac.yaml (Helm: rbac.create, watchNamespaces)"};
      case ApiErrorKind::kUnauthorized:
        return {"the API server does not know us, trying again",
                "the token or certificate has expired or is from another cluster: renew the kubeconfig"};
      default:
        return {"reading failed, trying again", "the API server's own log says more"};
    }
  }();
  log::warn(what,
            {{"path", options_.path}, {"verb", listing ? "list" : "watch"}, {"error", last}, {"hint", hint}});
}

double Reflector::random_fraction() {
  return std::uniform_real_distribution<double>(0.0, 1.0)(random_);
}

}  // namespace sessmtp::kube
