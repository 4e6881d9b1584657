// Why a credential is not in sync, in words for a person.
#pragma once

#include <string>

#include "api/reason.h"

namespace sessmtp::api {

// The message says what was found, why it matters and what to do; it names keys, never values.
struct Problem {
  Reason reason;
  std::string message;

  friend bool operator==(const Problem&, const Problem&) = default;
};

}  // namespace sessmtp::api
