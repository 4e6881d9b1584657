#include "cli/derive.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <termios.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/base64.h"

namespace sessmtp::cli {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

// Public examples of the AWS documentation, and passwords derived from them by others (tests/vectors.json).
const std::string kId = "AKIAIOSFODNN7EXAMPLE";
const std::string kSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const std::string kPassword = "BLBM/9hSUELfq8Gw+rU1YcBjkOxGbhT2XG763xVLGWL9";  // us-east-1
const std::string kPasswordV2 = "An60U4ZD3sd4fg+FvXUjayOipTt8LO4rUUmhpdX6ctDy";
const std::string kUrl =
    "smtp://AKIAIOSFODNN7EXAMPLE:BLBM%2F9hSUELfq8Gw%2BrU1YcBjkOxGbhT2XG763xVLGWL9"
    "@email-smtp.us-east-1.amazonaws.com:587";

using Environment = std::map<std::string, std::string>;
using Arguments = std::vector<std::string>;

struct Ran {
  int exit_code;
  std::string out;
  std::string err;
};

Ran run_with_input(int descriptor, Arguments arguments, const Environment& environment) {
  CLI::App app;
  DeriveOptions options;
  add_derive(app, options);
  arguments.insert(arguments.begin(), "derive");
  std::ranges::reverse(arguments);  // as CLI11 wants them
  app.parse(arguments);
  std::ostringstream out;
  std::ostringstream err;
  const auto variable = [&environment](const char* name) {
    const auto found = environment.find(name);
    return found == environment.end() ? std::nullopt : std::optional(found->second);
  };
  const int exit_code = run_derive(options, {descriptor, out, err, variable});
  return {exit_code, out.str(), err.str()};
}

// Runs with the text piped to standard input.
Ran run(const Arguments& arguments, const std::string& input = kSecret + "\n",
        const Environment& environment = {}) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  EXPECT_EQ(write(ends[1], input.data(), input.size()), ssize_t(input.size()));
  close(ends[1]);
  Ran ran = run_with_input(ends[0], arguments, environment);
  close(ends[0]);
  return ran;
}

class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& content) {
    const int descriptor = mkstemp(path_.data());
    EXPECT_EQ(write(descriptor, content.data(), content.size()), ssize_t(content.size()));
    close(descriptor);
  }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  ~TemporaryFile() { std::filesystem::remove(path_); }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_ = (std::filesystem::temp_directory_path() / "ses-smtp-XXXXXX").string();
};

// Refused with this exit code and hint; nothing on standard output, and no value that was given on either.
void expect_refused(const Ran& ran, int exit_code, const std::string& hint) {
  EXPECT_EQ(ran.exit_code, exit_code);
  EXPECT_THAT(ran.out, IsEmpty());
  EXPECT_THAT(ran.err, AllOf(HasSubstr("error: "), HasSubstr("fix: "), HasSubstr(hint)));
  for (const std::string& value : {kSecret, kPassword, kPasswordV2, kId, base64_encode(kSecret)}) {
    EXPECT_THAT(ran.err, Not(HasSubstr(value)));
  }
}

// --- where the key comes from ---

TEST(Derive, PrintsThePasswordAndNothingElse) {
  const Ran ran = run({"--region", "us-east-1"});
  EXPECT_EQ(ran.exit_code, 0);
  EXPECT_EQ(ran.out, kPassword + "\n");
  EXPECT_THAT(ran.err, IsEmpty());
}

TEST(Derive, OneNewlineAfterTheKeyOrNoneIsFine) {
  for (const std::string_view end : {"", "\n", "\r\n"}) {
    const Ran ran = run({"--region", "us-east-1"}, kSecret + std::string(end));
    EXPECT_EQ(ran.out, kPassword + "\n");
    EXPECT_THAT(ran.err, IsEmpty());
  }
}

TEST(Derive, OtherWhiteSpaceIsTrimmedWithANote) {
  for (const std::string& input :
       {" " + kSecret, kSecret + " \n", kSecret + "\n\n", "\xEF\xBB\xBF" + kSecret}) {
    const Ran ran = run({"--region", "us-east-1"}, input);
    EXPECT_EQ(ran.out, kPassword + "\n");
    EXPECT_THAT(ran.err, HasSubstr("note: white space"));
  }
}

