#include "kube/client.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "fake_clock.h"
#include "scripted_transport.h"

namespace sessmtp::kube {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
namespace fs = std::filesystem;

// A token file that lives as long as the test.
class TokenFile {
 public:
  TokenFile() {
    std::string name = (fs::temp_directory_path() / "ses-smtp-token-XXXXXX").string();
    const int descriptor = ::mkstemp(name.data());
    EXPECT_GE(descriptor, 0);
    ::close(descriptor);
    path_ = name;
  }
  ~TokenFile() { fs::remove(path_); }
  TokenFile(const TokenFile&) = delete;
  TokenFile& operator=(const TokenFile&) = delete;

  void write(const std::string& content) const { std::ofstream(path_) << content; }
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

constexpr const char* kWritten = R"({"metadata":{"name":"p","uid":"u","resourceVersion":"7"}})";

class ClientTest : public testing::Test {
 protected:
  FakeClock clock_;
  ClusterConfig config_;
  ScriptedTransport transport_;
};

TEST_F(ClientTest, QueryValuesAreEncoded) {
  TokenSource tokens(config_, clock_);
  Client client(transport_, tokens);
  transport_.then({}).then({});
  (void)client.list("/api/v1/secrets",
                    {.resource_version = "5",
                     .continue_token = {},
                     .field_selector = "type!=helm.sh/release.v1,a=ä b&c",
                     .limit = 1,
                     .representation = Representation::kFull},
                    {}, [](std::string_view) {});
  (void)client.list("/api/v1/secrets",
                    {.resource_version = "5",
                     .continue_token = "a+/=",
                     .field_selector = {},
                     .limit = 0,
                     .representation = Representation::kFull},
                    {}, [](std::string_view) {});
  EXPECT_THAT(transport_.targets(),
              ElementsAre("/api/v1/secrets?fieldSelector=type%21%3Dhelm.sh%2Frelease.v1%2Ca%3D%C3%A4%20b%26c"
                          "&resourceVersion=5&limit=1",
                          "/api/v1/secrets?continue=a%2B%2F%3D"))
      << "a continued list carries its version in the token";
}

TEST_F(ClientTest, PathsAreEncoded) {
  EXPECT_EQ(resource_path("v1", "shop", "secrets", "mail"), "/api/v1/namespaces/shop/secrets/mail");
  EXPECT_EQ(resource_path("v1", "", "secrets"), "/api/v1/secrets");
  EXPECT_EQ(resource_path("ses-smtp.dev/v1alpha1", "shop", "x"),
            "/apis/ses-smtp.dev/v1alpha1/namespaces/shop/x");
  EXPECT_EQ(resource_path("v1", "a/../b", "secrets", "x?y"), "/api/v1/namespaces/a%2F..%2Fb/secrets/x%3Fy");
}

TEST_F(ClientTest, AWriteIsServerSideApplyByOurFieldManager) {
  TokenSource tokens(config_, clock_);
  Client client(transport_, tokens);
  transport_.then({.body = kWritten});
  const auto written = client.apply("/p", {{"a", "b"}}, {});
  ASSERT_TRUE(written);
  EXPECT_EQ(written->resource_version, "7");
  const Request request = transport_.requests().at(0);
  EXPECT_THAT(header(request, "Accept"), HasSubstr("PartialObjectMetadata"))
      << "its values need not come back";
  EXPECT_EQ(request.method, "PATCH");
  EXPECT_EQ(request.target, "/p?fieldManager=ses-smtp-operator&force=true");
  EXPECT_EQ(header(request, "Content-Type"), "application/apply-patch+yaml");
  EXPECT_EQ(request.body, R"({"a":"b"})");
  EXPECT_EQ(header(request, "Authorization"), "(none)") << "there is no token";
}

TEST_F(ClientTest, AnAnswerThatIsNoJsonObjectIsABadAnswerThatQuotesNothing) {
  TokenSource tokens(config_, clock_);
  Client client(transport_, tokens);
  for (const char* body : {"", "SENTINEL", "[1]", "7", R"({"SENTINEL": )", "{\"a\":1e999}"}) {
    transport_.then({.body = body});
    const auto answer = client.get("/p", {});
    ASSERT_FALSE(answer) << body;
    EXPECT_EQ(answer.error().kind, ApiErrorKind::kBadAnswer) << body;
    EXPECT_TRUE(answer.error().transient());
    EXPECT_THAT(answer.error().message, Not(HasSubstr("SENTINEL")));
  }
}

TEST_F(ClientTest, FailuresAreToldApart) {
  TokenSource tokens(config_, clock_);
  Client client(transport_, tokens);
  struct Case {
    Scripted answer;
    ApiErrorKind kind;
    const char* summary;
  };
  const std::string status = R"({"kind":"Status","reason":"Conflict","message":"words"})";
  const std::vector<Case> cases = {
      {{.status = 401, .body = status}, ApiErrorKind::kUnauthorized, "HTTP 401 Conflict"},
      {{.status = 403, .body = status}, ApiErrorKind::kForbidden, "HTTP 403 Conflict"},
      {{.status = 404, .body = status}, ApiErrorKind::kNotFound, "HTTP 404 Conflict"},
      {{.status = 409, .body = status}, ApiErrorKind::kConflict, "HTTP 409 Conflict"},
      {{.status = 410, .body = status}, ApiErrorKind::kGone, "HTTP 410 Conflict"},
      {{.status = 422, .body = status}, ApiErrorKind::kInvalid, "HTTP 422 Conflict"},
      {{.status = 429, .body = "slow down"}, ApiErrorKind::kTooManyRequests, "HTTP 429"},
      {{.status = 503, .body = "[]"}, ApiErrorKind::kServerError, "HTTP 503"},
      {{.status = 302, .body = ""}, ApiErrorKind::kBadAnswer, "HTTP 302"},
      {{.failure = TransportFailure::kDeadline}, ApiErrorKind::kNoAnswer, "no answer"},
      {{.failure = TransportFailure::kTls}, ApiErrorKind::kNoAnswer, "no answer"},
      {{.failure = TransportFailure::kTooLarge}, ApiErrorKind::kBadAnswer, "no answer"},
      {{.failure = TransportFailure::kCancelled}, ApiErrorKind::kCancelled, "cancelled"},
  };
  for (const Case& one : cases) {
    transport_.then(one.answer);
    const auto answer = client.get("/p", {});
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().summary(), one.summary);
    EXPECT_EQ(int(answer.error().kind), int(one.kind)) << one.summary;
  }
}

TEST_F(ClientTest, AnAnswerToWhatWasAskedBeforeTheServerWentIsNoReturn) {
  TokenSource tokens(config_, clock_);
  Client client(transport_, tokens);
  transport_.then({.meanwhile = [&client] { (void)client.get("/q", {}); }})
      .then({.failure = TransportFailure::kUnreachable})
      .then({});
  testing::internal::CaptureStderr();
  EXPECT_TRUE(client.get("/p", {}));
  EXPECT_THAT(testing::internal::GetCapturedStderr(), testing::Not(testing::HasSubstr("answers again")));
  testing::internal::CaptureStderr();
  EXPECT_TRUE(client.get("/p", {}));
  EXPECT_THAT(testing::internal::GetCapturedStderr(), testing::HasSubstr("answers again"));
}

TEST_F(ClientTest, RetryAfterIsHandedOn) {
  TokenSource tokens(config_, clock_);
  Client client(transport_, tokens);
  transport_.then({.status = 429, .retry_after = 7s});
  EXPECT_EQ(client.get("/p", {}).error().retry_after, 7s);
}

TEST(ApiErrorTest, WhoeverAsksForALongerWaitThanFiveMinutesIsNotBelieved) {
  const std::string body = R"({"kind":"Status","details":{"retryAfterSeconds":600}})";
  EXPECT_EQ(to_api_error(Response{.status = 429, .body = {}, .retry_after = 4000000s}).retry_after, 300s);
  EXPECT_EQ(to_api_error(Response{.status = 429, .body = body, .retry_after = {}}).retry_after, 300s);
  EXPECT_EQ(to_api_error(Response{.status = 429, .body = body, .retry_after = 2s}).retry_after, 2s);
}

TEST(ApiErrorTest, TheFlowSchemaIsNamedWhenItIsAtItsLimit) {
  const std::string body = R"({"kind":"Status","message":"slow down"})";
  const auto message = [](int status, const std::string& text, const std::string& schema) {
    return to_api_error(Response{.status = status, .body = text, .retry_after = {}, .flow_schema = schema})
        .message;
  };
  EXPECT_EQ(message(429, body, "8a1f-b2"), "slow down (flow schema 8a1f-b2)");
  EXPECT_EQ(message(429, "plain", "8a1f-b2"), "(flow schema 8a1f-b2)");
  EXPECT_EQ(message(429, body, ""), "slow down");
  EXPECT_EQ(message(429, body, "not a \"uid\""), "slow down");
  EXPECT_EQ(message(403, body, "8a1f-b2"), "slow down");
}

TEST_F(ClientTest, AWatchAnsweredOtherThan200IsAnErrorAndNoLine) {
  TokenSource tokens(config_, clock_);
  Client client(transport_, tokens);
  transport_.then({.status = 410, .body = R"({"kind":"Status","reason":"Expired"})", .pieces = {"{}\n"}});
  const auto answer = client.watch("/p", {}, {}, [](std::string_view line) { ADD_FAILURE() << line; });
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().reason, "Expired");
}

