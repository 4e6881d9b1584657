#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <map>
#include <utility>

namespace sessmtp::cli {
namespace {

bool wants_colors(ColorWhen when, const Terminal& terminal) {
  if (when != ColorWhen::kAuto) {
    return when == ColorWhen::kAlways;
  }
  const bool asked_not_to = !terminal.environment("NO_COLOR").value_or("").empty();
  const std::string term = terminal.environment("TERM").value_or("");
  return terminal.is_terminal && !asked_not_to && !term.empty() && term != "dumb";
}

}  // namespace

Terminal Terminal::for_process(std::function<std::optional<std::string>(const char* name)> environment) {
  Terminal terminal{.out = std::cout, .err = std::cerr, .environment = std::move(environment)};
  terminal.is_terminal = ::isatty(STDOUT_FILENO) == 1;
  winsize size{};
  if (terminal.is_terminal && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) {
    terminal.columns = size.ws_col;
  }
  return terminal;
}

void add_color_flag(CLI::App& command, ColorWhen& when) {
  static const std::map<std::string, ColorWhen> names = {
      {"auto", ColorWhen::kAuto}, {"always", ColorWhen::kAlways}, {"never", ColorWhen::kNever}};
  command
      .add_option_function<std::string>(
          "--color", [&when](const std::string& name) { when = names.at(name); },
          "Use colours; auto: on a terminal, unless NO_COLOR is set")
      ->check(CLI::IsMember(names))
      ->default_str("auto");
}

Paint::Paint(ColorWhen when, const Terminal& terminal) : on_(wants_colors(when, terminal)) {}

std::string Paint::operator()(Ink ink, std::string_view text) const {
  static const std::map<Ink, std::string_view> codes = {
      {Ink::kBold, "1"}, {Ink::kDim, "2"}, {Ink::kGood, "32"}, {Ink::kBad, "31"}, {Ink::kDoubtful, "33"}};
  const auto code = codes.find(ink);
  if (!on_ || code == codes.end() || text.empty()) {
    return std::string(text);
  }
  return "\x1b[" + std::string(code->second) + 'm' + std::string(text) + "\x1b[0m";
}

std::string printable(std::string_view text) {
  std::string result(text);
  std::ranges::replace_if(result, [](char c) { return (c >= 0 && c < ' ') || c == '\x7f'; }, ' ');
  // C1 control characters, as UTF-8 has them.
  for (auto at = result.find('\xc2'); at != std::string::npos; at = result.find('\xc2', at + 1)) {
    const auto next = static_cast<unsigned char>(at + 1 < result.size() ? result[at + 1] : '\0');
    if (next >= 0x80 && next < 0xa0) {
      result.replace(at, 2, " ");
    }
  }
  return result;
}

std::vector<std::string> wrapped(std::string_view text, std::size_t width) {
  std::vector<std::string> lines;
  while (width > 0 && text.size() > width) {
    std::size_t end = text.rfind(' ', width);
    if (end == std::string_view::npos || end == 0) {
      end = text.find(' ', width);
    }
    if (end == std::string_view::npos) {
      break;
    }
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end + 1);
  }
  lines.emplace_back(text);
  return lines;
}

std::string short_age(std::chrono::seconds age) {
  using namespace std::chrono_literals;
  constexpr std::chrono::hours kDay(24);
  const auto in = [age](std::chrono::seconds unit, char letter) {
    return std::to_string(age / unit) + letter;
  };
  if (age < 0s) {
    return "0s";
  }
  return age < 2min             ? in(1s, 's')
         : age < 3h             ? in(1min, 'm')
         : age < 2 * kDay       ? in(1h, 'h')
         : age < 2 * 365 * kDay ? in(kDay, 'd')
                                : in(365 * kDay, 'y');
}

}  // namespace sessmtp::cli
