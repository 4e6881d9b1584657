// The part of a diagnosis that is about pods: do they have what the Secret holds? Pure; thread-safe.
#pragma once

#include "cli/diagnosis.h"

namespace sessmtp::cli {

// Of the pods that use the target.
[[nodiscard]] Findings diagnose_pods(const Seen& seen);
// Of the workloads that the operator restarts; empty when it is to restart none.
[[nodiscard]] Findings diagnose_restarts(const Seen& seen);

}  // namespace sessmtp::cli
