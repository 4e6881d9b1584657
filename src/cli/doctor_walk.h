// Looks at everything that a diagnosis is made of. Reads alone, and what it may not read it leaves out.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "api/ses_smtp_credential.h"
#include "base/clock.h"
#include "cli/diagnosis.h"
#include "kube/client.h"
#include "smtp/login_probe.h"

namespace sessmtp::cli {

struct Walk {
  kube::Client& client;
  const Clock& clock;
  std::string kubectl;                // as it is to be called
  smtp::LoginProbe* probe = nullptr;  // none: no login
};

// From a credential that was read, as JSON and decoded, to what surrounds it. Logs in once, with a pair that
// it derives, if there is a probe. Values of Secrets are gone when it returns, but for the pair in the
// rehearsal, which is wiped with it.
[[nodiscard]] Seen look_around(const Walk& walk, const nlohmann::json& object,
                               api::SesSmtpCredential credential);

}  // namespace sessmtp::cli
