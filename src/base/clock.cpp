#include "base/clock.h"

#include <array>
#include <cstddef>
#include <cstdio>

namespace sessmtp {

using std::chrono::floor;
using std::chrono::microseconds;
using std::chrono::seconds;

WallTime SystemClock::now() const {
  return floor<microseconds>(std::chrono::system_clock::now());
}
SteadyTime SystemClock::steady() const {
  return std::chrono::steady_clock::now();
}

namespace {

struct Broken {
  int year = 0;
  unsigned month = 0, day = 0, hour = 0, minute = 0, second = 0;
  int micros = 0;
};

Broken split(WallTime time) {
  const auto day = floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  return {int(date.year()),
          unsigned(date.month()),
          unsigned(date.day()),
          unsigned(clock.hours().count()),
          unsigned(clock.minutes().count()),
          unsigned(clock.seconds().count()),
          int(clock.subseconds().count())};
}

}  // namespace

std::string to_rfc3339(WallTime time) {
  const Broken b = split(time);
  char text[64];
  (void)std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02u:%02u:%02uZ", b.year, b.month, b.day, b.hour,
                      b.minute, b.second);
  return text;
}

std::string to_rfc3339_micro(WallTime time) {
  const Broken b = split(time);
  char text[64];
  (void)std::snprintf(text, sizeof text, "%04d-%02u-%02uT%02u:%02u:%02u.%06dZ", b.year, b.month, b.day,
                      b.hour, b.minute, b.second, b.micros);
  return text;
}

std::optional<WallTime> parse_rfc3339(std::string_view text) {
  // Not sscanf(): it takes signs and spaces for a part of a number, and fewer digits.
  constexpr std::string_view kForm = "dddd-dd-ddTdd:dd:dd";
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (text.size() <= kForm.size()) {
    return std::nullopt;
  }
  std::array<unsigned, 6> numbers{};
  std::size_t at = 0;
  for (std::size_t i = 0; i < kForm.size(); ++i) {
    if (kForm[i] == 'd' ? !is_digit(text[i]) : text[i] != kForm[i]) {
      return std::nullopt;
    }
    if (kForm[i] == 'd') {
      numbers[at] = numbers[at] * 10 + static_cast<unsigned>(text[i] - '0');
    } else {
      ++at;
    }
  }
  const auto [year, month, day, hour, minute, second] = numbers;
  std::string_view rest = text.substr(kForm.size());
  microseconds fraction{0};
  if (rest.size() > 1 && rest[0] == '.' && is_digit(rest[1])) {
    rest.remove_prefix(1);
    for (microseconds unit{100'000}; !rest.empty() && is_digit(rest.front()); unit /= 10) {
      fraction += unit * (rest.front() - '0');
      rest.remove_prefix(1);
    }
  }
  const std::chrono::year_month_day date{std::chrono::year{static_cast<int>(year)}, std::chrono::month{month},
                                         std::chrono::day{day}};
  if (rest != "Z" || !date.ok() || hour > 23 || minute > 59 || second > 59) {
    return std::nullopt;
  }
  return WallTime(std::chrono::sys_days(date)) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         seconds(second) + fraction;
}

}  // namespace sessmtp
