#include "kube/reflector.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "fake_clock.h"
#include "kube/line_splitter.h"
#include "kube/object.h"
#include "scripted_transport.h"

namespace sessmtp::kube {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

std::string object(const std::string& name, const std::string& version) {
  return R"({"metadata":{"name":")" + name + R"(","resourceVersion":")" + version + R"("}})";
}

Scripted list(const std::string& version, const std::vector<std::string>& names,
              const std::string& more = "") {
  std::string items;
  for (const std::string& name : names) {
    items += (items.empty() ? "" : ",") + object(name, "1");
  }
  return {.body = R"({"metadata":{"resourceVersion":")" + version + R"(","continue":")" + more +
                  R"("},"items":[)" + items + "]}"};
}

std::string event(const std::string& type, const std::string& what) {
  return R"({"type":")" + type + R"(","object":)" + what + "}\n";
}

Scripted watch(std::vector<std::string> pieces) {
  return {.pieces = std::move(pieces)};
}

const std::string kExpired =
    R"({"kind":"Status","status":"Failure","reason":"Expired","message":"too old","code":410})";

// Keeps what it is told, in words.
class Handler final : public ReflectorHandler {
 public:
  void list_begins() override { names_.clear(); }
  Result<void> listed(std::string_view object) override {
    names_ += ' ' + name_of(object);
    return {};
  }
  void list_ends() override { seen.push_back("replace" + names_); }
  Result<std::string> put(std::string_view object) override {
    if (name_of(object) == "bad") {
      return fail(ErrorCode::kInvalidInput, "bad");
    }
    seen.push_back("put " + name_of(object));
    return resource_version_of(object);
  }
  Result<std::string> remove(std::string_view object) override {
    seen.push_back("remove " + name_of(object));
    return resource_version_of(object);
  }
  void lost() override { seen.emplace_back("lost"); }
  void refused(const ApiError& error) override { seen.push_back("refused " + error.summary()); }
  void missing() override { seen.emplace_back("missing"); }

  std::vector<std::string> seen;

 private:
  static std::string name_of(std::string_view object) {
    return json::parse(object).at("metadata").value("name", "");
  }
  std::string names_;
};

class ReflectorTest : public testing::Test {
 protected:
  Reflector::Options options_{.resource = "secrets",
                              .namespace_ = "",
                              .path = "/api/v1/secrets",
                              .field_selector = "",
                              .representation = Representation::kMetadataOnly,
                              .hint_when_missing = ""};

  // Runs the script to its end.
  void run() {
    Reflector reflector(client_, clock_, metrics_, options_, handler_, no_wait_);
    reflector.run(stop_.get_token());
  }

  double bad_objects() {
    for (const auto& family : metrics_.Collect()) {
      if (family.name == "ses_smtp_watch_bad_objects_total") {
        return family.metric.at(0).counter.value;
      }
    }
    return -1;
  }

  // Time passes at once.
  const Reflector::Wait no_wait_ = [](std::chrono::milliseconds, const std::stop_token& stop) {
    return !stop.stop_requested();
  };
  Handler handler_;
  std::vector<std::string>& seen_ = handler_.seen;
  prometheus::Registry metrics_;
  std::stop_source stop_;
  ScriptedTransport transport_{stop_};
  FakeClock clock_;
  ClusterConfig config_;
  TokenSource tokens_{config_, clock_};
  Client client_{transport_, tokens_};
};

TEST_F(ReflectorTest, ListsInPagesThenWatchesFromTheListsVersion) {
  transport_.then(list("5", {"a", "b"}));
  run();
  EXPECT_THAT(seen_, ElementsAre("replace a b"));
  EXPECT_THAT(
      transport_.targets(),
      ElementsAre("/api/v1/secrets?limit=200",
                  AllOf(StartsWith("/api/v1/secrets?watch=true&allowWatchBookmarks=true&timeoutSeconds="),
                        HasSubstr("&resourceVersion=5"))));
}

