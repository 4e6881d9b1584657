// The documents in which people keep IAM keys: an AWS credentials file, JSON as AWS answers it, the CSV file
// that the console offers.
//
// Pure; thread-safe. A document is secret as a whole: a problem quotes nothing of it but names of profiles.
// Values are taken out as SecretBytes; what is parsed on the way is wiped when it is freed (docs/adr/0005).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "api/problem.h"
#include "base/result.h"
#include "base/secret_bytes.h"

namespace sessmtp::api {

inline constexpr std::size_t kMaxDocument = 65536;  // bytes; nobody's key comes in more

// A value of the source, or its absence.
struct SourceValue {
  std::string name;  // in a document: `aws_access_key_id of profile "default"`
  std::optional<SecretBytes> bytes = {};
  std::string key = {};  // of the Secret, which holds the value or the document
};

struct SourceValues {
  SourceValue access_key_id;
  SourceValue secret_access_key;
  SourceValue session_token;
  SourceValue region;

  [[nodiscard]] bool complete() const { return access_key_id.bytes && secret_access_key.bytes; }
};

struct DocumentProblem {
  Problem problem;          // the message goes on from the document's name: `has no profile "default" …`
  bool recognised = false;  // it is a document of that kind, only what it says does not do
};

// The profile [NAME] of an INI file, as the AWS SDKs read ~/.aws/credentials: comments begin with # or ;, at
// the start of a line or after white space behind a value; names of properties are in any case; a line that
// is indented deeper goes on with the value before it. [profile NAME] is for config files, and another name
// here. A property that the profile gives twice is refused: the SDKs do not agree on which one counts.
[[nodiscard]] Result<SourceValues, DocumentProblem> read_credentials_file(std::string_view text,
                                                                          std::string_view profile);

// AccessKeyId, SecretAccessKey, Token or SessionToken, and Region, at the top of an object or in its member
// AccessKey (iam create-access-key) or Credentials (sts). What is no text is as good as absent.
[[nodiscard]] Result<SourceValues, DocumentProblem> read_aws_json(std::string_view text);

// One row under a header (RFC 4180), columns in any order, their names in any case.
[[nodiscard]] Result<SourceValues, DocumentProblem> read_access_keys_csv(std::string_view text);

}  // namespace sessmtp::api
