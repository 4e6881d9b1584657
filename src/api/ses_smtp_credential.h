// The custom resource SesSmtpCredential, typed, with what is left out of the spec filled in.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "api/condition.h"
#include "base/clock.h"
#include "base/result.h"
#include "kube/object.h"
#include "ses/endpoint.h"

namespace sessmtp::api {

// The shape of a source Secret: which keys hold what.
enum class SourcePreset : std::uint8_t {
  kAuto,  // tries all of them
  kPlain,
  kAwsEnv,
  kCrossplane,
  kVault,
  kIdSecret,
  kAwsCredentialsFile,
  kAwsJson,
  kAccessKeysCsv,
};

// Names of keys in the source Secret that take the place of the preset's, one by one.
struct SourceKeys {
  std::optional<std::string> access_key_id;
  std::optional<std::string> secret_access_key;
  std::optional<std::string> session_token;
  std::optional<std::string> region;
  std::optional<std::string> file = {};  // holds the whole document, in the presets that read one

  friend bool operator==(const SourceKeys&, const SourceKeys&) = default;
};

struct SourceSpec {
  std::string secret_name;
  SourcePreset preset = SourcePreset::kAuto;
  std::string profile = "default";  // in an AWS credentials file
  SourceKeys keys;

  friend bool operator==(const SourceSpec&, const SourceSpec&) = default;
};

// Which keys are written to the target.
enum class TargetFormat : std::uint8_t { kDefault, kBasicAuth, kEnv, kServiceBinding, kNone };

// What to do when a Secret that is not ours has the target's name.
enum class ConflictPolicy : std::uint8_t { kFail, kAdopt, kMerge };

// What becomes of the target when the credential is deleted.
enum class DeletionPolicy : std::uint8_t { kDelete, kRetain };

struct TargetSpec {
  std::string name;             // the object's own name unless the spec says otherwise
  std::string type = "Opaque";  // not looked at with kMerge
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;
  TargetFormat format = TargetFormat::kDefault;
  std::map<std::string, std::string> data;  // key to template
  ConflictPolicy conflict_policy = ConflictPolicy::kFail;
  DeletionPolicy deletion_policy = DeletionPolicy::kDelete;

  friend bool operator==(const TargetSpec&, const TargetSpec&) = default;
};

// What is done with a login that proves the pair at the SMTP server.
enum class VerifyMode : std::uint8_t {
  kDisabled,
  kReport,   // the target is written at once, the condition Verified tells
  kEnforce,  // the target is written when the server has accepted the pair
};

// Of the group apps, in the credential's namespace.
struct Workload {
  std::string kind;  // Deployment, StatefulSet or DaemonSet
  std::string name;

  friend auto operator<=>(const Workload&, const Workload&) = default;
};

struct Spec {
  SourceSpec source;
  std::optional<std::string> region;
  std::vector<std::string> additional_regions;
  ses::EndpointOverrides endpoint;
  TargetSpec target;
  std::optional<std::chrono::milliseconds> keep_previous_for;
  VerifyMode verify_mode = VerifyMode::kDisabled;
  std::vector<Workload> rollout_restart_targets;
  bool suspend = false;

  friend bool operator==(const Spec&, const Spec&) = default;
};

// One version of one Secret.
struct SecretVersion {
  std::string uid;
  std::string resource_version;

  friend bool operator==(const SecretVersion&, const SecretVersion&) = default;
};

// The pair before the last rotation, while the target still holds it.
struct PreviousKey {
  std::string access_key_id;  // masked
  WallTime expires_at;

  friend bool operator==(const PreviousKey&, const PreviousKey&) = default;
};

// Rollout::reason of a restart that waits for its time.
inline constexpr const char* kRestartPending = "RestartPending";

// How far a workload is behind the target's data. A restart is due from requested_at until reason is empty.
struct Rollout {
  Workload workload;
  std::string digest;                         // of the data that its pods have seen (data_digest)
  std::optional<WallTime> requested_at = {};  // when other data was written, until it was restarted
  std::optional<WallTime> restarted_at = {};  // last, by us
  std::string reason = {};                    // why it is not restarted yet; empty: nothing is due

  friend bool operator==(const Rollout&, const Rollout&) = default;
};

struct Status {
  std::int64_t observed_generation = -1;
  Conditions conditions;
  std::string access_key_id;  // masked; of the pair in the target
  std::string region;
  std::vector<std::string> additional_regions = {};
  std::optional<ses::Endpoint> endpoint;
  std::optional<WallTime> key_since;           // when the pair was first used here
  std::optional<WallTime> last_rotation_time;  // when it last changed
  std::optional<SecretVersion> source;         // last read
  std::optional<SecretVersion> target;         // only ever a Secret that is ours
  std::string target_name;
  bool target_merged = false;  // it is another's Secret, into which we merge
  int render_version = 0;
  std::optional<PreviousKey> previous = {};
  std::vector<Rollout> rollouts = {};          // of each workload of the spec, in its order
  std::string binding_name = {};               // the target's, where Service Binding looks for it
  std::string last_handled_reconcile_at = {};  // the annotation that asks for a look, as last seen

  friend bool operator==(const Status&, const Status&) = default;
};

struct SesSmtpCredential {
  kube::ObjectMeta meta;
  Spec spec;
  Status status;

  friend bool operator==(const SesSmtpCredential&, const SesSmtpCredential&) = default;
};

// kInvalidInput with the field's path when the object is not what the CRD promises.
[[nodiscard]] Result<SesSmtpCredential> decode_credential(const nlohmann::json& object);

// The status as it is written: fields without a value are left out.
[[nodiscard]] nlohmann::json encode_status(const Status& status);

}  // namespace sessmtp::api
