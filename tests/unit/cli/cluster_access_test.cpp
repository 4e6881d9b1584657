#include "cli/cluster_access.h"

#include <gmock/gmock.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "../kube/temporary_folder.h"

namespace sessmtp::cli {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr const char* kKubeconfig = R"(
apiVersion: v1
kind: Config
current-context: dev
contexts:
- {name: dev, context: {cluster: here, namespace: shop}}
- {name: prod, context: {cluster: there}}
clusters:
- {name: here, cluster: {server: "http://127.0.0.1:1"}}
- {name: there, cluster: {server: "http://127.0.0.1:2"}}
)";

// A home of its own, and no pod, unless a test says so.
class FindCluster : public testing::Test {
 protected:
  FindCluster() {
    setenv("HOME", folder_.path().c_str(), 1);
    forget();
  }
  void TearDown() override { forget(); }

  void write_home_kubeconfig() {
    std::filesystem::create_directory(folder_.path() / ".kube");
    (void)folder_.write(".kube/config", kKubeconfig);
  }
  // Its service account's files are not there, which shows in the error that it was looked at.
  static void be_in_a_pod() {
    setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1", 1);
    setenv("KUBERNETES_SERVICE_PORT", "1", 1);
  }

  TemporaryFolder folder_;

 private:
  static void forget() {
    unsetenv("KUBERNETES_SERVICE_HOST");
    unsetenv("KUBERNETES_SERVICE_PORT");
    unsetenv("KUBECONFIG");
  }
};

TEST_F(FindCluster, APersonInAPodWithAKubeconfigMeansTheKubeconfig) {
  write_home_kubeconfig();
  be_in_a_pod();
  const auto config = find_cluster({}, LookFor::kKubeconfigFirst);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->server, "http://127.0.0.1:1");
  EXPECT_EQ(config->default_namespace, "shop");
}

TEST_F(FindCluster, TheControllerInAPodIsThePodsAccount) {
  write_home_kubeconfig();
  be_in_a_pod();
  const auto config = find_cluster({}, LookFor::kPodFirst);
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().message, StartsWith("the pod's service account: "));
}

TEST_F(FindCluster, WithoutAKubeconfigAPersonIsThePodsAccount) {
  be_in_a_pod();
  const auto config = find_cluster({}, LookFor::kKubeconfigFirst);
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().message, StartsWith("the pod's service account: "));
}

TEST_F(FindCluster, AKubeconfigThatIsNamedAndNotThereIsNotReplacedByThePodsAccount) {
  be_in_a_pod();
  const auto config =
      find_cluster({.kubeconfig = (folder_.path() / "absent").string()}, LookFor::kKubeconfigFirst);
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().message, HasSubstr("absent"));
}

TEST_F(FindCluster, NothingAnywhereSaysWhatToDo) {
  const auto config = find_cluster({}, LookFor::kKubeconfigFirst);
  ASSERT_FALSE(config);
  EXPECT_THAT(config.error().message, HasSubstr("--kubeconfig"));
}

TEST_F(FindCluster, FlagsAndTheEnvironmentChoose) {
  const std::string file = folder_.write("other", kKubeconfig);
  setenv("KUBECONFIG", file.c_str(), 1);
  CLI::App app;
  ClusterOptions options;
  add_cluster_flags(app, options);
  add_namespace_flag(app, options);
  app.parse(std::vector<std::string>{"mail", "-n", "prod", "--context"});  // reversed, as CLI11 wants them
  EXPECT_EQ(options.kubeconfig, file);
  EXPECT_EQ(options.namespace_, "mail");
  const auto config = find_cluster(options, LookFor::kKubeconfigFirst);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->server, "http://127.0.0.1:2");
  EXPECT_EQ(kubectl(options), "kubectl --context prod");
}

TEST(PrintProblem, ControlCharactersOfNoObjectReachTheTerminal) {
  std::ostringstream err;
  print({.what = "no key \x1b[2J", .why = "profile \x07", .fix = "give\nanother"}, err);
  EXPECT_EQ(err.str(), "error: no key  [2J\n  why: profile  \n  fix: give another\n");
}

}  // namespace
}  // namespace sessmtp::cli
