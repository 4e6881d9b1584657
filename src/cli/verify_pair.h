// Where the pair and the server of a login come from: a target Secret of any format, or a SesSmtpCredential
// and its source. Pure but for the calls to the API server; messages name keys, never values.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/secret_bytes.h"
#include "cli/cluster_access.h"
#include "cli/problem.h"
#include "kube/object.h"
#include "kube/secret.h"
#include "ses/endpoint.h"

namespace sessmtp::cli {

// What a person said of the server; it goes before what is found in the cluster.
struct EndpointFlags {
  std::string region;
  ses::EndpointOverrides endpoint;
};

struct LoginPair {
  SecretBytes username;
  SecretBytes password;
  ses::Endpoint endpoint;
  std::string region = {};  // that the password is for, as far as anybody says so; empty: nobody does
  std::string source;       // "Secret shop/mail, keys username and password"
  std::optional<kube::NamespacedName> credential = {};  // that it belongs to
  SecretBytes secret_access_key = {};                   // that the password should be derived from, if known
  std::optional<WallTime> key_since = {};               // when the pair was first used in this cluster
};

// In a Secret of format Default, BasicAuth, Env or ServiceBinding, or one that somebody else made like that;
// where there is no pair, in a URL. A region among the flags picks the keys of that additional region.
[[nodiscard]] Result<LoginPair, Problem> pair_in(const kube::Secret& secret, const EndpointFlags& flags);

// The same for the Secret of that name.
[[nodiscard]] Result<LoginPair, Problem> pair_of_secret(const kube::NamespacedName& which,
                                                        const EndpointFlags& flags,
                                                        const ClusterOptions& options, ClusterAccess& access);

// Looks for the secret access key that the pair of a target should be derived from, to compare: in the source
// of its credential. Leaves the pair as it is when that cannot be read, or is of another access key id.
void find_key(LoginPair& pair, const ClusterOptions& options, ClusterAccess& access);

// What the operator would publish for that credential, derived anew from its source.
[[nodiscard]] Result<LoginPair, Problem> pair_of_credential(const kube::NamespacedName& which,
                                                            const EndpointFlags& flags,
                                                            const ClusterOptions& options,
                                                            ClusterAccess& access);

// The region whose password the server takes: that in the name of an endpoint of SES; empty for any other.
[[nodiscard]] std::string region_of_host(std::string_view host);

}  // namespace sessmtp::cli
