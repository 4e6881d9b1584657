#include "api/source.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "api/source_shapes.h"
#include "base/text.h"
#include "ses/region.h"

namespace sessmtp::api {
namespace {

// In this order: of two that hold the same pair the first is taken.
constexpr std::array<SourcePreset, 8> kAllPresets{
    SourcePreset::kPlain,    SourcePreset::kAwsEnv,       SourcePreset::kVault,
    SourcePreset::kIdSecret, SourcePreset::kCrossplane,   SourcePreset::kAwsCredentialsFile,
    SourcePreset::kAwsJson,  SourcePreset::kAccessKeysCsv};

constexpr std::size_t kMaxNamesShown = 10;

std::string key_list(const kube::SecretData& data) {
  if (data.empty()) {
    return "no keys";
  }
  std::string list;
  std::size_t shown = 0;
  for (const auto& [name, value] : data) {
    if (shown++ == kMaxNamesShown) {
      return list + ", …";
    }
    list += (list.empty() ? "" : ", ") + name;
  }
  return list;
}

std::unexpected<Problem> problem(Reason reason, std::string message) {
  return std::unexpected(Problem{reason, std::move(message)});
}

std::string_view text_of(const SourceValue& value) {
  return value.bytes ? ses::trimmed(value.bytes->expose()) : std::string_view();
}

bool is_iam_key(const SourceValues& values) {
  const std::string_view id = text_of(values.access_key_id);
  return values.complete() && (id.starts_with("AKIA") || id.starts_with("ASIA"));
}

bool same_pair(const SourceValues& a, const SourceValues& b) {
  return text_of(a.access_key_id) == text_of(b.access_key_id) &&
         text_of(a.secret_access_key) == text_of(b.secret_access_key);
}

// Everything that is worth a look, whether it is a key or not.
std::vector<SourceFinding> look_everywhere(const kube::SecretData& data, const SourceSpec& spec) {
  std::vector<SourceFinding> findings;
  for (const SourcePreset preset : kAllPresets) {
    if (spec.preset != SourcePreset::kAuto && spec.preset != preset) {
      continue;
    }
    for (SourceFinding& finding : look_up(data, spec, preset)) {
      findings.push_back(std::move(finding));
    }
  }
  return findings;
}

// Drops those that hold the pair of an earlier one, but not what they say of a token or a region.
void merge_same_pairs(std::vector<SourceFinding>& keys) {
  std::vector<SourceFinding> merged;
  for (SourceFinding& key : keys) {
    const auto same = std::ranges::find_if(
        merged, [&](const SourceFinding& other) { return same_pair(other.values, key.values); });
    if (same == merged.end()) {
      merged.push_back(std::move(key));
      continue;
    }
    for (const auto part : {&SourceValues::session_token, &SourceValues::region}) {
      if (text_of(same->values.*part).empty()) {
        same->values.*part = std::move(key.values.*part);
      }
    }
  }
  keys = std::move(merged);
}

class Finder {
 public:
  Finder(const kube::Secret& secret, const SourceSpec& spec)
      : data_(secret.data), spec_(spec), secret_("Secret " + in_quotes(secret.meta.name)) {}

  Result<SourceValues, Problem> find() {
    const bool any = spec_.preset == SourcePreset::kAuto;
    if (any && spec_.keys.access_key_id && spec_.keys.secret_access_key) {
      return one_of(look_up_named(data_, spec_.keys));
    }
    std::vector<SourceFinding> findings = look_everywhere(data_, spec_);
    std::vector<SourceFinding> keys;
    for (SourceFinding& finding : findings) {
      if (!finding.problem && finding.values.complete() && (!any || is_iam_key(finding.values))) {
        keys.push_back(std::move(finding));
      }
    }
    merge_same_pairs(keys);
    if (keys.size() > 1) {
      return ambiguous(keys[0], keys[1]);
    }
    if (!keys.empty()) {
      return std::move(keys.front().values);
    }
    return any ? no_key(std::move(findings)) : of_preset(std::move(findings));
  }

 private:
  // What is to be said when a preset was named, and found nothing.
  [[nodiscard]] Result<SourceValues, Problem> of_preset(std::vector<SourceFinding> findings) const {
    if (findings.empty()) {
      return problem(Reason::kSourceKeysNotFound,
                     "no document in " + secret_ + ": preset " + std::string(to_string(spec_.preset)) +
                         " looked for " + what_is_looked_for(spec_.preset) + "; found " + key_list(data_) +
                         "; SES answers 535 to a password derived from anything else; name the key in "
                         "spec.source.keys.file");
    }
    // Of several documents the one that comes closest.
    const auto closest = std::ranges::find_if(findings, [](const SourceFinding& finding) {
      return !finding.problem || finding.problem->recognised;
    });
    return one_of(std::move(closest == findings.end() ? findings.front() : *closest));
  }

