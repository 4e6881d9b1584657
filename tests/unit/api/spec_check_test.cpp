#include "api/spec_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace sessmtp::api {
namespace {

using nlohmann::json;
using testing::HasSubstr;

std::optional<Problem> check(const json& patch) {
  json object = {{"metadata", {{"namespace", "shop"}, {"name", "mail"}, {"uid", "u"}}},
                 {"spec", {{"source", {{"secretName", "iam"}}}}}};
  object["spec"].merge_patch(patch);
  const auto credential = decode_credential(object);
  EXPECT_TRUE(credential) << patch << ' ' << credential.error().message;
  return credential ? check_spec(credential->spec) : std::nullopt;
}

struct Case {
  const char* spec;
  Reason reason = Reason::kInvalidSpec;
  const char* says = "";
};

void PrintTo(const Case& value, std::ostream* out) {
  *out << value.spec;
}

class Refused : public testing::TestWithParam<Case> {};
TEST_P(Refused, WithItsReasonAndTheField) {
  const auto problem = check(json::parse(GetParam().spec));
  ASSERT_TRUE(problem);
  EXPECT_EQ(to_string(problem->reason), to_string(GetParam().reason));
  EXPECT_THAT(problem->message, HasSubstr(GetParam().says));
}
INSTANTIATE_TEST_SUITE_P(
    Specs, Refused,
    testing::Values(
        Case{R"({"target": {"name": "iam"}})", Reason::kSourceIsTarget, "spec.target.name"},
        Case{R"({"additionalRegions": ["eu-west-1", "eu-west-1a"]})", Reason::kRegionInvalid,
             "additionalRegions"},
        Case{.spec = R"({"endpoint": {"fips": true, "host": "smtp.example.com"}})", .says = "fips"},
        Case{.spec = R"({"endpoint": {"port": 2525}})", .says = "2587"},
        Case{.spec = R"({"endpoint": {"port": 465, "tls": "StartTls"}})", .says = "implicit TLS"},
        Case{.spec = R"({"endpoint": {"port": 2465, "tls": "StartTls"}})", .says = "2465"},
        Case{.spec = R"({"endpoint": {"tls": "Implicit"}})", .says = "port 587"},
        Case{.spec = R"({"endpoint": {"host": "h.example.com", "port": 25, "tls": "Implicit"}})",
             .says = "STARTTLS"},
        Case{.spec = R"({"keepPreviousFor": "59s"})", .says = "1m and 2160h"},
        Case{.spec = R"({"keepPreviousFor": "2160h1s"})", .says = "1m and 2160h"},
        Case{.spec = R"({"keepPreviousFor": "1h", "target": {"format": "Env"}})", .says = "BasicAuth"},
        Case{.spec = R"({"keepPreviousFor": "1h", "target": {"format": "None", "data": {"a": "b"}}})",
             .says = "BasicAuth"},
        Case{.spec = R"({"keepPreviousFor": "1h", "target": {"data": {"password": "b"}}})",
             .says = "\"password\""},
        Case{.spec = R"({"keepPreviousFor": "1h", "target": {"data": {"previous-username": "b"}}})",
             .says = "\"previous-username\""},
        Case{.spec = R"({"keepPreviousFor": "1h", "target": {"data": {"password.eu-west-1": "b"}}})",
             .says = "\"password.eu-west-1\""},
        Case{.spec = R"({"target": {"conflictPolicy": "Merge"}})", .says = "Retain"},
        Case{
            .spec =
                R"({"target": {"conflictPolicy": "Merge", "deletionPolicy": "Retain", "labels": {"a": "b"}}})",
            .says = "labels"},
        Case{.spec = R"({"target": {"conflictPolicy": "Merge", "deletionPolicy": "Retain",
                                    "annotations": {"a": "b"}}})",
             .says = "annotations"},
        Case{.spec = R"({"target": {"format": "None"}})", .says = "spec.target.data"},
        Case{.spec = R"({"target": {"type": "kubernetes.io/basic-auth", "format": "Env"}})",
             .says = "basic-auth"},
        Case{.spec = R"({"target": {"labels": {"app.kubernetes.io/name": "b"}}})",
             .says = "app.kubernetes.io/name"},
        Case{.spec = R"({"target": {"annotations": {"ses-smtp.dev/region": "b"}}})",
             .says = "ses-smtp.dev/region"},
        Case{.spec = R"({"target": {"labels": {"k8s.io/x": "b"}}})", .says = "k8s.io/x"},
        Case{.spec = R"({"rolloutRestartTargets": [{"kind": "Job", "name": "web"}]})",
             .says = "use Deployment, StatefulSet or DaemonSet"},
        Case{.spec = R"({"rolloutRestartTargets": [{"kind": "Deployment", "name": "Web"}]})",
             .says = "no name of one"},
        Case{.spec = R"({"rolloutRestartTargets": [{"kind": "Deployment", "name": "other/web"}]})",
             .says = "no name of one"},
        Case{.spec = R"({"rolloutRestartTargets": [{"kind": "DaemonSet", "name": "web"},
                                                   {"kind": "DaemonSet", "name": "web"}]})",
             .says = "DaemonSet \"web\" twice"}));

TEST(SpecCheck, AtMostSixteenWorkloads) {
  json spec;
  for (int i = 0; i < 17; ++i) {
    spec["rolloutRestartTargets"].push_back({{"kind", "Deployment"}, {"name", "web-" + std::to_string(i)}});
  }
  const auto problem = check(spec);
  ASSERT_TRUE(problem);
  EXPECT_THAT(problem->message, HasSubstr("more than 16"));
  spec["rolloutRestartTargets"].erase(0);
  EXPECT_FALSE(check(spec));
}

class Accepted : public testing::TestWithParam<const char*> {};
TEST_P(Accepted, WithoutAWord) {
  const auto problem = check(json::parse(GetParam()));
  EXPECT_FALSE(problem) << problem->message;
}
INSTANTIATE_TEST_SUITE_P(
    Specs, Accepted,
    testing::Values(
        R"({})", R"({"endpoint": {"host": "smtp.example.com", "port": 2525, "tls": "Implicit"}})",
        R"({"endpoint": {"port": 465}})", R"({"endpoint": {"port": 465, "tls": "Implicit"}})",
        R"({"endpoint": {"fips": true, "port": 2587}})", R"({"keepPreviousFor": "1m"})",
        R"({"keepPreviousFor": "2160h", "target": {"format": "BasicAuth", "data": {"x": "y"}}})",
        R"({"target": {"conflictPolicy": "Merge", "deletionPolicy": "Retain"}})",
        R"({"target": {"type": "kubernetes.io/basic-auth", "format": "None", "data": {"password": "x"}}})",
        R"({"target": {"labels": {"notk8s.io/x": "b", "example.com/app": "c", "app": "d"}}})",
        R"({"rolloutRestartTargets": [{"kind": "Deployment", "name": "web"},
                                      {"kind": "StatefulSet", "name": "web"},
                                      {"kind": "DaemonSet", "name": "web.v1"}]})",
        R"({"additionalRegions": ["eu-central-1"]})"));

}  // namespace
}  // namespace sessmtp::api
