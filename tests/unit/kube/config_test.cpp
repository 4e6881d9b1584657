#include "kube/config.h"

#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace sessmtp::kube {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;
namespace fs = std::filesystem;

// An environment variable as long as the test needs it.
class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    if (const char* old = std::getenv(name)) {
      old_ = old;
    }
    value != nullptr ? ::setenv(name, value, 1) : ::unsetenv(name);
  }
  ~Environment() { old_ ? ::setenv(name_, old_->c_str(), 1) : ::unsetenv(name_); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  const char* name_;
  std::optional<std::string> old_;
};

class Folder : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "ses-smtp-XXXXXX").string();
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& content) {
    const fs::path path = folder_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << content;
    return path.string();
  }

  fs::path folder_;
};

class Kubeconfig : public Folder {
 protected:
  // A kubeconfig of one context "dev", with these fields of its cluster and user.
  static std::string with(const std::string& cluster, const std::string& user) {
    return "apiVersion: v1\nkind: Config\ncurrent-context: dev\n"
           "contexts:\n- name: dev\n  context: {cluster: c, user: u, namespace: mail}\n"
           "clusters:\n- name: c\n  cluster: {" +
           cluster + "}\nusers:\n- name: u\n  user: {" + user + "}\n";
  }
  Result<ClusterConfig> load(const std::string& content, const std::string& context = "") {
    return load_kubeconfig({.paths = write("config", content), .context = context});
  }
  std::string error(const std::string& content, const std::string& context = "") {
    const Result<ClusterConfig> config = load(content, context);
    if (config) {
      return "(no error)";
    }
    EXPECT_EQ(config.error().code, ErrorCode::kInvalidInput);
    return config.error().message;
  }
};

constexpr auto kServer = "server: 'https://10.0.0.1:6443'";

TEST_F(Kubeconfig, EveryFieldIsRead) {
  const auto config =
      load(with("server: 'https://10.0.0.1:6443/prefix/', certificate-authority-data: Q0E=, tls-server-name: "
                "kubernetes, "
                "proxy-url: 'http://proxy:3128', disable-compression: true",
                "client-certificate-data: Q0VSVA==, client-key-data: S0VZ, token: abc"));
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->server, "https://10.0.0.1:6443/prefix");
  EXPECT_EQ(config->certificate_authority.data, "CA");
  EXPECT_EQ(config->tls_server_name, "kubernetes");
  EXPECT_EQ(config->proxy_url, "http://proxy:3128");
  EXPECT_EQ(config->client_certificate.data, "CERT");
  EXPECT_EQ(config->client_key.data, "KEY");
  EXPECT_EQ(config->token, "abc");
  EXPECT_EQ(config->token_file, "");
  EXPECT_FALSE(config->insecure_skip_tls_verify);
  EXPECT_EQ(config->default_namespace, "mail");
  EXPECT_EQ(config->origin, "context \"dev\" of " + (folder_ / "config").string());
}

TEST_F(Kubeconfig, ContextWithoutNamespaceOrUserIsFine) {
  const auto config = load(
      "current-context: a\ncontexts: [{name: a, context: {cluster: c}}]\n"
      "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:8001', insecure-skip-tls-verify: true}}]\n");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->default_namespace, "default");
  EXPECT_EQ(config->server, "http://127.0.0.1:8001");
  EXPECT_TRUE(config->insecure_skip_tls_verify);
  EXPECT_TRUE(config->token.empty());
}

TEST_F(Kubeconfig, PathsAreRelativeToTheirFile) {
  const auto config =
      load(with(std::string(kServer) + ", certificate-authority: pki/ca.crt",
                "client-certificate: ../me.crt, client-key: /etc/me.key, tokenFile: ./token"));
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->certificate_authority.file, folder_ / "pki/ca.crt");
  EXPECT_EQ(config->client_certificate.file, folder_.parent_path() / "me.crt");
  EXPECT_EQ(config->client_key.file, "/etc/me.key");
  EXPECT_EQ(config->token_file, folder_ / "token");
}

TEST_F(Kubeconfig, RelativeKubeconfigPathWorks) {
  write("sub/config", with(std::string(kServer) + ", certificate-authority: ca.crt", ""));
  const fs::path before = fs::current_path();
  fs::current_path(folder_);
  const auto config = load_kubeconfig({.paths = "sub/config", .context = ""});
  fs::current_path(before);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_TRUE(config->certificate_authority.file.is_absolute());
  EXPECT_TRUE(fs::equivalent(config->certificate_authority.file.parent_path(), folder_ / "sub"));
}

