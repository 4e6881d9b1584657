// All that is known about one SesSmtpCredential at one moment: the only input of needs() and plan().
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "api/ses_smtp_credential.h"
#include "base/clock.h"
#include "kube/api_error.h"
#include "kube/object.h"
#include "kube/secret.h"
#include "operator/login.h"
#include "operator/restart.h"

namespace sessmtp::operator_ {

// What is remembered of a Secret's metadata: enough to see changes and ownership.
struct SecretRecord {
  api::SecretVersion version;
  bool terminating = false;
  bool managed = false;                 // carries our managed-by label
  std::string owner_uid;                // our owner label; empty: none
  std::string credential_name;          // our annotation: the credential it was written for
  bool merged_into = false;             // of others, but it has the annotation that a merge leaves
  std::string allows_takeover_by = {};  // the annotation of consent: a credential's name
  std::string controller = {};          // Kind "name" of the owner reference that controls it; empty: none
  std::string controller_uid = {};

  // The credential it was written for: by our label, and without one by the reference that we put beside it.
  [[nodiscard]] const std::string& owner() const { return owner_uid.empty() ? controller_uid : owner_uid; }
  friend bool operator==(const SecretRecord&, const SecretRecord&) = default;
};
[[nodiscard]] SecretRecord record_of(const kube::ObjectMeta& meta);

enum class Presence : std::uint8_t {
  kUnknown,  // nobody has looked yet
  kAbsent,
  kKnown,
  kUnwatched,  // it is of a type that the watch leaves out
  kForbidden,  // we may not list Secrets in this namespace
};

// A Secret as the metadata watch shows it.
struct Sight {
  Presence presence = Presence::kUnknown;
  SecretRecord record;                     // when kKnown
  std::string type = {};                   // when kUnwatched
  std::optional<SteadyTime> changed = {};  // when an event brought this version

  friend bool operator==(const Sight&, const Sight&) = default;
};

// A living credential that names our target, be it ourselves.
struct Claimant {
  std::string uid;
  std::string name;
};

// What the other credentials of the namespace say about this one.
struct Claims {
  std::string rival;  // the credential that has our target; empty: we have it
  std::vector<Claimant> claimants;
  std::string reader = {};  // an older credential whose source is our target
  std::string merger = {};  // another credential that merges into our source, with consent
};

struct NotRead {};
struct Missing {};
// A Secret as a live GET shows it.
using LiveRead = std::variant<NotRead, Missing, kube::Secret, kube::ApiError>;

// Null when it was not read, is not there or could not be read.
[[nodiscard]] inline const kube::Secret* live_secret(const LiveRead& read) {
  return std::get_if<kube::Secret>(&read);
}

// The answer to the write that the last plan asked for.
using WriteAnswer = std::variant<api::SecretVersion, kube::ApiError>;

// Failed looks in a row that nobody needs to read of in status: with the queue's backoff, about a second.
inline constexpr unsigned kHiccups = 8;

struct Observation {
  api::SesSmtpCredential credential;
  Sight source;
  Sight target;
  Claims claims;
  WallTime now{};
  LiveRead live_source;
  LiveRead live_target;
  std::optional<WriteAnswer> written;
  bool login_news = false;                          // a login has ended, and nobody has said so yet
  std::optional<Login> login;                       // the answer to what the last plan asked
  std::map<api::Workload, RestartAnswer> restarts;  // the same
  unsigned failed_looks = 0;  // in a row, before this one, because the API server did not do its part
};

}  // namespace sessmtp::operator_
