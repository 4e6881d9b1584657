#include "api/names.h"

#include <algorithm>

#include "kube/client.h"

namespace sessmtp::api {

bool is_watched_type(std::string_view type) {
  return std::ranges::find(kUnwatchedTypes, type) == kUnwatchedTypes.end();
}

std::string watched_types_selector() {
  std::string selector;
  for (const std::string_view type : kUnwatchedTypes) {
    selector += (selector.empty() ? "type!=" : ",type!=") + std::string(type);
  }
  return selector;
}

std::string secret_path(std::string_view namespace_, std::string_view name) {
  return kube::resource_path("v1", namespace_, "secrets", name);
}

std::string credential_path(std::string_view namespace_, std::string_view name) {
  return kube::resource_path(kGroupVersion, namespace_, kPlural, name);
}

}  // namespace sessmtp::api
