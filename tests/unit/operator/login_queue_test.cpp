#include "operator/login_queue.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

namespace sessmtp::operator_ {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

const std::string kSes = "email-smtp.eu-west-1.amazonaws.com:587";

// Logins that take as long as their endpoint does, in a time of their own.
class Logins {
 public:
  struct Made {
    std::string namespace_;
    std::string endpoint;
    bool refused;
    SteadyTime began;
  };

  LoginQueue::Ticket add(const std::string& namespace_, const std::string& endpoint = kSes,
                         bool refused = false) {
    queue.add(++last_, {.namespace_ = namespace_, .endpoint = endpoint, .refused = refused}, now);
    logins_[last_] = {.namespace_ = namespace_, .endpoint = endpoint, .refused = refused, .began = {}};
    return last_;
  }
  // As many as may begin now.
  std::vector<std::string> begin() {
    std::vector<std::string> begun;
    while (const auto ticket = queue.take(now)) {
      Made& login = logins_.at(*ticket);
      login.began = now;
      made.push_back(login);
      ends_.emplace(now + takes(login.endpoint), *ticket);
      begun.push_back(login.namespace_);
    }
    return begun;
  }
  void run(std::chrono::milliseconds time) {
    const SteadyTime end = now + time;
    begin();
    while (step(end)) {
    }
    now = end;
  }
  void run_until_idle() {
    begin();
    while (step(SteadyTime::max())) {
    }
  }
  [[nodiscard]] std::size_t under_way() const { return ends_.size(); }
  [[nodiscard]] std::size_t under_way(const std::string& endpoint, bool refused_only = false) const {
    return static_cast<std::size_t>(std::ranges::count_if(ends_, [&](const auto& end) {
      const Made& login = logins_.at(end.second);
      return login.endpoint == endpoint && (login.refused || !refused_only);
    }));
  }
  // An endpoint that is known to answer at once.
  void warm_up(const std::string& endpoint = kSes) {
    add("first", endpoint);
    run_until_idle();
    now += 1s;  // the bucket is full again
    (void)queue.take(now);
    made.clear();
  }
  [[nodiscard]] std::vector<std::string> order() const {
    std::vector<std::string> namespaces;
    std::ranges::transform(made, std::back_inserter(namespaces), &Made::namespace_);
    return namespaces;
  }
  [[nodiscard]] SteadyTime began_last(const std::string& namespace_) const {
    const auto found = std::find_if(made.rbegin(), made.rend(),
                                    [&](const Made& login) { return login.namespace_ == namespace_; });
    return found == made.rend() ? SteadyTime::max() : found->began;
  }

  LoginQueue queue;
  SteadyTime now{1h};
  std::map<std::string, std::chrono::milliseconds> slow;  // by endpoint; all others take 100 ms
  std::vector<Made> made;

 private:
  [[nodiscard]] std::chrono::milliseconds takes(const std::string& endpoint) const {
    const auto found = slow.find(endpoint);
    return found == slow.end() ? 100ms : found->second;
  }
  // To the next moment at which something happens, no later than `end`.
  bool step(SteadyTime end) {
    SteadyTime next = ends_.empty() ? SteadyTime::max() : ends_.begin()->first;
    next = std::min(next, queue.next().value_or(SteadyTime::max()));
    if (next > end || next == SteadyTime::max()) {
      return false;
    }
    now = std::max(now, next);
    while (!ends_.empty() && ends_.begin()->first <= now) {
      queue.done(ends_.begin()->second, now, true);
      ends_.erase(ends_.begin());
    }
    begin();
    return true;
  }

