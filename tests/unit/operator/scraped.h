// One number out of a page of metrics.
#pragma once

#include <sstream>
#include <string>

namespace sessmtp::operator_ {

// The sum of all series whose name and labels begin so.
inline double sum_of(const std::string& page, const std::string& prefix) {
  double sum = 0;
  std::istringstream lines(page);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(prefix)) {
      sum += std::stod(line.substr(line.rfind(' ') + 1));
    }
  }
  return sum;
}

}  // namespace sessmtp::operator_
