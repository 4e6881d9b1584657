#include "kube/reflector_state.h"

#include <algorithm>
#include <ranges>

namespace sessmtp::kube {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr milliseconds kFirstBackoff = 800ms;  // client-go:tools/cache/reflector.go
constexpr milliseconds kMaxBackoff = 30s;
constexpr milliseconds kMissingResourceBackoff = 5s;  // a missing CRD is a person at work
constexpr milliseconds kQuickClose = 1s;
constexpr milliseconds kLongEnough = 10s;  // a watch that was that long up worked
constexpr unsigned kMaxProbes = 5;

milliseconds stretched(milliseconds wait, double jitter) {
  return wait + milliseconds(static_cast<milliseconds::rep>(static_cast<double>(wait.count()) * jitter));
}

milliseconds backoff(unsigned failures, double jitter) {
  const auto doubled = kFirstBackoff * (1U << std::min(failures, 6U));
  return stretched(std::min<milliseconds>(doubled, kMaxBackoff), jitter);
}

ReflectorState retry(ReflectorState state, ReflectorAction action, const ApiError* error, double jitter) {
  state.action = action;
  state.wait = backoff(state.failures++, jitter);
  if (error != nullptr && error->retry_after) {
    state.wait = std::max<milliseconds>(state.wait, stretched(*error->retry_after, jitter / 4));
  }
  return state;
}

// The version we named is compacted away (410), or from a future the server does not know: etcd was
// restored from a backup. Either way what we know is worth nothing. API servers before 1.34 say the latter
// as etcd says it, with status 500 (kubernetes/kubernetes#132358).
bool version_is_useless(const ApiError& error) {
  return error.kind == ApiErrorKind::kGone || error.reason == "Expired" ||
         std::ranges::find(error.causes, "ResourceVersionTooLarge") != error.causes.end() ||
         error.message.contains("required revision is a future revision");
}

// A list. At once the first time: an expired version is nobody's fault.
ReflectorState list_anew(ReflectorState state, double jitter) {
  state.action = ReflectorAction::kList;
  state.wait = state.failures == 0 ? 0ms : backoff(state.failures, jitter);
  ++state.failures;
  state.resource_version.clear();
  return state;
}

struct Step {
  ReflectorState state;
  double jitter;

  ReflectorState operator()(const Listed& input) {
    state.action = ReflectorAction::kWatch;
    state.wait = 0ms;
    state.resource_version = input.resource_version;
    state.paged = true;
    return std::move(state);
  }

  ReflectorState operator()(const ListFailed& input) {
    if (version_is_useless(input.error)) {
      // A continue token lives about five minutes; a list that takes longer never ends in pages.
      state.paged = state.paged && !input.on_later_page;
      return list_anew(std::move(state), jitter);
    }
    if (input.error.kind == ApiErrorKind::kNotFound) {
      ++state.failures;
      state.action = ReflectorAction::kList;
      state.wait = stretched(kMissingResourceBackoff, jitter / 4);
      return std::move(state);
    }
    return retry(std::move(state), ReflectorAction::kList, &input.error, jitter);
  }

  ReflectorState operator()(const ProbeSucceeded&) {
    state.action = ReflectorAction::kWatch;
    state.wait = 0ms;
    return std::move(state);
  }

  ReflectorState operator()(const ProbeFailed& input) {
    if (version_is_useless(input.error)) {
      return list_anew(std::move(state), jitter);
    }
    const bool away = input.error.kind == ApiErrorKind::kNoAnswer;
    const bool again = away || (input.error.transient() && state.failures < kMaxProbes);
    return retry(std::move(state), again ? ReflectorAction::kProbe : ReflectorAction::kList, &input.error,
                 jitter);
  }

  ReflectorState operator()(const WatchEnded& input) {
    const bool progressed =
        !input.resource_version.empty() && input.resource_version != state.resource_version;
    if (input.error && version_is_useless(*input.error)) {
      return list_anew(std::move(state), jitter);
    }
    if (progressed) {
      state.resource_version = input.resource_version;
    }
    // Also one that a proxy cuts in its quiet time, again and again: the next one comes soon.
    if (progressed || input.lasted >= kLongEnough) {
      state.failures = 0;
    }
    if (!input.error) {
      // A proxy that closes each watch at once would otherwise make a hot loop.
      if (!progressed && input.lasted < kQuickClose) {
        return retry(std::move(state), ReflectorAction::kWatch, nullptr, jitter);
      }
      // Bookmarks come each minute, so a watch that brought nothing may be one of a future version, which is
      // accepted and stays silent for ever.
      state.action = progressed ? ReflectorAction::kWatch : ReflectorAction::kProbe;
      state.wait = 0ms;
      return std::move(state);
    }
    const ApiError& error = *input.error;
    switch (error.kind) {
      case ApiErrorKind::kNoAnswer:
        // Who comes back may have been restored from a backup: ask first.
        return retry(std::move(state), ReflectorAction::kProbe, nullptr, jitter);
      case ApiErrorKind::kTooManyRequests:
        // The list it would take instead costs the server more.
        return retry(std::move(state), ReflectorAction::kWatch, &error, jitter);
      case ApiErrorKind::kServerError:
      case ApiErrorKind::kBadAnswer:
      case ApiErrorKind::kUnauthorized:
        return retry(std::move(state), ReflectorAction::kProbe, &error, jitter);
      default:
        return retry(std::move(state), ReflectorAction::kList, &error, jitter);
    }
  }
};

}  // namespace

ReflectorState next(ReflectorState state, const ReflectorInput& input, double jitter) {
  return std::visit(Step{std::move(state), jitter}, input);
}

}  // namespace sessmtp::kube
