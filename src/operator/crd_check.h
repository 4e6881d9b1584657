// Waits for a CRD that knows every field this program reads or writes: to an older one a status would
// never be as it was written, and each look would write it again.
#pragma once

#include <chrono>
#include <functional>
#include <mutex>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "base/wait.h"
#include "kube/client.h"
#include "operator/health.h"

namespace sessmtp::operator_ {

class CrdCheck {
 public:
  struct Finding {
    CrdState state = CrdState::kUnknown;
    std::vector<std::string> lacks;  // with kOutdated
  };

  // Lets time pass, as wait_for() does.
  using Wait = std::function<bool(std::chrono::milliseconds, std::stop_token)>;

  explicit CrdCheck(kube::Client& client, Wait wait = wait_for) : client_(client), wait_(std::move(wait)) {}

  // Asks until the CRD will do, or its schema may not be read. False when stopped before.
  [[nodiscard]] bool wait_until_usable(std::stop_token stop);

  [[nodiscard]] Finding finding() const;  // thread-safe

 private:
  [[nodiscard]] Finding look(std::stop_token stop);
  void note(Finding finding);

  kube::Client& client_;
  const Wait wait_;
  mutable std::mutex mutex_;
  Finding finding_;
};

}  // namespace sessmtp::operator_