TEST_F(ClientTest, ARejectedTokenIsReadAgainAndTheCallRepeatedOnce) {
  const TokenFile file;
  file.write("old");
  config_.token_file = file.path();
  TokenSource tokens(config_, clock_);
  Client client(transport_, tokens);
  transport_.then({.status = 401, .meanwhile = [&file] { file.write("new"); }}).then({.body = R"({"ok":1})"});
  EXPECT_TRUE(client.get("/p", {}));
  ASSERT_EQ(transport_.requests().size(), 2U);
  EXPECT_EQ(header(transport_.requests()[0], "Authorization"), "Bearer old");
  EXPECT_EQ(header(transport_.requests()[1], "Authorization"), "Bearer new");
}

TEST_F(ClientTest, ARejectedTokenThatIsStillTheSameIsNotTriedAgain) {
  config_.token = "only";
  TokenSource tokens(config_, clock_);
  Client client(transport_, tokens);
  transport_.then({.status = 401, .body = R"({"kind":"Status","reason":"Unauthorized"})"});
  EXPECT_EQ(client.get("/p", {}).error().kind, ApiErrorKind::kUnauthorized);
  EXPECT_EQ(transport_.requests().size(), 1U);
}

TEST_F(ClientTest, NothingIsSentWithoutTheCredentialThatShouldBeThere) {
  config_.token_file = "/nowhere/token";
  TokenSource tokens(config_, clock_);
  Client client(transport_, tokens);
  const auto answer = client.get("/p", {});
  ASSERT_FALSE(answer);
  EXPECT_TRUE(answer.error().transient());
  EXPECT_THAT(answer.error().message, HasSubstr("/nowhere/token"));
  EXPECT_TRUE(transport_.requests().empty());
}

