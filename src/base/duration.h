// Lengths of time as Go and Kubernetes write them.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace sessmtp {

// "15s", "1h30m", "1.5h", "250ms": numbers with the units h, m, s, ms, added up; "0" alone needs none. Empty
// for anything else, a sign included, and above a hundred years.
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

}  // namespace sessmtp
