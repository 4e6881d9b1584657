#include "kube/leader_election.h"

#include <gmock/gmock.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "fake_lease_api.h"
#include "virtual_time.h"

namespace sessmtp::kube {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using std::chrono::milliseconds;
using testing::AllOf;
using testing::Ge;
using testing::Le;

// Who works, and whether ever two did at once.
class Work {
 public:
  struct Term {
    std::string who;
    SteadyTime began;
    std::optional<SteadyTime> ended;
  };

  explicit Work(VirtualTime& time) : time_(time) {}

  // False when it is not to begin: told to stop already.
  bool begin(const std::string& who, const std::stop_token& stop) {
    const std::scoped_lock lock(mutex_);
    if (stop.stop_requested()) {
      return false;
    }
    for (const Term& each : terms_) {
      if (!each.ended) {
        ADD_FAILURE() << who << " began while " << each.who << " still worked";
      }
    }
    terms_.push_back({.who = who, .began = time_.steady(), .ended = std::nullopt});
    return true;
  }
  void end(const std::string& who) {
    const std::scoped_lock lock(mutex_);
    for (Term& each : terms_) {
      if (each.who == who && !each.ended) {
        each.ended = time_.steady();
      }
    }
  }
  [[nodiscard]] bool works(const std::string& who) const {
    return std::ranges::any_of(terms(), [&](const Term& each) { return each.who == who && !each.ended; });
  }
  [[nodiscard]] std::vector<Term> terms() const {
    const std::scoped_lock lock(mutex_);
    return terms_;
  }

 private:
  VirtualTime& time_;
  mutable std::mutex mutex_;
  std::vector<Term> terms_;
};

// One process: its connection, its elector, its threads.
class Candidate {
 public:
  Candidate(VirtualTime& time, FakeLeaseApi& api, Work& work, std::string identity, unsigned seed = 1)
      : identity_(std::move(identity)),
        time_(time),
        work_(work),
        connection(api, time, seed),
        tokens_(config_, time),
        options_{.namespace_ = "ns", .name = "lease", .identity = identity_},
        client_(connection, tokens_, {.deadline = request_timeout(options_), .host = {}}),
        elector(client_, time, registry, options_,
                [this](milliseconds duration, std::stop_token stop) {
                  await_work();
                  return time_.wait(duration, std::move(stop), &connection);
                }),
        thread_(time, [this] {
          elector.run(stop_.get_token(), [this](std::stop_token stop) { lead(std::move(stop)); });
          returned_at = time_.steady();
        }) {}
  ~Candidate() { stop(); }

  void stop() { stop_.request_stop(); }
  void join() { thread_.join(); }

  [[nodiscard]] const std::string& identity() const { return identity_; }
  [[nodiscard]] double master_status() const {
    for (const auto& family : registry.Collect()) {
      if (family.name == "leader_election_master_status") {
        EXPECT_EQ(family.metric.at(0).label.at(0).name, "name");
        EXPECT_EQ(family.metric.at(0).label.at(0).value, "lease");
        return family.metric.at(0).gauge.value;
      }
    }
    return -1;
  }

 private:
  // A new thread takes part in time once it runs only: a leader waits for that.
  void await_work() {
    if (elector.leading()) {
      entered_.wait(false);
    } else {
      entered_ = false;
    }
  }
  void lead(std::stop_token stop) {
    time_.enter();
    entered_ = true;
    entered_.notify_all();
    if (!work_.begin(identity_, stop)) {
      return;
    }
    time_.wait(lasts.load(), stop);
    time_.wait(drains.load(), {});
    work_.end(identity_);
  }

  const std::string identity_;
  VirtualTime& time_;
  Work& work_;

 public:
  std::atomic<milliseconds> lasts = milliseconds(10000h);  // the work, if nobody stops it
  std::atomic<milliseconds> drains = milliseconds(0);      // after that
  std::atomic<SteadyTime> returned_at = SteadyTime{};
  FakeLeaseConnection connection;
  prometheus::Registry registry;

 private:
  ClusterConfig config_;
  TokenSource tokens_;
  const ElectionOptions options_;
  Client client_;
  std::atomic<bool> entered_ = false;

 public:
  LeaderElector elector;

 private:
  std::stop_source stop_;
  VirtualTime::Thread thread_;
};

class LeaderElectionTest : public testing::Test {
 protected:
  LeaderElectionTest() {
    log::configure(log::Level::kError, log::Format::kText);
    api_.on_change([this](const FakeLeaseApi::Change& change) {
      const json spec = change.object.value("spec", json());
      if (spec.is_object() && spec.value("leaseDurationSeconds", json()) == 1) {
        for (const Work::Term& each : work_.terms()) {
          EXPECT_TRUE(each.ended) << "released while " << each.who << " still worked";
        }
      }
    });
  }

