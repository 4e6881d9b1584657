// What the operator would make of a credential and its two Secrets now, by its own decisions
// (operator_::plan), step by step and without writing anything. Pure; thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "api/problem.h"
#include "api/ses_smtp_credential.h"
#include "api/target.h"
#include "base/clock.h"
#include "base/secret_bytes.h"
#include "kube/secret.h"
#include "operator/observation.h"
#include "ses/endpoint.h"

namespace sessmtp::cli {

struct Stage {
  api::SesSmtpCredential credential;
  std::vector<api::SesSmtpCredential> neighbours;  // the others of its namespace: two may want one Secret
  operator_::LiveRead source;                      // there or missing
  operator_::LiveRead target;                      // not there and not missing: nothing is said of it
  WallTime now{};
};

// Where each step ends: a problem, or what it gave. A step after one with a problem says nothing.
struct Rehearsal {
  std::optional<api::Problem> source;      // it is absent, or no Secret to read a key from
  std::optional<api::Problem> values;      // they are not those of an IAM key
  std::optional<api::Problem> region;      // none is known
  std::optional<api::Problem> derivation;  // the spec does not give a Secret
  std::optional<api::Problem> target;      // the Secret that is there may not be written

  std::vector<std::string> cautions;  // about values that were accepted
  std::string region_name;
  std::optional<ses::Endpoint> endpoint;
  std::optional<SecretBytes> username, password;  // for the primary region
  std::vector<std::string> keys;                  // of the target's data
  bool would_create = false;
  std::optional<api::Drift> drift;  // of a target that is there; any(): it would be written
};

[[nodiscard]] Rehearsal rehearse(Stage stage);

}  // namespace sessmtp::cli