TEST_F(Kubeconfig, DataBeatsFilesAndTokenFileBeatsToken) {
  const auto config = load(
      with(std::string(kServer) + ", certificate-authority: ca.crt, certificate-authority-data: Q0E=",
           "client-certificate: c, client-certificate-data: Q0VSVA==, client-key: k, client-key-data: S0VZ, "
           "token: abc, tokenFile: t"));
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->certificate_authority.read().value(), "CA");
  EXPECT_EQ(config->client_certificate.read().value(), "CERT");
  EXPECT_EQ(config->client_key.read().value(), "KEY");
  EXPECT_EQ(config->token_file, folder_ / "t");
  EXPECT_EQ(config->token, "");
}

TEST_F(Kubeconfig, DataMayBeWrappedAndFieldsMayBeNull) {
  const auto config = load(
      "current-context: a\ncontexts: [{name: a, context: {cluster: c, user: u, namespace: null}}]\n"
      "users: [{name: u, user: {token: null, exec: null}}]\n"
      "clusters:\n- name: c\n  cluster:\n    server: https://h:1\n"
      "    certificate-authority-data: |\n      Q0\n      E=\n");
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->certificate_authority.data, "CA");
  EXPECT_EQ(config->default_namespace, "default");
}

TEST_F(Kubeconfig, FirstOfSeveralFilesWinsForEachEntryAsAWhole) {
  const std::string first = write("one/config",
                                  "current-context: a\n"
                                  "contexts: [{name: a, context: {cluster: c, user: u}}]\n"
                                  "users: [{name: u, user: {tokenFile: token}}]\n");
  const std::string second =
      write("two/config",
            "current-context: b\n"
            "contexts: [{name: a, context: {cluster: x, user: x}}, "
            "{name: b, context: {cluster: c, user: u}}]\n"
            "clusters: [{name: c, cluster: {server: 'https://two:1', certificate-authority: ca}}]\n"
            "users: [{name: u, user: {token: second, client-key: k, client-certificate: c}}]\n");
  const std::string paths = first + "::" + (folder_ / "missing").string() + ":" + second;
  const auto config = load_kubeconfig({.paths = paths, .context = ""});
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->server, "https://two:1");
  EXPECT_EQ(config->certificate_authority.file, folder_ / "two/ca");
  EXPECT_EQ(config->token_file, folder_ / "one/token");
  EXPECT_TRUE(config->client_key.empty());

  const auto other = load_kubeconfig({.paths = paths, .context = "b"});
  ASSERT_TRUE(other) << other.error().message;
  EXPECT_EQ(other->origin, "context \"b\" of " + second);
}

TEST_F(Kubeconfig, HomeIsTheDefaultPlace) {
  write(".kube/config", with(kServer, "token: abc"));
  const Environment home("HOME", folder_.c_str());
  const auto config = load_kubeconfig({});
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->token, "abc");
}

