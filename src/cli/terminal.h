// What commands for people share in how they print: colours where they are wanted, lines that fit, lengths of
// time as kubectl has them. Pure but for for_process().
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {
class App;
}

namespace sessmtp::cli {

// Where a command prints, and what it may know of that place.
struct Terminal {
  std::ostream& out;
  std::ostream& err;
  bool is_terminal = false;  // out is one
  std::size_t columns = 0;   // of it; 0: nobody knows, or nobody looks: lines are as long as they are
  std::function<std::optional<std::string>(const char* name)> environment;

  // Standard output and standard error.
  [[nodiscard]] static Terminal for_process(
      std::function<std::optional<std::string>(const char* name)> environment);
};

enum class ColorWhen : std::uint8_t { kAuto, kAlways, kNever };

// --color auto|always|never
void add_color_flag(CLI::App& command, ColorWhen& when);

enum class Ink : std::uint8_t { kPlain, kBold, kDim, kGood, kBad, kDoubtful };

// Colours by the 16 that every terminal has, or none.
class Paint {
 public:
  // kAuto: on a terminal that can, unless NO_COLOR is set (no-color.org).
  Paint(ColorWhen when, const Terminal& terminal);

  [[nodiscard]] std::string operator()(Ink ink, std::string_view text) const;

 private:
  bool on_;
};

// Without what would move the cursor or change colours: texts that come from the API server are not ours.
[[nodiscard]] std::string printable(std::string_view text);

// In lines of at most `width` characters, where there is a space to break at; one line when it is 0.
[[nodiscard]] std::vector<std::string> wrapped(std::string_view text, std::size_t width);

// "45s", "5m", "3h", "12d", "3y". What is not yet is "0s".
[[nodiscard]] std::string short_age(std::chrono::seconds age);

}  // namespace sessmtp::cli
