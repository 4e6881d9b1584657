#include "base/text.h"

#include <algorithm>

namespace sessmtp {
namespace {

constexpr std::string_view kHex = "0123456789ABCDEF";

constexpr bool is_unreserved(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

}  // namespace

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const auto first = text.find_first_not_of(kSpace);
  return first == std::string_view::npos ? std::string_view()
                                         : text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

bool has_control_characters(std::string_view text) {
  return std::ranges::any_of(text, [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) == 0x7f;
  });
}

void append_percent_encoded(std::string& to, std::string_view text) {
  for (const char c : text) {
    if (is_unreserved(c)) {
      to += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      to += '%';
      to += kHex[byte >> 4U];
      to += kHex[byte & 15U];
    }
  }
}

std::string percent_encode(std::string_view text) {
  std::string encoded;
  encoded.reserve(3 * text.size());  // the text may be a secret: no copies left behind by growing
  append_percent_encoded(encoded, text);
  return encoded;
}

void append_json_escaped(std::string& to, std::string_view text) {
  constexpr std::string_view kShort = "\"\\\b\f\n\r\t";
  constexpr std::string_view kLetters = "\"\\bfnrt";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (const auto at = kShort.find(c); at != std::string_view::npos) {
      to += '\\';
      to += kLetters[at];
    } else if (byte < 0x20) {
      to += "\\u00";
      to += kHex[byte >> 4U];
      to += kHex[byte & 15U];
    } else {
      to += c;
    }
  }
}

bool is_dns_name(std::string_view text, std::size_t max_length, bool dots) {
  const auto alnum = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  char before = '.';
  for (const char c : text) {
    const bool fits =
        alnum(c) || (c == '-' && before != '.') || (dots && c == '.' && before != '.' && before != '-');
    if (!fits) {
      return false;
    }
    before = c;
  }
  return !text.empty() && text.size() <= max_length && alnum(before);
}

}  // namespace sessmtp
