// Finds an IAM key in the source Secret: which keys to look at, and what is wrong with their values.
// Pure; thread-safe. Messages name keys, never values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/problem.h"
#include "api/ses_smtp_credential.h"
#include "kube/secret.h"
#include "ses/iam_key.h"

namespace sessmtp::api {

// Worth a Warning event, but no reason to stop.
struct Caution {
  std::string reason;
  std::string message;

  friend bool operator==(const Caution&, const Caution&) = default;
};

struct Source {
  ses::IamKey key;
  std::string region_key;                  // the key that names a region; empty: there is none
  std::optional<std::string> region;       // its value, if that has a region's syntax
  std::optional<std::string> region_hint;  // what was probably meant, if it has not
  std::vector<Caution> cautions;           // WhitespaceTrimmed, UnusualKeyLength
};

// The shapes recognised by their key names: plain (accessKeyId, secretAccessKey, sessionToken, region) and
// environment style (AWS_ACCESS_KEY_ID …, also in lower case). SourceKeys override single names.
[[nodiscard]] Result<Source, Problem> read_source(const kube::Secret& secret, const SourceSpec& spec);

}  // namespace sessmtp::api
