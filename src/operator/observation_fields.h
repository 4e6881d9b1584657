// All members of what is remembered of a Secret, for Packed (base/packed.h).
#pragma once

#include <tuple>

#include "api/credential_fields.h"
#include "base/packed.h"
#include "operator/observation.h"

namespace sessmtp::operator_ {

auto fields_of(SameAs<SecretRecord> auto& value) {
  auto& [version, terminating, managed, owner_uid, credential_name, merged_into, allows_takeover_by,
         controller, controller_uid] = value;
  return std::tie(version, terminating, managed, owner_uid, credential_name, merged_into, allows_takeover_by,
                  controller, controller_uid);
}

auto fields_of(SameAs<Sight> auto& value) {
  auto& [presence, record, type, changed] = value;
  return std::tie(presence, record, type, changed);
}

}  // namespace sessmtp::operator_