TEST_F(Kubeconfig, NoFileAtAllIsNotFound) {
  const auto config = load_kubeconfig({.paths = "/nowhere/a:/nowhere/b", .context = ""});
  ASSERT_FALSE(config);
  EXPECT_EQ(config.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(config.error().message, HasSubstr("/nowhere/a, /nowhere/b not found"));
  EXPECT_EQ(load_kubeconfig({.paths = ":", .context = ""}).error().code, ErrorCode::kNotFound);
}

TEST_F(Kubeconfig, ContextMistakesListWhatExists) {
  const std::string two =
      "contexts: [{name: b, context: {cluster: c, user: nobody}}, {name: a, context: {cluster: nowhere}}]\n"
      "clusters: [{name: c, cluster: {server: 'https://h:1'}}, {name: d, cluster: {server: 'https://h:1'}}]\n"
      "users: [{name: me, user: {}}]\n";
  EXPECT_THAT(error(two), HasSubstr("current-context is not set; choose a context: there are: a, b"));
  EXPECT_THAT(error(two, "x"), HasSubstr("no context \"x\"; there are: a, b"));
  EXPECT_THAT(error(two, "a"), HasSubstr("context \"a\" in " + (folder_ / "config").string() +
                                         ": no cluster \"nowhere\"; there are: c, d"));
  EXPECT_THAT(error(two, "b"), HasSubstr("no user \"nobody\"; there are: me"));
  EXPECT_THAT(error("", "a"), HasSubstr("no context \"a\"; there are none"));
}

TEST_F(Kubeconfig, BrokenFilesAreNamedWithTheirLine) {
  const std::string file = (folder_ / "config").string();
  EXPECT_THAT(error("clusters:\n- name: [\n"),
              AllOf(HasSubstr(file), HasSubstr("line "), HasSubstr("not YAML")));
  EXPECT_THAT(error("a: b\n c: d\n"), HasSubstr(file + ", line 2: not YAML"));
  EXPECT_THAT(error("just text"), HasSubstr(file + ": not a kubeconfig"));
  EXPECT_THAT(error("kind: Pod"), HasSubstr("of kind \"Pod\""));
  EXPECT_THAT(error("kind: Config\nclusters: 5\n"), HasSubstr("line 2: clusters must be a list"));
  EXPECT_THAT(error("users: [5]"), HasSubstr("an item of users has no name"));
  EXPECT_THAT(error("contexts: [{context: {}}]"), HasSubstr("an item of contexts has no name"));
  EXPECT_THAT(error(std::string(20'000, '[')), HasSubstr(file));
  EXPECT_THAT(error(std::string((4 << 20) + 1, ' ')), HasSubstr("larger than"));
  EXPECT_THAT(error("current-context: a\ncontexts: [{name: a, context: 5}]"), HasSubstr("no cluster \"\""));
  EXPECT_THAT(error("current-context: a\ncontexts: [{name: a, context: {cluster: [1]}}]"),
              HasSubstr("cluster must be a text"));
}

TEST_F(Kubeconfig, WhatCannotWorkIsExplained) {
  struct Case {
    std::string cluster;
    std::string user;
    std::string message;
  };
  const std::string ok = kServer;
  const Case cases[] = {
      {"a: b", "", "server is missing"},
      {ok + ", insecure-skip-tls-verify: maybe", "", "insecure-skip-tls-verify must be true or false"},
      {ok + ", insecure-skip-tls-verify: true, certificate-authority: ca", "", "exclude each other"},
      {ok + ", certificate-authority-data: '%%'", "", "certificate-authority-data is not base64"},
      {ok, "exec: {apiVersion: client.authentication.k8s.io/v1}", "command is missing"},
      {ok, "exec: {command: aws}", "apiVersion must be client.authentication.k8s.io/v1 or"},
      {ok, "exec: {command: a, apiVersion: client.authentication.k8s.io/v1alpha1}", "apiVersion must be"},
      {ok, "exec: {command: a, apiVersion: client.authentication.k8s.io/v1}", "interactiveMode must be"},
      {ok, "exec: {command: a, apiVersion: client.authentication.k8s.io/v1beta1, interactiveMode: x}",
       "interactiveMode must be"},
      {ok, "exec: {command: a, apiVersion: client.authentication.k8s.io/v1, interactiveMode: Always}",
       "no terminal"},
      {ok, "exec: {command: a, apiVersion: client.authentication.k8s.io/v1, env: [{value: b}]}",
       "no usable name"},
      {ok, "exec: {command: a, apiVersion: client.authentication.k8s.io/v1, args: b}", "args must be a list"},
      {ok, "exec: aws", "command is missing"},
      {ok, "auth-provider: {name: gcp}", "credential plugin (exec) replaces it"},
      {ok, "username: me, password: pw, token: abc", "exclude each other"},
      {ok, "username: 'me:', password: pw", "username must not hold a colon"},
      {ok, "token: abc, as-groups: [a]", "need as"},
      {ok, "token: abc, as-uid: u", "need as"},
      {ok, "as: \"root\\nImpersonate-Group: system:masters\"", "without control characters"},
      {ok, "as: me, as-groups: [\"a\\r\\nb\"]", "no control characters"},
      {ok, "as: me, as-user-extra: {k: [\"a\\nb\"]}", "no control characters"},
      {ok, "as: me, as-user-extra: {k: v}", "map of lists"},
      {ok, "token: \"a\\nb\"", "without control characters"},
      {ok, "client-certificate: c", "needed together"},
      {ok, "client-key-data: S0VZ", "needed together"},
      {ok, "client-certificate: c, client-key-data: '*'", "client-key-data is not base64"},
      {ok, "token: [abc]", "token must be a text"},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.message);
    const std::string message = error(with(one.cluster, one.user));
    EXPECT_THAT(message, HasSubstr(one.message));
    EXPECT_THAT(message, HasSubstr((folder_ / "config").string()));
  }
}

TEST_F(Kubeconfig, ErrorsNeverShowSecrets) {
  for (const char* user :
       {"token: [hunter2]", "client-certificate: c, client-key-data: 'hunter2!'",
        "token: t, username: u, password: hunter2", "token: *hunter2", "token: 'hunter2",
        "token: \"hunter2\\n\"", "exec: {command: a, args: [hunter2], env: [{name: a, value: hunter2}]}"}) {
    EXPECT_THAT(error(with(kServer, user)), Not(HasSubstr("hunter2"))) << user;
  }
}

TEST_F(Kubeconfig, AliasesThatNeverEndAreRefused) {
  constexpr const char* kPlugin =
      "exec: {apiVersion: client.authentication.k8s.io/v1, command: aws, interactiveMode: Never}";
  const auto extension = [](const std::string& yaml) {
    return std::string(kServer) +
           ", extensions: [{name: client.authentication.k8s.io/exec, extension: " + yaml + "}]";
  };
  std::string doubled = "[a, a]";
  for (int i = 0; i < 40; ++i) {
    const std::string anchor = "&x" + std::to_string(i) + ' ';
    doubled = "[" + anchor + doubled + ", *x" + std::to_string(i) + "]";
  }
  for (const std::string& yaml : {std::string("&a [*a]"), std::string("&a {b: {c: *a}}"), doubled}) {
    EXPECT_THAT(load(with(extension(yaml), kPlugin)).error().message, HasSubstr("alias of itself")) << yaml;
  }
  EXPECT_EQ(load(with(extension("[&a {b: 1}, *a]"), kPlugin))->exec->cluster_config, R"([{"b":1},{"b":1}])");
}

TEST_F(Kubeconfig, ExecPluginIsRead) {
  const auto config = load(
      with(std::string(kServer) +
               ", extensions: [{name: other, extension: 1}, {name: client.authentication.k8s.io/exec, "
               "extension: {region: eu, port: 8, ratio: 1.5, on: true, off: null, text: \"8\", list: [a]}}]",
           "exec: {apiVersion: client.authentication.k8s.io/v1, command: aws, args: [eks, '--x=1', ''], "
           "env: [{name: A, value: b}, {name: C, value: ''}], interactiveMode: IfAvailable, "
           "provideClusterInfo: true, installHint: \"get it\\e[31m\\nthere\"}"));
  ASSERT_TRUE(config) << config.error().message;
  ASSERT_TRUE(config->exec);
  EXPECT_EQ(config->exec->command, "aws");
  EXPECT_THAT(config->exec->arguments, ElementsAre("eks", "--x=1", ""));
  EXPECT_THAT(config->exec->environment, ElementsAre(Pair("A", "b"), Pair("C", "")));
  EXPECT_EQ(config->exec->api_version, "client.authentication.k8s.io/v1");
  EXPECT_EQ(config->exec->install_hint, "get it[31m\nthere");
  EXPECT_TRUE(config->exec->provide_cluster_info);
  EXPECT_EQ(config->exec->cluster_config,
            R"({"list":["a"],"off":null,"on":true,"port":8,"ratio":1.5,"region":"eu","text":"8"})");
}

TEST_F(Kubeconfig, ExecCommandWithASlashIsRelativeToItsFile) {
  const auto command = [this](const std::string& name) {
    const auto config = load(
        with(kServer, "exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: '" + name + "'}"));
    return config ? config->exec->command : config.error().message;
  };
  EXPECT_EQ(command("./bin/plugin"), (folder_ / "bin/plugin").string());
  EXPECT_EQ(command("../plugin"), (folder_.parent_path() / "plugin").string());
  EXPECT_EQ(command("/usr/bin/plugin"), "/usr/bin/plugin");
  EXPECT_EQ(command("plugin"), "plugin");
}

// client-go:plugin/pkg/client/auth/exec/exec.go, UpdateTransportConfig
TEST_F(Kubeconfig, ExecPluginIsNotAskedWhenThereIsACredential) {
  for (const char* other :
       {"token: abc", "tokenFile: t", "username: u, password: p", "client-certificate: c, client-key: k"}) {
    const auto config = load(with(kServer, std::string(other) + ", exec: {command: aws}"));
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_FALSE(config->exec) << other;
  }
}

// client-go:tools/clientcmd/client_config.go, ClientConfig(): a credential needs TLS, impersonation does not.
TEST_F(Kubeconfig, CredentialsAreNeverMeantForAServerWithoutTls) {
  for (const char* server : {"server: 'http://10.0.0.1:8080'", "server: 'HTTP://h'", "server: 'h:8080'"}) {
    for (const char* user : {"token: hunter2", "tokenFile: t", "username: u, password: hunter2",
                             "client-certificate: c, client-key: k",
                             "exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: aws}"}) {
      SCOPED_TRACE(user);
      EXPECT_THAT(error(with(server, user)), AllOf(HasSubstr("must begin with https://"),
                                                   HasSubstr("user \"u\""), Not(HasSubstr("hunter2"))));
    }
    const auto config = load(with(server, "as: jane"));
    ASSERT_TRUE(config) << config.error().message;
    EXPECT_EQ(config->impersonate.user, "jane");
  }
  EXPECT_TRUE(load(with("server: 'HTTPS://h:6443'", "token: abc")));
}

TEST_F(Kubeconfig, PasswordAndImpersonationAreRead) {
  const auto config = load(with(kServer,
                                "username: me, password: 'a:b', as: jane, as-uid: '7', as-groups: [x, y], "
                                "as-user-extra: {example.org/scope: [view, edit]}"));
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->username, "me");
  EXPECT_EQ(config->password, "a:b");
  EXPECT_EQ(config->impersonate.user, "jane");
  EXPECT_EQ(config->impersonate.uid, "7");
  EXPECT_THAT(config->impersonate.groups, ElementsAre("x", "y"));
  EXPECT_THAT(config->impersonate.extra,
              ElementsAre(Pair("example.org/scope", "view"), Pair("example.org/scope", "edit")));
}

// client-go:tools/clientcmd/api/v1/conversion.go
TEST_F(Kubeconfig, TwoEntriesOfOneNameInOneFileAreAMistake) {
  EXPECT_THAT(error(with(kServer, "token: a") + "- name: u\n  user: {token: b}\n"),
              HasSubstr("there are two users named \"u\""));
}

TEST_F(Kubeconfig, FieldsThatAskForNothingAreAccepted) {
  const auto config =
      load(with(std::string(kServer) + ", disable-compression: true, unknown: [1]", "token: a"));
  EXPECT_TRUE(config) << config.error().message;
}

TEST_F(Kubeconfig, UnusedEntriesDoNoHarm) {
  const auto config = load(with(kServer, "token: abc") + "- name: other\n  user: {exec: {command: aws}}\n");
  EXPECT_TRUE(config) << config.error().message;
}

class InCluster : public Folder {
 protected:
  void SetUp() override {
    Folder::SetUp();
    write("token", "abc\n");
    write("ca.crt", "CA");
    write("namespace", "mail\n");
  }
};

TEST_F(InCluster, ServiceAccountIsRead) {
  const Environment host("KUBERNETES_SERVICE_HOST", "10.96.0.1");
  const Environment port("KUBERNETES_SERVICE_PORT", "443");
  const auto config = load_in_cluster_config(folder_);
  ASSERT_TRUE(config) << config.error().message;
  EXPECT_EQ(config->server, "https://10.96.0.1:443");
  EXPECT_EQ(config->token_file, folder_ / "token");
  EXPECT_EQ(config->certificate_authority.file, folder_ / "ca.crt");
  EXPECT_EQ(config->default_namespace, "mail");
}

TEST_F(InCluster, Ipv6HostIsReplacedByItsName) {
  const Environment host("KUBERNETES_SERVICE_HOST", "fd00:10:96::1");
  const Environment port("KUBERNETES_SERVICE_PORT", "8443");
  EXPECT_EQ(load_in_cluster_config(folder_)->server, "https://kubernetes.default.svc:8443");
}

TEST_F(InCluster, MissingCaIsAnErrorAndNotAPlaceOutsideAPod) {
  const Environment host("KUBERNETES_SERVICE_HOST", "10.96.0.1");
  const Environment port("KUBERNETES_SERVICE_PORT", "443");
  for (const char* file : {"ca.crt", "token"}) {
    write(file, " \n");
    EXPECT_THAT(load_in_cluster_config(folder_).error().message, HasSubstr(file));
    fs::remove(folder_ / file);
    const auto config = load_in_cluster_config(folder_);
    ASSERT_FALSE(config);
    EXPECT_EQ(config.error().code, ErrorCode::kInvalidInput);
    EXPECT_THAT(config.error().message, HasSubstr(file));
    write(file, "x");
  }
}

TEST_F(InCluster, OutsideAPodIsNotFound) {
  const Environment port("KUBERNETES_SERVICE_PORT", "443");
  for (const char* value : {static_cast<const char*>(nullptr), ""}) {
    const Environment host("KUBERNETES_SERVICE_HOST", value);
    const auto config = load_in_cluster_config(folder_);
    ASSERT_FALSE(config);
    EXPECT_EQ(config.error().code, ErrorCode::kNotFound);
  }
}

}  // namespace
}  // namespace sessmtp::kube
