#include "base/clock.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

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
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (!std::ranges::all_of(text.substr(0, 4), is_digit)) {  // where sscanf would take a sign
    return std::nullopt;
  }
  const std::string copy(text);
  int year = 0;
  unsigned month = 0, day = 0, hour = 0, minute = 0, second = 0;
  int used = 0;
  if (std::sscanf(copy.c_str(), "%4d-%2u-%2uT%2u:%2u:%2u%n", &year, &month, &day, &hour, &minute, &second,
                  &used) != 6) {
    return std::nullopt;
  }
  std::string_view rest = std::string_view(copy).substr(std::size_t(used));
  microseconds fraction{0};
  if (rest.starts_with('.')) {
    rest.remove_prefix(1);
    microseconds unit{100'000};
    while (!rest.empty() && rest.front() >= '0' && rest.front() <= '9') {
      fraction += unit * (rest.front() - '0');
      unit /= 10;
      rest.remove_prefix(1);
    }
  }
  const std::chrono::year_month_day date{std::chrono::year{year}, std::chrono::month{month},
                                         std::chrono::day{day}};
  if (rest != "Z" || !date.ok() || hour > 23 || minute > 59 || second > 60) {
    return std::nullopt;
  }
  return WallTime(std::chrono::sys_days(date)) + std::chrono::hours(hour) + std::chrono::minutes(minute) +
         seconds(second) + fraction;
}

}  // namespace sessmtp
