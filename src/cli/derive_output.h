// The forms in which `ses-smtp derive` prints a credential.
#pragma once

#include <iosfwd>
#include <string>

#include "base/secret_bytes.h"
#include "cli/derive.h"
#include "ses/endpoint.h"

namespace sessmtp::cli {

// What was derived; the forms but text and url need all of it.
struct Credential {
  SecretBytes username;
  SecretBytes password;
  ses::Endpoint endpoint;
  std::string region;
  SecretBytes url;
};

// In the form that options.output names; the stream gets nothing else.
void print(const Credential& credential, const DeriveOptions& options, std::ostream& out);

}  // namespace sessmtp::cli