TEST_F(ClientTest, ARepeatedCallCarriesOneCredentialAndItsOwnHeaders) {
  const TokenFile file;
  file.write("old");
  config_.token_file = file.path();
  config_.impersonate = {.user = "system:serviceaccount:ses:x", .uid = {}, .groups = {}, .extra = {}};
  TokenSource tokens(config_, clock_);
  Client client(transport_, tokens);
  transport_.then({.status = 401, .meanwhile = [&file] { file.write("new"); }}).then({.body = kWritten});
  EXPECT_TRUE(client.apply("/p", {{"a", 1}}, {}));
  ASSERT_EQ(transport_.requests().size(), 2U);
  EXPECT_EQ(transport_.requests()[0].headers.size(), transport_.requests()[1].headers.size());
  EXPECT_EQ(transport_.requests()[1].body, R"({"a":1})");
  EXPECT_EQ(header(transport_.requests()[1], "Content-Type"), "application/apply-patch+yaml");
  EXPECT_EQ(header(transport_.requests()[1], "Impersonate-User"), "system:serviceaccount:ses:x");
}

TEST_F(ClientTest, AWatchIsAuthorizedLikeEveryCall) {
  config_.token = "only";
  TokenSource tokens(config_, clock_);
  Client client(transport_, tokens);
  transport_.then({});
  (void)client.watch("/p", {}, {}, [](std::string_view) {});
  EXPECT_EQ(header(transport_.requests()[0], "Authorization"), "Bearer only");
}

}  // namespace
}  // namespace sessmtp::kube
