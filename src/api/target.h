// The Secret that mail-sending pods mount: what it should hold, and how far it is from that.
// Pure; thread-safe.
#pragma once

#include <string>
#include <vector>

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

// The whole intent for server-side apply: username, password, host, port, region, url; labels,
// annotations and the owner reference of ours and nothing else. kInternal only when OpenSSL fails.
[[nodiscard]] Result<kube::Secret> render_target(const SesSmtpCredential& credential, const ses::IamKey& key,
                                                 const std::string& region, const ses::Endpoint& endpoint,
                                                 WallTime key_since);

// What of the intent the live Secret does not have. Keys and metadata of others are left alone.
struct Drift {
  std::vector<std::string> keys;      // of data, missing or different
  std::vector<std::string> metadata;  // labels, annotations, "ownerReferences"

  [[nodiscard]] bool any() const { return !keys.empty() || !metadata.empty(); }
};
[[nodiscard]] Drift drift(const kube::Secret& live, const kube::Secret& intent);

// True when the live target was derived from this key, in whatever region it was written for: the key
// has not been rotated, even if everything else is different.
[[nodiscard]] bool holds_pair_of(const kube::Secret& live, const ses::IamKey& key);

}  // namespace sessmtp::api
