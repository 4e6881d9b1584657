#include "kube/events.h"

#include <gmock/gmock.h>

#include <future>
#include <nlohmann/json.hpp>
#include <semaphore>

#include "base/json.h"
#include "fake_clock.h"
#include "scripted_transport.h"

namespace sessmtp::kube {
namespace {

using nlohmann::json;
using testing::MatchesRegex;

const ObjectReference kMail{.api_version = "ses-smtp.dev/v1alpha1",
                            .kind = "SesSmtpCredential",
                            .key = {"shop", "mail"},
                            .uid = "u",
                            .resource_version = "7"};

// Keeps what is posted; each call waits for its permit.
class Recorder final : public Transport {
 public:
  Result<Response, TransportError> send(const Request& request, std::chrono::milliseconds,
                                        std::stop_token) override {
    arrived.release();
    permits.acquire();
    const std::scoped_lock lock(mutex_);
    posted_.push_back(request);
    sent.release();
    return Response{.status = 201, .body = "{}", .retry_after = {}};
  }
  Result<Response, TransportError> stream(const Request&, std::chrono::milliseconds, std::stop_token,
                                          const OnBytes&) override {
    return std::unexpected(TransportError{});
  }
  Request next() {
    sent.acquire();
    const std::scoped_lock lock(mutex_);
    return posted_.at(taken_++);
  }

  std::counting_semaphore<> arrived{0};
  std::counting_semaphore<> permits{0};
  std::counting_semaphore<> sent{0};

 private:
  std::mutex mutex_;
  std::vector<Request> posted_;
  std::size_t taken_ = 0;
};

class EventsTest : public testing::Test {
 protected:
  json post(Event event, const ObjectReference& regarding = kMail) {
    transport_.permits.release();
    recorder_.publish(regarding, std::move(event));
    request_ = transport_.next();
    return parse_json(request_.body).value();
  }

  Recorder transport_;
  FakeClock clock_;
  ClusterConfig config_;
  TokenSource tokens_{config_, clock_};
  Client client_{transport_, tokens_};
  Request request_;
  EventRecorder recorder_{client_, clock_, "pod-1"};
};

TEST_F(EventsTest, IsPostedAsTheApiServerWantsIt) {
  json object =
      post({.type = EventType::kWarning, .reason = "SourceKeysNotFound", .action = "Sync", .note = "why"});
  EXPECT_EQ(request_.method, "POST");
  EXPECT_EQ(request_.target, "/apis/events.k8s.io/v1/namespaces/shop/events?fieldManager=ses-smtp-operator");
  EXPECT_THAT(object["metadata"]["name"].get<std::string>(), MatchesRegex("mail\\.[0-9a-f]+"));
  object["metadata"].erase("name");
  EXPECT_EQ(object, json::parse(R"({
    "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"namespace": "shop"},
    "eventTime": "2026-11-22T08:00:00.000000Z", "type": "Warning", "reason": "SourceKeysNotFound", "action": "Sync",
    "note": "why", "reportingController": "ses-smtp.dev/ses-smtp-operator", "reportingInstance": "pod-1",
    "regarding": {"apiVersion": "ses-smtp.dev/v1alpha1", "kind": "SesSmtpCredential", "namespace": "shop",
                  "name": "mail", "uid": "u", "resourceVersion": "7"}})"));
}

TEST_F(EventsTest, NamesDiffer) {
  const json first = post({.type = EventType::kNormal, .reason = "Synced", .action = "Sync", .note = "x"});
  const json second = post({.type = EventType::kNormal, .reason = "Synced", .action = "Sync", .note = "x"});
  EXPECT_NE(first["metadata"]["name"], second["metadata"]["name"]);
}

TEST_F(EventsTest, ALongNoteIsCutWithoutCuttingACharacterInTwo) {
  for (std::size_t lead = 0; lead < 4; ++lead) {
    std::string note(lead, 'x');
    while (note.size() < 2000) {
      note += "…";  // three bytes
    }
    const std::string cut =
        post({.type = EventType::kNormal, .reason = "R", .action = "A", .note = note})["note"];
    EXPECT_LE(cut.size(), 1000U);
    EXPECT_GT(cut.size(), 996U);
    EXPECT_EQ((cut.size() - lead) % 3, 0U);
    EXPECT_TRUE(note.starts_with(cut));
  }
}

TEST_F(EventsTest, ALongObjectNameLeavesRoomForTheNumber) {
  ObjectReference regarding = kMail;
  regarding.key.name = std::string(253, 'm');
  const json object =
      post({.type = EventType::kNormal, .reason = "R", .action = "A", .note = "x"}, regarding);
  EXPECT_EQ(object["metadata"]["name"].get<std::string>().size(), 253U);
}

TEST_F(EventsTest, WhatIsTooMuchIsDroppedAndPublishNeverBlocks) {
  const auto publish = [this](const std::string& note) {
    recorder_.publish(kMail, {.type = EventType::kNormal, .reason = "R", .action = "A", .note = note});
  };
  publish("in hand");
  transport_.arrived.acquire();  // its thread is busy with the first
  for (std::size_t i = 0; i < EventRecorder::kMaxWaiting + 10; ++i) {
    publish(std::to_string(i));
  }
  transport_.permits.release(EventRecorder::kMaxWaiting + 1);
  std::string last;
  for (std::size_t i = 0; i < EventRecorder::kMaxWaiting + 1; ++i) {
    last = parse_json(transport_.next().body).value()["note"];
  }
  EXPECT_EQ(last, std::to_string(EventRecorder::kMaxWaiting - 1));
  transport_.permits.release();
  publish("after");
  EXPECT_EQ(parse_json(transport_.next().body).value()["note"], "after") << "the ten between are gone";
}

}  // namespace
}  // namespace sessmtp::kube