TEST_F(ReflectorTest, AsksForMetadataOnly) {
  transport_.then(list("5", {}));
  run();
  EXPECT_THAT(header(transport_.requests()[0], "Accept"), HasSubstr("as=PartialObjectMetadataList;"));
  EXPECT_THAT(header(transport_.requests()[1], "Accept"), HasSubstr("as=PartialObjectMetadata;"));
}

TEST_F(ReflectorTest, PagesAreHandedOverAsOneListOfTheFirstPagesVersion) {
  transport_.then(list("5", {"a"}, "more")).then(list("6", {"b"}));
  run();
  EXPECT_THAT(seen_, ElementsAre("replace a b"));
  EXPECT_EQ(transport_.targets()[1], "/api/v1/secrets?continue=more&limit=200");
  EXPECT_THAT(transport_.targets()[2], HasSubstr("&resourceVersion=5"));
}

TEST_F(ReflectorTest, AListWhosePagesExpireReplacesNothingAndIsAskedForInOnePiece) {
  transport_.then(list("5", {"a"}, "more")).then({.status = 410, .body = kExpired}).then(list("9", {"c"}));
  run();
  EXPECT_THAT(seen_, ElementsAre("replace c"));
  EXPECT_EQ(transport_.targets()[2], "/api/v1/secrets");
}

TEST_F(ReflectorTest, EventsAreHandedOverHoweverTheyAreCut) {
  const std::string lines = event("ADDED", object("a", "6")) + event("MODIFIED", object("a", "7")) +
                            event("DELETED", object("b", "8"));
  std::vector<std::string> bytes;
  for (const char c : lines) {
    bytes.emplace_back(1, c);
  }
  transport_.then(list("5", {"b"})).then(watch(bytes));
  run();
  EXPECT_THAT(seen_, ElementsAre("replace b", "put a", "put a", "remove b"));
  EXPECT_THAT(transport_.targets()[2], HasSubstr("&resourceVersion=8"))
      << "the next watch goes on from there";
}

TEST_F(ReflectorTest, ABookmarkMovesTheVersionAndNothingElse) {
  transport_.then(list("5", {})).then(watch({event("BOOKMARK", R"({"metadata":{"resourceVersion":"42"}})")}));
  run();
  EXPECT_THAT(seen_, ElementsAre("replace"));
  EXPECT_THAT(transport_.targets()[2], HasSubstr("&resourceVersion=42"));
}

TEST_F(ReflectorTest, AnExpiredVersionInTheStreamIsListedAnew) {
  transport_.then(list("5", {"a"})).then(watch({event("ERROR", kExpired)})).then(list("50", {"c"}));
  run();
  EXPECT_THAT(seen_, ElementsAre("replace a", "replace c"));
  EXPECT_EQ(transport_.targets()[2], "/api/v1/secrets?limit=200");
}

TEST_F(ReflectorTest, AnExpiredVersionAsHttpStatusIsTheSame) {
  transport_.then(list("5", {"a"})).then({.status = 410, .body = kExpired}).then(list("50", {"c"}));
  run();
  EXPECT_THAT(seen_, ElementsAre("replace a", "replace c"));
  EXPECT_EQ(transport_.targets()[2], "/api/v1/secrets?limit=200");
}

TEST_F(ReflectorTest, ALineCutOffByTheEndIsDropped) {
  transport_.then(list("5", {}))
      .then(watch({event("ADDED", object("a", "6")), event("ADDED", object("b", "7")).substr(0, 30)}));
  run();
  EXPECT_THAT(seen_, ElementsAre("replace", "put a"));
  EXPECT_THAT(transport_.targets()[2], HasSubstr("&resourceVersion=6"));
}