TEST(Derive, FileWinsOverStandardInputAndThatOverTheEnvironment) {
  const TemporaryFile file(kSecret + "\n");
  const Environment with_key = {{"AWS_SECRET_ACCESS_KEY", kSecret}};
  const Environment with_other = {{"AWS_SECRET_ACCESS_KEY", "another"}};
  EXPECT_EQ(
      run({"--region", "us-east-1", "--secret-access-key-file", file.path()}, "another", with_other).out,
      kPassword + "\n");
  EXPECT_EQ(run({"--region", "us-east-1"}, kSecret, with_other).out, kPassword + "\n");
  EXPECT_EQ(run({"--region", "us-east-1"}, "", with_key).out, kPassword + "\n");
}

TEST(Derive, SaysWhenTheKeyIsFromTheEnvironment) {
  EXPECT_THAT(run({"--region", "us-east-1"}, "", {{"AWS_SECRET_ACCESS_KEY", kSecret}}).err,
              HasSubstr("AWS_SECRET_ACCESS_KEY"));
}

TEST(Derive, AbsentFileIsNamed) {
  expect_refused(run({"--region", "us-east-1", "--secret-access-key-file", "/nowhere/key.txt"}), kFailed,
                 "/nowhere/key.txt: No such file");
}

TEST(Derive, WithoutAnyKeySaysHowToGiveOne) {
  expect_refused(run({"--region", "us-east-1"}, ""), kUsage, "--secret-access-key-file");
  expect_refused(run({"--region", "us-east-1"}, "", {{"AWS_SECRET_ACCESS_KEY", ""}}), kUsage, "pipe it");
}

TEST(Derive, ClosedStandardInputCountsAsEmpty) {
  EXPECT_EQ(run_with_input(-1, {"--region", "us-east-1"}, {{"AWS_SECRET_ACCESS_KEY", kSecret}}).out,
            kPassword + "\n");
}

TEST(Derive, EndlessInputIsGivenUp) {
  const int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
  expect_refused(run_with_input(zero, {"--region", "us-east-1"}, {}), kFailed, "more than");
  close(zero);
}

// An unset variable must not silently turn into the key of another account.
TEST(Derive, ABlankLineIsNotReplacedByTheEnvironment) {
  expect_refused(run({"--region", "us-east-1"}, "\n", {{"AWS_SECRET_ACCESS_KEY", kSecret}}), kFailed,
                 "empty");
}

TEST(Derive, TheTerminalShowsNothingOfTheKeyThatIsTyped) {
  const int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
  ASSERT_GE(master, 0);
  ASSERT_EQ(grantpt(master), 0);
  ASSERT_EQ(unlockpt(master), 0);
  const int terminal = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
  ASSERT_GE(terminal, 0);
  const auto echoes = [terminal] {
    termios state{};
    return tcgetattr(terminal, &state) == 0 && (state.c_lflag & ECHO) != 0;
  };
  ASSERT_TRUE(echoes());

  std::jthread typist([master, &echoes] {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (echoes() && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::yield();
    }
    const std::string line = kSecret + "\n";
    EXPECT_EQ(write(master, line.data(), line.size()), ssize_t(line.size()));
  });
  const Ran ran = run_with_input(terminal, {"--region", "us-east-1"}, {});
  typist.join();

  EXPECT_EQ(ran.out, kPassword + "\n");
  EXPECT_THAT(ran.err, StartsWith("Secret access key"));
  EXPECT_TRUE(echoes()) << "the terminal was left without echo";
  ASSERT_EQ(write(terminal, "end", 3), 3);
  std::string shown;
  while (!shown.ends_with("end")) {
    char block[256];
    const ssize_t count = read(master, block, sizeof block);
    ASSERT_GT(count, 0);
    shown.append(block, std::size_t(count));
  }
  EXPECT_EQ(shown, "\r\nend");
  close(terminal);
  close(master);
}

// --- what must not be given ---

TEST(Derive, KeyAsAnArgumentIsExplainedAndNotPrinted) {
  for (const Arguments& arguments :
       {Arguments{"--region", "us-east-1", kSecret}, Arguments{kSecret},
        Arguments{"--secret-access-key", kSecret}, Arguments{"--secret-access-key=" + kSecret},
        Arguments{"-k" + kSecret}, Arguments{"--" + kSecret}, Arguments{"--", kSecret}}) {
    expect_refused(run(arguments), kUsage, "visible to every user of this machine");
  }
}

TEST(Derive, MistypedOptionIsNamed) {
  expect_refused(run({"--region", "us-east-1", "--fisp"}), kUsage, "no option --fisp");
}

