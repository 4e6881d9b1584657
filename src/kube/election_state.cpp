#include "kube/election_state.h"

#include <algorithm>

namespace sessmtp::kube {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;
using Action = ElectionAction;
using Role = ElectionRole;

constexpr double kJitterFactor = 1.2;  // client-go:tools/leaderelection/leaderelection.go
// Standbys see a lease become free at the same moment; spread, most of them never send the write.
constexpr milliseconds kCollisionSpread = 200ms;
constexpr milliseconds kQuickClose = 1s;
// After the drain (5 s) and well inside a pod's usual grace period of 30 s.
constexpr milliseconds kReleaseLimit = 5s;
constexpr milliseconds kBeforeDrainRenewal = 500ms;
constexpr milliseconds kReleaseRetry = 500ms;
constexpr std::chrono::seconds kMaxWatch = 300s;  // a garbage duration may be decades
constexpr milliseconds kWatchMargin = 1s;         // for the server to end it by itself
constexpr milliseconds kUntilLeadEnds = 24h;

milliseconds scaled(milliseconds wait, double factor) {
  return milliseconds(static_cast<milliseconds::rep>(static_cast<double>(wait.count()) * factor));
}

SteadyTime expiry(const ElectionState& state, const ElectionOptions& options) {
  return state.seen + (state.record && state.record->duration ? milliseconds(*state.record->duration)
                                                              : options.lease_duration);
}

struct Step {
  ElectionState state;
  const SteadyTime now;
  const double jitter;
  const ElectionOptions& options;

  ElectionState operator()(const LeaseObserved& input) {
    see(input.record);
    state.in_doubt = false;
    switch (state.role) {
      case Role::kCampaigning:
        return campaign();
      case Role::kLeading:
        // Empty: somebody has edited it. The write decides who is first to take it.
        return held_by_another() ? lost() : then(Action::kUpdate);
      case Role::kReleasing:
        return held_by_us() ? then(Action::kUpdate) : released();
      default:
        return std::move(state);
    }
  }

  ElectionState operator()(const LeaseAbsent&) {
    switch (state.role) {
      case Role::kCampaigning:
        // Deleted under a leader that may still write: it notices at its next renewal. Until then, or
        // until its record would have expired, the place is not free.
        if (held_by_another() && now < expiry(state, options)) {
          return then(Action::kGet, std::min(retry(), until(expiry(state, options))));
        }
        [[fallthrough]];
      case Role::kLeading:
        state.record.reset();
        return then(Action::kCreate);
      case Role::kReleasing:
        return released();
      default:
        return std::move(state);
    }
  }

  ElectionState operator()(const LeaseWritten& input) {
    see(input.record);
    state.in_doubt = false;
    state.failures = 0;
    if (state.role == Role::kReleasing) {
      return released();
    }
    state.role = Role::kLeading;
    // Others count from when they saw it, which is later: we give up before they begin.
    state.renewed = input.sent;
    return then(Action::kUpdate, until(input.sent + options.retry_period));
  }

  ElectionState operator()(const LeaseRequestFailed& input) {
    const ApiError& error = input.error;
    const bool wrote = state.action == Action::kCreate || state.action == Action::kUpdate;
    const bool no_word = error.kind == ApiErrorKind::kNoAnswer || error.kind == ApiErrorKind::kBadAnswer ||
                         error.kind == ApiErrorKind::kServerError || error.kind == ApiErrorKind::kCancelled;
    state.in_doubt = state.in_doubt || (wrote && no_word);
    const bool first = ++state.failures == 1;
    switch (state.role) {
      case Role::kCampaigning:
        // A race lost: see who has won it.
        if (first && error.kind == ApiErrorKind::kConflict) {
          return then(Action::kGet);
        }
        return then(Action::kGet, after(error, retry()));
      case Role::kLeading:
        // Whatever the reason, read: it may be a change of somebody's, or our own write without an answer.
        return renew(after_at_most(error, first ? 0ms : options.retry_period));
      case Role::kReleasing:
        return then(Action::kGet, first ? 0ms : kReleaseRetry);
      default:
        return std::move(state);
    }
  }

  ElectionState operator()(const LeaseWatchEnded& input) {
    if (state.role != Role::kCampaigning) {
      return std::move(state);
    }
    if (now >= expiry(state, options)) {
      return campaign();
    }
    // Ended by ourselves at the expiry of a record that was renewed meanwhile is no failure.
    const bool failed = input.error && input.error->kind != ApiErrorKind::kCancelled;
    const bool quick = !input.progressed && input.lasted < kQuickClose;
    if (failed || quick) {
      return then(Action::kGet, input.error ? after(*input.error, retry()) : retry());
    }
    return then(Action::kWatch);
  }

  ElectionState operator()(const TimePassed&) {
    switch (state.role) {
      case Role::kLeading:
        return renew(0ms);
      case Role::kLost:
        return then(Action::kWait, kUntilLeadEnds);
      default:
        return std::move(state);
    }
  }

  ElectionState operator()(const StopRequested&) {
    state.stopping = true;
    switch (state.role) {
      case Role::kCampaigning:
        return release_if_ours();
      case Role::kLeading:
        state.wait = std::min(state.wait, kBeforeDrainRenewal);  // most work ends before that
        return std::move(state);
      default:
        return std::move(state);
    }
  }