  void TearDown() override { log::configure(log::Level::kInfo, log::Format::kText); }

  std::unique_ptr<Candidate> candidate(const std::string& identity, unsigned seed = 1) {
    return std::make_unique<Candidate>(time_, api_, work_, identity, seed);
  }
  // Leads, and has time to say so.
  std::unique_ptr<Candidate> leader(const std::string& identity) {
    auto result = candidate(identity);
    pass(1s);
    EXPECT_TRUE(result->elector.leading());
    return result;
  }
  void pass(milliseconds duration) { time_.wait(duration, {}); }

  // When `holder` got the lease, first after `since`.
  SteadyTime taken(const std::string& holder, SteadyTime since = SteadyTime{}) {
    std::string before;
    for (const auto& change : api_.changes()) {
      if (change.time >= since && change.holder == holder && before != holder) {
        return change.time;
      }
      before = change.holder;
    }
    ADD_FAILURE() << "never held by \"" << holder << '"';
    return SteadyTime{};
  }
  // The last renewal of `holder`.
  SteadyTime renewed(const std::string& holder) {
    SteadyTime last{};
    for (const auto& change : api_.changes()) {
      last = change.holder == holder ? change.time : last;
    }
    return last;
  }

  VirtualTime time_;
  FakeLeaseApi api_{time_};
  Work work_{time_};
};

TEST_F(LeaderElectionTest, OneLeadsAndTheOtherWatches) {
  const auto a = leader("a");
  const auto b = candidate("b");
  pass(60s);
  EXPECT_TRUE(a->elector.leading());
  EXPECT_FALSE(b->elector.leading());
  EXPECT_EQ(a->master_status(), 1);
  EXPECT_EQ(b->master_status(), 0);
  EXPECT_EQ(api_.lease()["spec"]["leaseTransitions"], 0);
  EXPECT_THAT(a->connection.requests(), testing::SizeIs(AllOf(Ge(30U), Le(34U)))) << "every two seconds";
  const auto watches = b->connection.requests();
  EXPECT_THAT(watches, testing::SizeIs(Le(7U))) << "one GET, and a watch each 15 seconds";
  EXPECT_EQ(watches.at(1),
            std::string("WATCH ") + FakeLeaseApi::kCollection +
                "?watch=true&allowWatchBookmarks=true&timeoutSeconds=15&resourceVersion=101&fieldSelector="
                "metadata.name%3Dlease");
}

TEST_F(LeaderElectionTest, AReleasedLeaseIsTakenWithinASecond) {
  const auto a = leader("a");
  const auto b = candidate("b");
  pass(7s);
  a->stop();
  a->join();
  pass(2s);
  EXPECT_TRUE(b->elector.leading());
  EXPECT_LE(taken("b") - taken("", 1s + SteadyTime{}), 500ms);
  EXPECT_EQ(api_.lease()["spec"]["leaseTransitions"], 1);
  EXPECT_FALSE(a->elector.leading());
  EXPECT_EQ(a->master_status(), 0);
}

TEST_F(LeaderElectionTest, TheLeaseIsRenewedWhileTheWorkDrainsAndReleasedAfterwards) {
  const auto a = leader("a");
  const auto b = candidate("b");
  a->drains = 40s;
  pass(1s);
  const SteadyTime stopped = time_.steady();
  a->stop();
  pass(39s);
  EXPECT_FALSE(b->elector.leading()) << "far beyond the lease duration";
  EXPECT_EQ(api_.holder(), "a");
  a->join();
  pass(1s);
  EXPECT_GE(taken("", stopped), stopped + 40s);
  EXPECT_TRUE(b->elector.leading());
}

TEST_F(LeaderElectionTest, AVanishedLeaderIsReplacedWhenItsLeaseHasExpiredAndStandsAgainLater) {
  const auto a = leader("a");
  const auto b = candidate("b");
  pass(10s);
  a->connection.cut_off = true;
  const SteadyTime last = renewed("a");
  pass(30s);
  EXPECT_TRUE(b->elector.leading());
  EXPECT_GE(taken("b"), last + 15s);
  EXPECT_LE(taken("b"), last + 16s);
  EXPECT_FALSE(a->elector.leading());
  const auto first = work_.terms().at(0);
  ASSERT_TRUE(first.ended) << "the work of the old leader goes on";
  EXPECT_LE(*first.ended, last + 10s + 100ms) << "beyond the renew deadline";

  a->connection.cut_off = false;
  pass(20s);
  b->stop();
  b->join();
  pass(1s);
  EXPECT_TRUE(a->elector.leading()) << "a lost lease does not end the process";
}

TEST_F(LeaderElectionTest, ALeaderReplacedBehindItsBackStopsAtItsNextRenewal) {
  const auto a = leader("a");
  pass(1s);
  json spec = api_.lease()["spec"];
  spec["holderIdentity"] = "somebody";
  api_.put(spec);
  pass(2500ms);
  EXPECT_FALSE(a->elector.leading());
  EXPECT_TRUE(work_.terms().at(0).ended);
  EXPECT_EQ(api_.holder(), "somebody");
}

TEST_F(LeaderElectionTest, WithoutTheRightToWatchItPolls) {
  const auto a = leader("a");
  const auto b = candidate("b");
  b->connection.answer("WATCH", 403);
  pass(60s);
  EXPECT_THAT(b->connection.requests(), testing::SizeIs(AllOf(Ge(20U), Le(70U)))) << "no hot loop";
  a->stop();
  a->join();
  pass(6s);
  EXPECT_TRUE(b->elector.leading());
}

TEST_F(LeaderElectionTest, ALeaseDeletedUnderALeaderStaysItsOwn) {
  const auto a = leader("a");
  const auto b = candidate("b");
  pass(5s);
  api_.remove();
  pass(60s);
  EXPECT_TRUE(a->elector.leading());
  EXPECT_FALSE(b->elector.leading());
  EXPECT_EQ(work_.terms().size(), 1U);
}

TEST_F(LeaderElectionTest, ALeaseDeletedUnderAVanishedLeaderIsCreatedByAnother) {
  const auto a = leader("a");
  const auto b = candidate("b");
  pass(5s);
  a->connection.cut_off = true;
  api_.remove();
  pass(20s);
  EXPECT_TRUE(b->elector.leading());
}

TEST_F(LeaderElectionTest, AMissingRightLosesTheLeaseAndAGrantedOneBringsItBack) {
  const auto a = leader("a");
  a->connection.answer("PUT", 403);
  pass(9s);
  EXPECT_TRUE(a->elector.leading());
  pass(3s);
  EXPECT_FALSE(a->elector.leading());
  EXPECT_THAT(a->connection.requests(), testing::SizeIs(Le(30U))) << "no hot loop";
  a->connection.answer("PUT", 0);
  pass(6s);
  EXPECT_TRUE(a->elector.leading());
  EXPECT_EQ(api_.lease()["spec"]["leaseTransitions"], 0) << "nobody else had it";
}

TEST_F(LeaderElectionTest, ALeaseWithoutSenseIsTakenAndKeepsWhatIsNotOurs) {
  for (const char* spec : {"null", "{}", "[1]", R"({"holderIdentity":null})",
                           R"({"leaseDurationSeconds":"x"})", R"({"holderIdentity":"","strategy":"kept"})"}) {
    api_.put(json::parse(spec));
    const auto a = leader("a");
    EXPECT_EQ(api_.holder(), "a") << spec;
    EXPECT_EQ(api_.lease()["metadata"]["labels"]["team"], "a") << spec;
    EXPECT_EQ(api_.lease()["metadata"]["uid"], "u") << spec;
    a->stop();
    a->join();
    EXPECT_EQ(api_.holder(), "") << spec;
  }
  EXPECT_EQ(api_.lease()["spec"]["strategy"], "kept");
}

TEST_F(LeaderElectionTest, TimestampsOfOtherClocksMeanNothing) {
  // An hour behind, yet alive for us until it has not changed for its duration.
  api_.put({{"holderIdentity", "z"},
            {"leaseDurationSeconds", 15},
            {"renewTime", "2026-11-22T07:00:00.000000Z"},
            {"acquireTime", "2026-11-22T07:00:00.000000Z"}});
  const SteadyTime began = time_.steady();
  const auto a = candidate("a");
  pass(20s);
  EXPECT_GE(taken("a"), began + 15s);
  EXPECT_LE(taken("a"), began + 16s);
}

TEST_F(LeaderElectionTest, ATimeOfDayThatJumpsChangesNothing) {
  const auto a = leader("a");
  const auto b = candidate("b");
  for (const auto jump : {3h, -7h, 100h}) {
    const SteadyTime before = time_.steady();
    const auto changes = api_.changes().size();
    time_.set_ahead(jump);
    pass(60s);
    EXPECT_TRUE(work_.works("a")) << jump.count();
    EXPECT_GE(renewed("a"), before + 57s) << "the lease is renewed as before";
    EXPECT_LE(api_.changes().size() - changes, 31U) << "and no more often";
  }
  EXPECT_THAT(work_.terms(), testing::SizeIs(1));
}

TEST_F(LeaderElectionTest, AVanishedLeaderIsReplacedInTimeThoughTheTimeOfDayJumps) {
  for (const auto jump : {5h, -5h}) {
    auto a = leader("a");
    const auto b = candidate("b");
    pass(10s);
    a->connection.cut_off = true;
    const SteadyTime vanished = renewed("a");
    time_.set_ahead(jump);
    pass(20s);
    EXPECT_GE(taken("b", vanished), vanished + 15s);
    EXPECT_LE(taken("b", vanished), vanished + 16s);
    a.reset();
  }
}

TEST_F(LeaderElectionTest, AStopWhileCampaigningChangesNothing) {
  const auto a = leader("a");
  const auto b = candidate("b");
  pass(5s);
  const std::size_t before = api_.changes().size();
  const SteadyTime stopped = time_.steady();
  b->stop();
  b->join();
  EXPECT_EQ(b->returned_at.load(), stopped) << "at once";
  EXPECT_EQ(api_.changes().size(), before);
}

TEST_F(LeaderElectionTest, AStopWithoutAnApiServerEndsInTime) {
  const auto a = leader("a");
  a->connection.cut_off = true;
  pass(2s);
  const SteadyTime stopped = time_.steady();
  a->stop();
  a->join();
  EXPECT_LE(a->returned_at.load(), stopped + 11s) << "a hanging renewal, then a release in vain";
  EXPECT_LE(*work_.terms().at(0).ended, stopped + 1ms) << "the work does not wait for that";
}

TEST_F(LeaderElectionTest, WorkThatEndsByItselfGivesTheLeaseUp) {
  auto a = candidate("a");
  a->lasts = 5s;
  const auto b = candidate("b");
  b->connection.cut_off = true;
  pass(3s);
  EXPECT_TRUE(a->elector.leading());
  b->connection.cut_off = false;
  pass(30s);
  EXPECT_TRUE(b->elector.leading());
  EXPECT_FALSE(a->elector.leading());
}

TEST_F(LeaderElectionTest, WorkThatOutlivesItsLeaseIsOverdue) {
  const auto a = leader("a");
  a->drains = 120s;
  pass(60s);
  EXPECT_FALSE(a->elector.overdue());
  a->connection.cut_off = true;
  pass(33s);
  EXPECT_FALSE(a->elector.leading());
  EXPECT_FALSE(a->elector.overdue());
  pass(3s);
  EXPECT_TRUE(a->elector.overdue()) << "lease duration and 20 s later";
  a->connection.cut_off = false;
  pass(120s);
  EXPECT_FALSE(a->elector.overdue());
  EXPECT_TRUE(a->elector.leading()) << "campaigned once the work had ended";
}

TEST_F(LeaderElectionTest, OfManyStandbysOneTakesItAndTheOthersAreQuiet) {
  const auto a = leader("a");
  std::vector<std::unique_ptr<Candidate>> standbys;
  for (unsigned i = 0; i < 10; ++i) {
    standbys.push_back(candidate("standby" + std::to_string(i), i));
  }
  pass(20s);
  a->stop();
  a->join();
  pass(2s);
  EXPECT_EQ(std::ranges::count_if(standbys, [](const auto& each) { return each->elector.leading(); }), 1);
  for (const auto& each : standbys) {
    each->stop();
  }
}

// Everything that can go wrong with requests goes wrong, for minutes, again and again.
TEST_F(LeaderElectionTest, NeverTwoAtOnceWhateverFails) {
  for (unsigned seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::minstd_rand random(seed);
    const auto pick = [&random](unsigned below) { return random() % below; };
    std::vector<std::unique_ptr<Candidate>> candidates;
    for (unsigned i = 0; i < 3; ++i) {
      candidates.push_back(candidate(std::to_string(seed) + "-" + std::to_string(i), seed * 10 + i));
      // Less than lies between the renew deadline and the expiry of the lease.
      candidates.back()->drains = milliseconds(pick(4500));
    }
    for (unsigned event = 0; event < 40; ++event) {
      auto& one = candidates.at(pick(3));
      one->connection.cut_off = pick(4) == 0;
      one->connection.fault_rate = pick(2) == 0 ? 0.0 : 0.1 * static_cast<double>(pick(10));
      if (pick(8) == 0) {
        one = candidate(one->identity() + "'", seed * 100 + event);  // stopped, and started anew
      }
      pass(milliseconds(pick(20000)));
    }
    for (const auto& each : candidates) {
      each->connection.cut_off = false;
      each->connection.fault_rate = 0.0;
    }
    pass(60s);
    EXPECT_EQ(std::ranges::count_if(candidates, [](const auto& each) { return each->elector.leading(); }), 1)
        << "once all is well again";
    if (HasFailure()) {
      return;
    }
  }
}

}  // namespace
}  // namespace sessmtp::kube