TEST(Derive, ValuesThatCannotBeASecretAccessKeyAreRefused) {
  struct Case {
    std::string input;
    std::string hint;
  };
  for (const Case& c : {Case{kPassword, "SMTP password already"}, Case{kPasswordV2, "SMTP password already"},
                        Case{"IAM user name,SMTP user name,SMTP password\nshop," + kId + "," + kPassword,
                             "SMTP password already"},
                        Case{kId, "access key id"}, Case{"ASIAIOSFODNN7EXAMPLE", "access key id"},
                        Case{base64_encode(kSecret), "base64 -d"},
                        Case{"aws_secret_access_key = " + kSecret, "bare key"}, Case{"  \n", "empty"}}) {
    expect_refused(run({"--region", "us-east-1"}, c.input), kFailed, c.hint);
    expect_refused(run({"--region", "us-east-1", "--access-key-id", kId}, c.input), kFailed, c.hint);
  }
}

TEST(Derive, IdsThatCannotWorkAreRefused) {
  struct Case {
    std::string id;
    std::string hint;
  };
  for (const Case& c :
       {Case{"ASIAIOSFODNN7EXAMPLE", "temporary credentials"}, Case{"AIDAIOSFODNN7EXAMPLE", "AIDA"},
        Case{"arn:aws:iam::123456789012:user/shop", "ARN"}, Case{kSecret, "access key id"}}) {
    expect_refused(run({"--region", "us-east-1", "--access-key-id", c.id}), kFailed, c.hint);
  }
  expect_refused(run({"--region", "us-east-1", "--access-key-id", kSecret}, kId), kFailed, "--access-key-id");
}

TEST(Derive, TemporaryKeyOfTheEnvironmentIsRefused) {
  const Environment temporary = {{"AWS_SECRET_ACCESS_KEY", kSecret}, {"AWS_SESSION_TOKEN", "token"}};
  expect_refused(run({"--region", "us-east-1"}, "", temporary), kFailed, "temporary credentials");
  expect_refused(run({"--region", "us-east-1", "--access-key-id", kId}, "", temporary), kFailed,
                 "temporary credentials");
  EXPECT_EQ(run({"--region", "us-east-1"}, kSecret, temporary).exit_code, 0)
      << "the token is not of the piped key";
}

TEST(Derive, UnusualLengthIsAWarning) {
  const Ran ran = run({"--region", "us-east-1"}, kSecret.substr(1));
  EXPECT_EQ(ran.exit_code, 0);
  EXPECT_THAT(ran.err, HasSubstr("warning: the secret access key has 39 characters"));
}

// --- the region ---

TEST(Derive, RegionIsNeeded) {
  expect_refused(run({}), kUsage, "--region eu-west-1");
}

TEST(Derive, RegionMayComeFromTheEnvironmentAndThatIsSaid) {
  const Ran first = run({}, kSecret, {{"AWS_REGION", "us-east-1"}, {"AWS_DEFAULT_REGION", "eu-west-1"}});
  EXPECT_EQ(first.out, kPassword + "\n");
  EXPECT_THAT(first.err, HasSubstr("us-east-1 is from AWS_REGION"));
  const Ran second = run({}, kSecret, {{"AWS_REGION", ""}, {"AWS_DEFAULT_REGION", "us-east-1"}});
  EXPECT_EQ(second.out, kPassword + "\n");
  EXPECT_THAT(second.err, HasSubstr("us-east-1 is from AWS_DEFAULT_REGION"));
  EXPECT_EQ(run({"--region", "us-east-1"}, kSecret, {{"AWS_REGION", "eu-west-1"}}).out, kPassword + "\n");
}

TEST(Derive, WrongRegionsAreRefusedWithTheOneThatWasMeant) {
  expect_refused(run({"--region", "eu-west-1a"}), kUsage, "did you mean eu-west-1?");
  expect_refused(run({"--region", "eu-west-1a"}), kUsage, "availability zone");
  expect_refused(run({"--region", "EU-WEST-1"}), kUsage, "did you mean eu-west-1?");
  expect_refused(run({"--region", "Ireland"}), kUsage, "as in eu-west-1");
  expect_refused(run({"--region", kSecret}), kUsage, "--region is not the name");
  expect_refused(run({}, kSecret, {{"AWS_REGION", "eu-west-1a"}}), kUsage,
                 "AWS_REGION is an availability zone");
}

TEST(Derive, RegionThatIsNotInTheListIsAWarning) {
  const Ran ran = run({"--region", "eu-central-2"});
  EXPECT_EQ(ran.exit_code, 0);
  EXPECT_THAT(ran.err, HasSubstr("warning: "));
}

TEST(Derive, RetiredSignatureNeedsNoRegionAndSaysThatItIsRetired) {
  const Ran ran = run({"--signature-version", "V2"});
  EXPECT_EQ(ran.exit_code, 0);
  EXPECT_EQ(ran.out, kPasswordV2 + "\n");
  EXPECT_THAT(ran.err, HasSubstr("2019-01-10"));
  expect_refused(run({"--signature-version", "V2", "-o", "url", "--access-key-id", kId}), kUsage, "-o text");
}

