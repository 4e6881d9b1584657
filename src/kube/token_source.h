// What proves to the API server who we are, as headers: a bearer token (given, from a file, from a
// credential plugin) or a password, and whom to act as. Client certificates are TLS's (tls_policy.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>

#include "base/clock.h"
#include "base/secret_bytes.h"
#include "kube/config.h"
#include "kube/exec_plugin.h"
#include "kube/transport.h"

namespace sessmtp::kube {

// Thread-safe. A token file is read again about once a minute, and a read that fails leaves the last good
// token; a plugin is run when there is need. Both say so in the log, once, when there is no new credential to
// be had and when there is again.
class TokenSource {
 public:
  // `plugin` goes with config.exec, and is the transport's as well: make_exec_plugin().
  TokenSource(const ClusterConfig& config, const Clock& clock, std::shared_ptr<ExecPlugin> plugin = nullptr);

  // Adds the headers, and gives the number of the credential they hold, for reject(). An error when there
  // should be a credential and is none: nothing is to be sent then, for it would be sent as nobody.
  [[nodiscard]] Result<std::uint64_t> authorize(Headers& headers, const std::stop_token& stop = {});

  // The server said 401 to this credential: get a newer one at the next authorize(). Nothing happens when
  // that has been done since.
  void reject(std::uint64_t credential);

 private:
  [[nodiscard]] Result<std::uint64_t> from_file(SecretBytes& token);

  const Clock& clock_;
  const std::shared_ptr<ExecPlugin> plugin_;
  const std::filesystem::path file_;
  const SecretBytes fixed_;  // a whole Authorization header
  Headers impersonation_;
  std::mutex mutex_;  // guards the rest: the token of file_
  SecretBytes token_;
  std::uint64_t number_ = 0;
  std::optional<SteadyTime> read_at_;
  bool unreadable_ = false;
};

// None when the configuration names none.
[[nodiscard]] std::shared_ptr<ExecPlugin> make_exec_plugin(const ClusterConfig& config, const Clock& clock);

}  // namespace sessmtp::kube
