#include "api/condition.h"

#include <gmock/gmock.h>

#include <ostream>

#include "api/reason.h"

namespace sessmtp::api {

void PrintTo(const Condition& c, std::ostream* out) {
  *out << c.type << '=' << c.status << ' ' << c.reason << " \"" << c.message << "\" of generation "
       << c.observed_generation << " since " << to_rfc3339(c.last_transition_time);
}

namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

const WallTime kStart = WallTime(std::chrono::sys_days{std::chrono::year{2026} / 11 / 22}) + 250ms;
const WallTime kStartSecond = kStart - 250ms;

Condition condition(std::string type, std::string status, std::string reason, WallTime since) {
  return {.type = std::move(type),
          .status = std::move(status),
          .reason = std::move(reason),
          .message = "why",
          .observed_generation = 3,
          .last_transition_time = since};
}

TEST(Conditions, SuccessIsReadyAlone) {
  EXPECT_THAT(conditions_for(Reason::kSynced, "why", 3, kStart, {}),
              ElementsAre(condition("Ready", "True", "Synced", kStartSecond)));
}

TEST(Conditions, WhatHealsByItselfIsReconciling) {
  EXPECT_THAT(conditions_for(Reason::kSourceNotFound, "why", 3, kStart, {}),
              ElementsAre(condition("Ready", "False", "SourceNotFound", kStartSecond),
                          condition("Reconciling", "True", "SourceNotFound", kStartSecond)));
}

TEST(Conditions, WhatWaitsForAPersonIsStalled) {
  EXPECT_THAT(conditions_for(Reason::kTargetConflict, "why", 3, kStart, {}),
              ElementsAre(condition("Ready", "False", "TargetConflict", kStartSecond),
                          condition("Stalled", "True", "TargetConflict", kStartSecond)));
}

TEST(Conditions, TheTimeStaysWhereTheStatusStays) {
  const Conditions before = conditions_for(Reason::kTargetConflict, "why", 3, kStart, {});
  EXPECT_THAT(conditions_for(Reason::kRegionMissing, "why", 3, kStart + 1h, before),
              ElementsAre(condition("Ready", "False", "RegionMissing", kStartSecond),
                          condition("Stalled", "True", "RegionMissing", kStartSecond)));
  EXPECT_THAT(conditions_for(Reason::kSourceNotFound, "why", 3, kStart + 1h, before),
              ElementsAre(condition("Ready", "False", "SourceNotFound", kStartSecond),
                          condition("Reconciling", "True", "SourceNotFound", kStartSecond + 1h)));
  EXPECT_THAT(conditions_for(Reason::kSynced, "why", 3, kStart + 1h, before),
              ElementsAre(condition("Ready", "True", "Synced", kStartSecond + 1h)));
}

TEST(Conditions, AreFoundByType) {
  const Conditions conditions = conditions_for(Reason::kTargetConflict, "why", 3, kStart, {});
  EXPECT_EQ(find_condition(conditions, "Stalled"), &conditions[1]);
  EXPECT_EQ(find_condition(conditions, "Reconciling"), nullptr);
}

// The list of docs and the CRD: what each reason does to kstatus.
TEST(Reasons, AreStalledOrReconcilingAsDocumented) {
  std::string stalled, reconciling, of_the_source;
  for (int i = 1; i <= static_cast<int>(Reason::kApiError); ++i) {
    const auto reason = static_cast<Reason>(i);
    (is_stalled(reason) ? stalled : reconciling) += std::string(to_string(reason)) + ' ';
    if (depends_on_source_only(reason)) {
      of_the_source += std::string(to_string(reason)) + ' ';
    }
  }
  EXPECT_EQ(
      stalled,
      "SourceKeysNotFound SourceKeysAmbiguous SourceValueEmpty TemporaryCredentials AlreadyDerivedPassword "
      "SourceKeysSwapped NotAnAccessKeyId SourceValueMalformed SourceValueDoubleEncoded RegionMissing "
      "RegionInvalid EndpointUnknown TemplateInvalid InvalidSpec SourceIsTarget TargetConflict "
      "TargetImmutable TargetTypeImmutable TargetTooLarge EndpointNotAllowed VerificationFailed ");
  EXPECT_EQ(
      reconciling,
      "SourceNotFound TargetNotFound TargetTerminating Verifying Forbidden QuotaExceeded AdmissionDenied "
      "ApiError ");
  EXPECT_EQ(
      of_the_source,
      "SourceKeysNotFound SourceKeysAmbiguous SourceValueEmpty TemporaryCredentials AlreadyDerivedPassword "
      "SourceKeysSwapped NotAnAccessKeyId SourceValueMalformed SourceValueDoubleEncoded RegionMissing "
      "RegionInvalid EndpointUnknown TemplateInvalid InvalidSpec ");
  EXPECT_FALSE(is_stalled(Reason::kSynced));
}

}  // namespace
}  // namespace sessmtp::api
