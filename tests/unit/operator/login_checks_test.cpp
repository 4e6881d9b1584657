#include "operator/login_checks.h"

#include <gmock/gmock.h>

#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "../kube/fake_clock.h"
#include "base/wait.h"
#include "gate.h"
#include "operator/login_queue.h"
#include "operator/metrics.h"
#include "scraped.h"

namespace sessmtp::operator_ {
namespace {

using namespace std::chrono_literals;
using kube::NamespacedName;
using smtp::LoginReport;
using smtp::LoginVerdict;
using testing::AllOf;
using testing::Ge;
using testing::HasSubstr;
using testing::Le;
using testing::Not;
using testing::Optional;

const NamespacedName kMail{"shop", "mail"};
const NamespacedName kNews{"shop", "news"};

LoginReport report_of(LoginVerdict verdict, int code = 0) {
  LoginReport report;
  report.verdict = verdict;
  report.reply_code = code;
  return report;
}

// A server whose every login is what a test says.
class ScriptedProbe final : public smtp::LoginProbe {
 public:
  std::optional<LoginReport> log_in(const ses::Endpoint& endpoint, const SecretBytes& username,
                                    const SecretBytes& password, std::stop_token stop) override {
    const std::string user(username.expose());
    {
      const std::scoped_lock lock(mutex_);
      logins_.push_back(endpoint.host + ' ' + user + ' ' + std::string(password.expose()));
    }
    most_ = std::max(most_.load(), ++under_way_);
    if (hangs.contains(endpoint.host)) {
      gate.pass(stop);
    }
    --under_way_;
    if (stop.stop_requested()) {
      return std::nullopt;
    }
    const std::scoped_lock lock(mutex_);
    return answer_(user);
  }

  using Answer = std::function<LoginReport(const std::string& user)>;
  void answer(Answer answer) {
    const std::scoped_lock lock(mutex_);
    answer_ = std::move(answer);
  }
  void answer(LoginVerdict verdict, int code = 0) {
    answer([report = report_of(verdict, code)](const std::string&) { return report; });
  }
  [[nodiscard]] std::vector<std::string> logins() const {
    const std::scoped_lock lock(mutex_);
    return logins_;
  }
  [[nodiscard]] std::size_t count() const { return logins().size(); }
  [[nodiscard]] int under_way() const { return under_way_; }
  [[nodiscard]] int most() const { return most_; }

  std::set<std::string> hangs;  // hosts; before the first login
  Gate gate;                    // lets those go

 private:
  mutable std::mutex mutex_;
  Answer answer_ = [](const std::string&) { return report_of(LoginVerdict::kAuthenticated, 235); };
  std::vector<std::string> logins_;
  std::atomic<int> under_way_ = 0;
  std::atomic<int> most_ = 0;
};

LoginRequest request(const std::string& user = "AKIA1", const std::string& host = "ses") {
  LoginRequest request;
  request.endpoint = {.host = host};
  request.username = SecretBytes(user);
  request.password = SecretBytes("password of " + user);
  return request;
}

bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 5000; ++i) {
    if (condition()) {
      return true;
    }
    (void)wait_for(2ms, {});
  }
  return false;
}

class LoginChecksTest : public testing::Test {
 protected:
  // Asks, waits for the verdict and takes it.
  Login know(const NamespacedName& credential = kMail, const std::string& user = "AKIA1") {
    (void)checks.ask(credential, request(user));
    EXPECT_TRUE(eventually([&] { return checks.has_news(credential); }));
    return checks.ask(credential, request(user));
  }
  // The login that is due after that time; false if there was none.
  bool tries_again_after(std::chrono::milliseconds delay) {
    const std::size_t before = probe.count();
    clock.advance(delay);
    (void)checks.ask(kMail, request());
    return eventually([&] { return probe.count() > before && probe.under_way() == 0; }) && settled();
  }
  // Every login that was made has been worked off.
  bool settled() {
    return eventually([&] { return counted("ses_smtp_verify_total") == static_cast<double>(probe.count()); });
  }
  [[nodiscard]] double counted(const std::string& series) const {
    return sum_of(scrape({&registry}), series);
  }
  [[nodiscard]] int wakes(const NamespacedName& credential = kMail) const {
    const std::scoped_lock lock(mutex);
    const auto found = woken.find(credential);
    return found == woken.end() ? 0 : found->second;
  }

