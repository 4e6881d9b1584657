// The end of every command that prints a result.
#pragma once

#include <ostream>

namespace sessmtp::cli {

// False, and said, when not all of it could be written: a full disk, a pipe that was closed.
[[nodiscard]] inline bool has_been_written(std::ostream& out, std::ostream& err) {
  out.flush();
  if (!out) {
    err << "error: the result could not be written to standard output\n";
  }
  return static_cast<bool>(out);
}

}  // namespace sessmtp::cli