// --- the whole set ---

TEST(Derive, EveryOutputButTextNeedsTheId) {
  for (const std::string output : {"json", "yaml", "env", "url"}) {
    expect_refused(run({"--region", "us-east-1", "-o", output}), kUsage, "--access-key-id");
  }
  expect_refused(run({"--region", "us-east-1", "-o", "secret", "--name", "x"}), kUsage, "--access-key-id");
}

TEST(Derive, IdOfTheEnvironmentGoesWithTheKeyOfTheEnvironmentOnly) {
  const Environment pair = {{"AWS_ACCESS_KEY_ID", kId}, {"AWS_SECRET_ACCESS_KEY", kSecret}};
  EXPECT_EQ(run({"--region", "us-east-1", "-o", "url"}, "", pair).out, kUrl + "\n");
  expect_refused(run({"--region", "us-east-1", "-o", "url"}, kSecret, pair), kUsage, "--access-key-id");
}

Ran run_output(const std::string& output, Arguments more = {}) {
  Arguments arguments = {"--region", "us-east-1", "--access-key-id", kId, "-o", output};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run(arguments);
}

TEST(Derive, JsonHasTheWholeSet) {
  const nlohmann::json expected = {
      {"username", kId}, {"password", kPassword}, {"host", "email-smtp.us-east-1.amazonaws.com"},
      {"port", 587},     {"region", "us-east-1"}, {"url", kUrl}};
  EXPECT_EQ(nlohmann::json::parse(run_output("json").out), expected);
}

TEST(Derive, YamlHasTheWholeSet) {
  const YAML::Node document = YAML::Load(run_output("yaml").out);
  ASSERT_EQ(document.size(), 6U);
  EXPECT_EQ(document["username"].as<std::string>(), kId);
  EXPECT_EQ(document["password"].as<std::string>(), kPassword);
  EXPECT_EQ(document["host"].as<std::string>(), "email-smtp.us-east-1.amazonaws.com");
  EXPECT_EQ(document["port"].as<int>(), 587);
  EXPECT_EQ(document["region"].as<std::string>(), "us-east-1");
  EXPECT_EQ(document["url"].as<std::string>(), kUrl);
}

TEST(Derive, YamlQuotesAnIdThatWouldReadAsANumber) {
  const Ran ran = run({"--region", "us-east-1", "--access-key-id", "1234567890123456", "-o", "yaml"});
  EXPECT_THAT(ran.out, HasSubstr("username: \"1234567890123456\"\n"));
}

TEST(Derive, EnvIsWhatTheFormatOfThatNameWrites) {
  EXPECT_EQ(run_output("env").out,
            "SMTP_HOST=email-smtp.us-east-1.amazonaws.com\nSMTP_PORT=587\nSMTP_USERNAME=" + kId +
                "\nSMTP_PASSWORD=" + kPassword + "\nSMTP_URL=" + kUrl + "\nSMTP_TLS=starttls\n");
  EXPECT_THAT(
      run_output("env", {"--endpoint-port", "465"}).out,
      AllOf(HasSubstr("SMTP_TLS=implicit\n"), HasSubstr("SMTP_URL=smtps://"), HasSubstr("SMTP_PORT=465\n")));
}

TEST(Derive, UrlIsPercentEncoded) {
  EXPECT_EQ(run_output("url").out, kUrl + "\n");
}

TEST(Derive, SecretIsAManifestWithEveryKey) {
  const Ran ran = run_output("secret", {"--name", "shop-mail", "--namespace", "shop"});
  EXPECT_THAT(ran.err, IsEmpty());
  const YAML::Node document = YAML::Load(ran.out);
  EXPECT_EQ(document["apiVersion"].as<std::string>(), "v1");
  EXPECT_EQ(document["kind"].as<std::string>(), "Secret");
  EXPECT_EQ(document["type"].as<std::string>(), "Opaque");
  EXPECT_EQ(document["metadata"]["name"].as<std::string>(), "shop-mail");
  EXPECT_EQ(document["metadata"]["namespace"].as<std::string>(), "shop");
  std::map<std::string, std::string> data;
  for (const auto& entry : document["data"]) {
    const auto value = base64_decode(entry.second.as<std::string>());
    ASSERT_TRUE(value) << entry.first;
    data[entry.first.as<std::string>()] = value->expose();
  }
  const std::map<std::string, std::string> expected = {
      {"username", kId}, {"password", kPassword}, {"host", "email-smtp.us-east-1.amazonaws.com"},
      {"port", "587"},   {"region", "us-east-1"}, {"url", kUrl}};
  EXPECT_EQ(data, expected);
}

