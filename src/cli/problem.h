// An error as people read it: what happened, why it matters, what to do.
#pragma once

#include <iosfwd>
#include <string>

namespace sessmtp::cli {

struct Problem {
  std::string what;
  std::string why;  // may be empty
  std::string fix;
};

void print(const Problem& problem, std::ostream& err);

}  // namespace sessmtp::cli
