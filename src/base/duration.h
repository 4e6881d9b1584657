// Lengths of time as Go, Kubernetes and HTTP write them.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace sessmtp {

// "15s", "1h30m", "1.5h", "250ms": numbers with the units h, m, s, ms, added up; "0" alone needs none. Empty
// for anything else, a sign included, and above a hundred years.
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

// The Retry-After header (RFC 9110): a number of seconds. Empty for anything else, its form with a date
// included: client-go:rest/with_retry.go leaves that alone as well.
[[nodiscard]] std::optional<std::chrono::seconds> parse_retry_after(std::string_view text);

}  // namespace sessmtp
