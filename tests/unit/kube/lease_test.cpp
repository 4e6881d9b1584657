#include "kube/lease.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "fake_clock.h"

namespace sessmtp::kube {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

const LeaseClaim kClaim{.identity = "me", .duration = 15s, .now = FakeClock().now()};
constexpr const char* kNow = "2026-11-22T08:00:00.000000Z";

// As `kubectl get -o json` shows one of another holder, with things that are not ours.
json theirs() {
  return json::parse(R"({
    "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
    "metadata": {"name": "lease", "namespace": "ns", "resourceVersion": "7", "uid": "u",
                 "labels": {"team": "a"}, "annotations": {"note": "keep"}},
    "spec": {"holderIdentity": "other", "leaseDurationSeconds": 30, "leaseTransitions": 4,
             "acquireTime": "2026-11-22T07:00:00.000000Z", "renewTime": "2026-11-22T07:59:59.000000Z",
             "strategy": "OldestEmulationVersion"}})");
}

TEST(Lease, ANewOneHasAllFields) {
  EXPECT_EQ(new_lease("ns", "lease", kClaim), json::parse(R"({
    "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
    "metadata": {"name": "lease", "namespace": "ns"},
    "spec": {"holderIdentity": "me", "leaseDurationSeconds": 15, "leaseTransitions": 0,
             "acquireTime": "2026-11-22T08:00:00.000000Z", "renewTime": "2026-11-22T08:00:00.000000Z"}})"));
}

TEST(Lease, OneTakenOverCountsATransitionAndKeepsWhatIsNotOurs) {
  json expected = theirs();
  expected["spec"].update({{"holderIdentity", "me"},
                           {"leaseDurationSeconds", 15},
                           {"leaseTransitions", 5},
                           {"acquireTime", kNow},
                           {"renewTime", kNow}});
  EXPECT_EQ(held_lease(theirs(), kClaim), expected);
}

TEST(Lease, OneRenewedKeepsWhenItWasAcquired) {
  json ours = theirs();
  ours["spec"]["holderIdentity"] = "me";
  json expected = ours;
  expected["spec"].update({{"leaseDurationSeconds", 15}, {"renewTime", kNow}});
  EXPECT_EQ(held_lease(ours, kClaim), expected);
}

TEST(Lease, OneReleasedIsHeldByNobodyForASecond) {
  json expected = theirs();
  expected["spec"].update(
      {{"holderIdentity", ""}, {"leaseDurationSeconds", 1}, {"acquireTime", kNow}, {"renewTime", kNow}});
  EXPECT_EQ(released_lease(theirs(), kClaim.now), expected);
}

TEST(Lease, ADurationIsRoundedUpSoThatOthersComeLater) {
  LeaseClaim claim = kClaim;
  claim.duration = 2500ms;
  EXPECT_EQ(new_lease("ns", "lease", claim)["spec"]["leaseDurationSeconds"], 3);
}

TEST(Lease, IsReadAndComparedByItsWholeSpec) {
  const auto record = decode_lease(theirs());
  ASSERT_TRUE(record);
  EXPECT_EQ(record->resource_version, "7");
  EXPECT_EQ(record->holder, "other");
  EXPECT_EQ(record->duration, 30s);
  json renewed = theirs();
  renewed["spec"]["renewTime"] = kNow;
  EXPECT_NE(decode_lease(renewed)->raw, record->raw);
  json labelled = theirs();
  labelled["metadata"]["labels"]["x"] = "y";
  EXPECT_EQ(decode_lease(labelled)->raw, record->raw);
}

TEST(Lease, ASpecOfGarbageIsHeldByNobodyAndCanBeTaken) {
  for (const char* spec :
       {"null", "{}", "[]", "7", R"({"holderIdentity":null})",
        R"({"holderIdentity":7,"leaseDurationSeconds":"x","leaseTransitions":-5,"acquireTime":{}})",
        R"({"leaseDurationSeconds":99999999999999999999,"leaseTransitions":18446744073709551615})",
        R"({"leaseDurationSeconds":0,"leaseTransitions":1.5,"renewTime":"yesterday"})"}) {
    json lease = theirs();
    lease["spec"] = json::parse(spec);
    const auto record = decode_lease(lease);
    ASSERT_TRUE(record) << spec;
    EXPECT_EQ(record->holder, "") << spec;
    EXPECT_EQ(record->duration, std::nullopt) << spec;
    const json taken = held_lease(lease, kClaim).at("spec");
    EXPECT_EQ(taken.at("holderIdentity"), "me") << spec;
    EXPECT_EQ(taken.at("leaseTransitions"), 1) << spec;
    EXPECT_EQ(taken.at("leaseDurationSeconds"), 15) << spec;
    EXPECT_EQ(taken.at("acquireTime"), kNow) << spec;
    EXPECT_EQ(released_lease(lease, kClaim.now).at("spec").at("holderIdentity"), "") << spec;
  }
  json lease = theirs();
  lease.erase("spec");
  EXPECT_EQ(decode_lease(lease)->raw, "");
  EXPECT_EQ(held_lease(lease, kClaim).at("spec").at("holderIdentity"), "me");
}

TEST(Lease, AnAnswerWithoutAVersionIsNoLease) {
  for (const char* answer :
       {"7", "{}", R"({"metadata":7})", R"({"metadata":{}})", R"({"metadata":{"resourceVersion":""}})"}) {
    EXPECT_FALSE(decode_lease(json::parse(answer))) << answer;
  }
}

TEST(Lease, TransitionsDoNotOverflow) {
  json lease = theirs();
  lease["spec"]["leaseTransitions"] = 2147483647;
  EXPECT_EQ(held_lease(lease, kClaim)["spec"]["leaseTransitions"], 2147483647);
}

}  // namespace
}  // namespace sessmtp::kube
