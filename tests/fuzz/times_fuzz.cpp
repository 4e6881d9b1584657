// Lengths and points of time, as Go, Kubernetes and HTTP write them, against a model of each grammar.
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/duration.h"
#include "fuzz.h"
#include "kube/exec_plugin.h"

namespace {

using namespace sessmtp;
using fuzz::require;

__extension__ using Wide = __int128;

// Takes a run of digits off, as text.
std::string_view take_digits(std::string_view& text) {
  const std::string_view digits = text.substr(0, text.find_first_not_of("0123456789"));
  text.remove_prefix(digits.size());
  return digits;
}

// Up to 18 digits count; more of them are a number that no limit of ours allows.
Wide number(std::string_view digits) {
  constexpr Wide kBeyond = 1'000'000'000'000'000'000;
  digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size()));
  if (digits.size() > 18) {
    return kBeyond;
  }
  Wide value = 0;
  for (const char digit : digits) {
    value = value * 10 + (digit - '0');
  }
  return value;
}

constexpr int kPlaces = 12;  // fractions of a millisecond, in decimal places
constexpr Wide kOne = 1'000'000'000'000;

// Exactly, in units of 10^-12 ms; what is smaller is left away.
std::optional<Wide> model_of_duration(std::string_view text) {
  if (text == "0") {
    return 0;
  }
  if (text.empty()) {
    return std::nullopt;
  }
  Wide total = 0;
  while (!text.empty()) {
    const std::string_view whole = take_digits(text);
    std::string_view fraction;
    if (text.starts_with('.')) {
      text.remove_prefix(1);
      fraction = take_digits(text);
    }
    if (whole.empty() && fraction.empty()) {
      return std::nullopt;
    }
    const std::string_view unit = text.substr(0, std::min(text.find_first_of("0123456789."), text.size()));
    // A unit ends where the longest that fits ends, as in "1m1s" and in "1ms".
    const Wide factor = unit == "ms"  ? 1
                        : unit == "s" ? 1000
                        : unit == "m" ? 60'000
                        : unit == "h" ? 3'600'000
                                      : 0;
    if (factor == 0) {
      return std::nullopt;
    }
    text.remove_prefix(unit.size());
    std::string places(fraction.substr(0, kPlaces));
    places.resize(kPlaces, '0');
    total += number(whole) * factor * kOne + number(places) * factor;
    total = std::min(total, Wide{1} << 120U);
  }
  return total;
}

void check_duration(std::string_view text) {
  constexpr Wide kLimit = Wide{100} * 366 * 24 * 3'600'000 * kOne;
  const auto parsed = parse_duration(text);
  const auto model = model_of_duration(text);
  if (model && *model > kLimit - kOne && *model < kLimit + kOne) {
    return;  // either is right
  }
  require(parsed.has_value() == (model && *model < kLimit), "what is a duration is one");
  if (parsed) {
    const Wide off = Wide{parsed->count()} * kOne - *model;
    require(off <= kOne / 2 + kOne / 50 && -off <= kOne / 2 + kOne / 50, "a duration is what it says");
  }
}

std::optional<int> two_digits(std::string_view text, std::size_t at) {
  std::string_view part = text.substr(std::min(at, text.size()), 2);
  const std::string_view digits = take_digits(part);
  return digits.size() == 2 ? std::optional((digits[0] - '0') * 10 + (digits[1] - '0')) : std::nullopt;
}

