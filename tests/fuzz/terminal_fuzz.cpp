// Texts of the API server as they are shown to a person: nothing in them moves the cursor.
#include <string>
#include <string_view>

#include "base/text.h"
#include "cli/terminal.h"
#include "fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sessmtp;
  using fuzz::require;
  const std::string_view text = fuzz::text_of_input(data, size);
  const std::string shown = cli::printable(text);
  require(!has_control_characters(shown), "nothing shown moves the cursor");
  require(cli::printable(shown) == shown, "what can be shown is shown");
  constexpr std::size_t kWidth = 40;
  std::size_t wrapped = 0;
  for (const std::string& line : cli::wrapped(shown, kWidth)) {
    require(line.size() <= kWidth || !std::string_view(line).substr(0, kWidth).contains(' ') ||
                line.find(' ') == 0,
            "a line fits where it can be broken");
    wrapped += line.size() + 1;
  }
  require(wrapped == shown.size() + 1, "wrapping loses nothing but a space");
  return 0;
}
