// Has the key pair changed since the target was written, since when is it in use, and which pair was before?
// Pure.
#pragma once

#include <optional>
#include <string>

#include "api/target.h"
#include "operator/observation.h"
#include "operator/ownership.h"
#include "ses/iam_key.h"

namespace sessmtp::operator_ {

// How the target relates to the key that the source holds now.
struct Standing {
  bool creating = false;
  bool rotated = false;  // the pair is another one than the target held, or holds
  bool held = false;     // the target holds the pair already
  WallTime key_since{};
};

// What is asked about: one key, read from one version of the source.
struct CurrentKey {
  const ses::IamKey& key;
  std::string masked_id;
  api::SecretVersion source;
};

// `renders_the_same`: with this key the target's data would be as it is. Looks at the live target if it was
// read.
[[nodiscard]] Standing stand(const Observation& observation, const CurrentKey& current, Ownership ownership,
                             bool renders_the_same);

// What the target shall keep of the pair before, with spec.keepPreviousFor, now and in `region`: a pair of
// another region does not log in here.
[[nodiscard]] std::optional<api::PreviousPair> previous_pair(const Observation& observation,
                                                             const Standing& standing,
                                                             const std::string& region);

}  // namespace sessmtp::operator_
