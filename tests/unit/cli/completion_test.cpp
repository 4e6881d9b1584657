#include "cli/completion.h"

#include <gmock/gmock.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "cli/plugin.h"

namespace sessmtp::cli {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

// A program with each kind of thing that completes.
class Completion : public testing::Test {
 protected:
  Completion() : app_("", "ses-smtp") {
    CLI::App* mail = app_.add_subcommand("mail", "Sends");
    app_.add_subcommand("make", "Makes");
    app_.add_subcommand("hidden", "")->group("");
    mail->add_option("NAME", text_);
    mail->add_option("--color,-c", text_, "Which")
        ->check(CLI::IsMember(std::vector<std::string>{"red", "green"}));
    mail->add_option("--ca-file", text_);
    mail->add_option("--from", text_)->type_name("[NAMESPACE/]SECRET");
    mail->add_option("--region", text_);
    mail->add_option("-n,--namespace", text_);
    mail->add_option("--kubeconfig", text_);
    mail->add_option("--context", text_);
    mail->add_option("--secret-option", text_)->group("");
    mail->add_flag("--fast", flag_);
  }

  [[nodiscard]] Question ask(const std::vector<std::string>& words) const {
    return what_is_asked(app_, words);
  }

  [[nodiscard]] std::vector<std::string> texts(const std::vector<std::string>& words) const {
    std::vector<std::string> result;
    for (const Candidate& candidate : ask(words).candidates) {
      result.push_back(candidate.text);
    }
    return result;
  }

  CLI::App app_;
  std::string text_;
  bool flag_ = false;
};

TEST_F(Completion, KnowsCommandsAndFlags) {
  EXPECT_THAT(texts({"ma"}), ElementsAre("mail", "make"));
  EXPECT_THAT(texts({}), ElementsAre("mail", "make")) << "what is hidden stays so";
  EXPECT_THAT(texts({"mail", "--ca"}), ElementsAre("--ca-file"));
  EXPECT_THAT(texts({"mail", "--s"}), IsEmpty());
  EXPECT_THAT(texts({"make", "ma"}), IsEmpty()) << "a command has no second command";
}

TEST_F(Completion, KnowsValues) {
  EXPECT_THAT(texts({"mail", "--color", ""}), ElementsAre("red", "green"));
  EXPECT_THAT(texts({"mail", "-c", "r"}), ElementsAre("red"));
  EXPECT_THAT(texts({"mail", "--color=g"}), ElementsAre("green"));
  EXPECT_EQ(ask({"mail", "--color=g"}).before, "--color=");
  EXPECT_THAT(texts({"mail", "--color=red", "--fas"}), ElementsAre("--fast")) << "that has its value";
  EXPECT_THAT(texts({"mail", "--fast", "--col"}), ElementsAre("--color")) << "a flag has none";
  EXPECT_THAT(texts({"mail", "--region", "sa-"}), ElementsAre("sa-east-1"));
  EXPECT_THAT(texts({"mail", "--", "--col"}), IsEmpty()) << "no flag after --";
}

TEST_F(Completion, KnowsWhatToAskFor) {
  EXPECT_EQ(ask({"mail", "--ca-file", "a"}).wanted, Wanted::kFile);
  EXPECT_EQ(ask({"mail", "--ca-file=a"}).word, "a");
  EXPECT_EQ(ask({"mail", "--from", ""}).wanted, Wanted::kSecret);
  EXPECT_EQ(ask({"mail", "-n", ""}).wanted, Wanted::kNamespace);
  EXPECT_EQ(ask({"mail", "sh"}).wanted, Wanted::kCredential);
  EXPECT_EQ(ask({"mail", "shop", ""}).wanted, Wanted::kWord) << "there is but one name";
  EXPECT_EQ(ask({"mail", "--context", "x"}).wanted, Wanted::kWord);
}

TEST_F(Completion, AsksTheClusterThatTheLineNames) {
  const ClusterOptions cluster =
      ask({"mail", "-n", "shop", "--context=dev", "--kubeconfig", "file", ""}).cluster;
  EXPECT_EQ(cluster.namespace_, "shop");
  EXPECT_EQ(cluster.context, "dev");
  EXPECT_EQ(cluster.kubeconfig, "file");
}

TEST(Plugin, IsKnownByItsName) {
  EXPECT_EQ(called_as("/usr/bin/ses-smtp"), CalledAs::kProgram);
  EXPECT_EQ(program(), "ses-smtp");
  CLI::App app("", "ses-smtp");
  CLI::App* mail = app.add_subcommand("mail", "");
  mail->footer("  ses-smtp mail | ses-smtp mail\nof the ses-smtp-operator (ses-smtp mail)");
  name_after_program(app);
  EXPECT_THAT(app.help(), testing::HasSubstr("Usage: ses-smtp "));
  EXPECT_EQ(called_as("kubectl_complete-ses_smtp"), CalledAs::kPluginCompletion);
  EXPECT_EQ(called_as("/opt/kubectl-ses_smtp"), CalledAs::kPlugin);
  name_after_program(app);
  name_after_program(app);
  EXPECT_EQ(
      mail->get_footer(),
      "  kubectl ses-smtp mail | kubectl ses-smtp mail\nof the ses-smtp-operator (kubectl ses-smtp mail)");
  EXPECT_THAT(app.help(), testing::HasSubstr("Usage: kubectl ses-smtp "));
  (void)called_as("ses-smtp");
}

}  // namespace
}  // namespace sessmtp::cli