  [[nodiscard]] Result<SourceValues, Problem> one_of(SourceFinding finding) const {
    if (finding.problem) {
      return in_secret(finding.problem->problem);
    }
    std::vector<std::string> absent;
    for (const SourceValue* value : {&finding.values.access_key_id, &finding.values.secret_access_key}) {
      if (!value->bytes) {
        absent.push_back(place_of(*value));
      }
    }
    if (absent.empty()) {
      return std::move(finding.values);
    }
    const bool named = finding.preset == SourcePreset::kAuto;
    return problem(Reason::kSourceKeysNotFound,
                   "no " + joined(absent) + " in " + secret_ + ", as " +
                       (named ? std::string("named in spec.source.keys")
                              : "preset " + std::string(to_string(finding.preset)) + " needs it") +
                       "; found " + key_list(data_) +
                       "; SES answers 535 to a password derived from anything but both parts of one key; add "
                       "it, or correct spec.source." +
                       (named ? "keys" : "preset or spec.source.keys"));
  }

  // Auto found no key. Something that looks like one, and is spoilt, is reported as what it is.
  [[nodiscard]] Result<SourceValues, Problem> no_key(std::vector<SourceFinding> findings) const {
    std::vector<SourceFinding> spoilt;
    for (SourceFinding& finding : findings) {
      if (!finding.problem && finding.values.complete() &&
          (is_unmistakable(finding.preset) ||
           ses::looks_like_access_key_id(text_of(finding.values.secret_access_key)))) {
        spoilt.push_back(std::move(finding));
      }
    }
    merge_same_pairs(spoilt);
    if (spoilt.size() > 1) {
      return ambiguous(spoilt[0], spoilt[1]);
    }
    if (!spoilt.empty()) {
      return unless_accepted(std::move(spoilt.front()));
    }
    for (const SourceFinding& finding : findings) {
      if (finding.problem && finding.problem->recognised) {
        return in_secret(finding.problem->problem);
      }
    }
    return not_found();
  }

  [[nodiscard]] Result<SourceValues, Problem> unless_accepted(SourceFinding finding) const {
    const SourceValues& values = finding.values;
    const SecretBytes nothing;
    if (!ses::check_iam_key(*values.access_key_id.bytes, *values.secret_access_key.bytes,
                            values.session_token.bytes ? *values.session_token.bytes : nothing)) {
      return std::move(finding.values);  // to be refused for what it is
    }
    return problem(Reason::kSourceKeysNotFound,
                   place_of(values.access_key_id) + " of " + secret_ +
                       " does not begin with AKIA, as the ids of IAM users' access keys do, and SES answers "
                       "535 to a login with anything else; correct it, or, if it is right, set "
                       "spec.source.preset: " +
                       std::string(to_string(finding.preset)));
  }

  [[nodiscard]] std::unexpected<Problem> not_found() const {
    std::string looked_for;
    for (const SourcePreset preset : kAllPresets) {
      looked_for += (looked_for.empty() ? "" : "; ") + what_is_looked_for(preset);
    }
    std::string login;
    if (const auto user = data_.find("username"); user != data_.end() && data_.contains("password")) {
      login =
          ". Its username is no access key id (AKIA…), so this is the login of something else, such as a "
          "database, and not an IAM key";
    }
    return problem(
        Reason::kSourceKeysNotFound,
        "no IAM key in " + secret_ + ": found " + key_list(data_) + "; looked for " + looked_for + login +
            ". SES answers 535 to a password derived from anything else; set spec.source.preset, or "
            "name the keys in spec.source.keys");
  }

  [[nodiscard]] std::unexpected<Problem> ambiguous(const SourceFinding& a, const SourceFinding& b) const {
    const auto described = [](const SourceFinding& finding) {
      return place_of(finding.values.access_key_id) + " (preset " + std::string(to_string(finding.preset)) +
             ')';
    };
    return problem(
        Reason::kSourceKeysAmbiguous,
        "two IAM keys in " + secret_ + ": " + described(a) + " and " + described(b) +
            "; SES answers 535 to a password of the wrong one; say which in " +
            (a.preset == b.preset ? "spec.source.keys.file" : "spec.source.preset or spec.source.keys"));
  }

  [[nodiscard]] std::unexpected<Problem> in_secret(const Problem& found) const {
    return problem(found.reason, "in " + secret_ + ", " + found.message);
  }

