#include "cli/render.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "../kube/temporary_folder.h"
#include "base/base64.h"

namespace sessmtp::cli {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

// Public examples of the AWS documentation, and a password derived by others (tests/vectors.json).
const std::string kId = "AKIAIOSFODNN7EXAMPLE";
const std::string kKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const std::string kPassword = "BLBM/9hSUELfq8Gw+rU1YcBjkOxGbhT2XG763xVLGWL9";  // us-east-1
const std::string kNow = "2026-01-02T03:04:05Z";

struct Ran {
  int exit_code = -1;
  std::string out;
  std::string err;

  [[nodiscard]] json items() const { return json::parse(out)["items"]; }
};

// Runs with the text as standard input; the output is JSON unless the arguments say otherwise.
Ran run(const std::string& input, std::vector<std::string> arguments = {}) {
  const TemporaryFolder folder;
  const int in = open(folder.write("input", input).c_str(), O_RDONLY | O_CLOEXEC);
  arguments.insert(arguments.begin(), {"render", "-f", "-", "--now", kNow});
  if (std::ranges::find(arguments, "-o") == arguments.end()) {
    arguments.insert(arguments.end(), {"-o", "json"});
  }
  CLI::App app;
  RenderOptions options;
  add_render(app, options);
  std::ranges::reverse(arguments);  // as CLI11 wants them
  app.parse(arguments);
  std::ostringstream out;
  std::ostringstream err;
  Ran ran{.exit_code = run_render(options, {in, out, err}), .out = out.str(), .err = err.str()};
  close(in);
  for (const std::string& value : {kKey, kPassword, base64_encode(kKey), base64_encode(kPassword)}) {
    EXPECT_THAT(ran.err, Not(HasSubstr(value)));
  }
  return ran;
}

json credential(const std::string& name = "mail", const json& spec = {}) {
  json object = {{"apiVersion", "ses-smtp.dev/v1alpha1"},
                 {"kind", "SesSmtpCredential"},
                 {"metadata", {{"name", name}}},
                 {"spec", {{"source", {{"secretName", "iam"}}}, {"region", "us-east-1"}}}};
  object["spec"].merge_patch(spec.is_null() ? json::object() : spec);
  return object;
}

json secret(const std::string& name, const json& string_data, const json& more = json::object()) {
  json object = {
      {"apiVersion", "v1"}, {"kind", "Secret"}, {"metadata", {{"name", name}}}, {"stringData", string_data}};
  object.merge_patch(more);
  return object;
}

json source() {
  return secret("iam", {{"accessKeyId", kId}, {"secretAccessKey", kKey}});
}

// One after the other, as a file of several documents. JSON is YAML, too.
std::string input(const std::vector<json>& objects) {
  std::string text;
  for (const json& object : objects) {
    text += "---\n" + object.dump() + '\n';
  }
  return text;
}

std::string plain(const json& target, const std::string& key) {
  const auto value = base64_decode(target["data"][key].get<std::string>());
  return value ? std::string(value->expose()) : "no base64";
}

std::string reason(const json& shown) {
  return shown["status"]["conditions"][0]["reason"];
}

void expect_unusable(const std::vector<json>& objects, const std::string& hint) {
  const Ran ran = run(input(objects));
  EXPECT_EQ(ran.exit_code, kFailed) << hint;
  EXPECT_THAT(ran.out, IsEmpty()) << hint;
  EXPECT_THAT(ran.err, HasSubstr(hint));
}

TEST(Render, ShowsTheTargetAndTheStatus) {
  const Ran ran = run(input({credential(), source()}));
  EXPECT_EQ(ran.exit_code, kOk) << ran.err;
  ASSERT_THAT(ran.items(), SizeIs(2));
  const json status = ran.items()[0]["status"];
  EXPECT_EQ(status["conditions"][0]["lastTransitionTime"], kNow);
  EXPECT_EQ(status["conditions"][0]["status"], "True");
  EXPECT_EQ(status["target"], json({{"name", "mail"}}));
  EXPECT_FALSE(status.contains("source"));  // of it only a uid and a version could be told
  const json target = ran.items()[1];
  EXPECT_EQ(plain(target, "username"), kId);
  EXPECT_EQ(plain(target, "password"), kPassword);
  EXPECT_EQ(plain(target, "host"), "email-smtp.us-east-1.amazonaws.com");
  EXPECT_EQ(target["type"], "Opaque");
  EXPECT_THAT(ran.err, HasSubstr("note: mail: Synced: "));
}

TEST(Render, LeavesOutWhatOnlyAClusterKnows) {
  const json metadata = run(input({credential(), source()})).items()[1]["metadata"];
  EXPECT_EQ(metadata["labels"], json({{"app.kubernetes.io/managed-by", "ses-smtp-operator"}}));
  EXPECT_EQ(metadata["annotations"]["ses-smtp.dev/key-since"], kNow);
  for (const char* field : {"ownerReferences", "uid", "resourceVersion", "creationTimestamp", "namespace"}) {
    EXPECT_FALSE(metadata.contains(field)) << field;
  }
}

TEST(Render, OfACredentialFromAClusterTheOwnerIsKnown) {
  json live = credential();
  live["metadata"]["uid"] = "11-22";
  const json metadata = run(input({live, source()})).items()[1]["metadata"];
  EXPECT_EQ(metadata["labels"]["ses-smtp.dev/owner-uid"], "11-22");
  EXPECT_EQ(metadata["ownerReferences"][0]["uid"], "11-22");
}

TEST(Render, TheYamlIsWhatTheJsonIs) {
  const std::string objects = input({credential(), source()});
  const json expected = run(objects).items()[1]["data"];
  const std::vector<YAML::Node> documents = YAML::LoadAll(run(objects, {"-o", "yaml"}).out);
  ASSERT_THAT(documents, SizeIs(2));
  for (const auto& [key, value] : expected.items()) {
    EXPECT_EQ(documents[1]["data"][key].as<std::string>(), value.get<std::string>());
  }
  EXPECT_EQ(documents[0]["status"]["conditions"][0]["status"].Tag(), "!") << "\"True\" is a text";
}

TEST(Render, ShowsHalfOfItWhenAsked) {
  const std::string objects = input({credential(), source()});
  const json secrets = run(objects, {"--show", "secret"}).items();
  ASSERT_THAT(secrets, SizeIs(1));
  EXPECT_EQ(secrets[0]["kind"], "Secret");
  const Ran status = run(objects, {"--show", "status"});
  ASSERT_THAT(status.items(), SizeIs(1));
  EXPECT_EQ(status.items()[0]["kind"], "SesSmtpCredential");
  EXPECT_THAT(status.out,
              AllOf(Not(HasSubstr(base64_encode(kPassword))), Not(HasSubstr(base64_encode(kId)))));
}

TEST(Render, ReadsASecretAsTheApiServerWouldStoreIt) {
  std::string wrapped = base64_encode(kKey);
  wrapped.insert(20, "\n");
  const json given = secret("iam", {{"accessKeyId", kId}, {"secretAccessKey", kKey}},
                            {{"data", {{"secretAccessKey", base64_encode("overridden")}}}});
  const json lines =
      secret("iam", nullptr, {{"data", {{"accessKeyId", base64_encode(kId)}, {"secretAccessKey", wrapped}}}});
  for (const json& iam : {given, lines}) {
    const Ran ran = run(input({credential(), iam}));
    ASSERT_EQ(ran.exit_code, kOk) << ran.err;
    EXPECT_EQ(plain(ran.items()[1], "password"), kPassword);
  }
}

TEST(Render, WhatIsNotReadyFailsAndTheRestIsStillShown) {
  const Ran ran =
      run(input({credential("lost", {{"source", {{"secretName", "nowhere"}}}}), credential(), source()}));
  EXPECT_EQ(ran.exit_code, kFailed);
  ASSERT_THAT(ran.items(), SizeIs(3));
  EXPECT_EQ(reason(ran.items()[0]), "SourceNotFound");
  EXPECT_EQ(reason(ran.items()[1]), "Synced");
  EXPECT_THAT(ran.err, HasSubstr("error: lost: SourceNotFound: "));
}

TEST(Render, ASecretOfTheTargetsNameIsTheLiveOne) {
  const Ran ran = run(input({credential(), source(), secret("mail", {{"password", "theirs"}})}));
  EXPECT_EQ(ran.exit_code, kFailed);
  ASSERT_THAT(ran.items(), SizeIs(1)) << "theirs is not printed";
  EXPECT_EQ(reason(ran.items()[0]), "TargetConflict");
}

TEST(Render, ARotationIsSeenInTheLiveTarget) {
  json live = run(input({credential(),
                         secret("iam", {{"accessKeyId", "AKIAI44QH8DHBEXAMPLE"},
                                        {"secretAccessKey", "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY"}})}))
                  .items()[1];
  live["metadata"]["labels"]["ses-smtp.dev/owner-uid"] = "11-22";
  live["metadata"]["annotations"]["ses-smtp.dev/key-since"] = "2025-01-01T00:00:00Z";
  live["metadata"]["labels"]["theirs"] = "stays";
  const Ran ran = run(input({credential(), source(), live}));
  ASSERT_EQ(ran.exit_code, kOk) << ran.err;
  EXPECT_THAT(ran.err, AllOf(HasSubstr("note: mail: Rotated: "), Not(HasSubstr("Adopted"))));
  const json target = ran.items()[1];
  EXPECT_EQ(plain(target, "password"), kPassword);
  EXPECT_EQ(target["metadata"]["annotations"]["ses-smtp.dev/key-since"], kNow);
  EXPECT_EQ(target["metadata"]["labels"]["theirs"], "stays");
  EXPECT_EQ(target["metadata"]["labels"]["ses-smtp.dev/owner-uid"], "11-22") << "its owner is plain";

  const Ran settled = run(input({credential(), source(), target}));
  ASSERT_EQ(settled.exit_code, kOk) << settled.err;
  EXPECT_EQ(settled.items()[1], target) << "what is right stays";
}

TEST(Render, CredentialsSeeEachOther) {
  const json same_target = credential("second", {{"target", {{"name", "mail"}}}});
  const Ran ran = run(input({credential(), same_target, source()}));
  EXPECT_EQ(ran.exit_code, kFailed);
  const json items = ran.items();
  ASSERT_THAT(items, SizeIs(3));
  EXPECT_EQ(reason(items[0]), "Synced") << "the first of the input is the oldest";
  EXPECT_EQ(reason(items[2]), "TargetConflict");
  EXPECT_THAT(items[2]["status"]["conditions"][0]["message"].get<std::string>(), HasSubstr("\"mail\""));
}

TEST(Render, TheControllersOwnCheckOfTheSpecIsHeard) {
  const Ran ran = run(input({credential("mail", {{"target", {{"format", "None"}}}}), source()}));
  EXPECT_EQ(ran.exit_code, kFailed);
  EXPECT_EQ(reason(ran.items()[0]), "InvalidSpec");
}

TEST(Render, ASuspendedCredentialIsNoFailure) {
  const Ran ran = run(input({credential("mail", {{"suspend", true}}), source()}));
  EXPECT_EQ(ran.exit_code, kOk);
  EXPECT_THAT(ran.items(), SizeIs(1)) << "nothing would be written";
  EXPECT_THAT(ran.err, HasSubstr("mail: suspended"));
}

TEST(Render, ConsentLetsATargetBeTakenOver) {
  const json adopting = credential("mail", {{"target", {{"conflictPolicy", "Adopt"}}}});
  json theirs = secret("mail", {{"extra", "stays"}});
  const Ran refused = run(input({adopting, source(), theirs}));
  EXPECT_EQ(refused.exit_code, kFailed);
  EXPECT_THAT(refused.err, HasSubstr("kubectl annotate secret -n default mail "));
  theirs["metadata"]["annotations"]["ses-smtp.dev/allow-takeover-by"] = "mail";
  const Ran ran = run(input({adopting, source(), theirs}));
  ASSERT_EQ(ran.exit_code, kOk) << ran.err;
  EXPECT_EQ(plain(ran.items()[1], "extra"), "stays");
  EXPECT_EQ(plain(ran.items()[1], "password"), kPassword);
  EXPECT_THAT(ran.err, HasSubstr("Adopted"));
}

TEST(Render, NamespacesAreApart) {
  json elsewhere = source();
  elsewhere["metadata"]["namespace"] = "shop";
  EXPECT_EQ(run(input({credential(), elsewhere})).exit_code, kFailed);
  const Ran ran = run(input({credential(), elsewhere}), {"--namespace", "shop"});
  ASSERT_EQ(ran.exit_code, kOk) << ran.err;
  EXPECT_EQ(ran.items()[1]["metadata"]["namespace"], "shop");
}

TEST(Render, ANameThatIsTakenIsRefused) {
  expect_unusable({credential(), source(), source()}, "document 3: Secret \"iam\": there is another");
  expect_unusable({credential(), credential(), source()},
                  "document 2: SesSmtpCredential \"mail\": there is another");
}

TEST(Render, WhatTheApiServerWouldRefuseIsNamedByItsPath) {
  expect_unusable({credential("mail", {{"regoin", "x"}}), source()},
                  "document 1: SesSmtpCredential \"mail\": unknown field spec.regoin");
  expect_unusable({credential("mail", {{"target", {{"nmae", "x"}}}}), source()}, "spec.target.nmae");
  expect_unusable({credential("mail", {{"endpoint", {{"port", "587"}}}}), source()}, "spec.endpoint.port");
  expect_unusable({credential("mail", {{"source", nullptr}}), source()}, "spec.source");
  expect_unusable({credential("Mail"), source()}, "metadata.name");
  json other = credential();
  other["apiVersion"] = "ses-smtp.dev/v2";
  expect_unusable({other, source()}, "ses-smtp.dev/v2 is not known");
  json top = credential();
  top["sepc"] = 1;
  expect_unusable({top, source()}, "unknown field sepc");
}

TEST(Render, ASecretThatIsNoneIsNamedByItsKey) {
  expect_unusable({credential(), secret("iam", {{"accessKeyId", 5}})}, "stringData.accessKeyId");
  expect_unusable({credential(), secret("iam", nullptr, {{"data", {{"k", kKey + "!"}}}})}, "data.k");
  expect_unusable({credential(), secret("iam", nullptr, {{"data", {{"k", 1}}}})}, "data.k is not a text");
  expect_unusable({credential(), secret("iam", {{"k", "ENC[AES256_GCM]"}}, {{"sops", {{"mac", "x"}}}})},
                  "SOPS");
}

TEST(Render, AnInputWithoutCredentialsIsNone) {
  expect_unusable({source()}, "no SesSmtpCredential");
}

TEST(Render, WrongUsageIsRefused) {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"--now", "yesterday"}, {"-o", "xml"}, {"--show", "none"}, {"-n", "Shop"}}) {
    EXPECT_THROW((void)run("", arguments), CLI::ParseError) << arguments.front();
  }
  EXPECT_EQ(run("", {"-f", "-"}).exit_code, kUsage);
}

}  // namespace
}  // namespace sessmtp::cli
