// Small things about text: for messages, URLs and names.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace sessmtp {

// The text between double quotes. Not std::quoted, which makes a stream manipulator.
[[nodiscard]] inline std::string in_quotes(std::string_view text) {
  return '"' + std::string(text) + '"';
}

// "a, b, c"
[[nodiscard]] inline std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) {
    text += (text.empty() ? "" : ", ") + part;
  }
  return text;
}

// Without spaces, tabs and line ends around it.
[[nodiscard]] std::string_view trimmed(std::string_view text);

// What must not get into a header or a line of text: anything below space, and DEL.
[[nodiscard]] bool has_control_characters(std::string_view text);

// RFC 3986: everything but A-Z a-z 0-9 - . _ ~ becomes %XX. The first form grows `to` by at most three
// times the text, so that a caller with a secret can reserve and leave no copies behind.
void append_percent_encoded(std::string& to, std::string_view text);
[[nodiscard]] std::string percent_encode(std::string_view text);

// As inside the quotes of a JSON string (RFC 8259): '"', '\\' and what is below space are escaped, all else
// stays. Grows `to` by at most six times the text.
void append_json_escaped(std::string& to, std::string_view text);

// RFC 1123, as Kubernetes checks names: lower-case letters, digits, '-' inside and, with `dots`, '.' between
// labels.
[[nodiscard]] bool is_dns_name(std::string_view text, std::size_t max_length, bool dots);

}  // namespace sessmtp
