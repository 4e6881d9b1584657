// Finds an IAM key in the source Secret: which keys to look at, and what is wrong with their values.
// Pure; thread-safe. Messages name keys, never values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/event_reason.h"
#include "api/problem.h"
#include "api/ses_smtp_credential.h"
#include "kube/secret.h"
#include "ses/iam_key.h"

namespace sessmtp::api {

// Worth a Warning event, but no reason to stop.
struct Caution {
  EventReason reason;
  std::string message;

  friend bool operator==(const Caution&, const Caution&) = default;
};

struct Source {
  ses::IamKey key;
  std::string region_place;                // of one that is named: `key "region" of Secret "iam"`; or empty
  std::optional<std::string> region;       // its value, if that has a region's syntax
  std::optional<std::string> region_hint;  // what was probably meant, if it has not
  std::vector<Caution> cautions;           // WhitespaceTrimmed, UnusualKeyLength
};

// With a preset: what that preset names (source_shapes.h). With Auto every preset is tried, and exactly one
// may find both an id that begins AKIA (or ASIA, to be refused by its name) and a secret. The same pair found
// twice is one key: some tools write it twice. Where nothing fits, a value that spoils an otherwise plain
// case is reported as what it is; a login (username and password that are no IAM key) is no key.
// SourceKeys take the place of single names; with Auto and both id and secret named, only these count.
[[nodiscard]] Result<Source, Problem> read_source(const kube::Secret& secret, const SourceSpec& spec);

// spec.region, or that of the source; RegionMissing, RegionInvalid.
[[nodiscard]] Result<std::string, Problem> choose_region(const Spec& spec, const Source& source);

}  // namespace sessmtp::api
