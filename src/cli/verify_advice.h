// What the outcome of a login means for whoever tried it: what is surely wrong with the pair, or else what
// usually is, the likeliest first, and how to check it. Pure; thread-safe. Holds no value of the pair.
#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "cli/verify_pair.h"
#include "smtp/login_probe.h"

namespace sessmtp::cli {

struct Cause {
  std::string what;
  std::string check;  // a command, or what to look at
};

struct LoginAdvice {
  std::string meaning;                // in a sentence or two
  std::vector<std::string> findings;  // seen in the pair and the endpoint; empty after a login that worked
  std::vector<Cause> causes;          // when nothing was found that explains it
  std::string next;                   // which command looks further; may be empty
};

// What a person sees at once who knows the pair; for pairs of SES, which have a known shape: they go to an
// endpoint of SES, or the user name is the id of an access key.
[[nodiscard]] std::vector<std::string> findings_in(const LoginPair& pair);

// `how` shows how kubectl is called for the cluster that the pair is from: "kubectl --context dev".
[[nodiscard]] LoginAdvice advise(const smtp::LoginReport& report, const LoginPair& pair, WallTime now,
                                 const std::string& how);

}  // namespace sessmtp::cli
