#include "operator/observation.h"

#include <algorithm>

#include "api/names.h"
#include "base/text.h"

namespace sessmtp::operator_ {

SecretRecord record_of(const kube::ObjectMeta& meta) {
  SecretRecord record{.version = {.uid = meta.uid, .resource_version = meta.resource_version},
                      .terminating = meta.terminating,
                      .managed = meta.label(api::kManagedByLabel) == api::kManagedBy,
                      .owner_uid = std::string(meta.label(api::kOwnerUidLabel)),
                      .credential_name = std::string(meta.annotation(api::kCredentialAnnotation)),
                      .allows_takeover_by = std::string(meta.annotation(api::kAllowTakeoverByAnnotation))};
  record.merged_into = !record.managed && !meta.annotation(api::kKeySinceAnnotation).empty();
  const auto controller = std::ranges::find(meta.owner_references, true, &kube::OwnerReference::controller);
  if (controller != meta.owner_references.end()) {
    record.controller = controller->kind + ' ' + in_quotes(controller->name);
    record.controller_uid = controller->uid;
  }
  return record;
}

}  // namespace sessmtp::operator_
