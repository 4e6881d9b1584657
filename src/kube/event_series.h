// Decides what the API server is told of events that repeat: the first at once, the second at once as a
// series, those after it together, when the series has ended or has gone on for long.
// Source: client-go:tools/events/event_broadcaster.go.
//
// Events are of one series when they differ in nothing but time and the object's resourceVersion. client-go
// leaves out the note and looks at the resourceVersion; here a differing note is an event of its own, because
// the note of a recorded event cannot change (kubernetes:pkg/apis/core/validation/events.go), so that what
// is new about the second would never be seen, and each repair of ours changes the object's status, so that
// no two events would ever be alike.
//
// Events that come close together wait until no more come, or until that takes long: what they tell of is in
// status already, and the work that brings them needs the API server more.
//
// No I/O, no clock. Not thread-safe. Memory: at most kMaxWaiting events that wait for their first call, and
// kMaxRemembered others.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <tuple>

#include "base/clock.h"
#include "base/packed.h"
#include "kube/event.h"

namespace sessmtp::kube {

// At most `limit` bytes, not cutting a UTF-8 sequence in two.
[[nodiscard]] std::string cut(std::string text, std::size_t limit);

// One call to make: a POST when nothing was told yet, a PATCH of the series otherwise.
struct EventRecord {
  ObjectReference regarding;
  Event event;
  std::string name;  // the same for all of a series
  WallTime first;
  WallTime last;
  int count = 1;  // how often it happened
  int told = 0;   // how often the API server knows of
  int tries = 1;  // this one included
};

class EventSeries {
 public:
  static constexpr std::size_t kMaxWaiting = 4000;
  static constexpr std::size_t kMaxRemembered = 1000;
  static constexpr int kMaxTries = 12;
  static constexpr std::chrono::minutes kQuiet{6};     // then a series has ended
  static constexpr std::chrono::minutes kRefresh{30};  // a series that goes on is told this often
  static constexpr std::chrono::milliseconds kLull{300};
  static constexpr std::chrono::seconds kLongestWait{5};

  // The names of events are random; `seed` must differ between processes.
  explicit EventSeries(std::uint64_t seed) : random_(seed) {}
  EventSeries(const EventSeries&) = delete;
  EventSeries& operator=(const EventSeries&) = delete;

  // False when too many wait already: it is dropped.
  [[nodiscard]] bool add(const ObjectReference& regarding, Event event, WallTime at, SteadyTime now);

  // The call that is due; one of told(), retry() and forget() must follow. With SteadyTime::max() all that
  // there is to tell is due.
  [[nodiscard]] std::optional<EventRecord> take(SteadyTime now);
  void told(const EventRecord& record, SteadyTime now);
  void retry(const EventRecord& record, SteadyTime at);
  int forget(const EventRecord& record);  // how many were never told

  // No call before `until`: the API server cannot be reached.
  void hold(SteadyTime until) { hold_ = until; }
  // When there is something to do next.
  [[nodiscard]] std::optional<SteadyTime> next() const;

  [[nodiscard]] std::size_t size() const { return series_.size(); }

 private:
  struct Series;
  struct Subject {
    ObjectReference regarding;  // without the resourceVersion
    Event event;
  };
  friend auto fields_of(SameAs<Subject> auto& value) {
    auto& [regarding, event] = value;
    return std::tie(regarding, event);
  }
  using Key = Packed<Subject>;
  using All = std::map<Key, Series>;
  using Agenda = std::multimap<SteadyTime, All::iterator>;  // those of one time in the order they came
  struct Series {
    std::string resource_version;
    std::string name;
    WallTime first;
    WallTime last;
    SteadyTime seen;
    SteadyTime last_told{};
    int count = 1;
    int told = 0;
    int tries = 0;
    Agenda* agenda = nullptr;  // null while the call is made
    Agenda::iterator place{};
  };

  void schedule(All::iterator series, Agenda& agenda, SteadyTime time);
  void unschedule(Series& series);
  void reconsider(All::iterator series, SteadyTime now);
  // From when on a call may be made, if one is due.
  [[nodiscard]] SteadyTime free_at() const;
  [[nodiscard]] static Key key_of(ObjectReference regarding, Event event);
  [[nodiscard]] All::iterator find(const EventRecord& record);
  [[nodiscard]] std::string unique_name(const std::string& object);

  std::mt19937_64 random_;
  All series_;
  Agenda calls_;  // to be told
  Agenda quiet_;  // nothing to tell yet; when they end or are refreshed
  SteadyTime hold_ = SteadyTime::min();
  SteadyTime last_new_ = SteadyTime::min();  // when the last series began
};

}  // namespace sessmtp::kube
