// Runs another program and takes what it prints, within limits of time and size.
//
// Nothing of ours goes along but the environment given: standard input is /dev/null, what it says on standard
// error is dropped (it may hold secrets, and so may its output), every other descriptor is closed (those of
// the HTTP library have no close-on-exec), and no signal is blocked or ignored. It has a process group of its
// own, which is killed as a whole when time is up or we are asked to stop. Thread-safe.
#pragma once

#include <chrono>
#include <cstddef>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace sessmtp::kube {

struct ChildProcess {
  std::string command;  // with a slash a path, else a name to be found in our PATH
  std::vector<std::string> arguments;
  std::vector<std::pair<std::string, std::string>> environment;  // replaces and extends ours
  std::chrono::milliseconds time_limit = std::chrono::seconds(60);
  std::size_t output_limit = std::size_t{1} << 20;
};

// What it printed, if it ended with 0. kNotFound: there is no such program. kIo: it was not started, did
// not end in time, printed too much, or ended in another way; the text says which, and quotes nothing.
// The caller wipes the output if it is secret; the buffer is one and never moves.
[[nodiscard]] Result<std::string> run_and_capture(const ChildProcess& program, const std::stop_token& stop);

}  // namespace sessmtp::kube