TEST_F(ReflectorTest, WhatIsNotUnderstoodIsSkippedAndTheRestIsNot) {
  transport_.then(list("5", {}))
      .then(watch({"not json\n", "7\n", "[]\n", "{}\n",
                   R"({"type":"ADDED"})"
                   "\n",
                   R"({"type":"ADDED","object":7})"
                   "\n",
                   event("NEWTYPE", object("x", "99")),
                   R"({"type":7,"object":{}})"
                   "\n",
                   std::string(5000, '[') + "\n", event("ADDED", object("a", "6"))}));
  run();
  EXPECT_THAT(seen_, ElementsAre("replace", "put a"));
  EXPECT_EQ(bad_objects(), 9);
  EXPECT_THAT(transport_.targets()[2], HasSubstr("&resourceVersion=6"));
}

TEST_F(ReflectorTest, ABadObjectIsCountedAndSkipped) {
  transport_.then(list("5", {}))
      .then(watch({event("ADDED", object("bad", "6")), event("ADDED", object("good", "7"))}));
  run();
  EXPECT_THAT(seen_, ElementsAre("replace", "put good"));
  EXPECT_EQ(bad_objects(), 1);
}

TEST_F(ReflectorTest, AnObjectTooLongToBeReadIsSaidToBeLost) {
  transport_.then(list("5", {}))
      .then(watch({std::string(LineSplitter::kMaxLine + 1, 'x'), "\n", event("ADDED", object("a", "6"))}));
  run();
  EXPECT_THAT(seen_, ElementsAre("replace", "lost", "put a"));
  EXPECT_EQ(bad_objects(), 1);
}

TEST_F(ReflectorTest, AnObjectOfAListTooLongToBeReadIsLostOnceTheListIsThere) {
  Scripted answer = list("5", {"a", "b"});
  answer.body.insert(answer.body.find("},{") + 2,
                     R"({"x":")" + std::string(LineSplitter::kMaxLine, 'x') + R"("},)");
  transport_.then(answer);
  run();
  EXPECT_THAT(seen_, ElementsAre("replace a b", "lost"));
}

TEST_F(ReflectorTest, AWatchIsAskedForOnceToTwiceTheTimeGiven) {
  options_.watch_timeout = 40s;
  transport_.then(list("5", {}));
  run();
  const std::string target = transport_.targets()[1];
  const int seconds = std::stoi(target.substr(target.find("timeoutSeconds=") + 15));
  EXPECT_GE(seconds, 40);
  EXPECT_LE(seconds, 80);
}

TEST_F(ReflectorTest, ProgressTellsOfTheLastWordOfTheApiServer) {
  Reflector reflector(client_, clock_, metrics_, options_, handler_, no_wait_);
  transport_.then({.status = 403, .meanwhile = [this] { clock_.advance(5s); }})
      .then({.failure = TransportFailure::kUnreachable, .meanwhile = [this] {
               clock_.advance(7s);
               stop_.request_stop();
             }});
  EXPECT_FALSE(reflector.progress());
  const SteadyTime began = clock_.steady();
  reflector.run(stop_.get_token());
  EXPECT_EQ(reflector.progress()->heard->last - began, 5s) << "a refusal is an answer, silence is none";
}

const Scripted kForbidden{.status = 403,
                          .body = R"({"kind":"Status","reason":"Forbidden","message":"no","code":403})"};

TEST_F(ReflectorTest, AMissingRightIsReportedWhenItIsMoreThanAHiccup) {
  transport_.then(kForbidden).then(kForbidden).then(list("5", {}));
  run();
  EXPECT_THAT(seen_, ElementsAre("replace")) << "an API server that has just started may refuse at first";
}

TEST_F(ReflectorTest, AMissingRightIsReportedThen) {
  transport_.then(kForbidden).then(kForbidden).then(kForbidden);
  run();
  EXPECT_THAT(seen_, ElementsAre("refused HTTP 403 Forbidden"));
}

TEST_F(ReflectorTest, ARightThatIsTakenAwayIsReportedAfterMoreTries) {
  transport_.then(list("5", {})).then(kForbidden);  // the watch, then lists
  for (int i = 0; i < 5; ++i) {
    transport_.then(kForbidden);
  }
  run();
  EXPECT_THAT(seen_, ElementsAre("replace", "refused HTTP 403 Forbidden"));
}