  FakeClock clock;
  ScriptedProbe probe;
  prometheus::Registry registry;
  mutable std::mutex mutex;
  std::map<NamespacedName, int> woken;
  LoginChecks checks{probe, clock, registry, [this](const NamespacedName& credential) {
                       (void)checks.has_news(credential);  // no lock is held
                       const std::scoped_lock lock(mutex);
                       ++woken[credential];
                     }};
};

TEST_F(LoginChecksTest, AnAnswerComesLaterAndIsToldOnce) {
  EXPECT_FALSE(checks.ask(kMail, request()).verdict);
  ASSERT_TRUE(eventually([&] { return wakes() == 1; }));
  EXPECT_TRUE(checks.has_news(kMail));
  EXPECT_FALSE(checks.has_news(kNews));
  const Login login = checks.ask(kMail, request());
  EXPECT_EQ(login.verdict, LoginVerdict::kAuthenticated);
  EXPECT_EQ(login.reply_code, 235);
  EXPECT_FALSE(login.ask_again);
  EXPECT_FALSE(checks.has_news(kMail));
  EXPECT_THAT(probe.logins(), testing::ElementsAre("ses AKIA1 password of AKIA1"));
  EXPECT_EQ(counted(R"(ses_smtp_verify_total{code="235",reason="Authenticated"} )"), 1);
}

TEST_F(LoginChecksTest, AnAcceptedPairIsGoodForTenMinutes) {
  (void)know();
  clock.advance(9min);
  EXPECT_TRUE(checks.ask(kMail, request()).verdict);
  clock.advance(1min);
  EXPECT_FALSE(checks.ask(kMail, request()).verdict);
  EXPECT_TRUE(eventually([&] { return checks.has_news(kMail); }));
  EXPECT_EQ(probe.count(), 2U);
}

TEST_F(LoginChecksTest, AnotherPairOrEndpointIsAnotherLogin) {
  (void)know();
  EXPECT_FALSE(checks.ask(kMail, request("AKIA2")).verdict);
  EXPECT_TRUE(eventually([&] { return checks.has_news(kMail); }));
  for (const auto change :
       {+[](LoginRequest& r) { r.endpoint.host = "other"; }, +[](LoginRequest& r) { r.endpoint.port = 465; },
        +[](LoginRequest& r) { r.endpoint.tls = ses::Tls::kImplicit; },
        +[](LoginRequest& r) { r.password = SecretBytes("another"); },
        +[](LoginRequest& r) {
          r.username = SecretBytes("AKIA1p");
          r.password = SecretBytes("assword of AKIA1");
        }}) {
    LoginRequest changed = request();
    change(changed);
    EXPECT_FALSE(checks.ask(kMail, std::move(changed)).verdict);
    EXPECT_TRUE(eventually([&] { return checks.has_news(kMail); }));
  }
  EXPECT_EQ(probe.count(), 7U);
}

TEST_F(LoginChecksTest, APairThatReplacesAnotherEndsItsLogin) {
  probe.hangs = {"hanging"};
  (void)checks.ask(kMail, request("AKIA1", "hanging"));
  ASSERT_TRUE(eventually([&] { return probe.gate.waiting() == 1; }));
  (void)checks.ask(kMail, request("AKIA2", "ses"));
  ASSERT_TRUE(eventually([&] { return probe.under_way() == 0; }));
  ASSERT_TRUE(eventually([&] { return checks.has_news(kMail); }));
  EXPECT_EQ(checks.ask(kMail, request("AKIA2", "ses")).verdict, LoginVerdict::kAuthenticated);
  EXPECT_TRUE(eventually([&] { return wakes() == 1; })) << "a moment after the verdict is known";
  EXPECT_LE(wakes(), 1) << "of the login that was ended nobody hears";
}

// AWS: "a new key may take some time"; nobody is to hear of each try.
TEST_F(LoginChecksTest, AYoungKeyIsTriedEachSecondForHalfAMinute) {
  probe.answer(LoginVerdict::kCredentialsInvalid, 535);
  const Login login = know();
  EXPECT_EQ(login.verdict, LoginVerdict::kCredentialsInvalid);
  EXPECT_EQ(login.reply_code, 535);
  EXPECT_FALSE(login.ask_again) << "it tries again by itself";
  EXPECT_TRUE(login.may_be_young);
  for (int second = 1; second <= 29; ++second) {
    ASSERT_TRUE(tries_again_after(1s)) << second;
  }
  EXPECT_EQ(wakes(), 1);
  ASSERT_TRUE(tries_again_after(1s));
  ASSERT_TRUE(eventually([&] { return wakes() == 2; })) << "from now on somebody has to ask";
  const Login later = checks.ask(kMail, request());
  EXPECT_THAT(later.ask_again, Optional(AllOf(Ge(4500ms), Le(5500ms))));
  EXPECT_FALSE(later.may_be_young);
  EXPECT_EQ(probe.count(), 31U);
}

