#include "operator/cautions.h"

#include <algorithm>
#include <optional>

#include "base/text.h"
#include "ses/region.h"

namespace sessmtp::operator_ {
namespace {

using api::Caution;
using api::EventReason;

std::optional<Caution> unknown(const std::string& region) {
  if (ses::is_known_smtp_region(region)) {
    return std::nullopt;
  }
  return Caution{EventReason::kRegionUnknown,
                 "region " + region + " is not known to offer SES SMTP (list of " +
                     std::string(ses::kKnownRegionsAsOf) +
                     "); the password is derived all the same, but check the spelling: no mail gets out if "
                     "the region or its server does not exist"};
}

// No key of the target is about it.
std::optional<Caution> unused(const std::string& region, const api::TargetSpec& target) {
  const bool named = std::ranges::any_of(
      target.data, [&](const auto& entry) { return entry.second.contains('@' + region); });
  if (target.format == api::TargetFormat::kDefault || named) {
    return std::nullopt;
  }
  return Caution{EventReason::kAdditionalRegionUnused,
                 "the target has no key for region " + region +
                     ": only format Default has; name it in spec.target.data, as in $(password@" + region +
                     ")"};
}

}  // namespace

std::vector<Caution> cautions(const api::Spec& spec, const api::Source& source, const std::string& region,
                              const ses::Endpoint& endpoint) {
  std::vector<Caution> result = source.cautions;
  const auto add = [&result](std::optional<Caution> caution) {
    if (caution) {
      result.push_back(std::move(*caution));
    }
  };
  if (source.region && *source.region != region) {
    add(Caution{EventReason::kRegionDiffers, "spec.region " + region + " is used, though Secret " +
                                                 in_quotes(spec.source.secret_name) + " says " +
                                                 *source.region});
  }
  add(unknown(region));
  for (const std::string& additional : spec.additional_regions) {
    add(unknown(additional));
  }
  for (const std::string& additional : spec.additional_regions) {
    add(unused(additional, spec.target));
  }
  if (endpoint.port == 25) {
    add(Caution{EventReason::kPortThrottled, "port 25 is throttled by default on EC2; 587 is not"});
  }
  return result;
}

}  // namespace sessmtp::operator_