  ElectionState operator()(const LeadEnded&) {
    switch (state.role) {
      case Role::kLeading:
        return release(state.in_doubt || !state.record ? Action::kGet : Action::kUpdate);
      case Role::kLost:
        if (state.stopping) {
          return release_if_ours();
        }
        state.role = Role::kCampaigning;
        state.failures = 0;
        return then(Action::kGet);
      default:
        return std::move(state);
    }
  }

  // What time alone decides, whatever the input was.
  ElectionState judged_by_time(ElectionState judged) {
    state = std::move(judged);
    if (state.role == Role::kLeading && now >= state.renewed + options.renew_deadline) {
      return lost();
    }
    if (state.role == Role::kReleasing && now + state.wait >= state.release_until) {
      return released();
    }
    return std::move(state);
  }

 private:
  ElectionState then(Action action, milliseconds wait = 0ms) {
    state.action = action;
    state.wait = wait;
    return std::move(state);
  }

  // Only a change of the spec is a sign of life: anybody may put a label on the object.
  void see(const LeaseRecord& record) {
    if (!state.record || state.record->raw != record.raw) {
      state.seen = now;
    }
    state.record = record;
  }

  [[nodiscard]] bool held_by_us() const { return state.record && state.record->holder == options.identity; }
  [[nodiscard]] bool held_by_another() const {
    return state.record && !state.record->holder.empty() && !held_by_us();
  }

  ElectionState campaign() {
    if (held_by_us()) {
      return then(Action::kUpdate);  // a write without an answer, or a lease we lost and nobody took
    }
    if (!held_by_another() || now >= expiry(state, options)) {
      return then(Action::kUpdate, scaled(kCollisionSpread, jitter));
    }
    state.failures = 0;
    return then(Action::kWatch);
  }

  // Reads, then writes. When that cannot succeed in time, only the time passes.
  ElectionState renew(milliseconds wait) {
    const SteadyTime deadline = state.renewed + options.renew_deadline;
    return now + wait < deadline ? then(Action::kGet, wait) : then(Action::kWait, until(deadline));
  }

  ElectionState lost() {
    state.role = Role::kLost;
    return then(Action::kWait, kUntilLeadEnds);
  }

  ElectionState release(Action first) {
    state.role = Role::kReleasing;
    state.failures = 0;
    state.release_until = now + kReleaseLimit;
    return then(first);
  }

  ElectionState release_if_ours() {
    return held_by_us() || state.in_doubt ? release(Action::kGet) : released();
  }

  ElectionState released() {
    state.role = state.stopping ? Role::kOver : Role::kCampaigning;
    state.failures = 0;
    return then(Action::kGet, state.stopping ? 0ms : retry());
  }

  [[nodiscard]] milliseconds retry() const {
    return options.retry_period + scaled(options.retry_period, kJitterFactor * jitter);
  }
  [[nodiscard]] milliseconds until(SteadyTime when) const {
    return std::max(std::chrono::ceil<milliseconds>(when - now), 0ms);
  }
  static milliseconds after(const ApiError& error, milliseconds wait) {
    return std::max(wait, milliseconds(error.retry_after.value_or(0s)));
  }
  // A leader that waited for longer would lose the lease.
  [[nodiscard]] milliseconds after_at_most(const ApiError& error, milliseconds wait) const {
    return std::min(after(error, wait), options.retry_period);
  }
};

}  // namespace

Result<void> check(const ElectionOptions& options) {
  if (options.namespace_.empty() || options.name.empty() || options.identity.empty()) {
    return fail(ErrorCode::kInvalidInput, "leader election needs a namespace, a lease name and an identity");
  }
  if (options.retry_period <= 0ms || options.lease_duration <= options.renew_deadline ||
      options.renew_deadline <= scaled(options.retry_period, kJitterFactor)) {
    const auto text = [](milliseconds value) { return std::to_string(value.count()) + " ms"; };
    return fail(
        ErrorCode::kInvalidInput,
        "leader election needs lease duration > renew deadline > 1.2 x retry period > 0, but they are " +
            text(options.lease_duration) + ", " + text(options.renew_deadline) + " and " +
            text(options.retry_period));
  }
  return {};
}

ElectionState next(ElectionState state, const ElectionInput& input, SteadyTime now, double jitter,
                   const ElectionOptions& options) {
  Step step{std::move(state), now, jitter, options};
  return step.judged_by_time(std::visit(step, input));
}

SteadyTime request_deadline(const ElectionState& state, SteadyTime now, const ElectionOptions& options) {
  if (state.role == Role::kLeading) {
    return state.renewed + options.renew_deadline;
  }
  if (state.role == Role::kReleasing) {
    return state.release_until;
  }
  if (state.action == Action::kWatch) {
    // The server ends it before that, unless nothing has been renewed: then not a moment is to be lost.
    return std::min(expiry(state, options), now + watch_timeout(state, now, options) + kWatchMargin);
  }
  return now + options.renew_deadline;
}

std::chrono::seconds watch_timeout(const ElectionState& state, SteadyTime now,
                                   const ElectionOptions& options) {
  return std::clamp(std::chrono::floor<std::chrono::seconds>(expiry(state, options) - now),
                    std::chrono::seconds(1), kMaxWatch);
}

}  // namespace sessmtp::kube
