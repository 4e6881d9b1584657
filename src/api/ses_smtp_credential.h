// The custom resource SesSmtpCredential, typed, with what is left out of the spec filled in.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>

#include "api/condition.h"
#include "base/clock.h"
#include "base/result.h"
#include "kube/object.h"
#include "ses/endpoint.h"

namespace sessmtp::api {

// Names of keys in the source Secret that take the place of the well-known ones.
struct SourceKeys {
  std::optional<std::string> access_key_id;
  std::optional<std::string> secret_access_key;
  std::optional<std::string> session_token;
  std::optional<std::string> region;

  friend bool operator==(const SourceKeys&, const SourceKeys&) = default;
};

struct Spec {
  std::string source_name;
  SourceKeys source_keys;
  std::optional<std::string> region;
  ses::EndpointOverrides endpoint;
  std::string target_name;  // the object's own name unless the spec says otherwise
  std::string target_type;  // "Opaque" unless the spec says otherwise
};

// One version of one Secret.
struct SecretVersion {
  std::string uid;
  std::string resource_version;

  friend bool operator==(const SecretVersion&, const SecretVersion&) = default;
};

struct Status {
  std::int64_t observed_generation = -1;
  Conditions conditions;
  std::string access_key_id;  // masked; of the pair in the target
  std::string region;
  std::optional<ses::Endpoint> endpoint;
  std::optional<WallTime> key_since;           // when the pair was first used here
  std::optional<WallTime> last_rotation_time;  // when it last changed
  std::optional<SecretVersion> source;         // last read
  std::optional<SecretVersion> target;         // only ever a Secret that is ours
  std::string target_name;
  int render_version = 0;

  friend bool operator==(const Status&, const Status&) = default;
};

struct SesSmtpCredential {
  kube::ObjectMeta meta;
  Spec spec;
  Status status;
};

// kInvalidInput with the field's path when the object is not what the CRD promises.
[[nodiscard]] Result<SesSmtpCredential> decode_credential(const nlohmann::json& object);

// The status as it is written: fields without a value are left out.
[[nodiscard]] nlohmann::json encode_status(const Status& status);

}  // namespace sessmtp::api
