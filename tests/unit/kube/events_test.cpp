#include "kube/events.h"

#include <gmock/gmock.h>
#include <prometheus/registry.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <future>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/json.h"
#include "fake_clock.h"
#include "scripted_transport.h"

namespace sessmtp::kube {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::MatchesRegex;

const ObjectReference kMail{.api_version = "ses-smtp.dev/v1alpha1",
                            .kind = "SesSmtpCredential",
                            .key = {"shop", "mail"},
                            .uid = "u",
                            .resource_version = "7"};

// Gives each request its answer when the test says so, unless it is cancelled before.
class Server final : public Transport {
 public:
  explicit Server(const Clock& clock) : clock_(clock) {}

  Result<Response, TransportError> send(const Request& request, std::chrono::milliseconds,
                                        std::stop_token stop) override {
    std::unique_lock lock(mutex_);
    requests_.push_back({request, clock_.steady()});
    changed_.notify_all();
    if (!changed_.wait(lock, stop, [this] { return !answers_.empty(); })) {
      return std::unexpected(TransportError{.kind = TransportFailure::kCancelled, .message = {}});
    }
    const int status = answers_.front();
    answers_.pop_front();
    if (status == 0) {
      return std::unexpected(TransportError{.kind = TransportFailure::kUnreachable, .message = {}});
    }
    return Response{.status = status, .body = "{}", .retry_after = {}};
  }
  Result<Response, TransportError> stream(const Request&, std::chrono::milliseconds, std::stop_token,
                                          const OnBytes&) override {
    return std::unexpected(TransportError{});
  }

  struct Seen {
    Request request;
    SteadyTime at;
    [[nodiscard]] json body() const { return parse_json(request.body).value(); }
  };
  void answer(int status, std::size_t times = 1) {  // 0: cannot be reached
    const std::scoped_lock lock(mutex_);
    answers_.insert(answers_.end(), times, status);
    changed_.notify_all();
  }
  // The next request not yet looked at; empty when there is none within `limit`.
  std::optional<Seen> next(std::chrono::milliseconds limit = 10s) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, limit, [this] { return looked_at_ < requests_.size(); })) {
      return std::nullopt;
    }
    return requests_.at(looked_at_++);
  }

 private:
  const Clock& clock_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<int> answers_;
  std::vector<Seen> requests_;
  std::size_t looked_at_ = 0;
};

class EventsTest : public testing::Test {
 protected:
  void publish(const std::string& note, const ObjectReference& regarding = kMail) {
    recorder_->publish(
        regarding,
        {.type = EventType::kWarning, .reason = "SourceKeysNotFound", .action = "Sync", .note = note});
  }
  // Lets time pass until there is a request.
  Server::Seen wait() {
    while (true) {
      if (auto seen = server_.next(5ms)) {
        return *seen;
      }
      clock_.advance(2s);
      publish("poke");  // wakes the sender, which waits in real time
    }
  }
  // The counters, once the sender is done.
  std::map<std::string, double> counted() {
    recorder_.reset();
    std::map<std::string, double> results;
    for (const auto& family : registry_.Collect()) {
      EXPECT_EQ(family.name, "ses_smtp_events_total");
      for (const auto& metric : family.metric) {
        results[metric.label.at(0).value] = metric.counter.value;
      }
    }
    return results;
  }

  FakeClock clock_;
  Server server_{clock_};
  ClusterConfig config_;
  TokenSource tokens_{config_, clock_};
  Client client_{server_, tokens_};
  prometheus::Registry registry_;
  std::optional<EventRecorder> recorder_{std::in_place, client_, clock_, registry_, "pod-1", 20ms};
};

TEST_F(EventsTest, IsPostedAsTheApiServerWantsIt) {
  publish("why");
  const Server::Seen seen = server_.next().value();
  EXPECT_EQ(seen.request.method, "POST");
  EXPECT_EQ(seen.request.target,
            "/apis/events.k8s.io/v1/namespaces/shop/events?fieldManager=ses-smtp-operator");
  json object = seen.body();
  EXPECT_THAT(object["metadata"]["name"].get<std::string>(), MatchesRegex("mail\\.[0-9a-f]+"));
  object["metadata"].erase("name");
  EXPECT_EQ(object, json::parse(R"({
    "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"namespace": "shop"},
    "eventTime": "2026-11-22T08:00:00.000000Z", "type": "Warning", "reason": "SourceKeysNotFound", "action": "Sync",
    "note": "why", "reportingController": "ses-smtp.dev/ses-smtp-operator", "reportingInstance": "pod-1",
    "regarding": {"apiVersion": "ses-smtp.dev/v1alpha1", "kind": "SesSmtpCredential", "namespace": "shop",
                  "name": "mail", "uid": "u", "resourceVersion": "7"}})"));
}

TEST_F(EventsTest, ASecondOneIsTheSeriesOfTheFirst) {
  publish("why");
  const json first = server_.next().value().body();
  clock_.advance(3s);
  publish("why");
  server_.answer(201);
  const Server::Seen second = server_.next().value();
  EXPECT_EQ(second.request.method, "PATCH");
  EXPECT_EQ(header(second.request, "Content-Type"), "application/merge-patch+json");
  EXPECT_EQ(second.request.target, "/apis/events.k8s.io/v1/namespaces/shop/events/" +
                                       first["metadata"]["name"].get<std::string>() +
                                       "?fieldManager=ses-smtp-operator");
  EXPECT_EQ(second.body(),
            json::parse(R"({"series": {"count": 2, "lastObservedTime": "2026-11-22T08:00:03.000000Z"}})"));
}

