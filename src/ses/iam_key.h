// What an IAM access key must look like before a password is derived from it.
//
// Every mistake refused here would give a well-formed 44-character password, and then SMTP reply 535.
// Pure; thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/secret_bytes.h"

namespace sessmtp::ses {

// In the order in which they are checked: the first that fits is the one reported.
enum class KeyFault : std::uint8_t {
  kValueEmpty,              // nothing is left after trimming
  kTemporaryCredentials,    // the id begins ASIA, or a session token is there
  kAlreadyDerivedPassword,  // the secret has the shape of an SMTP password, or is the SES console's CSV file
  kSwapped,                 // an access key id stands where the secret should be
  kNotAnAccessKeyId,        // a user id, role id, ARN …, or outside ^\w{16,128}$
  kMalformed,               // white space, control or non-ASCII bytes inside a value, or quotes around it
  kDoubleEncoded,           // base64 of a 40-character secret access key, or of an access key id
};

// Which of the two values a fault is about.
enum class KeyPart : std::uint8_t { kAccessKeyId, kSecretAccessKey, kSessionToken };

struct KeyProblem {
  KeyFault fault;
  KeyPart part;

  friend bool operator==(const KeyProblem&, const KeyProblem&) = default;
};

enum class KeyWarning : std::uint8_t {
  kWhitespaceTrimmed,  // leading or trailing white space or a byte order mark was dropped
  kUnusualLength,      // the secret is not 40 characters long; accepted
};

struct IamKey {
  SecretBytes access_key_id;      // trimmed
  SecretBytes secret_access_key;  // trimmed
  std::vector<KeyWarning> warnings;
};

// The values as the source holds them. An empty session token is as good as none: some tools write one.
[[nodiscard]] Result<IamKey, KeyProblem> check_iam_key(const SecretBytes& access_key_id,
                                                       const SecretBytes& secret_access_key,
                                                       const SecretBytes& session_token);

struct SecretAccessKey {
  SecretBytes value;  // trimmed
  std::vector<KeyWarning> warnings;
};

// The same checks for a secret whose id is not at hand; kSwapped: it has the shape of an access key id.
[[nodiscard]] Result<SecretAccessKey, KeyFault> check_secret_access_key(const SecretBytes& secret_access_key);

// "AKIA************MPLE" for ids of the form ^AKIA[A-Z0-9]{16}$, "****" for everything else.
[[nodiscard]] std::string mask_access_key_id(std::string_view access_key_id);

// Has the shape of an SMTP password: ^B[A-P][A-Za-z0-9+/]{42}$ (v4) or ^A[g-v][A-Za-z0-9+/]{42}$ (v2).
[[nodiscard]] bool looks_like_smtp_password(std::string_view value);

// The file that the SES console offers after "Create SMTP credentials": with an SMTP password, not a key.
[[nodiscard]] bool is_ses_console_csv(std::string_view text);

// Has the shape of today's access key ids: ^(AKIA|ASIA)[A-Z0-9]{16}$.
[[nodiscard]] bool looks_like_access_key_id(std::string_view value);

// Without leading and trailing white space (space, tab, CR, LF, VT, FF) and a leading UTF-8 byte order mark.
[[nodiscard]] std::string_view trimmed(std::string_view value);

}  // namespace sessmtp::ses
