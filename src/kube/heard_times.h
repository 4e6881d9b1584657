// When a part of the program was last answered by the API server: an object, a line, or an HTTP status.
#pragma once

#include <chrono>
#include <mutex>
#include <optional>

#include "base/clock.h"

namespace sessmtp::kube {

struct Heard {
  SteadyTime since;  // no pause since then was longer than HeardTimes::kPause
  SteadyTime last;
};

// Thread-safe.
class HeardTimes {
 public:
  // Above the minute between bookmarks, the longest a working watch is usually silent.
  static constexpr std::chrono::minutes kPause{2};

  void note(SteadyTime now);
  [[nodiscard]] std::optional<Heard> get() const;

 private:
  mutable std::mutex mutex_;
  std::optional<Heard> heard_;
};

}  // namespace sessmtp::kube