TEST_F(EventsTest, OneThatTheServerHasForgottenIsPostedAgain) {
  publish("why");
  json first = server_.next().value().body();
  server_.answer(201);
  publish("why");
  server_.answer(404);
  ASSERT_EQ(server_.next().value().request.method, "PATCH");
  const Server::Seen again = server_.next().value();
  EXPECT_EQ(again.request.method, "POST");
  first["series"] = {{"count", 2}, {"lastObservedTime", "2026-11-22T08:00:00.000000Z"}};
  EXPECT_EQ(again.body(), first);
  server_.answer(201);
  server_.answer(201);
  publish("other");
  (void)server_.next();
  EXPECT_EQ(counted()["recorded"], 3);
}

TEST_F(EventsTest, AFailureOfOneIsTriedAgainAfterTenSecondsAndHoldsUpNoOther) {
  const SteadyTime begin = clock_.steady();
  publish("fails");
  server_.answer(500);
  publish("goes on");
  clock_.advance(EventSeries::kLull);
  EXPECT_EQ(server_.next().value().body()["note"], "fails");
  EXPECT_EQ(server_.next().value().body()["note"], "goes on");
  server_.answer(201, 1000);
  Server::Seen again = wait();
  for (; again.body().value("note", "poke") == "poke"; again = wait()) {
  }
  EXPECT_EQ(again.body()["note"], "fails");
  EXPECT_GE(again.at - begin, 7500ms);
  EXPECT_LE(again.at - begin, 60s);
}

TEST_F(EventsTest, NothingIsSentWhileTheServerCannotBeReached) {
  const SteadyTime begin = clock_.steady();
  publish("fails");
  server_.answer(0);
  publish("waits");
  clock_.advance(EventSeries::kLull);
  EXPECT_EQ(server_.next().value().body()["note"], "fails");
  server_.answer(201, 1000);
  const Server::Seen next = wait();
  EXPECT_EQ(next.body()["note"], "waits");
  EXPECT_GE(next.at - begin, 7500ms);
}

TEST_F(EventsTest, AFailureIsGivenUpAfterTwelveTries) {
  server_.answer(500, 12);
  server_.answer(201);
  publish("poke");  // so that all requests are about it
  std::vector<std::string> names;
  for (int i = 0; i < 13; ++i) {
    names.push_back(wait().body()["metadata"]["name"]);
  }
  EXPECT_EQ(std::ranges::count(names, names.front()), 12);
  EXPECT_NE(names.back(), names.front()) << "a new one after that";
  EXPECT_GE(counted()["failed"], 1);
}

TEST_F(EventsTest, WhatTheServerRefusesIsNotTriedAgain) {
  publish("refused");
  server_.answer(403);
  publish("fine");
  clock_.advance(EventSeries::kLull);
  server_.answer(201);
  EXPECT_EQ(server_.next().value().body()["note"], "refused");
  EXPECT_EQ(server_.next().value().body()["note"], "fine");
  const auto results = counted();
  EXPECT_EQ(results.at("failed"), 1);
  EXPECT_EQ(results.at("recorded"), 1);
  EXPECT_EQ(results.at("dropped"), 0);
}

TEST_F(EventsTest, ThereAlreadyIsAsGoodAsPosted) {
  publish("why");
  (void)server_.next();
  publish("why");
  server_.answer(409);  // the answer to an earlier try was lost
  EXPECT_EQ(server_.next().value().request.method, "PATCH");
}

TEST_F(EventsTest, WhatIsTooMuchIsDroppedAndPublishNeverBlocks) {
  publish("in hand");
  (void)server_.next();  // its thread is busy with the first
  for (std::size_t i = 0; i < EventSeries::kMaxWaiting + 10; ++i) {
    publish(std::to_string(i));
  }
  clock_.advance(EventSeries::kLull);
  server_.answer(201, EventSeries::kMaxWaiting + 2);
  std::string last;
  for (std::size_t i = 0; i < EventSeries::kMaxWaiting; ++i) {
    last = server_.next().value().body()["note"];
  }
  EXPECT_EQ(last, std::to_string(EventSeries::kMaxWaiting - 1));
  publish("after");
  EXPECT_EQ(server_.next().value().body()["note"], "after") << "the ten between are gone";
  EXPECT_EQ(counted()["dropped"], 10);
}

TEST_F(EventsTest, WhatWaitsIsSentBeforeTheEnd) {
  recorder_.emplace(client_, clock_, registry_, "pod-1", 10s);
  for (const char* method : {"POST", "PATCH"}) {
    publish("often");
    EXPECT_EQ(server_.next().value().request.method, method);
    server_.answer(201);
  }
  publish("often");  // only counted by now
  publish("in hand");
  EXPECT_EQ(server_.next().value().body()["note"], "in hand");
  for (int i = 0; i < 5; ++i) {
    publish(std::to_string(i));
  }
  server_.answer(201, 7);
  EXPECT_EQ(counted()["recorded"], 9);
}

TEST_F(EventsTest, AServerThatDoesNotAnswerDoesNotHoldUpTheEnd) {
  publish("one");
  publish("two");
  auto ended = std::async(std::launch::async, [this] { recorder_.reset(); });
  EXPECT_EQ(ended.wait_for(10s), std::future_status::ready);
}

TEST_F(EventsTest, AServerThatIsAwayDoesNotHoldUpTheEnd) {
  recorder_.emplace(client_, clock_, registry_, "pod-1", 10min);
  server_.answer(0, 10);
  publish("one");
  publish("two");
  auto ended = std::async(std::launch::async, [this] { recorder_.reset(); });
  EXPECT_EQ(ended.wait_for(10s), std::future_status::ready);
}

}  // namespace
}  // namespace sessmtp::kube
