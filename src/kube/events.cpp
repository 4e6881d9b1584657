#include "kube/events.h"

#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include <algorithm>
#include <exception>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/log.h"

namespace sessmtp::kube {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using std::chrono::milliseconds;

constexpr std::string_view kGroupVersion = "events.k8s.io/v1";
constexpr std::string_view kController = "ses-smtp.dev/ses-smtp-operator";
constexpr std::size_t kMaxInstance = 128;

// client-go:tools/events/event_broadcaster.go: 10 s, here with ± 25 %
constexpr milliseconds kMinPause = 7500ms;
constexpr milliseconds kMaxPause = 12500ms;

std::uint64_t random_seed() {
  std::random_device device;
  return (std::uint64_t{device()} << 32U) | device();
}

prometheus::Counter& events_counter(prometheus::Registry& registry, const char* result) {
  return prometheus::BuildCounter()
      .Name("ses_smtp_events_total")
      .Help("Kubernetes events: recorded, dropped because too many waited, or failed to be recorded")
      .Register(registry)
      .Add({{"result", result}});
}

json series_of(const EventRecord& record) {
  return {{"count", record.count}, {"lastObservedTime", to_rfc3339_micro(record.last)}};
}

// Whether any other call would fail in the same way just now.
bool server_is_away(const ApiError& error) {
  return error.kind == ApiErrorKind::kNoAnswer || error.kind == ApiErrorKind::kTooManyRequests ||
         error.kind == ApiErrorKind::kUnauthorized || error.http_status == 503;
}

}  // namespace

EventRecorder::EventRecorder(Client& client, const Clock& clock, prometheus::Registry& registry,
                             std::string instance, milliseconds drain_limit)
    : client_(client),
      clock_(clock),
      instance_(cut(std::move(instance), kMaxInstance)),
      drain_limit_(drain_limit),
      recorded_(events_counter(registry, "recorded")),
      dropped_(events_counter(registry, "dropped")),
      failed_(events_counter(registry, "failed")),
      series_(random_seed()),
      jitter_(static_cast<std::minstd_rand::result_type>(random_seed())),
      thread_([this](std::stop_token stop) { run(stop); }) {}

EventRecorder::~EventRecorder() {
  thread_.request_stop();
  {
    std::unique_lock lock(mutex_);
    (void)changed_.wait_for(lock, drain_limit_, [this] { return ended_; });
  }
  calls_.request_stop();
}

void EventRecorder::publish(const ObjectReference& regarding, Event event) {
  const std::scoped_lock lock(mutex_);
  if (!series_.add(regarding, std::move(event), clock_.now(), clock_.steady())) {
    dropped_.Increment();
    return;
  }
  ++changes_;
  changed_.notify_one();
}

void EventRecorder::run(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (!calls_.stop_requested()) {
    const bool ending = stop.stop_requested();
    if (const auto due = series_.take(ending ? SteadyTime::max() : clock_.steady())) {
      record(*due, ending, lock);
      continue;
    }
    if (ending) {
      break;
    }
    const auto changed = [this, seen = changes_] { return changes_ != seen; };
    if (const auto next = series_.next()) {
      (void)changed_.wait_for(lock, stop, *next - clock_.steady(), changed);
    } else {
      (void)changed_.wait(lock, stop, changed);
    }
  }
  ended_ = true;
  changed_.notify_all();
}

void EventRecorder::record(const EventRecord& record, bool ending, std::unique_lock<std::mutex>& lock) {
  lock.unlock();
  const auto answer = send(record);
  lock.lock();
  const SteadyTime now = clock_.steady();
  if (answer) {
    recorded_.Increment(record.count - record.told);
    series_.told(record, now);
  } else if (answer.error().transient() && record.tries < EventSeries::kMaxTries && !ending) {
    const SteadyTime again = now + pause(answer.error());
    if (server_is_away(answer.error())) {
      series_.hold(again);
    }
    series_.retry(record, again);
  } else {
    failed_.Increment(series_.forget(record));
    note_failure(record, answer.error());
  }
}

ApiResult<json> EventRecorder::send(const EventRecord& record) {
  try {
    if (record.told == 0) {
      return create(record);
    }
    auto answer = client_.merge_patch(
        resource_path(kGroupVersion, record.regarding.key.namespace_, "events", record.name),
        {{"series", series_of(record)}}, calls_.get_token());
    if (!answer && answer.error().kind == ApiErrorKind::kNotFound) {
      return create(record);  // the API server keeps events for an hour
    }
    return answer;
  } catch (const std::exception& error) {
    return std::unexpected(ApiError{.kind = ApiErrorKind::kInvalid,
                                    .http_status = 0,
                                    .reason = {},
                                    .message = error.what(),
                                    .fields = {},
                                    .causes = {},
                                    .retry_after = {}});
  }
}

ApiResult<json> EventRecorder::create(const EventRecord& record) {
  const ObjectReference& regarding = record.regarding;
  json object = {{"apiVersion", kGroupVersion},
                 {"kind", "Event"},
                 {"metadata", {{"name", record.name}, {"namespace", regarding.key.namespace_}}},
                 {"eventTime", to_rfc3339_micro(record.first)},
                 {"type", record.event.type == EventType::kWarning ? "Warning" : "Normal"},
                 {"reason", record.event.reason},
                 {"action", record.event.action},
                 {"note", record.event.note},
                 {"reportingController", kController},
                 {"reportingInstance", instance_},
                 {"regarding",
                  {{"apiVersion", regarding.api_version},
                   {"kind", regarding.kind},
                   {"namespace", regarding.key.namespace_},
                   {"name", regarding.key.name},
                   {"uid", regarding.uid},
                   {"resourceVersion", regarding.resource_version}}}};
  if (record.count > 1) {
    object["series"] = series_of(record);
  }
  auto answer = client_.create(resource_path(kGroupVersion, regarding.key.namespace_, "events"), object,
                               calls_.get_token());
  if (!answer && answer.error().kind == ApiErrorKind::kConflict) {
    return json::object();  // of an earlier try: the name is ours alone
  }
  return answer;
}

milliseconds EventRecorder::pause(const ApiError& error) {
  const milliseconds asked = error.retry_after.value_or(0s);
  std::uniform_int_distribution<milliseconds::rep> pauses(kMinPause.count(), kMaxPause.count());
  return std::max(asked, milliseconds(pauses(jitter_)));
}

void EventRecorder::note_failure(const EventRecord& record, const ApiError& error) {
  if (error.kind == ApiErrorKind::kCancelled) {
    return;
  }
  // A namespace that goes away takes no events; of anything else once is enough to know.
  const bool expected = error.kind == ApiErrorKind::kNotFound ||
                        std::ranges::find(error.causes, "NamespaceTerminating") != error.causes.end();
  const auto write = expected || std::exchange(warned_, true) ? log::debug : log::warn;
  write("event not recorded", {{"namespace", record.regarding.key.namespace_},
                               {"name", record.regarding.key.name},
                               {"reason", record.event.reason},
                               {"error", error.summary() + ": " + error.message}});
}

}  // namespace sessmtp::kube
