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

  // `served`: whether the API server answers requests for the resource, whatever its schema says.
  CrdCheck(kube::Client& client, std::function<bool()> served, Wait wait = wait_for)
      : client_(client), served_(std::move(served)), wait_(std::move(wait)) {}

  // Asks until the CRD will do, or its schema may not be read. False when stopped before.
  [[nodiscard]] bool wait_until_usable(std::stop_token stop);

  [[nodiscard]] Finding finding() const;  // thread-safe

 private:
  [[nodiscard]] Finding look(std::stop_token stop);
  [[nodiscard]] Finding no_schema(const std::string& why, Finding otherwise);
  void note(Finding finding);

  kube::Client& client_;
  const std::function<bool()> served_;
  const Wait wait_;
  std::string trouble_;  // so that the same trouble is logged once
  int looks_in_vain_ = 0;
  mutable std::mutex mutex_;
  Finding finding_;
};

}  // namespace sessmtp::operator_
