// The login that proves a pair at its SMTP server: what plan() asks for, and what it is told.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/secret_bytes.h"
#include "ses/endpoint.h"
#include "smtp/login_verdict.h"

namespace sessmtp::operator_ {

struct LoginRequest {
  ses::Endpoint endpoint;
  SecretBytes username;
  SecretBytes password;
  std::optional<WallTime> failing_since;  // as status tells of this very pair, when memory does not
  bool anew = false;                      // somebody wants to know it now, whatever is known
};

struct Login {
  std::optional<smtp::LoginVerdict> verdict;  // empty: not known yet
  int reply_code = 0;                         // of the server; 0: it gave none
  std::string detail = {};                    // what went wrong without one, in a few words
  bool may_be_young = false;  // a new key that SES may not know yet: refused, and tried again at once
  std::optional<std::chrono::milliseconds> ask_again = {};  // when the next try is due; empty: none is
};

}  // namespace sessmtp::operator_
