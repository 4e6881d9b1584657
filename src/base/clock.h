// Time is always asked of a Clock, never read directly: tests decide what time it is.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace sessmtp {

using WallTime = std::chrono::sys_time<std::chrono::microseconds>;
using SteadyTime = std::chrono::steady_clock::time_point;

// Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual WallTime now() const = 0;       // for what people read
  [[nodiscard]] virtual SteadyTime steady() const = 0;  // for durations
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] WallTime now() const override;
  [[nodiscard]] SteadyTime steady() const override;
};

// metav1.Time: "2026-11-22T08:00:00Z", whole seconds.
[[nodiscard]] std::string to_rfc3339(WallTime time);
// metav1.MicroTime: "2026-11-22T08:00:00.000000Z".
[[nodiscard]] std::string to_rfc3339_micro(WallTime time);
// Accepts both forms, UTC ("Z") only: what the API server writes. Empty when it is neither.
[[nodiscard]] std::optional<WallTime> parse_rfc3339(std::string_view text);

}  // namespace sessmtp
