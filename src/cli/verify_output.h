// What `ses-smtp verify` prints, for people and for programs. Holds no value of the pair.
#pragma once

#include <string>

#include "base/clock.h"
#include "cli/terminal.h"
#include "cli/verify_advice.h"
#include "cli/verify_pair.h"
#include "smtp/login_probe.h"

namespace sessmtp::cli {

// Before the login, which may take its time.
[[nodiscard]] std::string verify_heading(const LoginPair& pair, const Paint& paint);

// After it. Lines fit into `columns`, unless that is 0.
[[nodiscard]] std::string verify_page(const smtp::LoginReport& report, const LoginAdvice& advice,
                                      WallTime now, const Paint& paint, std::size_t columns);

// The object that docs/command-line.md describes. All its fields are always there.
[[nodiscard]] std::string verify_json(const LoginPair& pair, const smtp::LoginReport& report,
                                      const LoginAdvice& advice, WallTime now);

}  // namespace sessmtp::cli
