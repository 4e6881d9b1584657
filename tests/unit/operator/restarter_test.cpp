// The calls that a restart costs, and what becomes of their answers: over the fake API.
#include "operator/restarter.h"

#include <gmock/gmock.h>

#include "fake_server.h"
#include "operator/metrics.h"
#include "scraped.h"

namespace sessmtp::operator_ {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const std::string kPath = "/apis/apps/v1/namespaces/shop/deployments/web";
const std::string kGet = "GET shop/deployments/web";
const std::string kPatch = "PATCH shop/deployments/web";

class RestarterTest : public testing::Test {
 protected:
  RestarterTest() {
    world.api.put(kPath, json::parse(R"({
      "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": "shop", "name": "web"},
      "spec": {"template": {"spec": {"containers": [
        {"name": "web", "envFrom": [{"secretRef": {"name": "mail"}}]}]}}}})"));
    world.later(1h);
  }
  RestartAnswer restart(std::stop_token stop = {}) {
    connection.forget_calls();
    return restarter.restart("shop",
                             {.workload = {.kind = "Deployment", .name = "web"},
                              .secret = "mail",
                              .digest = "0123456789abcdef",
                              .requested_at = world.clock.now() - 5s},
                             stop);
  }
  [[nodiscard]] json annotations() const {
    return world.api.find(kPath)
        ->at("spec")
        .at("template")
        .value("/metadata/annotations"_json_pointer, json());
  }
  // Somebody else's write between our GET and our PATCH, as often as that.
  void interfere(int times) {
    if (times > 0) {
      connection.before(kPatch, [this, times](const std::stop_token&) {
        server.use([](World& shared) { shared.api.edit(kPath, [](json&) {}); });
        interfere(times - 1);
      });
    }
  }
  [[nodiscard]] double count(const std::string& result) const {
    return sum_of(scrape({&metrics}), "ses_smtp_restarts_total{result=\"" + result + "\"}");
  }

  std::stop_source stopping;
  FakeServer server;
  World& world = server.world();
  FakeConnection connection{server};
  kube::ClusterConfig config;
  kube::TokenSource tokens{config, world.clock};
  kube::Client client{connection, tokens};
  prometheus::Registry metrics;
  Restarter restarter{client, world.clock, metrics};
};

TEST_F(RestarterTest, CostsOneReadAndOnePatch) {
  const RestartAnswer answer = restart();
  EXPECT_EQ(answer.result, RestartResult::kRestarted);
  EXPECT_EQ(answer.restarted_at, world.clock.now());
  EXPECT_THAT(connection.calls(), ElementsAre(kGet, kPatch));
  EXPECT_EQ(annotations(), json({{"ses-smtp.dev/secret-digest", "0123456789abcdef"},
                                 {"ses-smtp.dev/restarted-at", to_rfc3339(world.clock.now())}}));
  EXPECT_EQ(count("restarted"), 1);
  EXPECT_EQ(count("failed"), 0);
}

TEST_F(RestarterTest, ASecondTryForTheSameChangeOnlyReads) {
  (void)restart();
  world.later(1s);
  EXPECT_EQ(restart().result, RestartResult::kRestarted);
  EXPECT_THAT(connection.calls(), ElementsAre(kGet));
  EXPECT_EQ(count("restarted"), 1);
}

TEST_F(RestarterTest, AWorkloadThatChangesMeanwhileIsReadAgain) {
  interfere(2);
  EXPECT_EQ(restart().result, RestartResult::kRestarted);
  EXPECT_THAT(connection.calls(), ElementsAre(kGet, kPatch, kGet, kPatch, kGet, kPatch));
  EXPECT_EQ(count("restarted"), 1);
}

TEST_F(RestarterTest, OneThatKeepsChangingIsTriedAgainLater) {
  interfere(9);
  EXPECT_EQ(restart().result, RestartResult::kTryAgain);
  EXPECT_EQ(connection.calls().size(), 6U);
  EXPECT_TRUE(annotations().is_null());
  EXPECT_EQ(count("failed"), 0);
}