TEST(Derive, SecretWithoutANamespaceNamesNoneAndKeepsAnyNameAString) {
  const Ran ran = run_output("secret", {"--name", "123"});
  EXPECT_THAT(ran.out, AllOf(HasSubstr("name: \"123\"\n"), Not(HasSubstr("namespace"))));
}

TEST(Derive, SecretNeedsANameThatKubernetesTakes) {
  expect_refused(run_output("secret"), kUsage, "--name");
  for (const std::string name : {"Shop", "-a", "a-", "a..b", ".a", "a b", "a\nb: c", "a_b"}) {
    expect_refused(run_output("secret", {"--name=" + name}), kUsage, "--name");
  }
  expect_refused(run_output("secret", {"--name=" + std::string(254, 'a')}), kUsage, "--name");
  expect_refused(run_output("secret", {"--name=a", "--namespace=a.b"}), kUsage, "--namespace");
  EXPECT_EQ(run_output("secret", {"--name=a.b-c.0", "--namespace=a-b"}).exit_code, 0);
}

TEST(Derive, NameWithoutSecretOutputIsAMisunderstanding) {
  expect_refused(run_output("yaml", {"--name", "shop-mail"}), kUsage, "-o secret");
  expect_refused(run_output("text", {"--namespace", "shop"}), kUsage, "-o secret");
}

TEST(Derive, EndpointCanBeAnother) {
  EXPECT_THAT(run_output("url", {"--fips"}).out, HasSubstr("@email-smtp-fips.us-east-1.amazonaws.com:587\n"));
  EXPECT_THAT(run_output("url", {"--endpoint-host", "vpce-1.example", "--endpoint-port", "1025"}).out,
              HasSubstr("@vpce-1.example:1025\n"));
}

TEST(Derive, EndpointsThatCannotBeAreRefused) {
  expect_refused(run_output("url", {"--endpoint-port", "588"}), kUsage, "587");
  expect_refused(run_output("url", {"--endpoint-host", "a.example", "--fips"}), kUsage, "--fips");
  expect_refused(run_output("url", {"--endpoint-host", "smtp://a.example/"}), kUsage, "without smtp://");
}

TEST(Derive, PartitionWithoutAPublicEndpointNeedsAHostForTheSetButNotForThePassword) {
  expect_refused(run({"--region", "cn-north-1", "--access-key-id", kId, "-o", "url"}), kUsage,
                 "--endpoint-host");
  EXPECT_EQ(run({"--region", "cn-north-1"}).exit_code, 0);
}

TEST(Derive, CompareFileJudgesPasswordsAndPrintsNone) {
  const TemporaryFile right(kPassword);
  const TemporaryFile other("BMPPgbAHoFVbze1Ud0oA5uNdXRwUXUZ+qOwphGJbl/cS");  // us-east-2
  const Ran same =
      run({"--region", "us-east-1", "--compare-file", right.path(), "--compare-file", right.path()});
  EXPECT_EQ(same.exit_code, 0);
  const std::string line = right.path() + " holds the SMTP password of this key in us-east-1\n";
  EXPECT_EQ(same.out, line + line);

  const Ran differs =
      run({"--region", "us-east-1", "--compare-file", right.path(), "--compare-file", other.path()});
  EXPECT_EQ(differs.exit_code, kFailed);
  EXPECT_THAT(differs.err, AllOf(HasSubstr(other.path() + " does not hold"), HasSubstr("in us-east-2")));
  EXPECT_THAT(differs.out + differs.err, Not(HasSubstr(kPassword)));
}

TEST(Derive, CompareFileThatCannotBeReadIsAFailure) {
  const Ran ran = run({"--region", "us-east-1", "--compare-file", "/nonexistent/password"});
  EXPECT_EQ(ran.exit_code, kFailed);
  EXPECT_THAT(ran.err, HasSubstr("/nonexistent/password"));
  expect_refused(run_output("json", {"--compare-file", "/dev/null"}), kUsage, "--compare-file");
}

TEST(Derive, FailsWhenTheResultCannotBeWritten) {
  std::ofstream full("/dev/full");
  std::ostringstream err;
  const TemporaryFile file(kSecret);
  DeriveOptions options;
  options.region = "us-east-1";
  options.secret_access_key_file = file.path();
  EXPECT_EQ(run_derive(options, {-1, full, err, [](const char*) { return std::nullopt; }}), kFailed);
  EXPECT_THAT(err.str(), HasSubstr("standard output"));
}

}  // namespace
}  // namespace sessmtp::cli
