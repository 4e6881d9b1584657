// The bearer token that proves to the API server who we are.
#pragma once

#include <filesystem>
#include <mutex>
#include <optional>

#include "base/clock.h"
#include "base/secret_bytes.h"
#include "kube/config.h"

namespace sessmtp::kube {

// The bearer token of a ClusterConfig; a token file is read again once a minute, and a read that
// fails leaves the last good token. Thread-safe.
class TokenSource {
 public:
  TokenSource(const ClusterConfig& config, const Clock& clock);

  // Empty: the client proves itself by certificate, or not at all.
  [[nodiscard]] SecretBytes token();
  // The server said 401 to what token() gave: read the file again at the next call.
  void reject();

 private:
  const Clock& clock_;
  const std::filesystem::path file_;
  std::mutex mutex_;
  SecretBytes token_;
  std::optional<SteadyTime> read_at_;
};

}  // namespace sessmtp::kube
