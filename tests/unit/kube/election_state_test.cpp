#include "kube/election_state.h"

#include <gtest/gtest.h>

#include <array>
#include <nlohmann/json.hpp>
#include <ostream>
#include <vector>

namespace sessmtp::kube {

void PrintTo(const ElectionState& state, std::ostream* out) {
  constexpr std::array kRoles = {"campaigning", "leading", "lost", "releasing", "over"};
  constexpr std::array kActions = {"wait", "get", "create", "update", "watch"};
  const auto seconds = [](SteadyTime time) {
    return std::chrono::duration<double>(time.time_since_epoch()).count();
  };
  *out << kRoles.at(std::size_t(state.role)) << ", " << kActions.at(std::size_t(state.action)) << " in "
       << state.wait.count() << " ms, record ";
  if (state.record) {
    *out << '"' << state.record->raw << "\" of \"" << state.record->holder << "\" at "
         << state.record->resource_version << " seen at " << seconds(state.seen);
  } else {
    *out << "unknown";
  }
  *out << ", renewed at " << seconds(state.renewed) << ", release until " << seconds(state.release_until)
       << ", " << state.failures << " failures" << (state.in_doubt ? ", in doubt" : "")
       << (state.stopping ? ", stopping" : "");
}

namespace {

using namespace std::chrono_literals;
using Action = ElectionAction;
using Role = ElectionRole;

const ElectionOptions kOptions{.namespace_ = "ns", .name = "lease", .identity = "me"};

SteadyTime at(std::chrono::milliseconds time) {
  return SteadyTime{} + time;
}

LeaseRecord lease(std::string holder, std::string version, std::string raw,
                  std::optional<std::chrono::seconds> duration = 15s) {
  return {
      .resource_version = std::move(version), .holder = std::move(holder), .duration = duration, .raw = raw};
}

ApiError error(ApiErrorKind kind, std::optional<std::chrono::seconds> retry_after = std::nullopt) {
  ApiError result;
  result.kind = kind;
  result.retry_after = retry_after;
  return result;
}

LeaseRequestFailed failed(ApiErrorKind kind, std::optional<std::chrono::seconds> retry_after = std::nullopt) {
  return {error(kind, retry_after)};
}

// A state and what is different about it.
template <class Change>
ElectionState with(ElectionState state, Change change) {
  change(state);
  return state;
}
ElectionState acting(ElectionState state, Action action, std::chrono::milliseconds wait = 0ms) {
  state.action = action;
  state.wait = wait;
  return state;
}
ElectionState failures(ElectionState state, unsigned count) {
  state.failures = count;
  return state;
}
ElectionState doubtful(ElectionState state) {
  state.in_doubt = true;
  return state;
}
ElectionState stopping(ElectionState state) {
  state.stopping = true;
  return state;
}

const LeaseRecord kTheirs = lease("other", "7", "theirs");
const LeaseRecord kTheirsRenewed = lease("other", "8", "theirs, renewed");
const LeaseRecord kOurs = lease("me", "9", "ours");
const LeaseRecord kFree = lease("", "10", "released", 1s);

const ElectionState kNew;
// Standing by since another's record was seen at 100 s.
const ElectionState kStandby{.action = Action::kWatch, .record = kTheirs, .seen = at(100s)};
// Leading with a renewal sent at 100 s and answered at 101 s.
const ElectionState kLeading{.role = Role::kLeading,
                             .action = Action::kUpdate,
                             .record = kOurs,
                             .seen = at(101s),
                             .renewed = at(100s)};
const ElectionState kLost = with(acting(kLeading, Action::kWait, 24h), [](auto& s) { s.role = Role::kLost; });
const ElectionState kReleasing = with(stopping(kLeading), [](auto& s) {
  s.role = Role::kReleasing;
  s.release_until = at(107s);
});

ElectionState seeing(ElectionState state, const LeaseRecord& record, SteadyTime when) {
  state.record = record;
  state.seen = when;
  return state;
}
ElectionState in_role(ElectionState state, Role role) {
  state.role = role;
  return state;
}

struct Case {
  const char* rule;
  ElectionState from;
  ElectionInput input;
  SteadyTime now;
  ElectionState to;
};

void expect_all(const std::vector<Case>& cases) {
  for (const Case& one : cases) {
    EXPECT_EQ(next(one.from, one.input, one.now, 0.0, kOptions), one.to) << one.rule;
  }
}

TEST(ElectionState, ACandidate) {
  const ElectionState reading = acting(kStandby, Action::kGet);
  const ElectionState taking = acting(kStandby, Action::kUpdate);
  const LeaseRecord no_spec = lease("", "7", "", std::nullopt);
  const LeaseRecord short_lived = lease("other", "8", "theirs, short", 5s);
  const LeaseRecord no_duration = lease("other", "8", "theirs, garbage", std::nullopt);
  LeaseRecord labelled = kTheirs;
  labelled.resource_version = "8";
  expect_all({
      {"creates a lease that is not there", kNew, LeaseAbsent{}, at(100s), acting(kNew, Action::kCreate)},
      {"takes a lease without a spec, a holder or sense", kNew, LeaseObserved{no_spec}, at(100s),
       seeing(acting(kNew, Action::kUpdate), no_spec, at(100s))},
      {"watches a lease that another holds", kNew, LeaseObserved{kTheirs}, at(100s), kStandby},
      {"takes what carries its own name at once: a write without an answer, or a lease lost", kNew,
       LeaseObserved{kOurs}, at(100s), seeing(acting(kNew, Action::kUpdate), kOurs, at(100s))},
      {"takes a released lease at once", kStandby, LeaseObserved{kFree}, at(103s),
       seeing(acting(kStandby, Action::kUpdate), kFree, at(103s))},

      {"counts from when it saw the record change", kStandby, LeaseObserved{kTheirsRenewed}, at(110s),
       seeing(kStandby, kTheirsRenewed, at(110s))},
      {"does not take a label for a sign of life, but goes on from that version", kStandby,
       LeaseObserved{labelled}, at(110s), with(kStandby, [&](auto& s) { s.record = labelled; })},
      {"takes a record that has not changed for its duration", kStandby, LeaseObserved{kTheirs}, at(115s),
       acting(kStandby, Action::kUpdate)},
      {"and not a moment earlier", kStandby, LeaseObserved{kTheirs}, at(115s) - 1ms, kStandby},
      {"believes the duration its holder wrote", seeing(kStandby, short_lived, at(100s)),
       LeaseObserved{short_lived}, at(105s),
       acting(seeing(kStandby, short_lived, at(100s)), Action::kUpdate)},
      {"and its own where there is none", seeing(kStandby, no_duration, at(100s)), LeaseObserved{no_duration},
       at(115s) - 1ms, seeing(kStandby, no_duration, at(100s))},

      {"watches on when the server ends the watch", kStandby, LeaseWatchEnded{.lasted = 10s}, at(110s),
       kStandby},
      {"also when it had to end the watch itself", kStandby,
       LeaseWatchEnded{.lasted = 10s, .error = error(ApiErrorKind::kCancelled)}, at(110s), kStandby},
      {"takes an expired record when the watch ends", kStandby, LeaseWatchEnded{.lasted = 15s}, at(115s),
       acting(kStandby, Action::kUpdate)},
      {"also when the watch failed: a change it missed makes the write fail", kStandby,
       LeaseWatchEnded{.lasted = 15s, .error = error(ApiErrorKind::kNoAnswer)}, at(115s),
       acting(kStandby, Action::kUpdate)},
      {"polls where it may not watch", kStandby, LeaseWatchEnded{.error = error(ApiErrorKind::kForbidden)},
       at(101s), acting(kStandby, Action::kGet, 2s)},
      {"polls when the connection breaks", kStandby,
       LeaseWatchEnded{.lasted = 5s, .progressed = true, .error = error(ApiErrorKind::kNoAnswer)}, at(105s),
       acting(kStandby, Action::kGet, 2s)},
      {"makes no hot loop of watches that are closed at once", kStandby, LeaseWatchEnded{.lasted = 20ms},
       at(101s), acting(kStandby, Action::kGet, 2s)},
      {"is content with a short one that brought something", kStandby,
       LeaseWatchEnded{.lasted = 20ms, .progressed = true}, at(101s), kStandby},
      {"obeys Retry-After", kStandby, LeaseWatchEnded{.error = error(ApiErrorKind::kTooManyRequests, 7s)},
       at(101s), acting(kStandby, Action::kGet, 7s)},

      {"that lost the race reads who won it", taking, failed(ApiErrorKind::kConflict), at(115s),
       failures(reading, 1)},
      {"and watches the winner", failures(reading, 1), LeaseObserved{lease("third", "11", "third's")},
       at(116s), seeing(kStandby, lease("third", "11", "third's"), at(116s))},
      {"makes no hot loop of conflicts", failures(taking, 1), failed(ApiErrorKind::kConflict), at(115s),
       failures(acting(kStandby, Action::kGet, 2s), 2)},
      {"that lost the race to create it reads who won it", acting(kNew, Action::kCreate),
       failed(ApiErrorKind::kConflict), at(100s), failures(acting(kNew, Action::kGet), 1)},
      {"tries again later when it may not read", kNew, failed(ApiErrorKind::kForbidden), at(100s),
       failures(acting(kNew, Action::kGet, 2s), 1)},
      {"tries again later when it may not create", acting(kNew, Action::kCreate),
       failed(ApiErrorKind::kForbidden), at(100s), failures(acting(kNew, Action::kGet, 2s), 1)},
      {"remembers that a write without an answer may have been done", taking, failed(ApiErrorKind::kNoAnswer),
       at(115s), doubtful(failures(acting(kStandby, Action::kGet, 2s), 1))},
      {"but not so a read", reading, failed(ApiErrorKind::kNoAnswer), at(105s),
       failures(acting(kStandby, Action::kGet, 2s), 1)},

      {"leaves the place of a leader whose lease was deleted alone: it may still write", kStandby,
       LeaseAbsent{}, at(101s), acting(kStandby, Action::kGet, 2s)},
      {"until its record would have expired", kStandby, LeaseAbsent{}, at(114500ms),
       acting(kStandby, Action::kGet, 500ms)},
      {"and creates it then", kStandby, LeaseAbsent{}, at(115s),
       with(acting(kStandby, Action::kCreate), [](auto& s) { s.record.reset(); })},
      {"creates a released lease that was deleted at once", seeing(kStandby, kFree, at(100s)), LeaseAbsent{},
       at(100s), with(acting(kStandby, Action::kCreate), [](auto& s) { s.record.reset(); })},

      {"leads once its write is answered, since it was sent", taking,
       LeaseWritten{.record = kOurs, .sent = at(115s)}, at(116s),
       with(in_role(seeing(acting(kStandby, Action::kUpdate, 1s), kOurs, at(116s)), Role::kLeading),
            [](auto& s) { s.renewed = at(115s); })},
      {"does not lead when the answer came too late", taking, LeaseWritten{.record = kOurs, .sent = at(115s)},
       at(125s),
       with(in_role(seeing(acting(kStandby, Action::kWait, 24h), kOurs, at(125s)), Role::kLost),
            [](auto& s) { s.renewed = at(115s); })},

      {"that is asked to stop is done", kStandby, StopRequested{}, at(101s),
       stopping(in_role(acting(kStandby, Action::kGet), Role::kOver))},
      {"but looks first whether a write without an answer was done", doubtful(reading), StopRequested{},
       at(101s),
       with(stopping(doubtful(in_role(reading, Role::kReleasing))),
            [](auto& s) { s.release_until = at(106s); })},
  });
}

TEST(ElectionState, ALeader) {
  const ElectionState reading = acting(kLeading, Action::kGet);
  expect_all({
      {"renews each retry period, counted from sending", kLeading,
       LeaseWritten{.record = kOurs, .sent = at(102s)}, at(103s),
       with(acting(kLeading, Action::kUpdate, 1s), [](auto& s) { s.renewed = at(102s); })},
      {"forgets failures when it has renewed", doubtful(failures(kLeading, 3)),
       LeaseWritten{.record = kOurs, .sent = at(102s)}, at(102s),
       with(acting(kLeading, Action::kUpdate, 2s), [](auto& s) { s.renewed = at(102s); })},
      {"reads at once when a renewal is refused", kLeading, failed(ApiErrorKind::kConflict), at(102s),
       failures(reading, 1)},
      {"or fails otherwise", kLeading, failed(ApiErrorKind::kNoAnswer), at(107s),
       doubtful(failures(reading, 1))},
      {"and from the second failure each retry period", failures(kLeading, 1),
       failed(ApiErrorKind::kForbidden), at(102s), failures(acting(kLeading, Action::kGet, 2s), 2)},
      {"writes again when it reads its own name", failures(reading, 1), LeaseObserved{kOurs}, at(102s),
       failures(kLeading, 1)},
      {"writes again when somebody emptied it", reading, LeaseObserved{kFree}, at(102s),
       seeing(kLeading, kFree, at(102s))},
      {"has lost at once when another stands there", reading, LeaseObserved{kTheirs}, at(102s),
       seeing(kLost, kTheirs, at(102s))},
      {"creates a lease that was deleted", kLeading, LeaseAbsent{}, at(102s),
       with(acting(kLeading, Action::kCreate), [](auto& s) { s.record.reset(); })},
      {"has lost when it did not renew within the deadline", failures(kLeading, 4),
       failed(ApiErrorKind::kNoAnswer), at(110s), doubtful(failures(kLost, 5))},
      {"but not a moment earlier; no more requests then, only the time passes", failures(kLeading, 4),
       failed(ApiErrorKind::kForbidden), at(109s), failures(acting(kLeading, Action::kWait, 1s), 5)},
      {"has lost when that time has passed", acting(kLeading, Action::kWait, 1s), TimePassed{}, at(110s),
       kLost},
      {"tries once more when it woke early", acting(kLeading, Action::kWait, 1s), TimePassed{}, at(109s),
       reading},
      {"has lost even when it reads its own name after the deadline", reading, LeaseObserved{kOurs}, at(110s),
       kLost},
      {"obeys Retry-After as far as it can afford", kLeading, failed(ApiErrorKind::kTooManyRequests, 1s),
       at(102s), failures(acting(kLeading, Action::kGet, 1s), 1)},
      {"but not to its own end", kLeading, failed(ApiErrorKind::kTooManyRequests, 60s), at(102s),
       failures(acting(kLeading, Action::kGet, 2s), 1)},
      {"that is asked to stop goes on renewing while its work drains", acting(kLeading, Action::kUpdate, 2s),
       StopRequested{}, at(101s), stopping(acting(kLeading, Action::kUpdate, 500ms))},
      {"and renews on", stopping(kLeading), LeaseWritten{.record = kOurs, .sent = at(102s)}, at(102s),
       stopping(with(acting(kLeading, Action::kUpdate, 2s), [](auto& s) { s.renewed = at(102s); }))},
      {"releases only when its work has ended", stopping(kLeading), LeadEnded{}, at(102s), kReleasing},
      {"reads first when it does not know whether its last write was done", doubtful(stopping(kLeading)),
       LeadEnded{}, at(102s), doubtful(acting(kReleasing, Action::kGet))},
      {"also releases when the work ended by itself", kLeading, LeadEnded{}, at(102s),
       with(kReleasing, [](auto& s) { s.stopping = false; })},
  });
}

TEST(ElectionState, ALoser) {
  const auto held_by_them = [](ElectionState state) { return seeing(state, kTheirs, at(102s)); };
  expect_all({
      {"sends nothing until its work has ended", kLost, TimePassed{}, at(111s), kLost},
      {"and campaigns again then", failures(kLost, 3), LeadEnded{}, at(112s),
       in_role(acting(kLost, Action::kGet), Role::kCampaigning)},
      {"that is asked to stop still waits for its work", kLost, StopRequested{}, at(111s), stopping(kLost)},
      {"and is done then when another holds the lease", stopping(held_by_them(kLost)), LeadEnded{}, at(112s),
       stopping(in_role(acting(held_by_them(kLost), Action::kGet), Role::kOver))},
      {"but looks whether it is still its own, to release it", stopping(kLost), LeadEnded{}, at(112s),
       with(acting(kReleasing, Action::kGet), [](auto& s) { s.release_until = at(117s); })},
  });
}

TEST(ElectionState, ARelease) {
  const ElectionState reading = acting(kReleasing, Action::kGet);
  const ElectionState over = in_role(reading, Role::kOver);
  expect_all({
      {"ends it", kReleasing, LeaseWritten{.record = kFree, .sent = at(102s)}, at(102s),
       seeing(over, kFree, at(102s))},
      {"is read again after a conflict", kReleasing, failed(ApiErrorKind::kConflict), at(103s),
       failures(reading, 1)},
      {"is repeated while it is still ours", failures(reading, 1), LeaseObserved{kOurs}, at(103s),
       failures(kReleasing, 1)},
      {"is not needed when another has it", reading, LeaseObserved{kTheirs}, at(103s),
       seeing(over, kTheirs, at(103s))},
      {"is not needed when it was done without an answer", reading, LeaseObserved{kFree}, at(103s),
       seeing(over, kFree, at(103s))},
      {"is not needed when the lease is gone", reading, LeaseAbsent{}, at(103s), over},
      {"is tried again after failures, not in a hot loop", failures(kReleasing, 1),
       failed(ApiErrorKind::kNoAnswer), at(103s),
       doubtful(failures(acting(kReleasing, Action::kGet, 500ms), 2))},
      {"is given up after some seconds", failures(kReleasing, 3), failed(ApiErrorKind::kForbidden),
       at(106500ms), over},
      {"of work that ended by itself leads to a new campaign",
       with(kReleasing, [](auto& s) { s.stopping = false; }), LeaseWritten{.record = kFree, .sent = at(102s)},
       at(102s),
       with(seeing(in_role(acting(kReleasing, Action::kGet, 2s), Role::kCampaigning), kFree, at(102s)),
            [](auto& s) { s.stopping = false; })},
      {"that is under way when the stop is requested goes on",
       with(kReleasing, [](auto& s) { s.stopping = false; }), StopRequested{}, at(102s), kReleasing},
  });
}

TEST(ElectionState, WaitsAreSpreadSoThatStandbysDoNotCollide) {
  const auto wait = [](const ElectionState& from, const ElectionInput& input) {
    return next(from, input, at(101s), 0.5, kOptions).wait;
  };
  EXPECT_EQ(wait(kStandby, LeaseObserved{kFree}), 100ms) << "far below the second a take-over may take";
  EXPECT_EQ(wait(kStandby, LeaseWatchEnded{.lasted = 1ms}), 3200ms) << "2 s x (1 + 1.2 x 0.5)";
  EXPECT_EQ(wait(kLeading, failed(ApiErrorKind::kConflict)), 0ms) << "a leader has no time to lose";
}

TEST(ElectionState, RequestsEndWhenTheyAreOfNoUseAnyMore) {
  EXPECT_EQ(request_deadline(kLeading, at(104s), kOptions), at(110s)) << "the renew deadline";
  EXPECT_EQ(request_deadline(kReleasing, at(104s), kOptions), at(107s));
  EXPECT_EQ(request_deadline(kNew, at(104s), kOptions), at(114s));
  EXPECT_EQ(request_deadline(kStandby, at(104500ms), kOptions), at(115s)) << "the record expires";
  const ElectionState garbage = seeing(kStandby, lease("other", "7", "x", 2147483647s), at(100s));
  EXPECT_EQ(request_deadline(garbage, at(100s), kOptions), at(401s)) << "the server should have ended it";
}

TEST(ElectionState, AWatchLastsUntilTheRecordExpires) {
  EXPECT_EQ(watch_timeout(kStandby, at(100s), kOptions), 15s);
  EXPECT_EQ(watch_timeout(kStandby, at(103500ms), kOptions), 11s) << "whole seconds";
  EXPECT_EQ(watch_timeout(kStandby, at(114900ms), kOptions), 1s) << "0 would mean the server's default";
  EXPECT_EQ(watch_timeout(kStandby, at(200s), kOptions), 1s);
  const ElectionState garbage = seeing(kStandby, lease("other", "7", "x", 2147483647s), at(100s));
  EXPECT_EQ(watch_timeout(garbage, at(100s), kOptions), 300s);
}

TEST(ElectionOptions, BadCombinationsAreRefused) {
  const auto ok = [](std::chrono::milliseconds lease, std::chrono::milliseconds renew,
                     std::chrono::milliseconds retry) {
    ElectionOptions options = kOptions;
    options.lease_duration = lease;
    options.renew_deadline = renew;
    options.retry_period = retry;
    return check(options).has_value();
  };
  EXPECT_TRUE(check(kOptions).has_value());
  EXPECT_TRUE(ok(3s, 2s, 500ms));
  EXPECT_FALSE(ok(10s, 10s, 2s));
  EXPECT_FALSE(ok(15s, 16s, 2s));
  EXPECT_FALSE(ok(15s, 10s, 9s)) << "the jitter of 1.2 leaves no second try";
  EXPECT_FALSE(ok(15s, 2400ms, 2s));
  EXPECT_FALSE(ok(15s, 10s, 0s));
  EXPECT_FALSE(ok(15s, 10s, -2s));
  EXPECT_FALSE(ok(-1s, -2s, -3s));

  ElectionOptions bad = kOptions;
  bad.renew_deadline = 15s;
  EXPECT_EQ(check(bad).error().message,
            "leader election needs lease duration > renew deadline > 1.2 x retry period > 0, but they are "
            "15000 ms, 15000 ms and 2000 ms");
  for (std::string ElectionOptions::* needed :
       {&ElectionOptions::namespace_, &ElectionOptions::name, &ElectionOptions::identity}) {
    ElectionOptions without = kOptions;
    (without.*needed).clear();
    EXPECT_FALSE(check(without).has_value());
  }
}

}  // namespace
}  // namespace sessmtp::kube
