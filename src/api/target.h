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

// A pair that the target holds or held, read from the target itself.
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

// The whole intent for server-side apply: the data of the format, with what the templates add or replace;
// labels, annotations and the owner reference of ours and nothing else. Into a Secret of others
// (ConflictPolicy::kMerge) go data and our two annotations about time only, and no type. kTemplateInvalid
// with key and position, also when a template takes a key that keepPreviousFor needs; kTargetTooLarge beyond
// 1 MiB, with the largest keys; kApiError only when OpenSSL fails.
[[nodiscard]] Result<kube::Secret, Problem> render_target(const SesSmtpCredential& credential,
                                                          const Ingredients& ingredients);

// Of the data of a target, for a workload that is to be restarted when the data changed: the first 16
// hexadecimal digits of an HMAC-SHA256 under the credential's uid. Equal data gives an equal digest; nobody
// can tell a password from it, nor that two credentials have the same one. Empty only when OpenSSL fails.
[[nodiscard]] std::string data_digest(const kube::SecretData& data, const std::string& credential_uid);

// How the live Secret differs from the intent: what is missing or different, and what we once applied and do
// not want any more. The latter is by kube::AppliedFields, so nothing needs to be remembered, and a name that
// another manager holds as well is reported no more after the next apply, though it stays. Keys and metadata
// of others are left alone.
struct Drift {
  std::vector<std::string> keys;      // of data
  std::vector<std::string> metadata;  // labels, annotations, "ownerReferences"

  [[nodiscard]] bool any() const { return !keys.empty() || !metadata.empty(); }
};
[[nodiscard]] Drift drift(const kube::Secret& live, const kube::Secret& intent);

// The pair in the live target, for a rotation to keep until then: under username and password with those of
// additional regions (formats Default, BasicAuth, ServiceBinding), or under SMTP_USERNAME and SMTP_PASSWORD
// (Env). Empty when neither is there, or is not ours, or has not the shape of an SMTP credential: format
// None, a key that a template replaces, an edit. What was never applied by us, or lost its managedFields, is
// read as if it were ours.
[[nodiscard]] std::optional<PreviousPair> pair_of(const kube::Secret& live, WallTime expires_at = {});

// The pair before that one, which the target still carries, in that shape; also when its time is over. Empty
// when nobody can read until when.
[[nodiscard]] std::optional<PreviousPair> previous_pair_of(const kube::Secret& live);

// True when the live target was derived from this key: the key has not been rotated, even if format,
// templates or everything else is different. Tried are the region that the target is annotated with, and
// `regions`: those that status and spec name, for a target without the annotation (kMerge) or with an edited
// one.
//   pair_of() finds a pair    the answer is exact: id and password are compared
//   it finds none             true if the password stands somewhere in our keys, plain, percent-encoded or in
//                             base64; false says nothing: compare the rendering, drift().keys, while
//                             the spec is the one it was rendered from
[[nodiscard]] bool holds_pair_of(const kube::Secret& live, const ses::IamKey& key,
                                 const std::vector<std::string>& regions = {});

}  // namespace sessmtp::api