TEST_F(RestarterTest, AnotherOfItsNameIsJudgedAnew) {
  connection.before(kPatch, [this](const std::stop_token&) {
    server.use([](World& shared) {
      json other = *shared.api.find(kPath);
      shared.api.remove(kPath);
      other["metadata"] = {{"namespace", "shop"}, {"name", "web"}};
      other["spec"]["template"]["spec"] = json::object();
      shared.api.put(kPath, other);
    });
  });
  EXPECT_EQ(restart().reason, "TargetNotReferenced");
  EXPECT_TRUE(annotations().is_null());
}

TEST_F(RestarterTest, AMissingWorkloadIsSaidToBeMissing) {
  world.api.remove(kPath);
  EXPECT_EQ(restart().result, RestartResult::kFailed);
  EXPECT_EQ(restart().reason, "WorkloadNotFound");
  EXPECT_EQ(count("failed"), 2) << "each try";
}

TEST_F(RestarterTest, GoneBetweenReadAndPatchIsMissing) {
  connection.refuse(kPatch, refusal(404, "NotFound", "deployments.apps \"web\" not found"));
  EXPECT_EQ(restart().reason, "WorkloadNotFound");
}

TEST_F(RestarterTest, AMissingRightIsNamed) {
  for (const auto& [call, verb] : {std::pair(kGet, "get"), {kPatch, "patch"}}) {
    connection.refuse(
        call, refusal(403, "Forbidden",
                      "deployments.apps \"web\" is forbidden: User \"x\" cannot " + std::string(verb) +
                          " resource \"deployments\" in API group \"apps\""));
    const RestartAnswer answer = restart();
    EXPECT_EQ(answer.result, RestartResult::kFailed);
    EXPECT_EQ(answer.reason, "Forbidden");
    EXPECT_THAT(answer.message, HasSubstr(std::string("right to ") + verb));
    EXPECT_THAT(answer.message, HasSubstr("rolloutRestart.enabled=true"));
    connection.heal();
  }
}

TEST_F(RestarterTest, ARefusalByAPolicyIsToldWithoutItsWords) {
  for (const Answer& answer :
       {refusal(403, "Forbidden", "admission webhook \"x\" denied the request: SENTINEL"),
        refusal(422, "Invalid", "ValidatingAdmissionPolicy 'x' denied request: SENTINEL")}) {
    connection.refuse(kPatch, answer);
    EXPECT_EQ(restart().reason, "AdmissionDenied");
    EXPECT_THAT(restart().message, Not(HasSubstr("SENTINEL")));
  }
}

TEST_F(RestarterTest, AnInvalidTemplateIsAnApiError) {
  connection.refuse(kPatch, refusal(422, "Invalid", "SENTINEL",
                                    {{"spec.template.metadata.annotations", "FieldValueInvalid"}}));
  EXPECT_EQ(restart().result, RestartResult::kFailed);
  EXPECT_EQ(restart().reason, "ApiError");
  EXPECT_THAT(restart().message, Not(HasSubstr("SENTINEL")));
}

TEST_F(RestarterTest, WhatTheApiServerDidNotDoIsTriedAgain) {
  for (const std::string& call : {kGet, kPatch}) {
    connection.refuse(call, refusal(503, "ServiceUnavailable", "away"), 7s);
    EXPECT_EQ(restart().result, RestartResult::kTryAgain);
    EXPECT_EQ(restart().wait, 7s);
    EXPECT_EQ(restart().reason, "ApiError");
    connection.heal();
    connection.cut(call);
    EXPECT_EQ(restart().result, RestartResult::kTryAgain);
    connection.heal();
  }
  EXPECT_EQ(count("failed"), 0);
}

TEST_F(RestarterTest, StoppingIsNoFailure) {
  stopping.request_stop();
  EXPECT_EQ(restart(stopping.get_token()).result, RestartResult::kTryAgain);
}

}  // namespace
}  // namespace sessmtp::operator_