  LoginQueue::Ticket last_ = 0;
  std::map<LoginQueue::Ticket, Made> logins_;
  std::multimap<SteadyTime, LoginQueue::Ticket> ends_;
};

TEST(LoginQueue, AnEndpointOfWhichNothingIsKnownIsAskedOnceFirst) {
  Logins logins;
  for (int i = 0; i < 9; ++i) {
    logins.add("shop");
  }
  EXPECT_EQ(logins.begin().size(), 1U);
  logins.run(100ms);
  EXPECT_EQ(logins.under_way(), LoginQueue::kPerEndpoint) << "it has answered at once";
}

TEST(LoginQueue, NamespacesTakeTurns) {
  Logins logins;
  logins.warm_up();
  for (const char* namespace_ : {"a", "a", "a", "b", "b", "c"}) {
    logins.add(namespace_);
  }
  logins.run_until_idle();
  EXPECT_THAT(logins.order(), ElementsAre("a", "b", "c", "a", "b", "a"));
}

TEST(LoginQueue, NamespacesTakeTurnsOverAllEndpoints) {
  Logins logins;
  for (const char* endpoint : {"one:587", "two:587", "three:587"}) {
    logins.warm_up(endpoint);
  }
  for (int i = 0; i < 6; ++i) {
    for (const char* endpoint : {"one:587", "two:587", "three:587"}) {
      logins.add("many", endpoint);
    }
  }
  logins.add("few", "three:587");
  logins.begin();
  EXPECT_THAT(logins.order()[0], "many");
  EXPECT_THAT(logins.order()[1], "few");
}

TEST(LoginQueue, WhatWasRefusedWaitsForWhatIsNewButNotForEver) {
  Logins logins;
  logins.warm_up();
  logins.add("refused", kSes, true);
  logins.add("refused", kSes, true);
  for (int i = 0; i < 20; ++i) {
    logins.add("new");
  }
  logins.run_until_idle();
  const auto order = logins.order();
  EXPECT_EQ(order[0], "new");
  const auto refused = std::ranges::find(order, "refused") - order.begin();
  EXPECT_LE(refused, 8);
  EXPECT_EQ(std::ranges::count(order, "refused"), 2);
}

TEST(LoginQueue, FewAreUnderWayAtOneEndpoint) {
  Logins logins;
  logins.warm_up();
  for (int i = 0; i < 10; ++i) {
    logins.add("shop");
    logins.add("bad", kSes, true);
  }
  logins.begin();
  EXPECT_EQ(logins.under_way(kSes), LoginQueue::kPerEndpoint);
  EXPECT_LE(logins.under_way(kSes, true), LoginQueue::kRefusedPerEndpoint);
}

TEST(LoginQueue, RefusedOnesNeverHaveAllPlaces) {
  Logins logins;
  const std::vector<std::string> endpoints = {"a:587", "b:587", "c:587", "d:587"};
  std::ranges::for_each(endpoints, [&](const std::string& endpoint) { logins.warm_up(endpoint); });
  for (const std::string& endpoint : endpoints) {
    for (int i = 0; i < 4; ++i) {
      logins.add("bad", endpoint, true);
    }
  }
  EXPECT_EQ(logins.begin().size(), LoginQueue::kRefusedPlaces);
  logins.add("good", "a:587");
  EXPECT_THAT(logins.begin(), ElementsAre("good"));
}

// Each on the allow list, all of one namespace.
TEST(LoginQueue, EndpointsThatHangDelayNobodyElse) {
  Logins logins;
  logins.warm_up();
  logins.warm_up("other:587");
  for (int i = 0; i < 50; ++i) {
    const std::string endpoint = "hangs-" + std::to_string(i) + ":587";
    logins.slow[endpoint] = 30s;
    for (int j = 0; j < 20; ++j) {
      logins.add("evil", endpoint, j % 2 == 0);
    }
  }
  EXPECT_EQ(logins.begin().size(), LoginQueue::kSlowPlaces);
  for (int i = 0; i < 100; ++i) {
    logins.run(1s);
    logins.add("good", i % 2 == 0 ? kSes : "other:587");
    logins.add("good", kSes, true);
    EXPECT_THAT(logins.begin(), ElementsAre("good", "good")) << "second " << i;
    ASSERT_LE(logins.under_way(), LoginQueue::kPlaces);
  }
  logins.add("quick", "new:587");
  const SteadyTime asked = logins.now;
  logins.run(1min);
  EXPECT_LE(logins.began_last("quick") - asked, 30s) << "its turn among those of which nothing is known";
}

TEST(LoginQueue, AnEndpointThatBeginsToHangHoldsFewPlacesFromThenOn) {
  Logins logins;
  logins.warm_up();
  logins.warm_up("other:587");
  logins.slow[kSes] = 10s;
  for (int i = 0; i < 20; ++i) {
    logins.add("shop");
  }
  logins.run(10s);
  EXPECT_EQ(logins.made.size(), 5U) << "four that found out, and one";
  logins.run(5s);
  EXPECT_EQ(logins.under_way(kSes), 1U);
  logins.slow.clear();
  logins.run_until_idle();
  EXPECT_EQ(logins.made.size(), 20U);
}

TEST(LoginQueue, ALoginThatWasEndedSaysNothingGoodOfItsEndpoint) {
  Logins logins;
  const auto ticket = logins.add("shop");
  logins.add("shop");
  logins.add("shop");
  ASSERT_EQ(logins.queue.take(logins.now), ticket);
  logins.queue.done(ticket, logins.now + 1s, false);
  EXPECT_TRUE(logins.queue.take(logins.now + 1s));
  EXPECT_FALSE(logins.queue.take(logins.now + 1s)) << "still one at a time";
}

TEST(LoginQueue, FewBeginInASecond) {
  Logins logins;
  logins.warm_up();
  logins.slow[kSes] = 1ms;
  for (int i = 0; i < 200; ++i) {
    logins.add("ns-" + std::to_string(i % 7));
  }
  const SteadyTime began = logins.now;
  logins.run_until_idle();
  ASSERT_EQ(logins.made.size(), 200U);
  for (std::size_t i = 0; i + LoginQueue::kBurst < logins.made.size(); ++i) {
    const auto window = logins.made[i + LoginQueue::kBurst].began - logins.made[i].began;
    ASSERT_GE(window, i == 0 ? 0ms : 100ms) << i;
  }
  EXPECT_GE(logins.now - began, 18s) << "200, of which ten begin at once and ten in each second";
  EXPECT_LE(logins.now - began, 20s) << "and no slower";
}

TEST(LoginQueue, WhatIsRemovedIsNotBegun) {
  Logins logins;
  const auto first = logins.add("shop");
  const auto second = logins.add("shop");
  logins.queue.remove(first, logins.now);
  EXPECT_EQ(logins.queue.waiting(), 1U);
  EXPECT_EQ(logins.queue.take(logins.now), second);
  logins.queue.remove(second, logins.now);  // under way: nothing happens
  logins.queue.done(second, logins.now, true);
  logins.queue.done(second, logins.now, true);
  logins.queue.remove(99, logins.now);
  EXPECT_FALSE(logins.queue.take(logins.now));
  EXPECT_FALSE(logins.queue.next());
}

TEST(LoginQueue, TenThousandThatAreRefusedDelayNobodyAndAllHaveTheirTurn) {
  Logins logins;
  logins.warm_up();
  for (int i = 0; i < 10'000; ++i) {
    logins.add("bad-" + std::to_string(i % 500), kSes, true);
  }
  logins.run(10s);
  for (int i = 0; i < 60; ++i) {
    logins.add("good");
    const SteadyTime asked = logins.now;
    logins.run(1s);
    EXPECT_LE(logins.began_last("good") - asked, 300ms) << i;
  }
  const std::size_t sooner = logins.made.size();
  EXPECT_LE(sooner, 10U + 70U * 10U);
  const SteadyTime then = logins.now;
  logins.run_until_idle();
  EXPECT_EQ(logins.made.size(), 10'060U);
  EXPECT_LE(logins.now - then, 1000s);
}

TEST(LoginQueue, RemembersLittle) {
  Logins logins;
  for (int i = 0; i < 10'000; ++i) {
    const std::string number = std::to_string(i);
    logins.add("ns-" + number, "host-" + number + ":587");
    logins.run_until_idle();
    logins.now += 1s;
  }
  EXPECT_LE(logins.queue.remembered(), 100U);
  for (int i = 0; i < 1'000; ++i) {
    logins.queue.remove(logins.add("gone-" + std::to_string(i), "gone-" + std::to_string(i) + ":587"),
                        logins.now);
  }
  EXPECT_LE(logins.queue.remembered(), 200U);
  EXPECT_EQ(logins.queue.waiting(), 0U);
}

}  // namespace
}  // namespace sessmtp::operator_
