#include "kube/events.h"

#include <cstdio>
#include <exception>
#include <nlohmann/json.hpp>
#include <random>

#include "base/log.h"

namespace sessmtp::kube {
namespace {

constexpr std::size_t kMaxNote = 1000;
constexpr std::string_view kController = "ses-smtp.dev/ses-smtp-operator";

// At most `limit` bytes, not cutting a UTF-8 sequence in two.
std::string cut(std::string text, std::size_t limit) {
  if (text.size() > limit) {
    while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xC0U) == 0x80U) {
      --limit;
    }
    text.resize(limit);
  }
  return text;
}

// As client-go names them: the object's name and a number unlike all others.
std::string unique_name(const std::string& object) {
  static std::mutex mutex;
  static std::mt19937_64 random{std::random_device{}()};
  std::uint64_t number = 0;
  {
    const std::scoped_lock lock(mutex);
    number = random();
  }
  char suffix[20];
  (void)std::snprintf(suffix, sizeof suffix, ".%016llx", static_cast<unsigned long long>(number));
  return cut(object, 253 - 17) + suffix;
}

}  // namespace

EventRecorder::EventRecorder(Client& client, const Clock& clock, std::string instance)
    : client_(client),
      clock_(clock),
      instance_(cut(std::move(instance), 128)),
      thread_([this](std::stop_token stop) { run(stop); }) {}

void EventRecorder::publish(const ObjectReference& regarding, Event event) {
  {
    const std::scoped_lock lock(mutex_);
    if (waiting_.size() < kMaxWaiting) {
      waiting_.push_back({regarding, std::move(event), clock_.now()});
    }
  }
  arrived_.notify_one();
}

void EventRecorder::run(std::stop_token stop) {
  while (true) {
    std::unique_lock lock(mutex_);
    (void)arrived_.wait(lock, stop, [this] { return !waiting_.empty(); });
    if (stop.stop_requested()) {
      return;
    }
    const Item item = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    try {
      send(item, stop);
    } catch (const std::exception& error) {
      log::error("event not recorded", {{"reason", item.event.reason}, {"error", error.what()}});
    }
  }
}

void EventRecorder::send(const Item& item, std::stop_token stop) {
  const nlohmann::json object = {
      {"apiVersion", "events.k8s.io/v1"},
      {"kind", "Event"},
      {"metadata",
       {{"name", unique_name(item.regarding.key.name)}, {"namespace", item.regarding.key.namespace_}}},
      {"eventTime", to_rfc3339_micro(item.time)},
      {"type", item.event.type == EventType::kWarning ? "Warning" : "Normal"},
      {"reason", item.event.reason},
      {"action", item.event.action},
      {"note", cut(item.event.note, kMaxNote)},
      {"reportingController", kController},
      {"reportingInstance", instance_},
      {"regarding",
       {{"apiVersion", item.regarding.api_version},
        {"kind", item.regarding.kind},
        {"namespace", item.regarding.key.namespace_},
        {"name", item.regarding.key.name},
        {"uid", item.regarding.uid},
        {"resourceVersion", item.regarding.resource_version}}}};
  const auto answer = client_.create(
      resource_path("events.k8s.io/v1", item.regarding.key.namespace_, "events"), object, stop);
  if (!answer && answer.error().kind != ApiErrorKind::kCancelled) {
    log::debug("event not recorded", {{"reason", item.event.reason}, {"error", answer.error().summary()}});
  }
}

}  // namespace sessmtp::kube