TEST_F(LoginChecksTest, AYoungKeyIsAcceptedAsSoonAsItWorks) {
  std::atomic<int> refusals = 3;
  probe.answer([&](const std::string&) {
    return refusals-- > 0 ? report_of(LoginVerdict::kCredentialsInvalid, 535)
                          : report_of(LoginVerdict::kAuthenticated, 235);
  });
  (void)know();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(tries_again_after(1s));
  }
  ASSERT_TRUE(eventually([&] { return wakes() == 2; }));
  EXPECT_EQ(checks.ask(kMail, request()).verdict, LoginVerdict::kAuthenticated);
}

TEST_F(LoginChecksTest, RefusalsAreTriedAgainAtGrowingIntervals) {
  probe.answer(LoginVerdict::kTemporaryFailure, 454);
  Login login = know();
  for (const std::chrono::milliseconds step : {5s, 10s, 30s, 60s, 120s, 300s, 600s, 1200s, 1200s}) {
    ASSERT_THAT(login.ask_again, Optional(AllOf(Ge(step * 9 / 10), Le(step * 11 / 10))));
    const std::size_t tries = probe.count();
    clock.advance(*login.ask_again - 1ms);
    EXPECT_THAT(checks.ask(kMail, request()).ask_again, Optional(1ms));
    clock.advance(1ms);
    login = checks.ask(kMail, request());
    EXPECT_EQ(login.verdict, LoginVerdict::kTemporaryFailure) << "as long as there is nothing new";
    EXPECT_FALSE(login.ask_again) << "it is under way";
    ASSERT_TRUE(eventually([&] { return probe.count() == tries + 1; }) && settled());
    ASSERT_TRUE(eventually([&] { return wakes() == static_cast<int>(tries) + 1; })) << "to ask for the next";
    login = checks.ask(kMail, request());
  }
}

TEST_F(LoginChecksTest, WhatIsNotAllowedIsAskedForSeldom) {
  probe.answer(LoginVerdict::kEndpointNotAllowed);
  EXPECT_THAT(know().ask_again, Optional(Ge(18min)));
}

TEST_F(LoginChecksTest, SomebodyWantsToKnowItNow) {
  probe.answer(LoginVerdict::kEndpointUnreachable);
  (void)know();
  LoginRequest now = request();
  now.anew = true;
  EXPECT_EQ(checks.ask(kMail, std::move(now)).verdict, LoginVerdict::kEndpointUnreachable);
  ASSERT_TRUE(eventually([&] { return probe.count() == 2; }) && settled());
  probe.answer(LoginVerdict::kAuthenticated, 235);
  now = request();
  now.anew = true;
  (void)checks.ask(kMail, std::move(now));
  ASSERT_TRUE(eventually([&] { return counted("ses_smtp_verify_total{code=\"235\"") == 1; }));
  now = request();
  now.anew = true;
  const Login known = checks.ask(kMail, std::move(now));
  EXPECT_EQ(known.verdict, LoginVerdict::kAuthenticated) << "until there is another verdict";
  EXPECT_FALSE(known.ask_again);
  ASSERT_TRUE(eventually([&] { return probe.count() == 4; }));
}

TEST_F(LoginChecksTest, SomebodyWantsToKnowOfAYoungKeyNow) {
  probe.answer(LoginVerdict::kCredentialsInvalid, 535);
  (void)know();
  LoginRequest now = request();
  now.anew = true;
  (void)checks.ask(kMail, std::move(now));
  ASSERT_TRUE(eventually([&] { return probe.count() == 2; }) && settled());
  ASSERT_TRUE(tries_again_after(1s));
  EXPECT_EQ(probe.count(), 3U) << "once a second, all the same";
}

