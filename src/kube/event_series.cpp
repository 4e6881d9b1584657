#include "kube/event_series.h"

#include <algorithm>
#include <cstdio>

namespace sessmtp::kube {
namespace {

// kubernetes:pkg/apis/core/validation/events.go, in bytes
constexpr std::size_t kMaxReason = 128;
constexpr std::size_t kMaxAction = 128;
constexpr std::size_t kMaxNote = 1024;
constexpr std::size_t kMaxName = 253;

bool alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

}  // namespace

std::string cut(std::string text, std::size_t limit) {
  if (text.size() > limit) {
    while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xC0U) == 0x80U) {
      --limit;
    }
    text.resize(limit);
  }
  return text;
}

bool EventSeries::add(const ObjectReference& regarding, Event event, WallTime at, SteadyTime now) {
  event.reason = cut(std::move(event.reason), kMaxReason);
  event.action = cut(std::move(event.action), kMaxAction);
  event.note = cut(std::move(event.note), kMaxNote);
  Key key = key_of(regarding, std::move(event));
  if (const auto known = series_.find(key); known != series_.end()) {
    Series& series = known->second;
    ++series.count;
    series.last = at;
    series.seen = now;
    if (series.agenda == &quiet_) {
      unschedule(series);
      reconsider(known, now);
    }
    return true;  // otherwise the call that is due, or what follows the one being made, tells of it
  }
  if (calls_.size() >= kMaxWaiting) {
    return false;
  }
  const auto added = series_.emplace(std::move(key), Series{.resource_version = regarding.resource_version,
                                                            .name = unique_name(regarding.key.name),
                                                            .first = at,
                                                            .last = at,
                                                            .seen = now});
  schedule(added.first, calls_, now);
  last_new_ = now;
  return true;
}

std::optional<EventRecord> EventSeries::take(SteadyTime now) {
  while (!quiet_.empty() && quiet_.begin()->first <= now) {
    const auto [time, series] = *quiet_.begin();
    unschedule(series->second);
    if (series->second.count > series->second.told) {
      schedule(series, calls_, time);
    } else {
      series_.erase(series);
    }
  }
  if (calls_.empty() || std::max(calls_.begin()->first, free_at()) > now) {
    return std::nullopt;
  }
  const All::iterator due = calls_.begin()->second;
  Subject subject = due->first.unpack();
  Series& series = due->second;
  unschedule(series);
  ++series.tries;
  EventRecord record{.regarding = std::move(subject.regarding),
                     .event = std::move(subject.event),
                     .name = series.name,
                     .first = series.first,
                     .last = series.last,
                     .count = series.count,
                     .told = series.told,
                     .tries = series.tries};
  record.regarding.resource_version = series.resource_version;
  return record;
}

void EventSeries::told(const EventRecord& record, SteadyTime now) {
  if (const auto found = find(record); found != series_.end()) {
    found->second.told = record.count;
    found->second.last_told = now;
    found->second.tries = 0;
    reconsider(found, now);
  }
}

void EventSeries::retry(const EventRecord& record, SteadyTime at) {
  if (const auto found = find(record); found != series_.end()) {
    schedule(found, calls_, at);
  }
}

int EventSeries::forget(const EventRecord& record) {
  const auto found = find(record);
  if (found == series_.end()) {
    return 0;
  }
  const int untold = found->second.count - found->second.told;
  series_.erase(found);
  return untold;
}

std::optional<SteadyTime> EventSeries::next() const {
  std::optional<SteadyTime> soonest;
  if (!calls_.empty()) {
    soonest = std::max(calls_.begin()->first, free_at());
  }
  if (!quiet_.empty()) {
    soonest = std::min(soonest.value_or(SteadyTime::max()), quiet_.begin()->first);
  }
  return soonest;
}

SteadyTime EventSeries::free_at() const {
  if (calls_.size() < 2 || calls_.size() > kMaxWaiting / 2) {
    return hold_;
  }
  return std::max(hold_, std::min(last_new_ + kLull, calls_.begin()->first + kLongestWait));
}

void EventSeries::schedule(All::iterator series, Agenda& agenda, SteadyTime time) {
  series->second.agenda = &agenda;
  series->second.place = agenda.emplace(time, series);
}

void EventSeries::unschedule(Series& series) {
  series.agenda->erase(series.place);
  series.agenda = nullptr;
}

// Of what the API server knows the first, or more: when does it have to hear the rest?
void EventSeries::reconsider(All::iterator series, SteadyTime now) {
  const Series& state = series->second;
  const bool news = state.count > state.told;
  if (news && state.told == 1) {
    schedule(series, calls_, now);
    return;
  }
  const SteadyTime end = state.seen + kQuiet;
  schedule(series, quiet_, news ? std::min(end, state.last_told + kRefresh) : end);
  if (quiet_.size() > kMaxRemembered) {
    const All::iterator oldest = quiet_.begin()->second;
    unschedule(oldest->second);
    series_.erase(oldest);
  }
}

EventSeries::All::iterator EventSeries::find(const EventRecord& record) {
  return series_.find(key_of(record.regarding, record.event));
}

EventSeries::Key EventSeries::key_of(ObjectReference regarding, Event event) {
  regarding.resource_version.clear();
  return Key({.regarding = std::move(regarding), .event = std::move(event)});
}

// As client-go names them: the object's name and a number unlike all others.
std::string EventSeries::unique_name(const std::string& object) {
  char suffix[20];
  const int length =
      std::snprintf(suffix, sizeof suffix, ".%016llx", static_cast<unsigned long long>(random_()));
  std::string name = object.substr(0, kMaxName - static_cast<std::size_t>(length));
  while (!name.empty() && !alphanumeric(name.back())) {
    name.pop_back();  // RFC 1123: a dot does not follow a dot or a dash
  }
  return name + suffix;
}

}  // namespace sessmtp::kube
