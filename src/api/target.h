// The Secret that mail-sending pods mount: what it should hold, and how far it is from that.
// Pure; thread-safe.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "api/problem.h"
#include "api/ses_smtp_credential.h"
#include "base/clock.h"
#include "base/result.h"
#include "kube/secret.h"
#include "ses/endpoint.h"
#include "ses/iam_key.h"

namespace sessmtp::api {

// Keys of the target's data.
inline constexpr const char* kUsernameKey = "username";
inline constexpr const char* kPasswordKey = "password";

// The pair that was in use before a rotation, read from the target itself.
struct PreviousPair {
  SecretBytes username;
  SecretBytes password;
  std::map<std::string, SecretBytes> regional_passwords;  // by additional region
  WallTime expires_at;
};

// What the target is made of, besides the spec.
struct Ingredients {
  const ses::IamKey& key;
  std::string region;
  ses::Endpoint endpoint;
  std::map<std::string, ses::Endpoint> additional_endpoints;  // by additional region
  WallTime key_since;
  std::optional<PreviousPair> previous;
};

// The whole intent for server-side apply: the data of the format and of the templates; labels, annotations
// and the owner reference of ours and nothing else. Into a Secret of others (ConflictPolicy::kMerge) go data
// and our two annotations about time only. kTemplateInvalid with key and position; kTargetTooLarge beyond
// 1 MiB; kApiError only when OpenSSL fails.
[[nodiscard]] Result<kube::Secret, Problem> render_target(const SesSmtpCredential& credential,
                                                          const Ingredients& ingredients);

// How the live Secret differs from the intent: what is missing or different, and what we once applied and do
// not want any more. Keys and metadata of others are left alone.
struct Drift {
  std::vector<std::string> keys;      // of data
  std::vector<std::string> metadata;  // labels, annotations, "ownerReferences"

  [[nodiscard]] bool any() const { return !keys.empty() || !metadata.empty(); }
};
[[nodiscard]] Drift drift(const kube::Secret& live, const kube::Secret& intent);

// True when the live target was derived from this key, in whatever region it was written for: the key
// has not been rotated, even if everything else is different.
[[nodiscard]] bool holds_pair_of(const kube::Secret& live, const ses::IamKey& key);

}  // namespace sessmtp::api
