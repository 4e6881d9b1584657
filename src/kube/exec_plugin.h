// Credential plugins of a kubeconfig (`exec`): a program prints a token, a client certificate, or both, and
// for how long they are good. Protocol: KEP-541; behaviour: client-go:plugin/pkg/client/auth/exec/exec.go.
//
// Thread-safe. A credential is kept until shortly before it expires or the server refuses it. Then the
// program runs on a thread of its own, once for all who ask, and whoever gives up waiting does not end it.
// Nobody waits while what there is is still good. A run that fails leaves the last credential in use while it
// has not expired, and the next comes no sooner than after a second, two, four, up to half a minute.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>

#include "base/clock.h"
#include "base/secret_bytes.h"
#include "kube/child_process.h"
#include "kube/config.h"

namespace sessmtp::kube {

inline constexpr const char* kExecV1 = "client.authentication.k8s.io/v1";
inline constexpr const char* kExecV1beta1 = "client.authentication.k8s.io/v1beta1";

struct ExecCredential {
  SecretBytes token;        // empty: none
  std::string certificate;  // PEM, with its key; empty: none
  SecretBytes key;
  std::optional<WallTime> expires;
};

// kInvalidInput says what is wrong, and quotes nothing.
[[nodiscard]] Result<ExecCredential> parse_exec_credential(std::string_view output,
                                                           std::string_view api_version);

class ExecPlugin {
 public:
  using Run = std::function<Result<std::string>(const ChildProcess&, const std::stop_token&)>;

  // `cluster.exec` must be there. Nothing is run yet. A program that runs at the end is killed.
  ExecPlugin(ClusterConfig cluster, const Clock& clock, Run run = &run_and_capture);

  struct Token {
    SecretBytes value;  // empty: the plugin gave a certificate only
    std::uint64_t credential = 0;
  };
  // Has the program run if there is need, for a minute at most, and waits for it if that helps. The error
  // says what to do and quotes no output.
  [[nodiscard]] Result<Token> token(const std::stop_token& stop);
  // The server said 401 to this credential: get another at the next call, unless that has happened already
  // or the credential is so young that the plugin would give the same again.
  void reject(std::uint64_t credential);

  struct Identity {
    std::string certificate;
    SecretBytes key;
  };
  // The client certificate of the last run, if there is one, and a number that changes with it. Run nothing
  // and wait for nothing: TLS asks on threads of the HTTP library.
  [[nodiscard]] std::optional<Identity> identity() const;
  [[nodiscard]] std::uint64_t identity_revision() const;

 private:
  void start_run();
  void run_once(const std::stop_token& stop);
  [[nodiscard]] Result<ExecCredential> run(const std::stop_token& stop) const;
  [[nodiscard]] Result<std::string> exec_info() const;
  [[nodiscard]] Token current() const;
  void keep(ExecCredential credential);
  void note_failure(const Error& error);

  const ClusterConfig cluster_;
  const Clock& clock_;
  const Run run_;
  mutable std::mutex mutex_;
  std::condition_variable_any run_ended_;
  bool running_ = false;
  std::optional<ExecCredential> credential_;
  std::uint64_t number_ = 0;  // of the credential
  std::uint64_t identity_revision_ = 0;
  bool rejected_ = false;
  SteadyTime obtained_;
  SteadyTime next_run_;
  std::optional<Error> failure_;  // of the last run
  std::chrono::seconds pause_{0};
  std::jthread runner_;  // the last member: it ends before the others do
};

}  // namespace sessmtp::kube
