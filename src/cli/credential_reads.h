// Reading SesSmtpCredentials for a person: what is said when they cannot be had.
#pragma once

#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "cli/cluster_access.h"
#include "cli/problem.h"
#include "kube/api_error.h"
#include "kube/client.h"
#include "kube/object.h"

namespace sessmtp::cli {

// Page by page, as it is now. The error of the first page that could not be had.
[[nodiscard]] kube::ApiResult<void> list_all(
    kube::Client& client, const std::string& path, kube::ListOptions page,
    const std::function<void(const nlohmann::json& object)>& on_object);

// All of a namespace, or of the cluster when that is empty.
[[nodiscard]] kube::ApiResult<std::vector<nlohmann::json>> list_credentials(kube::Client& client,
                                                                            const std::string& namespace_);

// Why `which` could not be read; without a name: why they could not be listed. For one that is not there
// similar names are looked for.
[[nodiscard]] Problem explain_reading(const kube::ApiError& error, const kube::NamespacedName& which,
                                      const ClusterOptions& options, ClusterAccess& access);

// The API server does not know the resource at all: there is no CRD.
[[nodiscard]] bool is_unknown_resource(const kube::ApiError& error);

// Those of the names that were probably meant, the nearest first, at most three.
[[nodiscard]] std::vector<std::string> similar_names(const std::string& name,
                                                     const std::vector<std::string>& names);

// "kubectl auth can-i get secrets/shop-iam -n shop", which says whether one may.
[[nodiscard]] std::string can_i(const std::string& kubectl, const std::string& verb,
                                const std::string& resource, const std::string& namespace_);

}  // namespace sessmtp::cli
