// The exit codes of every subcommand.
#pragma once

namespace sessmtp::cli {

enum ExitCode : int {
  kOk = 0,
  kFailed = 1,  // what was asked for could not be done
  kUsage = 2,   // it was asked for wrongly
};

}  // namespace sessmtp::cli
