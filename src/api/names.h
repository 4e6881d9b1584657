// Every name that this program shares with the world: groups, labels, annotations, Secret types.
#pragma once

#include <array>
#include <string>
#include <string_view>

namespace sessmtp::api {

inline constexpr std::string_view kGroupVersion = "ses-smtp.dev/v1alpha1";
inline constexpr std::string_view kKind = "SesSmtpCredential";
inline constexpr std::string_view kPlural = "sessmtpcredentials";

inline constexpr std::string_view kManagedByLabel = "app.kubernetes.io/managed-by";
inline constexpr std::string_view kManagedBy = "ses-smtp-operator";
inline constexpr std::string_view kOwnerUidLabel = "ses-smtp.dev/owner-uid";

inline constexpr std::string_view kCredentialAnnotation = "ses-smtp.dev/credential";
inline constexpr std::string_view kRegionAnnotation = "ses-smtp.dev/region";
inline constexpr std::string_view kKeySinceAnnotation = "ses-smtp.dev/key-since";
inline constexpr std::string_view kPreviousExpiresAtAnnotation = "ses-smtp.dev/previous-expires-at";
// On a Secret that is not ours: the name of the credential that may take it over, or merge into it.
inline constexpr std::string_view kAllowTakeoverByAnnotation = "ses-smtp.dev/allow-takeover-by";
// On a credential: look once more; status.lastHandledReconcileAt repeats it when that was done.
inline constexpr std::string_view kReconcileRequestedAtAnnotation = "ses-smtp.dev/reconcile-requested-at";

// Secrets of these types are never looked at by the watch: Helm's are large and many, those of service
// accounts change with every one of them.
inline constexpr std::array<std::string_view, 2> kUnwatchedTypes = {"helm.sh/release.v1",
                                                                    "kubernetes.io/service-account-token"};
[[nodiscard]] bool is_watched_type(std::string_view type);
// The field selector that leaves them out.
[[nodiscard]] std::string watched_types_selector();

// Raised when the same input renders differently: every target is then rewritten once.
inline constexpr int kRenderVersion = 1;

// Paths below the API server's root.
[[nodiscard]] std::string secret_path(std::string_view namespace_, std::string_view name = {});
[[nodiscard]] std::string credential_path(std::string_view namespace_, std::string_view name = {});

}  // namespace sessmtp::api
