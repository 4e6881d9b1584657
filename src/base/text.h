// Small words for messages.
#pragma once

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

}  // namespace sessmtp
