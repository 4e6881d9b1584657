#include "api/names.h"

#include "kube/client.h"

namespace sessmtp::api {

std::string secret_path(std::string_view namespace_, std::string_view name) {
  return kube::resource_path("v1", namespace_, "secrets", name);
}

std::string credential_path(std::string_view namespace_, std::string_view name) {
  return kube::resource_path(kGroupVersion, namespace_, kPlural, name);
}

}  // namespace sessmtp::api