long days_before(int year, int month, int day) {
  constexpr int kBefore[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
  const auto leap_days = [](long y) { return y / 4 - y / 100 + y / 400; };  // up to the end of that year
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  // Year 0 is a leap year itself, and counts as before it.
  const long until_year = year == 0 ? -366 : 365L * (year - 1) + leap_days(year - 1);
  return until_year + kBefore[month - 1] + (month > 2 && leap ? 1 : 0) + day - 1;
}

// RFC 3339 in UTC, or with any offset; in microseconds since 1970.
std::optional<std::int64_t> model_of_time(std::string_view text, bool any_offset) {
  constexpr std::string_view kForm = "dddd-dd-ddTdd:dd:dd";
  if (text.size() <= kForm.size()) {
    return std::nullopt;
  }
  for (std::size_t i = 0; i < kForm.size(); ++i) {
    const bool digit = text[i] >= '0' && text[i] <= '9';
    if (kForm[i] == 'd' ? !digit : text[i] != kForm[i]) {
      return std::nullopt;
    }
  }
  const int year = *two_digits(text, 0) * 100 + *two_digits(text, 2);
  const int month = *two_digits(text, 5), day = *two_digits(text, 8);
  const int hour = *two_digits(text, 11), minute = *two_digits(text, 14), second = *two_digits(text, 17);
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  if (month < 1 || month > 12 || day < 1 || day > kDays[month - 1] + (leap && month == 2 ? 1 : 0) ||
      hour > 23 || minute > 59 || second > 59) {
    return std::nullopt;
  }
  text.remove_prefix(kForm.size());
  std::int64_t micros = 0;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    const std::string_view fraction = take_digits(text);
    if (fraction.empty()) {
      return std::nullopt;
    }
    std::string six(fraction.substr(0, 6));
    six.resize(6, '0');
    micros = static_cast<std::int64_t>(number(six));
  }
  int offset = 0;  // minutes
  if (any_offset && text.size() == 6 && (text[0] == '+' || text[0] == '-') && text[3] == ':') {
    const auto hours = two_digits(text, 1), minutes = two_digits(text, 4);
    if (!hours || !minutes || *hours > 23 || *minutes > 59) {
      return std::nullopt;
    }
    offset = (text[0] == '-' ? -1 : 1) * (*hours * 60 + *minutes);
  } else if (text != "Z") {
    return std::nullopt;
  }
  const long days = days_before(year, month, day) - days_before(1970, 1, 1);
  return ((days * 24 + hour) * 60 + minute - offset) * 60'000'000L + second * 1'000'000L + micros;
}

void check_time(std::string_view text) {
  const auto parsed = parse_rfc3339(text);
  const auto model = model_of_time(text, false);
  require(parsed.has_value() == model.has_value(), "what is a time in UTC is one");
  if (parsed) {
    require(parsed->time_since_epoch().count() == *model, "a time is what it says");
    require(parse_rfc3339(to_rfc3339_micro(*parsed)) == *parsed, "a time is read as it was written");
    require(parse_rfc3339(to_rfc3339(*parsed)) == std::chrono::floor<std::chrono::seconds>(*parsed),
            "whole seconds are read as they were written");
  }
}

void check_expiry(std::string_view text) {
  const nlohmann::json answer = {{"kind", "ExecCredential"},
                                 {"apiVersion", kube::kExecV1},
                                 {"status", {{"token", "t"}, {"expirationTimestamp", std::string(text)}}}};
  const auto credential = kube::parse_exec_credential(
      answer.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), kube::kExecV1);
  const auto model = model_of_time(text, true);
  require(credential.has_value() == (model || text.empty()), "what is an expiry is one");
  if (credential && model) {
    require(credential->expires->time_since_epoch().count() == *model, "an expiry is what it says");
  }
}

void check_retry_after(std::string_view text) {
  constexpr Wide kMax = 0xffff'ffffU;
  std::string_view rest = text;
  const std::string_view digits = take_digits(rest);
  const bool right = !digits.empty() && rest.empty() && number(digits) <= kMax;
  const auto parsed = parse_retry_after(text);
  require(parsed.has_value() == right, "what is a number of seconds is one");
  require(!parsed || parsed->count() == number(digits), "so many seconds");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of_input(data, size);
  check_duration(text);
  check_time(text);
  check_expiry(text);
  check_retry_after(text);
  return 0;
}