TEST_F(ReflectorTest, AResourceThatIsGoneIsReported) {
  transport_.then(list("5", {"a"})).then({.status = 404});
  for (int i = 0; i < 5; ++i) {
    transport_.then({.status = 404});
  }
  run();
  EXPECT_THAT(seen_, ElementsAre("replace a", "missing"));
}

TEST_F(ReflectorTest, TheProbeAsksForOneObjectAtOurVersionAndIsNotPagedOn) {
  transport_.then(list("5", {}))
      .then({.failure = TransportFailure::kBroken})
      .then(list("9", {"a"}, "more"))
      .then(watch({}));
  run();
  EXPECT_EQ(transport_.targets()[2], "/api/v1/secrets?resourceVersion=5&limit=1");
  EXPECT_THAT(transport_.targets()[3], HasSubstr("&resourceVersion=5")) << "its version is nobody's";
  EXPECT_THAT(seen_, ElementsAre("replace"));
}

TEST_F(ReflectorTest, AListNamesNoVersionAndIsPaged) {
  transport_.then(list("5", {})).then(kForbidden).then(list("6", {}));
  run();
  EXPECT_EQ(transport_.targets()[2], "/api/v1/secrets?limit=200");
}

TEST_F(ReflectorTest, AnErrorInTheStreamWaitsAsLongAsItSays) {
  std::vector<std::chrono::milliseconds> waits;
  transport_.then(list("5", {}))
      .then(watch({event(
          "ERROR",
          R"({"kind":"Status","code":429,"reason":"TooManyRequests","details":{"retryAfterSeconds":9}})")}));
  Reflector reflector(client_, clock_, metrics_, options_, handler_,
                      [&waits](std::chrono::milliseconds wait, const std::stop_token& stop) {
                        waits.push_back(wait);
                        return !stop.stop_requested();
                      });
  reflector.run(stop_.get_token());
  ASSERT_EQ(waits.size(), 3U);
  EXPECT_GE(waits[2], 9s);
  EXPECT_THAT(transport_.targets()[2], HasSubstr("&resourceVersion=5")) << "no list";
}

TEST_F(ReflectorTest, AfterAnExceptionEverythingIsListedAgain) {
  transport_.then(list("5", {}))
      .then({.meanwhile = [] { throw std::runtime_error("no memory, say"); }})
      .then(list("6", {"a"}));
  run();
  EXPECT_THAT(seen_, ElementsAre("replace", "replace a"));
  EXPECT_EQ(transport_.targets()[2], "/api/v1/secrets?limit=200");
}

TEST_F(ReflectorTest, AnAnswerThatIsNoListReplacesNothing) {
  for (const char* body : {"{}", R"({"items":7,"metadata":{"resourceVersion":"5"}})", R"({"items":[]})", "[]",
                           "x", R"({"items":[7],"metadata":{"resourceVersion":"5"}})",
                           R"({"items":[{"metadata":{"name":"a"}}],"metadata":{"resourceVersion":"5"}})"
                           "x",
                           R"({"metadata":{"resourceVersion":"5"},"items":[{"metadata":{"name":"a"}})"}) {
    std::stop_source stop;
    ScriptedTransport transport{stop};
    Client client{transport, tokens_};
    transport.then({.body = body, .meanwhile = [&stop] { stop.request_stop(); }});
    Reflector reflector(client, clock_, metrics_, options_, handler_, no_wait_);
    reflector.run(stop.get_token());
    EXPECT_THAT(seen_, testing::IsEmpty()) << body;
  }
}

TEST_F(ReflectorTest, ItemsNullIsAnEmptyList) {
  transport_.then({.body = R"({"items":null,"metadata":{"resourceVersion":"5"}})"});
  run();
  EXPECT_THAT(seen_, ElementsAre("replace"));
}

}  // namespace
}  // namespace sessmtp::kube
