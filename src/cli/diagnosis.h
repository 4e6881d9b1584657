// From what was seen of a credential and its surroundings to what is wrong with it. Pure; thread-safe. Knows
// no value of a Secret.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/ses_smtp_credential.h"
#include "base/clock.h"
#include "base/result.h"
#include "cli/credential_view.h"
#include "cli/finding.h"
#include "cli/pod_uses.h"
#include "cli/rehearsal.h"
#include "smtp/login_probe.h"

namespace sessmtp::cli {

// How a read went.
enum class Access : std::uint8_t { kRead, kMissing, kForbidden, kFailed };

struct SecretSeen {
  Access access = Access::kFailed;
  std::string error = {};              // of kFailed: "HTTP 500"
  std::vector<std::string> keys = {};  // their names
};

struct LeaseSeen {
  std::string namespace_;
  std::string name;
  std::string holder;  // empty: nobody
  std::optional<WallTime> renewed;
  std::chrono::seconds duration{15};
};

struct PodsSeen {
  Access access = Access::kFailed;
  std::string error = {};
  std::vector<PodUses> using_target = {};  // with their workloads as owners
};

struct Seen {
  std::string kubectl;  // as it is to be called
  WallTime now{};
  CredentialView view;
  api::SesSmtpCredential credential;
  std::optional<WallTime> spec_changed = {};
  std::vector<LeaseSeen> leases = {};  // of the operator, as far as they may be seen
  SecretSeen source = {};
  SecretSeen target = {};
  Rehearsal rehearsal = {};  // when the source was looked at
  PodsSeen pods = {};
  bool login_asked = false;
  std::optional<smtp::LoginReport> login = {};  // empty: there was no pair to log in with
};

[[nodiscard]] Findings diagnose(const Seen& seen);

}  // namespace sessmtp::cli
