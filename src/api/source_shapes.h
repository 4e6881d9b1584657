// What each preset finds in a source Secret.
//
// Pure; thread-safe. Nothing is judged here: values are as they stand there.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/ses_smtp_credential.h"
#include "api/source_documents.h"
#include "kube/secret.h"

namespace sessmtp::api {

struct SourceFinding {
  SourcePreset preset;
  SourceValues values;
  std::optional<DocumentProblem> problem;  // the document cannot be used; the message begins with its key
};

// One finding for a preset of key names, whatever is there of it. For a preset of documents one for each key
// that may hold such a document: spec.keys.file where it is given, otherwise
//   AwsCredentialsFile  the first present of `credentials`, `cloud`, `creds`
//   AwsJson             every key that ends in .json, or holds an object
//   AccessKeysCsv       every key that ends in .csv, or holds several lines
// A document that names no region takes that of the Secret's key `region`. Keys named in spec.keys take the
// place of what the preset finds, one by one.
[[nodiscard]] std::vector<SourceFinding> look_up(const kube::SecretData& data, const SourceSpec& spec,
                                                 SourcePreset preset);

// With id and secret named in spec.keys: those, and no session token but a named one.
[[nodiscard]] SourceFinding look_up_named(const kube::SecretData& data, const SourceKeys& keys);

// For messages: `key "accessKeyId"`, `aws_access_key_id of profile "default" in key "credentials"`.
[[nodiscard]] std::string place_of(const SourceValue& value);

// For messages: a preset, and what it looks for.
[[nodiscard]] std::string_view to_string(SourcePreset preset);
[[nodiscard]] std::string what_is_looked_for(SourcePreset preset);

// The key names of the preset say by themselves that this is an AWS access key. Those of a login do not.
[[nodiscard]] bool is_unmistakable(SourcePreset preset);

}  // namespace sessmtp::api
