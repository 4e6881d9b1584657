#include "api/source.h"

#include <algorithm>
#include <array>
#include <span>
#include <string_view>

#include "base/text.h"
#include "ses/region.h"

namespace sessmtp::api {
namespace {

using Names = std::span<const std::string_view>;

// The key names of one shape of source Secret; of several names for one value the first present counts.
struct Shape {
  Names access_key_id;
  Names secret_access_key;
  Names session_token;
  Names region;
};

constexpr std::array<std::string_view, 1> kPlainId{"accessKeyId"};
constexpr std::array<std::string_view, 1> kPlainSecret{"secretAccessKey"};
constexpr std::array<std::string_view, 1> kPlainToken{"sessionToken"};
constexpr std::array<std::string_view, 2> kEnvId{"AWS_ACCESS_KEY_ID", "aws_access_key_id"};
constexpr std::array<std::string_view, 2> kEnvSecret{"AWS_SECRET_ACCESS_KEY", "aws_secret_access_key"};
constexpr std::array<std::string_view, 2> kEnvToken{"AWS_SESSION_TOKEN", "aws_session_token"};
constexpr std::array<std::string_view, 3> kPlainRegion{"region", "AWS_REGION", "AWS_DEFAULT_REGION"};
constexpr std::array<std::string_view, 3> kEnvRegion{"AWS_REGION", "AWS_DEFAULT_REGION", "region"};
constexpr std::array<Shape, 2> kShapes{
    {{kPlainId, kPlainSecret, kPlainToken, kPlainRegion}, {kEnvId, kEnvSecret, kEnvToken, kEnvRegion}}};

constexpr std::size_t kMaxNamesShown = 10;

// The key of each value in this Secret; empty where there is none.
struct Located {
  std::string access_key_id;
  std::string secret_access_key;
  std::string session_token;
  std::string region;
};

std::string first_present(const kube::SecretData& data, Names names) {
  const auto found = std::ranges::find_if(names, [&](auto name) { return data.contains(std::string(name)); });
  return found == names.end() ? std::string() : std::string(*found);
}

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

Result<Located, Problem> locate(const kube::Secret& secret, const SourceKeys& keys) {
  const kube::SecretData& data = secret.data;
  const std::string in_secret = " in Secret " + in_quotes(secret.meta.name);
  Located located;
  if (keys.access_key_id && keys.secret_access_key) {
    located.access_key_id = *keys.access_key_id;
    located.secret_access_key = *keys.secret_access_key;
  } else {
    bool found = false;
    for (const Shape& shape : kShapes) {
      Located candidate{.access_key_id = first_present(data, shape.access_key_id),
                        .secret_access_key = first_present(data, shape.secret_access_key),
                        .session_token = first_present(data, shape.session_token),
                        .region = first_present(data, shape.region)};
      if (candidate.access_key_id.empty() || candidate.secret_access_key.empty()) {
        continue;
      }
      if (found) {
        return problem(Reason::kSourceKeysAmbiguous,
                       "two IAM keys" + in_secret + ": " + located.access_key_id + " and " +
                           candidate.access_key_id + "; name the one to use in spec.source.keys");
      }
      located = std::move(candidate);
      found = true;
    }
    if (!found) {
      return problem(Reason::kSourceKeysNotFound,
                     "no IAM key" + in_secret +
                         ": looked for accessKeyId and secretAccessKey, or AWS_ACCESS_KEY_ID and "
                         "AWS_SECRET_ACCESS_KEY; found " +
                         key_list(data) + "; name yours in spec.source.keys");
    }
  }
  if (keys.session_token) {
    located.session_token = *keys.session_token;
  }
  if (keys.region) {
    located.region = *keys.region;
  } else if (keys.access_key_id && keys.secret_access_key) {
    located.region = first_present(data, kPlainRegion);
  }
  std::vector<std::string> absent;
  for (const std::string& name : {located.access_key_id, located.secret_access_key}) {
    if (!data.contains(name)) {
      absent.push_back(in_quotes(name));
    }
  }
  if (!absent.empty()) {
    return problem(
        Reason::kSourceKeysNotFound,
        "no key " + joined(absent) + in_secret + ", as named in spec.source.keys; found " + key_list(data));
  }
  return located;
}

// What to say about a fault, given where the value stands.
Problem explain(const ses::KeyProblem& fault, const Located& located, const std::string& secret_name) {
  const std::string& key = fault.part == ses::KeyPart::kAccessKeyId       ? located.access_key_id
                           : fault.part == ses::KeyPart::kSecretAccessKey ? located.secret_access_key
                                                                          : located.session_token;
  const std::string where = "key " + in_quotes(key) + " of Secret " + in_quotes(secret_name);
  switch (fault.fault) {
    case ses::KeyFault::kValueEmpty:
      return {Reason::kSourceValueEmpty, where + " is empty; put the access key of an IAM user there"};
    case ses::KeyFault::kTemporaryCredentials:
      return {
          Reason::kTemporaryCredentials,
          where +
              (fault.part == ses::KeyPart::kSessionToken ? " holds a session token"
                                                         : " holds a temporary access key (ASIA…)") +
              "; SES SMTP accepts long-term IAM user keys (AKIA…) only, never those of a role or session"};
    case ses::KeyFault::kAlreadyDerivedPassword:
      return {Reason::kAlreadyDerivedPassword,
              where +
                  " holds an SMTP password that was already derived; put the secret access key of the "
                  "IAM user there instead"};
    case ses::KeyFault::kSwapped:
      return {Reason::kSourceKeysSwapped,
              where +
                  " holds an access key id where the secret access key belongs; the two are swapped, or the "
                  "id was stored twice"};
    case ses::KeyFault::kNotAnAccessKeyId:
      return {Reason::kNotAnAccessKeyId,
              where +
                  " is not an access key id (those of IAM users begin AKIA); a user id, a role id or an "
                  "ARN does not log in"};
    case ses::KeyFault::kMalformed:
      return {
          Reason::kSourceValueMalformed,
          where +
              " holds white space, control or non-ASCII bytes inside the value; store the bare key alone"};
    case ses::KeyFault::kDoubleEncoded:
      break;
  }
  return {Reason::kSourceValueDoubleEncoded,
          where + " is base64 of a secret access key: it was encoded twice (use stringData, or encode once)"};
}

std::vector<Caution> cautions_of(const ses::IamKey& key, const std::string& secret_name) {
  std::vector<Caution> cautions;
  for (const ses::KeyWarning warning : key.warnings) {
    if (warning == ses::KeyWarning::kWhitespaceTrimmed) {
      cautions.push_back({"WhitespaceTrimmed",
                          "white space around a value of Secret " + in_quotes(secret_name) + " was ignored"});
    } else {
      cautions.push_back({"UnusualKeyLength", "the secret access key in Secret " + in_quotes(secret_name) +
                                                  " is not 40 characters long, as those of AWS are"});
    }
  }
  return cautions;
}

}  // namespace

Result<Source, Problem> read_source(const kube::Secret& secret, const SourceSpec& spec) {
  const auto located = locate(secret, spec.keys);
  if (!located) {
    return std::unexpected(located.error());
  }
  const SecretBytes nothing;
  const auto value = [&](const std::string& name) -> const SecretBytes& {
    const auto found = secret.data.find(name);
    return found == secret.data.end() ? nothing : found->second;
  };
  auto key = ses::check_iam_key(value(located->access_key_id), value(located->secret_access_key),
                                value(located->session_token));
  if (!key) {
    return std::unexpected(explain(key.error(), *located, secret.meta.name));
  }
  Source source{.key = std::move(*key), .region_key = {}, .region = {}, .region_hint = {}, .cautions = {}};
  source.cautions = cautions_of(source.key, secret.meta.name);
  if (const std::string_view region = ses::trimmed(value(located->region).expose()); !region.empty()) {
    source.region_key = located->region;
    if (ses::has_region_syntax(region)) {
      source.region = std::string(region);
    } else {
      source.region_hint = ses::suggest_region(region);
    }
  }
  return source;
}

}  // namespace sessmtp::api
