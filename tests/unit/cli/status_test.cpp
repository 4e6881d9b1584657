#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "cli/credential_reads.h"
#include "cli/credential_view.h"
#include "cli/status_table.h"
#include "cli/terminal.h"

namespace sessmtp::cli {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

json object() {
  return json::parse(R"({
    "metadata": {"namespace": "shop", "name": "mail", "generation": 2,
                 "creationTimestamp": "2026-01-01T00:00:00Z"},
    "spec": {"source": {"secretName": "iam"}},
    "status": {"observedGeneration": 2, "region": "eu-west-1", "accessKeyId": "AKIA************MPLE",
      "target": {"name": "mail"}, "lastRotationTime": "2026-01-02T00:00:00Z",
      "conditions": [{"type": "Ready", "status": "True", "reason": "Synced", "message": "in order"}]}})");
}

Terminal terminal(std::ostream& out, bool is_terminal, const std::map<std::string, std::string>& variables) {
  return {.out = out,
          .err = out,
          .is_terminal = is_terminal,
          .columns = 0,
          .environment = [variables](const char* name) {
            const auto found = variables.find(name);
            return found == variables.end() ? std::nullopt : std::optional(found->second);
          }};
}

std::string table(const std::vector<CredentialView>& views, std::size_t columns = 0) {
  std::ostringstream out;
  return status_table(views, {.columns = columns, .now = *parse_rfc3339("2026-01-04T00:00:00Z")},
                      Paint(ColorWhen::kNever, terminal(out, true, {})));
}

TEST(CredentialView, OneThatIsInOrderHasNoHint) {
  const CredentialView view = view_of(object());
  EXPECT_TRUE(view.is_ready());
  EXPECT_THAT(view.hint(), IsEmpty());
}

TEST(CredentialView, ReadyOfAnEarlierSpecIsNotReady) {
  json edited = object();
  edited["metadata"]["generation"] = 3;
  const CredentialView view = view_of(edited);
  EXPECT_FALSE(view.is_ready());
  EXPECT_FALSE(view.is_well());
  EXPECT_THAT(view.hint(), HasSubstr("has not looked at the present spec yet"));
}

TEST(CredentialView, OneThatNobodyHasLookedAtSaysHowToFindTheOperator) {
  json fresh = object();
  fresh["status"] = {{"observedGeneration", -1}};
  EXPECT_FALSE(view_of(fresh).is_well());
  EXPECT_THAT(view_of(fresh).hint(), HasSubstr("app.kubernetes.io/name=ses-smtp-operator"));
}

TEST(CredentialView, SuspendedAndDeletedOnesAreNobodysBusiness) {
  json suspended = object();
  suspended["spec"]["suspend"] = true;
  suspended["status"]["conditions"][0]["status"] = "False";
  EXPECT_TRUE(view_of(suspended).is_well());
  json deleted = object();
  deleted["metadata"]["deletionTimestamp"] = "2026-01-03T00:00:00Z";
  deleted["status"]["conditions"][0]["status"] = "False";
  EXPECT_TRUE(view_of(deleted).is_well());
}

TEST(CredentialView, WhatIsNoCredentialIsShownAllTheSame) {
  for (const char* text :
       {"{}", R"({"metadata": [], "spec": 1, "status": {"conditions": {"type": "Ready"}}})",
        R"({"status": {"conditions": [null, {"type": 1}], "observedGeneration": "2"}})"}) {
    EXPECT_FALSE(view_of(json::parse(text)).is_ready()) << text;
    EXPECT_EQ(to_json(view_of(json::parse(text))).size(), to_json(view_of(object())).size()) << text;
  }
}

TEST(StatusTable, AgesAreThoseOfTheTimeGiven) {
  EXPECT_EQ(table({view_of(object())}),
            "NAME  READY  REASON  REGION     SECRET  KEY        ROTATED  AGE\n"
            "mail  True   Synced  eu-west-1  mail    AKIA*MPLE  2d       3d\n");
}

