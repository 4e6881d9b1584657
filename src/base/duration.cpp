#include "base/duration.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <system_error>
#include <utility>

namespace sessmtp {
namespace {

using std::chrono::milliseconds;

constexpr double kMax = 100.0 * 366 * 24 * 3'600'000;  // ms

// Takes the number off the front; empty when there is none.
std::optional<double> take_number(std::string_view& text) {
  const std::size_t end = std::min(text.find_first_not_of("0123456789."), text.size());
  double value = 0;
  double place = 1;
  bool digits = false;
  bool point = false;
  for (const char c : text.substr(0, end)) {
    if (c == '.') {
      if (std::exchange(point, true)) {
        return std::nullopt;
      }
      continue;
    }
    digits = true;
    place *= point ? 0.1 : 1;
    value = point ? value + place * (c - '0') : value * 10 + (c - '0');
  }
  text.remove_prefix(end);
  return digits ? std::optional(value) : std::nullopt;
}

// Takes the unit off the front, in milliseconds.
std::optional<double> take_unit(std::string_view& text) {
  constexpr std::array<std::pair<std::string_view, double>, 4> kUnits = {
      {{"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}}};  // "ms" before "m"
  for (const auto& [unit, factor] : kUnits) {
    if (text.starts_with(unit)) {
      text.remove_prefix(unit.size());
      return factor;
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<milliseconds> parse_duration(std::string_view text) {
  if (text == "0") {
    return milliseconds(0);
  }
  if (text.empty()) {
    return std::nullopt;
  }
  double total = 0;
  while (!text.empty()) {
    const auto number = take_number(text);
    const auto unit = number ? take_unit(text) : std::nullopt;
    if (!unit) {
      return std::nullopt;
    }
    total += *number * *unit;
    if (total > kMax) {
      return std::nullopt;
    }
  }
  return milliseconds(std::llround(total));
}

std::optional<std::chrono::seconds> parse_retry_after(std::string_view text) {
  std::uint32_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole ? std::optional(std::chrono::seconds(seconds)) : std::nullopt;
}

}  // namespace sessmtp