// Another process has tried it before.
TEST_F(LoginChecksTest, WhatHasFailedForLongGoesOnWhereItWas) {
  probe.answer(LoginVerdict::kCredentialsInvalid, 535);
  std::chrono::milliseconds longest{0};
  std::chrono::milliseconds shortest{1h};
  for (int i = 0; i < 200; ++i) {
    LoginRequest failing = request();
    failing.failing_since = clock.now() - 5h;
    const Login login = checks.ask({"shop", std::to_string(i)}, std::move(failing));
    EXPECT_FALSE(login.verdict);
    ASSERT_TRUE(login.ask_again);
    longest = std::max(longest, *login.ask_again);
    shortest = std::min(shortest, *login.ask_again);
  }
  EXPECT_THAT(longest, AllOf(Ge(15min), Le(20min)));
  EXPECT_LE(shortest, 2min) << "they are spread";
  EXPECT_EQ(probe.count(), 0U);
  clock.advance(20min);
  LoginRequest failing = request();
  failing.failing_since = clock.now() - 5h;
  (void)checks.ask({"shop", "0"}, std::move(failing));
  ASSERT_TRUE(eventually([&] { return checks.has_news({"shop", "0"}); }));
  EXPECT_THAT(checks.ask({"shop", "0"}, request()).ask_again, Optional(Ge(18min))) << "it is not young";
}

TEST_F(LoginChecksTest, WhatHasFailedForAMomentMayStillBeYoung) {
  probe.answer(LoginVerdict::kCredentialsInvalid, 535);
  LoginRequest failing = request();
  failing.failing_since = clock.now() - 10s;
  (void)checks.ask(kMail, std::move(failing));
  ASSERT_TRUE(eventually([&] { return checks.has_news(kMail); }));
  EXPECT_TRUE(tries_again_after(1s));
}

TEST_F(LoginChecksTest, AFailureFromTheFutureIsOneOfNow) {
  probe.answer(LoginVerdict::kCredentialsInvalid, 535);
  LoginRequest failing = request();
  failing.failing_since = clock.now() + 5h;
  (void)checks.ask(kMail, std::move(failing));
  ASSERT_TRUE(eventually([&] { return checks.has_news(kMail); }));
  EXPECT_TRUE(tries_again_after(1s)) << "the time of day was set back";
}

TEST_F(LoginChecksTest, ATimeOfDayThatJumpsNeitherHastensATryNorPutsItOff) {
  probe.answer(LoginVerdict::kCredentialsInvalid, 535);
  for (const auto jump : {5h, -9h}) {
    (void)checks.ask(kMail, request());
    ASSERT_TRUE(eventually([&] { return checks.has_news(kMail); }));
    clock.set_ahead(jump);
    EXPECT_TRUE(tries_again_after(1s));
    checks.forget(kMail);
  }
}

TEST_F(LoginChecksTest, ARefusalStaysNewsUntilStatusSaysSo) {
  probe.answer(LoginVerdict::kTemporaryFailure, 454);
  (void)know();
  EXPECT_TRUE(checks.has_news(kMail)) << "status may not have been written";
}

TEST_F(LoginChecksTest, ForgettingEndsWhatWaitsAndWhatIsUnderWay) {
  probe.hangs = {"ses"};
  (void)checks.ask(kMail, request());
  ASSERT_TRUE(eventually([&] { return probe.gate.waiting() == 1; }));
  (void)checks.ask(kNews, request());
  EXPECT_EQ(counted("ses_smtp_verify_queue_depth"), 1) << "of an endpoint that has not answered yet";
  checks.forget(kNews);
  EXPECT_EQ(counted("ses_smtp_verify_queue_depth"), 0);
  checks.forget(kMail);
  ASSERT_TRUE(eventually([&] { return probe.under_way() == 0; }));
  checks.forget(kMail);
  checks.forget(kNews);
  EXPECT_FALSE(checks.ask(kMail, request()).verdict) << "nothing is known";
  ASSERT_TRUE(eventually([&] { return probe.gate.waiting() == 1; }));
  checks.forget_all();
  ASSERT_TRUE(eventually([&] { return probe.under_way() == 0; }));
  probe.gate.open();
  EXPECT_EQ(know().verdict, LoginVerdict::kAuthenticated) << "usable again";
  EXPECT_TRUE(eventually([&] { return wakes() == 1; })) << "a moment after the verdict is known";
  EXPECT_EQ(wakes(kNews), 0);
}

