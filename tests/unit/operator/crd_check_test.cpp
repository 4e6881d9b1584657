#include "operator/crd_check.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "../kube/fake_clock.h"
#include "../kube/scripted_transport.h"
#include "api/crd_schema.h"
#include "fake_server.h"

namespace sessmtp::operator_ {
namespace {

using namespace std::chrono_literals;
using kube::Scripted;
using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
    ++found;
  }
  return found;
}

class CrdCheckTest : public testing::Test {
 public:
  CrdCheckTest& answer(Scripted scripted) {
    // The next look comes after this one, so the finding before it is this one's.
    transport.then(
        {.status = scripted.status, .body = scripted.body, .failure = scripted.failure, .meanwhile = [this] {
           found.push_back(check.finding());
         }});
    return *this;
  }
  CrdCheckTest& answer(const json& schema) { return answer(Scripted{.body = schema.dump()}); }
  CrdCheckTest& missing() { return answer(Scripted{.status = 404, .body = "404 page not found"}); }

  // Until it is usable or the script is at its end.
  bool run() {
    testing::internal::CaptureStderr();
    const bool usable = check.wait_until_usable(stop.get_token());
    log = testing::internal::GetCapturedStderr();
    found.push_back(check.finding());
    found.erase(found.begin());  // before the first look
    return usable;
  }
  [[nodiscard]] std::vector<CrdState> states() const {
    std::vector<CrdState> result;
    for (const CrdCheck::Finding& each : found) {
      result.push_back(each.state);
    }
    return result;
  }

  std::stop_source stop;
  kube::ScriptedTransport transport{stop};
  FakeClock clock;
  kube::ClusterConfig config;
  kube::TokenSource tokens{config, clock};
  kube::Client client{transport, tokens};
  std::vector<std::chrono::milliseconds> pauses;
  bool served = false;
  CrdCheck check{client, [this] { return served; },
                 [this](std::chrono::milliseconds pause, std::stop_token asked) {
                   pauses.push_back(pause);
                   return !asked.stop_requested();
                 }};
  std::vector<CrdCheck::Finding> found;  // after each look
  std::string log;
};

TEST_F(CrdCheckTest, ACurrentCrdIsUsableAtOnce) {
  answer(crd_schema());
  EXPECT_EQ(check.finding().state, CrdState::kUnknown);
  EXPECT_TRUE(run());
  EXPECT_THAT(states(), ElementsAre(CrdState::kCurrent));
  EXPECT_THAT(transport.targets(), ElementsAre(std::string(api::kSchemaPath)));
  EXPECT_THAT(pauses, IsEmpty());
  EXPECT_EQ(log, "");
}

TEST_F(CrdCheckTest, WaitsForACrdThatIsMissingThenOlderThenCurrent) {
  const json older = crd_schema({"spec.region", "status.renderVersion"});
  missing().missing().answer(older).answer(older).answer(older).answer(crd_schema());
  EXPECT_TRUE(run());
  EXPECT_THAT(states(), ElementsAre(CrdState::kMissing, CrdState::kMissing, CrdState::kOutdated,
                                    CrdState::kOutdated, CrdState::kOutdated, CrdState::kCurrent));
  EXPECT_THAT(found.at(2).lacks, ElementsAre("spec.region", "status.renderVersion"));
  EXPECT_THAT(found.back().lacks, IsEmpty());
  EXPECT_THAT(pauses, AllOf(SizeIs(5), Each(2s)));
  EXPECT_EQ(count(log, "CRD is older than this program"), 1U) << log;
  EXPECT_THAT(log, HasSubstr("spec.region"));
  EXPECT_EQ(count(log, "CRD is current now"), 1U) << log;
}

TEST_F(CrdCheckTest, SaysAgainWhatIsMissingWhenThatChanges) {
  answer(crd_schema({"spec.region", "spec.target.type"})).answer(crd_schema({"spec.region"}));
  EXPECT_FALSE(run());
  EXPECT_EQ(count(log, "CRD is older than this program"), 2U) << log;
}

TEST_F(CrdCheckTest, ASchemaThatMayNotBeReadIsNoObstacle) {
  answer(Scripted{.status = 403, .body = refusal(403, "Forbidden", "no").body.dump()});
  EXPECT_TRUE(run());
  EXPECT_THAT(states(), ElementsAre(CrdState::kUnreadable));
  EXPECT_EQ(count(log, "not compared"), 1U) << log;
}

TEST_F(CrdCheckTest, ASchemaThatIsHiddenIsNoObstacleForEver) {
  for (int i = 0; i < 30; ++i) {
    missing();
  }
  answer(crd_schema({"spec.region"}));
  EXPECT_FALSE(run()) << "nobody knows of a CRD";
  EXPECT_EQ(count(log, "schema of the CRD not had"), 0U) << "who lists says it";
  EXPECT_EQ(states().back(), CrdState::kOutdated);
}

TEST_F(CrdCheckTest, ASchemaThatIsHiddenIsNoObstacleWhileTheResourceIsServed) {
  served = true;
  for (int i = 0; i < 30; ++i) {
    missing();
  }
  EXPECT_TRUE(run());
  EXPECT_EQ(states().size(), 15U) << "it comes a moment after the CRD";
  EXPECT_EQ(count(log, "schema of the CRD not had"), 1U) << log;
  EXPECT_EQ(states().back(), CrdState::kUnreadable);
}

TEST_F(CrdCheckTest, NoAnswerIsNoFinding) {
  answer(Scripted{.failure = kube::TransportFailure::kUnreachable})
      .answer(crd_schema({"spec.region"}))
      .answer(Scripted{.failure = kube::TransportFailure::kDeadline})
      .answer(Scripted{.status = 503, .body = "later"})
      .answer(Scripted{.status = 401, .body = ""})
      .answer(crd_schema());
  EXPECT_TRUE(run());
  EXPECT_THAT(states(), ElementsAre(CrdState::kUnknown, CrdState::kOutdated, CrdState::kOutdated,
                                    CrdState::kOutdated, CrdState::kOutdated, CrdState::kCurrent));
  EXPECT_EQ(count(log, "CRD is older than this program"), 1U) << log;
}

TEST_F(CrdCheckTest, AnswersThatMakeNoSenseAreNeverUsable) {
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  for (const std::string& body :
       {std::string(), std::string("null"), std::string("[]"), std::string("{}"), std::string("\"text\""),
        std::string("{\"components\":[]}"), std::string("{\"components\":{\"schemas\":null}}"),
        std::string("{\"components\":{\"schemas\":{\"dev.ses-smtp.v1alpha1.SesSmtpCredential\":7}}}"),
        std::string("{\"components\":{\"schemas\":{\"dev.ses-smtp.v1alpha1.SesSmtpCredential\":"
                    "{\"properties\":{\"spec\":[]}}}}}"),
        std::string("\xff\xfe{}"), deep, "{\"components\":" + deep + '}'}) {
    answer(Scripted{.body = body});
  }
  EXPECT_FALSE(run());
  EXPECT_THAT(states(), AllOf(SizeIs(12), Each(AllOf(Not(CrdState::kCurrent), Not(CrdState::kUnreadable)))));
}

TEST_F(CrdCheckTest, EndsWhenAskedToStop) {
  missing();
  EXPECT_FALSE(run());
  EXPECT_THAT(transport.targets(), SizeIs(2));
}

}  // namespace
}  // namespace sessmtp::operator_
