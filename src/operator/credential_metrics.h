// A few series for each credential, made from the live objects whenever somebody scrapes: they appear with
// their object, disappear when its deletion begins, and cannot go stale. At most nine for each; no label
// holds anything of a Secret.
#pragma once

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include <functional>
#include <vector>

#include "api/ses_smtp_credential.h"

namespace sessmtp::operator_ {

// As thread-safe as the function it is given.
class CredentialMetrics final : public prometheus::Collectable {
 public:
  // Gives each credential to a function.
  using ForEach = std::function<void(const std::function<void(const api::SesSmtpCredential&)>&)>;

  explicit CredentialMetrics(ForEach for_each);

  [[nodiscard]] std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  const ForEach for_each_;
};

}  // namespace sessmtp::operator_
