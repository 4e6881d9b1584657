// Leader election: of all candidates for one Lease, at most one does the guarded work at a time.
//
// run() is one thread's work; it starts one more for the guarded work. Failures never end it: a leader
// that loses the lease stops its work and campaigns again. leading() and overdue() are thread-safe.
//
// There is no fencing: a write on its way when the lease is lost may still arrive afterwards. The
// guarded work must be level based and its writes idempotent.
//
// The client must be of its own, with a transport of its own, so that nothing else can starve a renewal
// (kubernetes/kubernetes#65090), and its deadline request_timeout(options): one call that hangs leaves
// time for another.
//
// Needed rights on leases: get, create, update, and watch, without which a released lease is only noticed
// within the retry period.
#pragma once

#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <atomic>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <set>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/wait.h"
#include "kube/client.h"
#include "kube/election_state.h"

namespace sessmtp::kube {

// For the deadline of the client.
[[nodiscard]] std::chrono::milliseconds request_timeout(const ElectionOptions& options);

class LeaderElector {
 public:
  // Lets time pass, as wait_for() does; tests have a time of their own.
  using Wait = std::function<bool(std::chrono::milliseconds, std::stop_token)>;
  // The guarded work. Returns soon after its stop token asks for it, with no call of its own in flight.
  // When it returns unasked, the lease is released and campaigned for again.
  using Lead = std::function<void(std::stop_token leading)>;

  // The options must pass check().
  LeaderElector(Client& client, const Clock& clock, prometheus::Registry& metrics, ElectionOptions options,
                Wait wait = wait_for);

  // Returns after `stop`: the work has ended by then, and the lease is released or, in vain for some
  // seconds, left to expire. While the work drains it is renewed.
  void run(std::stop_token stop, const Lead& lead);

  // We hold the lease, as far as we know, and the guarded work runs or drains.
  [[nodiscard]] bool leading() const { return leading_; }
  // For the liveness probe: guarded work runs although the lease ended long ago, so our own loop or the
  // work itself hangs. Tolerance as in controller-runtime:pkg/manager/internal.go.
  [[nodiscard]] bool overdue() const;

 private:
  class Term;

  // Carries out the action. A watch moves the state on by itself: then there is no input left.
  [[nodiscard]] std::optional<ElectionInput> perform(std::stop_token wake);
  [[nodiscard]] ElectionInput get(std::stop_token cancel);
  [[nodiscard]] ElectionInput write(std::stop_token cancel);
  [[nodiscard]] std::optional<ElectionInput> watch(std::stop_source cancel);
  void handle_line(std::string_view line, LeaseWatchEnded& so_far);
  // Keeps the object for the next write; empty when it is not our lease.
  [[nodiscard]] std::optional<LeaseRecord> remember(nlohmann::json object);

  void step(const ElectionInput& input);
  void report(const ElectionState& before, const ElectionInput& input);
  void report_trouble(std::string_view doing, const ApiError& error);
  [[nodiscard]] double random_fraction();

  Client& client_;
  const Clock& clock_;
  const ElectionOptions options_;
  const Wait wait_;
  const std::string collection_;
  const std::string path_;
  prometheus::Gauge& master_status_;
  std::minstd_rand random_;

  // Of run()'s thread only.
  ElectionState state_;
  nlohmann::json lease_;                 // the object that state_.record is of
  std::string holder_;                   // as logged last
  std::set<std::string> troubles_said_;  // since the last renewal

  std::atomic<bool> leading_ = false;
  std::atomic<bool> working_ = false;  // the guarded work has not returned
  std::atomic<SteadyTime> renewed_ = SteadyTime{};
};

}  // namespace sessmtp::kube
