#include "operator/claims.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace sessmtp::operator_ {
namespace {

using namespace std::chrono_literals;
using Claimants = std::vector<api::SesSmtpCredential>;

api::SesSmtpCredential claimant(const std::string& uid, std::chrono::seconds created,
                                const std::string& target_uid = "") {
  api::SesSmtpCredential credential;
  credential.meta.name = "credential-" + uid;
  credential.meta.uid = uid;
  credential.meta.creation_timestamp = WallTime(created);
  if (!target_uid.empty()) {
    credential.status.target = api::SecretVersion{.uid = target_uid, .resource_version = "7"};
  }
  return credential;
}

Sight target(const std::string& uid, const std::string& owner_uid) {
  return {.presence = Presence::kKnown,
          .record = {.version = {.uid = uid, .resource_version = "9"},
                     .terminating = false,
                     .managed = true,
                     .owner_uid = owner_uid,
                     .credential_name = {}}};
}

const Sight kAbsent{.presence = Presence::kAbsent, .record = {}};

struct Case {
  const char* rule;
  Claimants claimants;
  Sight target;
  const char* winner;
};

TEST(Winner, IsTheSameInWhateverOrderTheyCome) {
  const std::vector<Case> cases = {
      {"alone", {claimant("a", 1s)}, kAbsent, "a"},
      {"the oldest, when there is no target",
       {claimant("a", 2s), claimant("b", 1s), claimant("c", 3s)},
       kAbsent,
       "b"},
      {"the smaller uid, when equally old",
       {claimant("c", 1s), claimant("a", 1s), claimant("b", 1s)},
       kAbsent,
       "a"},
      {"whose uid is on the target, before age",
       {claimant("a", 1s), claimant("b", 2s)},
       target("t", "b"),
       "b"},
      {"whose status names the target, before age",
       {claimant("a", 1s), claimant("b", 2s, "t")},
       target("t", ""),
       "b"},
      {"the label, before status", {claimant("a", 1s, "t"), claimant("b", 2s)}, target("t", "b"), "b"},
      {"a status that names an earlier Secret counts nothing",
       {claimant("a", 1s), claimant("b", 2s, "earlier")},
       target("t", ""),
       "a"},
      {"a label of somebody else counts nothing",
       {claimant("a", 1s), claimant("b", 2s)},
       target("t", "nobody-here"),
       "a"},
      {"what a target held counts nothing once it is gone",
       {claimant("a", 1s), claimant("b", 2s, "t")},
       kAbsent,
       "a"},
      {"two statuses that name the target: the oldest of them",
       {claimant("a", 3s, "t"), claimant("b", 1s), claimant("c", 2s, "t")},
       target("t", ""),
       "c"},
  };
  for (const Case& one : cases) {
    Claimants order = one.claimants;
    const auto uid = [](const api::SesSmtpCredential& claimant) { return claimant.meta.uid; };
    std::ranges::sort(order, {}, uid);
    do {
      EXPECT_EQ(winner(order, one.target).meta.uid, one.winner) << one.rule;
    } while (std::ranges::next_permutation(order, {}, uid).found);
  }
}

}  // namespace
}  // namespace sessmtp::operator_