TEST(StatusTable, HintsFitTheTerminalAndAreOneLineElsewhere) {
  json failed = object();
  failed["status"]["conditions"][0] = {{"type", "Ready"},
                                       {"status", "False"},
                                       {"reason", "SourceNotFound"},
                                       {"message", R"(Secret "iam" not found; waiting for it to appear)"}};
  EXPECT_THAT(table({view_of(failed)}),
              HasSubstr("\n    Secret \"iam\" not found; waiting for it to appear\n"));
  EXPECT_THAT(table({view_of(failed)}, 40),
              HasSubstr("\n    Secret \"iam\" not found; waiting for\n    it to appear\n"));
}

TEST(StatusTable, TextsOfTheServerDoNotDriveTheTerminal) {
  json nasty = object();
  nasty["status"]["conditions"][0] = {{"type", "Ready"},
                                      {"status", "False"},
                                      {"reason", "A\x1b[2J"},
                                      {"message",
                                       "a\nb\x1b]0;c\x07\xc2\x9b"
                                       "31m"}};
  const std::string text = table({view_of(nasty)});
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_THAT(text, Not(HasSubstr("\x07")));
  EXPECT_THAT(text, Not(HasSubstr("\xc2\x9b")));
  EXPECT_THAT(text, HasSubstr("    a b "));
}

TEST(Paint, ColoursOnATerminalThatCanAndMay) {
  std::ostringstream out;
  const auto painted = [&out](ColorWhen when, bool is_terminal,
                              const std::map<std::string, std::string>& variables) {
    return Paint(when, terminal(out, is_terminal, variables))(Ink::kBad, "x") != "x";
  };
  EXPECT_TRUE(painted(ColorWhen::kAuto, true, {{"TERM", "xterm"}}));
  EXPECT_TRUE(painted(ColorWhen::kAuto, true, {{"TERM", "xterm"}, {"NO_COLOR", ""}}));
  EXPECT_FALSE(painted(ColorWhen::kAuto, true, {{"TERM", "xterm"}, {"NO_COLOR", "1"}}));
  EXPECT_FALSE(painted(ColorWhen::kAuto, true, {{"TERM", "dumb"}}));
  EXPECT_FALSE(painted(ColorWhen::kAuto, true, {}));
  EXPECT_FALSE(painted(ColorWhen::kAuto, false, {{"TERM", "xterm"}}));
  EXPECT_TRUE(painted(ColorWhen::kAlways, false, {{"NO_COLOR", "1"}}));
  EXPECT_FALSE(painted(ColorWhen::kNever, true, {{"TERM", "xterm"}}));
}

TEST(ShortAge, IsAsKubectlHasIt) {
  EXPECT_EQ(short_age(-5s), "0s");
  EXPECT_EQ(short_age(119s), "119s");
  EXPECT_EQ(short_age(120s), "2m");
  EXPECT_EQ(short_age(3h - 1s), "179m");
  EXPECT_EQ(short_age(3h), "3h");
  EXPECT_EQ(short_age(48h), "2d");
  EXPECT_EQ(short_age(24h * 729), "729d");
  EXPECT_EQ(short_age(24h * 730), "2y");
}

TEST(Wrapped, BreaksAtSpacesAndLeavesLongWordsWhole) {
  EXPECT_THAT(wrapped("one two three", 7), ElementsAre("one two", "three"));
  EXPECT_THAT(wrapped("unbreakable words", 4), ElementsAre("unbreakable", "words"));
  EXPECT_THAT(wrapped("one two three", 0), ElementsAre("one two three"));
  EXPECT_THAT(wrapped("", 10), ElementsAre(""));
}

TEST(SimilarNames, TheNearestComesFirst) {
  const std::vector<std::string> names = {"shop-mall", "shop-mail", "newsletter", "ops", "shop-mail-eu"};
  EXPECT_THAT(similar_names("shop-mai", names), ElementsAre("shop-mail", "shop-mall", "shop-mail-eu"));
  EXPECT_THAT(similar_names("mail", names), ElementsAre("shop-mail", "shop-mail-eu"));
  EXPECT_THAT(similar_names("zzzzzz", names), IsEmpty());
}

}  // namespace
}  // namespace sessmtp::cli
