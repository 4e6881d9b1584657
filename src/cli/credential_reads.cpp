#include "cli/credential_reads.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

#include "api/names.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/plugin.h"

namespace sessmtp::cli {
namespace {

using nlohmann::json;

constexpr int kPage = 500;
constexpr const char* kResource = "sessmtpcredentials.ses-smtp.dev";

// Levenshtein's.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

std::string name_of(const json& object) {
  return text_of(member_of(object, "metadata"), "name");
}

Problem not_found(const kube::NamespacedName& which, const ClusterOptions& options, ClusterAccess& access) {
  Problem problem{.what = "there is no SesSmtpCredential " + in_quotes(which.name) + " in namespace " +
                          in_quotes(which.namespace_),
                  .why = "",
                  .fix = program() + " status" +
                         (options.context.empty() ? std::string() : " --context " + options.context) +
                         " --namespace " + which.namespace_ + " lists those that are there"};
  std::vector<std::string> here;
  if (const auto objects = list_credentials(access.client(), which.namespace_)) {
    std::ranges::transform(*objects, std::back_inserter(here), name_of);
    problem.why = here.empty() ? "there is none at all in this namespace" : "";
  }
  if (const auto similar = similar_names(which.name, here); !similar.empty()) {
    problem.why = "there is " + joined(similar);
    return problem;
  }
  std::vector<std::string> elsewhere;
  if (const auto objects = list_credentials(access.client(), "")) {
    for (const json& object : *objects) {
      if (name_of(object) == which.name) {
        elsewhere.push_back(text_of(member_of(object, "metadata"), "namespace"));
      }
    }
  }
  if (!elsewhere.empty()) {
    problem.why = "there is one of this name in namespace " + joined(elsewhere);
    problem.fix = "add --namespace " + elsewhere.front();
  }
  return problem;
}

}  // namespace

kube::ApiResult<void> list_all(kube::Client& client, const std::string& path, kube::ListOptions page,
                               const std::function<void(const json& object)>& on_object) {
  page.limit = kPage;
  do {
    const auto end = client.list(path, page, {}, [&on_object](std::string_view text) {
      if (const auto object = kube::parse_object(text)) {
        on_object(*object);
      }
    });
    if (!end) {
      return std::unexpected(end.error());
    }
    page.continue_token = end->continue_token;
  } while (!page.continue_token.empty());
  return {};
}

kube::ApiResult<std::vector<json>> list_credentials(kube::Client& client, const std::string& namespace_) {
  std::vector<json> objects;
  const auto listed = list_all(client, api::credential_path(namespace_), {},
                               [&objects](const json& object) { objects.push_back(object); });
  if (!listed) {
    return std::unexpected(listed.error());
  }
  return objects;
}

Problem explain_reading(const kube::ApiError& error, const kube::NamespacedName& which,
                        const ClusterOptions& options, ClusterAccess& access) {
  if (is_unknown_resource(error)) {
    return {.what = "this cluster does not know SesSmtpCredentials",
            .why = "the CustomResourceDefinition " + std::string(kResource) + " is not installed in " +
                   access.config().server + " (" + access.config().origin + ')',
            .fix = "choose the cluster with --context, or install the operator with its CRD"};
  }
  if (error.kind == kube::ApiErrorKind::kNotFound) {
    return not_found(which, options, access);
  }
  Problem problem =
      explain(error,
              which.name.empty() ? "the SesSmtpCredentials cannot be listed"
                                 : "SesSmtpCredential " + in_quotes(which.name) + " cannot be read",
              access.config());
  if (error.kind == kube::ApiErrorKind::kForbidden) {
    problem.fix = "ask for the ClusterRole ses-smtp-operator-view, or view; " +
                  can_i(kubectl(options), which.name.empty() ? "list" : "get", kResource, which.namespace_) +
                  " says whether you have it";
  }
  return problem;
}

bool is_unknown_resource(const kube::ApiError& error) {
  return error.kind == kube::ApiErrorKind::kNotFound && error.reason.empty();
}

std::vector<std::string> similar_names(const std::string& name, const std::vector<std::string>& names) {
  constexpr std::size_t kAtMost = 3;
  std::multimap<std::size_t, std::string> near;
  for (const std::string& other : names) {
    const std::size_t far = distance(name, other);
    const bool part = other.contains(name) || name.contains(other);
    if (part || far <= std::max<std::size_t>(2, name.size() / 4)) {
      near.emplace(far, other);
    }
  }
  std::vector<std::string> result;
  for (const auto& [far, other] : near) {
    if (result.size() < kAtMost) {
      result.push_back(other);
    }
  }
  return result;
}

std::string can_i(const std::string& kubectl, const std::string& verb, const std::string& resource,
                  const std::string& namespace_) {
  return kubectl + " auth can-i " + verb + ' ' + resource +
         (namespace_.empty() ? " --all-namespaces" : " --namespace " + namespace_);
}

}  // namespace sessmtp::cli
