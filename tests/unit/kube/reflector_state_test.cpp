#include "kube/reflector_state.h"

#include <gtest/gtest.h>

#include <ostream>

namespace sessmtp::kube {

void PrintTo(const ReflectorState& state, std::ostream* out) {
  constexpr std::array kActions = {"list", "probe", "watch"};
  *out << kActions.at(std::size_t(state.action)) << " in " << state.wait.count() << " ms at \""
       << state.resource_version << "\" after " << state.failures << " failures";
}

namespace {

using namespace std::chrono_literals;
using Action = ReflectorAction;

ReflectorState state(Action action, std::chrono::milliseconds wait, std::string version, unsigned failures) {
  return {.action = action, .wait = wait, .resource_version = std::move(version), .failures = failures};
}

ReflectorState unpaged(ReflectorState state) {
  state.paged = false;
  return state;
}

ApiError error(ApiErrorKind kind, int status = 0) {
  ApiError result;
  result.kind = kind;
  result.http_status = status;
  return result;
}

ApiError too_large() {
  ApiError result = error(ApiErrorKind::kServerError, 504);
  result.causes = {"ResourceVersionTooLarge"};
  return result;
}

ApiError future_revision() {
  ApiError result = error(ApiErrorKind::kServerError, 500);
  result.message = "etcdserver: mvcc: required revision is a future revision";
  return result;
}

ApiError later(ApiErrorKind kind, std::chrono::seconds after) {
  ApiError result = error(kind);
  result.retry_after = after;
  return result;
}

WatchEnded ended(std::string version, std::chrono::milliseconds lasted,
                 std::optional<ApiError> why = std::nullopt) {
  return {.resource_version = std::move(version), .lasted = lasted, .error = std::move(why)};
}

const ReflectorState kWatching = state(Action::kWatch, 0ms, "5", 0);
const ReflectorState kListing = state(Action::kList, 0ms, "", 0);
const ReflectorState kProbing = state(Action::kProbe, 0ms, "5", 1);

struct Case {
  const char* rule;
  ReflectorState from;
  ReflectorInput input;
  ReflectorState to;
};

TEST(ReflectorState, EveryTransitionHasItsReason) {
  const std::vector<Case> cases = {
      {"the first list may come from the watch cache", {}, Listed{"5"}, kWatching},
      {"a list leads to a watch from its version", kListing, Listed{"7"}, state(Action::kWatch, 0ms, "7", 0)},
      {"a list that fails is repeated later", kListing, ListFailed{error(ApiErrorKind::kNoAnswer)},
       state(Action::kList, 800ms, "", 1)},
      {"and later still", state(Action::kList, 800ms, "", 3),
       ListFailed{error(ApiErrorKind::kServerError, 500)}, state(Action::kList, 6400ms, "", 4)},
      {"but not for ever", state(Action::kList, 30s, "", 40),
       ListFailed{error(ApiErrorKind::kServerError, 500)}, state(Action::kList, 30s, "", 41)},
      {"a list that is no list is asked for again", kListing,
       ListFailed{error(ApiErrorKind::kBadAnswer, 200)}, state(Action::kList, 800ms, "", 1)},
      {"a list whose pages expire is asked for in one piece", state(Action::kList, 0ms, "", 0),
       ListFailed{.error = error(ApiErrorKind::kGone, 410), .on_later_page = true},
       unpaged(state(Action::kList, 0ms, "", 1))},
      {"the next one in pages again", unpaged(state(Action::kList, 0ms, "", 1)), Listed{"7"},
       state(Action::kWatch, 0ms, "7", 1)},
      {"429 while listing waits as long as it is told to", kListing,
       ListFailed{later(ApiErrorKind::kTooManyRequests, 9s)}, state(Action::kList, 9s, "", 1)},
      {"a missing right is asked for again", kListing, ListFailed{error(ApiErrorKind::kForbidden, 403)},
       state(Action::kList, 800ms, "", 1)},
      {"a missing CRD is waited for", kListing, ListFailed{error(ApiErrorKind::kNotFound, 404)},
       state(Action::kList, 5s, "", 1)},
      {"a version compacted away is listed anew at once", state(Action::kList, 0ms, "5", 0),
       ListFailed{error(ApiErrorKind::kGone, 410)}, state(Action::kList, 0ms, "", 1)},
      {"but not in a hot loop", state(Action::kList, 0ms, "", 1), ListFailed{error(ApiErrorKind::kGone, 410)},
       state(Action::kList, 1600ms, "", 2)},
      {"a version of the future is listed anew", state(Action::kList, 0ms, "5", 0), ListFailed{too_large()},
       state(Action::kList, 0ms, "", 1)},

      {"a watch that the server ends is watched on at once from the last event", kWatching, ended("9", 5min),
       state(Action::kWatch, 0ms, "9", 0)},
      {"one that brought nothing, not even a bookmark, may be of a future version: asked first", kWatching,
       ended("", 5min), state(Action::kProbe, 0ms, "5", 0)},
      {"the same version again is nothing", kWatching, ended("5", 5min), state(Action::kProbe, 0ms, "5", 0)},
      {"a watch closed at once by a proxy is no hot loop", kWatching, ended("", 20ms),
       state(Action::kWatch, 800ms, "5", 1)},
      {"one closed at once after an event is fine", kWatching, ended("6", 20ms),
       state(Action::kWatch, 0ms, "6", 0)},
      {"and a bookmark that is always the same makes no hot loop", kWatching, ended("5", 20ms),
       state(Action::kWatch, 800ms, "5", 1)},
      {"a success forgets the failures", state(Action::kWatch, 800ms, "5", 4), ended("6", 5min),
       state(Action::kWatch, 0ms, "6", 0)},
      {"so does a watch that a proxy cuts in its quiet time", state(Action::kWatch, 0ms, "5", 6),
       ended("", 30s, error(ApiErrorKind::kNoAnswer)), state(Action::kProbe, 800ms, "5", 1)},
      {"410 lists anew", kWatching, ended("", 1min, error(ApiErrorKind::kGone, 410)),
       state(Action::kList, 0ms, "", 1)},
      {"410 after an event each time is no hot loop", state(Action::kWatch, 0ms, "5", 3),
       ended("6", 20ms, error(ApiErrorKind::kGone, 410)), state(Action::kList, 6400ms, "", 4)},
      {"410 after events as well", kWatching, ended("8", 1min, error(ApiErrorKind::kGone, 410)),
       state(Action::kList, 0ms, "", 1)},
      {"a lost connection asks first whether the server still knows our version", kWatching,
       ended("", 1min, error(ApiErrorKind::kNoAnswer)), state(Action::kProbe, 800ms, "5", 1)},
      {"and keeps what the watch brought", kWatching, ended("8", 1min, error(ApiErrorKind::kNoAnswer)),
       state(Action::kProbe, 800ms, "8", 1)},
      {"429 keeps the version and spares the server a list", kWatching,
       ended("", 0ms, error(ApiErrorKind::kTooManyRequests, 429)), state(Action::kWatch, 800ms, "5", 1)},
      {"Retry-After is obeyed", kWatching, ended("", 0ms, later(ApiErrorKind::kTooManyRequests, 7s)),
       state(Action::kWatch, 7s, "5", 1)},
      {"a short Retry-After does not undercut the backoff", state(Action::kWatch, 0ms, "5", 3),
       ended("", 0ms, later(ApiErrorKind::kTooManyRequests, 1s)), state(Action::kWatch, 6400ms, "5", 4)},
      {"500 is asked about: it may come from a restored etcd", kWatching,
       ended("", 0ms, error(ApiErrorKind::kServerError, 500)), state(Action::kProbe, 800ms, "5", 1)},
      {"and so is 401, for a list costs more", kWatching,
       ended("", 0ms, error(ApiErrorKind::kUnauthorized, 401)), state(Action::kProbe, 800ms, "5", 1)},
      {"a right taken away is listed, which says so", kWatching,
       ended("", 0ms, error(ApiErrorKind::kForbidden, 403)), state(Action::kList, 800ms, "5", 1)},
      {"a CRD taken away is listed, which waits for it", kWatching,
       ended("", 0ms, error(ApiErrorKind::kNotFound, 404)), state(Action::kList, 800ms, "5", 1)},

      {"a probe that succeeds watches on", kProbing, ProbeSucceeded{}, state(Action::kWatch, 0ms, "5", 1)},
      {"a server that is still away is probed again", kProbing, ProbeFailed{error(ApiErrorKind::kNoAnswer)},
       state(Action::kProbe, 1600ms, "5", 2)},
      {"a server restored from a backup is listed anew", kProbing, ProbeFailed{too_large()},
       state(Action::kList, 1600ms, "", 2)},
      {"one that says so as etcd does, before 1.34, as well", kProbing, ProbeFailed{future_revision()},
       state(Action::kList, 1600ms, "", 2)},
      {"a probe that fails is repeated", kProbing, ProbeFailed{error(ApiErrorKind::kServerError, 500)},
       state(Action::kProbe, 1600ms, "5", 2)},
      {"but not for ever", state(Action::kProbe, 0ms, "5", 5),
       ProbeFailed{error(ApiErrorKind::kServerError, 500)}, state(Action::kList, 25600ms, "5", 6)},
      {"a server that does not answer is probed for ever", state(Action::kProbe, 0ms, "5", 50),
       ProbeFailed{error(ApiErrorKind::kNoAnswer)}, state(Action::kProbe, 30s, "5", 51)},
      {"a probe that is refused is listed", kProbing, ProbeFailed{error(ApiErrorKind::kForbidden, 403)},
       state(Action::kList, 1600ms, "5", 2)},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(next(one.from, one.input, 0.0), one.to) << one.rule;
  }
}

TEST(ReflectorState, WaitsAreStretchedSoThatManyClientsDoNotComeBackTogether) {
  EXPECT_EQ(next(kListing, ListFailed{error(ApiErrorKind::kNoAnswer)}, 0.5).wait, 1200ms);
  EXPECT_EQ(next(kWatching, ended("", 0ms, later(ApiErrorKind::kTooManyRequests, 10s)), 0.4).wait, 11s);
}

TEST(ReflectorState, BeginsWithAListFromTheWatchCache) {
  EXPECT_EQ(ReflectorState{}, state(Action::kList, 0ms, "", 0));
}

}  // namespace
}  // namespace sessmtp::kube
