// What the program has to tell about an object, and to whom.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <tuple>

#include "base/packed.h"
#include "kube/object.h"

namespace sessmtp::kube {

enum class EventType : std::uint8_t { kNormal, kWarning };

struct Event {
  EventType type = EventType::kNormal;
  std::string reason;  // CamelCase, at most 128 bytes
  std::string action;  // what was done, CamelCase
  std::string note;    // for people; cut at 1 kB; never a value of a Secret

  friend auto operator<=>(const Event&, const Event&) = default;
};

// What an event is about.
struct ObjectReference {
  std::string api_version;
  std::string kind;
  NamespacedName key;
  std::string uid;
  std::string resource_version;

  friend auto operator<=>(const ObjectReference&, const ObjectReference&) = default;
};

auto fields_of(SameAs<NamespacedName> auto& value) {
  auto& [namespace_, name] = value;
  return std::tie(namespace_, name);
}

auto fields_of(SameAs<Event> auto& value) {
  auto& [type, reason, action, note] = value;
  return std::tie(type, reason, action, note);
}

auto fields_of(SameAs<ObjectReference> auto& value) {
  auto& [api_version, kind, key, uid, resource_version] = value;
  return std::tie(api_version, kind, key, uid, resource_version);
}

// Thread-safe; never blocks.
class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void publish(const ObjectReference& regarding, Event event) = 0;
};

}  // namespace sessmtp::kube
