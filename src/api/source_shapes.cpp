#include "api/source_shapes.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "base/text.h"
#include "ses/iam_key.h"

namespace sessmtp::api {
namespace {

using Names = std::span<const std::string_view>;
using kube::SecretData;

// The key names of one preset. Of several for one value the first that is there and not empty counts.
struct KeyNames {
  SourcePreset preset;
  Names access_key_id;
  Names secret_access_key;
  Names session_token;
  Names region;
};

constexpr std::array<std::string_view, 1> kPlainId{"accessKeyId"};
constexpr std::array<std::string_view, 1> kPlainSecret{"secretAccessKey"};
constexpr std::array<std::string_view, 1> kPlainToken{"sessionToken"};
constexpr std::array<std::string_view, 3> kPlainRegion{"region", "AWS_REGION", "AWS_DEFAULT_REGION"};
constexpr std::array<std::string_view, 2> kEnvId{"AWS_ACCESS_KEY_ID", "aws_access_key_id"};
constexpr std::array<std::string_view, 2> kEnvSecret{"AWS_SECRET_ACCESS_KEY", "aws_secret_access_key"};
constexpr std::array<std::string_view, 2> kEnvToken{"AWS_SESSION_TOKEN", "aws_session_token"};
constexpr std::array<std::string_view, 3> kEnvRegion{"AWS_REGION", "AWS_DEFAULT_REGION", "region"};
constexpr std::array<std::string_view, 1> kCrossplaneId{"username"};
constexpr std::array<std::string_view, 1> kCrossplaneSecret{"password"};
constexpr std::array<std::string_view, 1> kVaultId{"access_key"};
constexpr std::array<std::string_view, 1> kVaultSecret{"secret_key"};
constexpr std::array<std::string_view, 2> kVaultToken{"security_token", "session_token"};
constexpr std::array<std::string_view, 1> kIdOfIdSecret{"id"};
constexpr std::array<std::string_view, 1> kSecretOfIdSecret{"secret"};
constexpr std::array<std::string_view, 1> kRegion{"region"};
constexpr std::array<std::string_view, 3> kCredentialsFiles{"credentials", "cloud", "creds"};

constexpr std::array<KeyNames, 5> kKeyNames{{
    {SourcePreset::kPlain, kPlainId, kPlainSecret, kPlainToken, kPlainRegion},
    {SourcePreset::kAwsEnv, kEnvId, kEnvSecret, kEnvToken, kEnvRegion},
    {SourcePreset::kCrossplane, kCrossplaneId, kCrossplaneSecret, {}, kRegion},
    {SourcePreset::kVault, kVaultId, kVaultSecret, kVaultToken, kRegion},
    {SourcePreset::kIdSecret, kIdOfIdSecret, kSecretOfIdSecret, {}, kRegion},
}};

const KeyNames* key_names_of(SourcePreset preset) {
  const auto found = std::ranges::find(kKeyNames, preset, &KeyNames::preset);
  return found == kKeyNames.end() ? nullptr : &*found;
}

SourceValue value_of(const SecretData& data, const std::string& key) {
  const auto found = data.find(key);
  return {.name = {},
          .bytes = found == data.end() ? std::nullopt : std::optional(found->second.clone()),
          .key = key};
}

SourceValue value_of(const SecretData& data, Names names) {
  SourceValue value;
  for (const std::string_view name : names) {
    SourceValue candidate = value_of(data, std::string(name));
    const bool better = candidate.bytes && (!value.bytes || ses::trimmed(value.bytes->expose()).empty());
    if (value.key.empty() || better) {
      value = std::move(candidate);
    }
  }
  return value;
}

void take_named(SourceValues& values, const SecretData& data, const SourceKeys& keys) {
  const std::array<std::pair<SourceValue*, const std::optional<std::string>*>, 4> named{
      {{&values.access_key_id, &keys.access_key_id},
       {&values.secret_access_key, &keys.secret_access_key},
       {&values.session_token, &keys.session_token},
       {&values.region, &keys.region}}};
  for (const auto& [value, key] : named) {
    if (*key) {
      *value = value_of(data, **key);
    }
  }
}

SourceValues read_keys(const SecretData& data, const KeyNames& names) {
  SourceValues values{.access_key_id = value_of(data, names.access_key_id),
                      .secret_access_key = value_of(data, names.secret_access_key),
                      .session_token = value_of(data, names.session_token),
                      .region = value_of(data, names.region)};
  // An IAM user's key has no token, and Vault answers null, which the Vault Secrets Operator writes as text.
  if (names.preset == SourcePreset::kVault && values.session_token.bytes &&
      ses::trimmed(values.session_token.bytes->expose()) == "null") {
    values.session_token.bytes.reset();
  }
  return values;
}

std::vector<std::string> document_keys(const SecretData& data, const SourceSpec& spec, SourcePreset preset) {
  if (spec.keys.file) {
    return {*spec.keys.file};
  }
  if (preset == SourcePreset::kAwsCredentialsFile) {
    const auto found = std::ranges::find_if(
        kCredentialsFiles, [&](std::string_view name) { return data.contains(std::string(name)); });
    return found == kCredentialsFiles.end() ? std::vector<std::string>()
                                            : std::vector<std::string>{std::string(*found)};
  }
  const bool wants_json = preset == SourcePreset::kAwsJson;
  std::vector<std::string> keys;
  for (const auto& [key, value] : data) {
    const std::string_view text = ses::trimmed(value.expose());
    if (key.ends_with(wants_json ? ".json" : ".csv") ||
        (wants_json ? text.starts_with('{') : text.contains('\n'))) {
      keys.push_back(key);
    }
  }
  return keys;
}

SourceFinding read_document(const SecretData& data, const SourceSpec& spec, SourcePreset preset,
                            const std::string& key) {
  SourceFinding finding{.preset = preset, .values = {}, .problem = {}};
  const std::string where = "key " + in_quotes(key);
  const auto found = data.find(key);
  if (found == data.end()) {
    finding.problem = DocumentProblem{
        .problem = {Reason::kSourceKeysNotFound,
                    where + " is not there, so there is nothing to derive a password from that "
                            "SES would not answer with 535; correct spec.source.keys.file"},
        .recognised = true};
    return finding;
  }
  const std::string_view text = found->second.expose();
  if (ses::trimmed(text).empty()) {
    finding.problem = DocumentProblem{
        .problem = {Reason::kSourceValueEmpty, where + " is empty, and SES answers 535 to a password derived "
                                                       "from nothing; put the document with the key there"},
        .recognised = false};
    return finding;
  }
  auto values = preset == SourcePreset::kAwsCredentialsFile ? read_credentials_file(text, spec.profile)
                : preset == SourcePreset::kAwsJson          ? read_aws_json(text)
                                                            : read_access_keys_csv(text);
  if (!values) {
    finding.problem = std::move(values.error());
    finding.problem->problem.message = where + ' ' + finding.problem->problem.message;
    return finding;
  }
  finding.values = std::move(*values);
  for (SourceValue* value : {&finding.values.access_key_id, &finding.values.secret_access_key,
                             &finding.values.session_token, &finding.values.region}) {
    value->key = key;
  }
  const SourceValue& region = finding.values.region;
  if (!region.bytes || ses::trimmed(region.bytes->expose()).empty()) {
    finding.values.region = value_of(data, kRegion);
  }
  return finding;
}

}  // namespace

std::vector<SourceFinding> look_up(const SecretData& data, const SourceSpec& spec, SourcePreset preset) {
  std::vector<SourceFinding> findings;
  if (const KeyNames* names = key_names_of(preset)) {
    findings.push_back({.preset = preset, .values = read_keys(data, *names), .problem = {}});
  } else {
    for (const std::string& key : document_keys(data, spec, preset)) {
      findings.push_back(read_document(data, spec, preset, key));
    }
  }
  for (SourceFinding& finding : findings) {
    take_named(finding.values, data, spec.keys);
  }
  return findings;
}

SourceFinding look_up_named(const SecretData& data, const SourceKeys& keys) {
  SourceFinding finding{.preset = SourcePreset::kAuto, .values = {}, .problem = {}};
  finding.values.region = value_of(data, kPlainRegion);
  take_named(finding.values, data, keys);
  return finding;
}

std::string place_of(const SourceValue& value) {
  return (value.name.empty() ? "" : value.name + " in ") + "key " + in_quotes(value.key);
}

std::string_view to_string(SourcePreset preset) {
  switch (preset) {
    case SourcePreset::kAuto:
      return "Auto";
    case SourcePreset::kPlain:
      return "Plain";
    case SourcePreset::kAwsEnv:
      return "AwsEnv";
    case SourcePreset::kCrossplane:
      return "Crossplane";
    case SourcePreset::kVault:
      return "Vault";
    case SourcePreset::kIdSecret:
      return "IdSecret";
    case SourcePreset::kAwsCredentialsFile:
      return "AwsCredentialsFile";
    case SourcePreset::kAwsJson:
      return "AwsJson";
    case SourcePreset::kAccessKeysCsv:
      break;
  }
  return "AccessKeysCsv";
}

std::string what_is_looked_for(SourcePreset preset) {
  if (const KeyNames* names = key_names_of(preset)) {
    return std::string(names->access_key_id.front()) + " and " +
           std::string(names->secret_access_key.front());
  }
  if (preset == SourcePreset::kAwsCredentialsFile) {
    return "an AWS credentials file in credentials, cloud or creds";
  }
  return preset == SourcePreset::kAwsJson ? "JSON with AccessKeyId and SecretAccessKey"
                                          : "CSV with Access key ID and Secret access key";
}

bool is_unmistakable(SourcePreset preset) {
  return preset != SourcePreset::kCrossplane && preset != SourcePreset::kIdSecret;
}

}  // namespace sessmtp::api