  const kube::SecretData& data_;
  const SourceSpec& spec_;
  std::string secret_;
};

// What to say about a fault, given where the value stands.
Problem explain(const ses::KeyProblem& fault, const SourceValues& values, const std::string& secret) {
  const SourceValue& value = fault.part == ses::KeyPart::kAccessKeyId       ? values.access_key_id
                             : fault.part == ses::KeyPart::kSecretAccessKey ? values.secret_access_key
                                                                            : values.session_token;
  const std::string where = place_of(value) + " of Secret " + in_quotes(secret);
  const bool is_id = fault.part == ses::KeyPart::kAccessKeyId;
  switch (fault.fault) {
    case ses::KeyFault::kValueEmpty:
      return {Reason::kSourceValueEmpty,
              where + " is empty, and SES answers 535 to a login without it; put the " +
                  (is_id ? "access key id" : "secret access key") + " of an IAM user there"};
    case ses::KeyFault::kTemporaryCredentials:
      return {Reason::kTemporaryCredentials,
              where + (is_id ? " holds a temporary access key (ASIA…)" : " holds a session token") +
                  "; SMTP has no place for the token of a role or a session, so SES answers 535; use a "
                  "long-term access key of an IAM user (AKIA…)"};
    case ses::KeyFault::kAlreadyDerivedPassword:
      return {Reason::kAlreadyDerivedPassword,
              where +
                  " holds an SMTP password that was already derived; SES answers 535 to one derived from it "
                  "again; put the secret access key of the IAM user there instead"};
    case ses::KeyFault::kSwapped:
      return {Reason::kSourceKeysSwapped,
              where +
                  " holds an access key id where the secret access key belongs, and SES answers 535 to a "
                  "password derived from it; the two are swapped, or the id was stored twice: put each in "
                  "its place"};
    case ses::KeyFault::kNotAnAccessKeyId:
      return {Reason::kNotAnAccessKeyId,
              where +
                  " is not an access key id; SES answers 535 to a login with anything else, such as a user "
                  "name, a user's or role's id, or an ARN; put the id there that begins with AKIA, without "
                  "quotes"};
    case ses::KeyFault::kMalformed:
      return {
          Reason::kSourceValueMalformed,
          where +
              " holds white space, control or non-ASCII bytes inside the value, or quotes around it, "
              "which no key has; SES answers 535 to a password derived from it; store the bare key alone"};
    case ses::KeyFault::kDoubleEncoded:
      break;
  }
  return {Reason::kSourceValueDoubleEncoded,
          where + " is base64 of " + (is_id ? "an access key id" : "a secret access key") +
              ": it was encoded twice, and SES answers 535 to a login with it; put the key itself into "
              "stringData, or encode it once"};
}

std::vector<Caution> cautions_of(const ses::IamKey& key, const std::string& secret_name) {
  std::vector<Caution> cautions;
  for (const ses::KeyWarning warning : key.warnings) {
    if (warning == ses::KeyWarning::kWhitespaceTrimmed) {
      cautions.push_back({EventReason::kWhitespaceTrimmed,
                          "white space around a value of Secret " + in_quotes(secret_name) + " was ignored"});
    } else {
      cautions.push_back(
          {EventReason::kUnusualKeyLength, "the secret access key in Secret " + in_quotes(secret_name) +
                                               " is not 40 characters long, as those of AWS are"});
    }
  }
  return cautions;
}

}  // namespace

Result<Source, Problem> read_source(const kube::Secret& secret, const SourceSpec& spec) {
  const auto values = Finder(secret, spec).find();
  if (!values) {
    return std::unexpected(values.error());
  }
  const SecretBytes nothing;
  auto key = ses::check_iam_key(*values->access_key_id.bytes, *values->secret_access_key.bytes,
                                values->session_token.bytes ? *values->session_token.bytes : nothing);
  if (!key) {
    return std::unexpected(explain(key.error(), *values, secret.meta.name));
  }
  Source source{.key = std::move(*key), .region_place = {}, .region = {}, .region_hint = {}, .cautions = {}};
  source.cautions = cautions_of(source.key, secret.meta.name);
  if (const std::string_view region = text_of(values->region); !region.empty()) {
    source.region_place = place_of(values->region) + " of Secret " + in_quotes(secret.meta.name);
    if (ses::has_region_syntax(region)) {
      source.region = std::string(region);
    } else {
      source.region_hint = ses::suggest_region(region);
    }
  }
  return source;
}

Result<std::string, Problem> choose_region(const Spec& spec, const Source& source) {
  const std::string why = "a password is good in one region only, and SES answers 535 in every other";
  if (spec.region) {
    if (!ses::has_region_syntax(*spec.region)) {
      return problem(Reason::kRegionInvalid,
                     "spec.region is not the name of an AWS region, such as eu-west-1; " + why);
    }
    return *spec.region;
  }
  if (source.region_place.empty()) {
    return problem(Reason::kRegionMissing, "no region: set spec.region, or a key \"region\" in Secret " +
                                               in_quotes(spec.source.secret_name) + "; " + why);
  }
  if (!source.region) {
    return problem(Reason::kRegionInvalid,
                   source.region_place + " is not the name of an AWS region" +
                       (source.region_hint ? "; did you mean " + *source.region_hint + "? "
                                           : std::string(", such as eu-west-1; ")) +
                       why + "; correct it, or set spec.region");
  }
  return *source.region;
}

}  // namespace sessmtp::api
