#include "operator/observation.h"

#include "api/names.h"

namespace sessmtp::operator_ {

SecretRecord record_of(const kube::ObjectMeta& meta) {
  return {.version = {.uid = meta.uid, .resource_version = meta.resource_version},
          .terminating = meta.terminating,
          .managed = meta.label(api::kManagedByLabel) == api::kManagedBy,
          .owner_uid = std::string(meta.label(api::kOwnerUidLabel)),
          .credential_name = std::string(meta.annotation(api::kCredentialAnnotation))};
}

}  // namespace sessmtp::operator_