TEST_F(LoginChecksTest, AnExceptionIsAnOutcome) {
  probe.answer([](const std::string&) -> LoginReport { throw std::runtime_error("broken"); });
  const Login login = know();
  EXPECT_EQ(login.verdict, LoginVerdict::kProtocolError);
  EXPECT_THAT(login.detail, Not(HasSubstr("broken")));
  EXPECT_TRUE(login.ask_again);
  probe.answer(LoginVerdict::kAuthenticated, 235);
  EXPECT_TRUE(tries_again_after(6s));
}

// Each endpoint hangs, and all are of one namespace.
TEST_F(LoginChecksTest, EndpointsThatHangDelayNobodyElse) {
  ASSERT_TRUE(know({"a", "warm"}).verdict);
  for (int i = 0; i < 20; ++i) {
    probe.hangs.insert("hangs-" + std::to_string(i));
  }
  for (int i = 0; i < 20; ++i) {
    (void)checks.ask({"evil", std::to_string(i)}, request("AKIA1", "hangs-" + std::to_string(i)));
  }
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(know({"good", std::to_string(i)}, "AKIA" + std::to_string(i)).verdict,
              LoginVerdict::kAuthenticated);
  }
  EXPECT_LE(probe.gate.waiting(), static_cast<int>(LoginQueue::kSlowPlaces));
}

TEST_F(LoginChecksTest, ManyAtOnce) {
  const auto name = [](int i) { return NamespacedName{"ns-" + std::to_string(i % 10), std::to_string(i)}; };
  for (int i = 0; i < 10'000; ++i) {
    (void)checks.ask(name(i), request("AKIA" + std::to_string(i)));
  }
  ASSERT_TRUE(eventually([&] { return probe.count() == static_cast<std::size_t>(LoginQueue::kBurst); }));
  EXPECT_EQ(counted("ses_smtp_verify_queue_depth"), 10'000 - LoginQueue::kBurst);
  clock.advance(1s);
  (void)checks.ask(name(0), request("AKIA0"));
  (void)checks.ask({"more", "more"}, request("more"));
  ASSERT_TRUE(eventually([&] { return probe.count() == 2 * static_cast<std::size_t>(LoginQueue::kBurst); }));
  EXPECT_LE(probe.most(), static_cast<int>(LoginQueue::kPerEndpoint));
  checks.forget_all();
  EXPECT_EQ(counted("ses_smtp_verify_queue_depth"), 0);
}

// With the time that there is: nobody asks while it waits.
TEST(LoginChecks, AYoungKeyIsTriedAgainByItself) {
  const SystemClock clock;
  ScriptedProbe probe;
  std::atomic<int> refusals = 2;
  probe.answer([&](const std::string&) {
    return refusals-- > 0 ? report_of(LoginVerdict::kCredentialsInvalid, 535)
                          : report_of(LoginVerdict::kAuthenticated, 235);
  });
  probe.hangs = {"hanging"};
  prometheus::Registry registry;
  std::atomic<int> wakes = 0;
  LoginChecks checks(probe, clock, registry, [&wakes](const NamespacedName&) { ++wakes; });
  (void)checks.ask(kNews, request("AKIA1", "hanging"));  // a thread that is busy all the time
  (void)checks.ask(kMail, request());
  ASSERT_TRUE(eventually([&] { return wakes == 2; }));
  EXPECT_EQ(checks.ask(kMail, request()).verdict, LoginVerdict::kAuthenticated);
  EXPECT_EQ(probe.count(), 4U);
}

TEST(LoginChecks, MayBeAskedByManyWhileOthersForget) {
  const SystemClock clock;
  ScriptedProbe probe;
  prometheus::Registry registry;
  LoginChecks* self = nullptr;
  LoginChecks checks(probe, clock, registry,
                     [&self](const NamespacedName& credential) { (void)self->ask(credential, request()); });
  self = &checks;
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&, thread] {
        for (int i = 0; i < 500; ++i) {
          const NamespacedName name{"ns", std::to_string(i % 7)};
          (void)checks.ask(name, request("AKIA" + std::to_string(i % 3), "host-" + std::to_string(i % 5)));
          (void)checks.has_news(name);
          if (i % 3 == thread % 3) {
            checks.forget(name);
          } else if (i % 100 == 0) {
            checks.forget_all();
          }
        }
      });
    }
  }
  EXPECT_TRUE(eventually([&] { return checks.ask(kMail, request()).verdict.has_value(); }));
}

}  // namespace
}  // namespace sessmtp::operator_
