// Each row of the preset table, and how Auto chooses between them.
#include <gmock/gmock.h>

#include <map>

#include "api/source.h"
#include "base/text.h"

namespace sessmtp::api {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using Preset = SourcePreset;
using Data = std::map<std::string, std::string>;

const std::string kId = "AKIAIOSFODNN7EXAMPLE";
const std::string kSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const std::string kOtherId = "AKIAI44QH8DHBEXAMPLE";
const std::string kOtherSecret = "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY";
const std::string kPair = kId + ' ' + kSecret;
const std::string kOtherPair = kOtherId + ' ' + kOtherSecret;
const std::string kPassword = "BLBM/9hSUELfq8Gw+rU1YcBjkOxGbhT2XG763xVLGWL9";

Result<Source, Problem> read(const Data& data, const SourceSpec& spec) {
  kube::Secret secret;
  secret.meta.name = "iam";
  for (const auto& [key, value] : data) {
    secret.data.emplace(key, SecretBytes(value));
  }
  return read_source(secret, spec);
}

SourceSpec spec(Preset preset, const SourceKeys& keys = {}, const std::string& profile = "default") {
  return {.secret_name = "iam", .preset = preset, .profile = profile, .keys = keys};
}

// "id secret" or "id secret region", or the reason of the refusal.
std::string found(const Data& data, const SourceSpec& how = spec(Preset::kAuto)) {
  const auto source = read(data, how);
  if (!source) {
    return std::string(to_string(source.error().reason));
  }
  return std::string(source->key.access_key_id.expose()) + ' ' +
         std::string(source->key.secret_access_key.expose()) +
         (source->region_place.empty() ? "" : ' ' + source->region.value_or("?"));
}

std::string message(const Data& data, const SourceSpec& how = spec(Preset::kAuto)) {
  const auto source = read(data, how);
  return source ? "accepted" : source.error().message;
}

Data with(Data data, const Data& more) {
  data.merge(Data(more));
  return data;
}

SourceKeys keys(std::optional<std::string> id, std::optional<std::string> secret,
                std::optional<std::string> token = {}, std::optional<std::string> region = {}) {
  return {.access_key_id = std::move(id),
          .secret_access_key = std::move(secret),
          .session_token = std::move(token),
          .region = std::move(region)};
}

SourceKeys file(const std::string& key) {
  SourceKeys result;
  result.file = key;
  return result;
}

std::string ini(const std::string& id = kId, const std::string& secret = kSecret,
                const std::string& profile = "default") {
  return "[" + profile + "]\naws_access_key_id = " + id + "\naws_secret_access_key = " + secret + "\n";
}
std::string json(const std::string& id = kId, const std::string& secret = kSecret) {
  return R"({"AccessKey": {"UserName": "shop", "AccessKeyId": ")" + id +
         R"(", "Status": "Active", "SecretAccessKey": ")" + secret + R"("}})";
}
std::string csv(const std::string& id = kId, const std::string& secret = kSecret) {
  return "Access key ID,Secret access key\n" + id + ',' + secret + '\n';
}

struct Row {
  Preset preset;
  Data pair;
  std::vector<std::string> tokens;   // keys whose value is refused
  std::vector<std::string> regions;  // keys that name a region, the first first
};

const std::vector<Row>& key_name_rows() {
  static const std::vector<Row> rows = {
      {Preset::kPlain, {{"accessKeyId", kId}, {"secretAccessKey", kSecret}}, {"sessionToken"}, {"region"}},
      {Preset::kAwsEnv,
       {{"AWS_ACCESS_KEY_ID", kId}, {"AWS_SECRET_ACCESS_KEY", kSecret}},
       {"AWS_SESSION_TOKEN", "aws_session_token"},
       {"AWS_REGION", "AWS_DEFAULT_REGION", "region"}},
      {Preset::kAwsEnv,
       {{"aws_access_key_id", kId}, {"aws_secret_access_key", kSecret}},
       {"AWS_SESSION_TOKEN", "aws_session_token"},
       {"AWS_REGION", "AWS_DEFAULT_REGION", "region"}},
      {Preset::kCrossplane, {{"username", kId}, {"password", kSecret}}, {}, {"region"}},
      {Preset::kVault,
       {{"access_key", kId}, {"secret_key", kSecret}},
       {"security_token", "session_token"},
       {"region"}},
      {Preset::kIdSecret, {{"id", kId}, {"secret", kSecret}}, {}, {"region"}},
  };
  return rows;
}

TEST(Presets, OfKeyNamesFindWhatTheTableSays) {
  for (const Row& row : key_name_rows()) {
    SCOPED_TRACE(row.pair.begin()->first);
    for (const SourceSpec& how : {spec(row.preset), spec(Preset::kAuto)}) {
      EXPECT_EQ(found(row.pair, how), kPair);
      for (const std::string& token : row.tokens) {
        EXPECT_EQ(found(with(row.pair, {{token, "SENTINEL"}}), how), "TemporaryCredentials") << token;
        EXPECT_THAT(message(with(row.pair, {{token, "SENTINEL"}}), how), HasSubstr(in_quotes(token)));
        EXPECT_EQ(found(with(row.pair, {{token, ""}}), how), kPair) << token;
      }
      Data data = row.pair;
      for (auto region = row.regions.rbegin(); region != row.regions.rend(); ++region) {
        const std::string name = "eu-west-" + std::to_string(region - row.regions.rbegin() + 1);
        data.emplace(*region, name);
        EXPECT_EQ(found(data, how), kPair + ' ' + name) << *region;
      }
    }
  }
}

TEST(Presets, DoNotTakeTheNamesOfOthers) {
  for (const Row& row : key_name_rows()) {
    for (const Row& other : key_name_rows()) {
      if (row.preset != other.preset) {
        const Data data = with(row.pair, {});
        EXPECT_EQ(found(data, spec(other.preset)), "SourceKeysNotFound");
        EXPECT_THAT(
            message(data, spec(other.preset)),
            AllOf(HasSubstr("found " + row.pair.begin()->first), HasSubstr("535"),
                  HasSubstr(other.pair.begin()->first == "aws_access_key_id" ? "AWS_ACCESS_KEY_ID"
                                                                             : other.pair.begin()->first)));
      }
    }
  }
}

TEST(Presets, NamedTakeAnyIdThatMayBeOne) {
  const Data vendor{{"username", "vendor_key_id_0123"}, {"password", kSecret}};
  EXPECT_EQ(found(vendor, spec(Preset::kCrossplane)), "vendor_key_id_0123 " + kSecret);
  EXPECT_EQ(found({{"username", "postgres"}, {"password", "hunter2"}}, spec(Preset::kCrossplane)),
            "NotAnAccessKeyId");
}

TEST(Presets, AnEmptyNameGivesWayToTheNextOfThePreset) {
  EXPECT_EQ(
      found({{"AWS_ACCESS_KEY_ID", ""}, {"aws_access_key_id", kId}, {"aws_secret_access_key", kSecret}}),
      kPair);
  EXPECT_EQ(
      found({{"access_key", kId}, {"secret_key", kSecret}, {"security_token", ""}, {"session_token", "x"}}),
      "TemporaryCredentials");
}

TEST(Presets, VaultsNullIsNoToken) {
  const Data data{
      {"access_key", kId}, {"secret_key", kSecret}, {"security_token", "null"}, {"session_token", "null"}};
  EXPECT_EQ(found(data), kPair) << "the Vault Secrets Operator writes it like this";
  EXPECT_EQ(found(data, spec(Preset::kVault)), kPair);
  EXPECT_EQ(found({{"accessKeyId", kId}, {"secretAccessKey", kSecret}, {"sessionToken", "null"}}),
            "TemporaryCredentials");
}

TEST(Presets, NamedKeysTakeThePlaceOfSingleNames) {
  const Data both{{"username", kId}, {"password", "hunter2"}, {"key", kSecret}, {"where", "eu-west-1"}};
  EXPECT_EQ(found(both, spec(Preset::kCrossplane, keys({}, "key", {}, "where"))), kPair + " eu-west-1");
  EXPECT_EQ(found(with(both, {{"token", "x"}}), spec(Preset::kCrossplane, keys({}, "key", "token"))),
            "TemporaryCredentials");
  EXPECT_EQ(found({{"user", kId}, {"password", kSecret}}, spec(Preset::kCrossplane, keys("user", {}))),
            kPair);
  EXPECT_THAT(message(both, spec(Preset::kCrossplane, keys("absent", "key"))),
              AllOf(HasSubstr("no key \"absent\""), HasSubstr("preset Crossplane"),
                    Not(HasSubstr("no key \"key\""))));
}

TEST(Presets, DocumentsAreReadFromTheKeysOfTheirKind) {
  for (const std::string key : {"credentials", "cloud", "creds"}) {
    for (const Preset preset : {Preset::kAwsCredentialsFile, Preset::kAuto}) {
      EXPECT_EQ(found({{key, ini()}}, spec(preset)), kPair) << key;
    }
  }
  EXPECT_EQ(found({{"cloud", ini()}, {"credentials", ini(kOtherId, kOtherSecret)}}), kOtherPair)
      << "in this order";
  EXPECT_EQ(found({{"other", ini()}}, spec(Preset::kAwsCredentialsFile)), "SourceKeysNotFound");
  EXPECT_EQ(found({{"other", ini()}}, spec(Preset::kAwsCredentialsFile, file("other"))), kPair);
  for (const Preset preset : {Preset::kAwsJson, Preset::kAuto}) {
    EXPECT_EQ(found({{"key.json", json()}}, spec(preset)), kPair);
    EXPECT_EQ(found({{"whatever", json()}, {"ca.crt", "x"}, {"_raw", "{\"a\": 1}"}}, spec(preset)), kPair);
  }
  for (const Preset preset : {Preset::kAccessKeysCsv, Preset::kAuto}) {
    EXPECT_EQ(found({{"shop_accessKeys.csv", csv()}}, spec(preset)), kPair);
    EXPECT_EQ(found({{"whatever", csv()}, {"ca.crt", "one\ntwo\n"}}, spec(preset)), kPair);
  }
}

TEST(Presets, KeysFileSaysWhichDocument) {
  const Data two{{"a.json", json()}, {"b.json", json(kOtherId, kOtherSecret)}};
  EXPECT_EQ(found(two, spec(Preset::kAwsJson)), "SourceKeysAmbiguous");
  EXPECT_THAT(message(two, spec(Preset::kAwsJson)), AllOf(HasSubstr("\"a.json\""), HasSubstr("\"b.json\""),
                                                          HasSubstr("keys.file"), HasSubstr("535")));
  EXPECT_EQ(found(two, spec(Preset::kAwsJson, file("b.json"))), kOtherPair);
  EXPECT_EQ(found(two, spec(Preset::kAwsJson, file("c.json"))), "SourceKeysNotFound");
  EXPECT_THAT(message(two, spec(Preset::kAwsJson, file("c.json"))),
              AllOf(HasSubstr("\"c.json\" is not there"), HasSubstr("535"), HasSubstr("keys.file")));
  EXPECT_EQ(found({{"a.json", " \n"}}, spec(Preset::kAwsJson, file("a.json"))), "SourceValueEmpty");
}

TEST(Presets, WhereADocumentHasNoRegionTheKeyRegionCounts) {
  EXPECT_EQ(found({{"credentials", ini() + "region = eu-west-1\n"}, {"region", "eu-west-2"}}),
            kPair + " eu-west-1");
  EXPECT_EQ(found({{"credentials", ini()}, {"region", "eu-west-2"}}), kPair + " eu-west-2");
  EXPECT_EQ(found({{"keys.csv", csv()}, {"region", "eu-west-2"}}), kPair + " eu-west-2");
}

TEST(Presets, TheRegionOfADocumentIsNamedByItsPlace) {
  const auto source = read({{"credentials", ini() + "region = Dublin\n"}}, spec(Preset::kAuto));
  ASSERT_TRUE(source);
  EXPECT_EQ(source->region_place, "region of profile \"default\" in key \"credentials\" of Secret \"iam\"");
  EXPECT_FALSE(source->region);
}

TEST(Presets, ADocumentsProblemSaysItsKeyAndWhatComesOfIt) {
  struct Case {
    Data data;
    Preset preset;
    const char* reason;
    const char* says;
  };
  const std::string smtp = "IAM user name,SMTP user name,SMTP password\nshop," + kId + "," + kPassword + "\n";
  for (const Case& one : std::vector<Case>{
           {{{"credentials", ini(kId, kSecret, "shop")}},
            Preset::kAwsCredentialsFile,
            "SourceKeysNotFound",
            "found \"shop\""},
           {{{"credentials", "[default]\naws_access_key_id = " + kId}},
            Preset::kAwsCredentialsFile,
            "SourceKeysNotFound",
            "no aws_secret_access_key of profile \"default\" in key \"credentials\""},
           {{{"credentials", ini(kId, "")}},
            Preset::kAwsCredentialsFile,
            "SourceValueEmpty",
            "aws_secret_access_key of profile \"default\" in key \"credentials\""},
           {{{"credentials", ini() + "aws_session_token = SENTINEL\n"}},
            Preset::kAwsCredentialsFile,
            "TemporaryCredentials",
            "aws_session_token of profile \"default\" in key \"credentials\""},
           {{{"a.json", "{" + kSecret}}, Preset::kAwsJson, "SourceValueMalformed", "not valid JSON at byte"},
           {{{"a.json", "{}"}}, Preset::kAwsJson, "SourceKeysNotFound", "AccessKeyId"},
           {{{"a.json", json(kId, kPassword)}},
            Preset::kAwsJson,
            "AlreadyDerivedPassword",
            "AccessKey.SecretAccessKey in key \"a.json\""},
           {{{"a.csv", smtp}}, Preset::kAccessKeysCsv, "AlreadyDerivedPassword", "SMTP credentials"},
           {{{"a.csv", csv() + kOtherId + "," + kOtherSecret + "\n"}},
            Preset::kAccessKeysCsv,
            "SourceKeysAmbiguous",
            "2 rows"},
           {{{"a.csv", csv(kSecret, kId)}},
            Preset::kAccessKeysCsv,
            "SourceKeysSwapped",
            "column \"Secret access key\" in key \"a.csv\""},
           {{{"a.csv", csv("AIDACKCEVSQ6C2EXAMPLE", kSecret)}},
            Preset::kAccessKeysCsv,
            "NotAnAccessKeyId",
            "column \"Access key ID\" in key \"a.csv\""},
       }) {
    SCOPED_TRACE(one.reason);
    EXPECT_EQ(found(one.data, spec(one.preset)), one.reason);
    EXPECT_THAT(message(one.data, spec(one.preset)),
                AllOf(HasSubstr(one.says), HasSubstr(one.data.begin()->first), HasSubstr("Secret \"iam\""),
                      HasSubstr("535"), Not(HasSubstr(kId)), Not(HasSubstr(kSecret)),
                      Not(HasSubstr(kPassword)), Not(HasSubstr("SENTINEL"))));
  }
}

TEST(Auto, TwoDifferentKeysAreAmbiguousWhateverTheirShapes) {
  const std::vector<std::pair<Data, std::string>> shapes = {
      {{{"accessKeyId", kId}, {"secretAccessKey", kSecret}}, "accessKeyId"},
      {{{"username", kId}, {"password", kSecret}}, "username"},
      {{{"id", kId}, {"secret", kSecret}}, "id"},
      {{{"credentials", ini()}}, "credentials"},
      {{{"a.json", json()}}, "a.json"},
      {{{"a.csv", csv()}}, "a.csv"}};
  const Data other{{"access_key", kOtherId}, {"secret_key", kOtherSecret}};
  for (const auto& [shape, name] : shapes) {
    EXPECT_EQ(found(with(shape, other)), "SourceKeysAmbiguous") << name;
    EXPECT_THAT(message(with(shape, other)), AllOf(HasSubstr("\"access_key\" (preset Vault)"),
                                                   HasSubstr(in_quotes(name)), HasSubstr("535")));
    EXPECT_EQ(found(with(shape, other), spec(Preset::kVault)), kOtherPair) << "the preset decides";
  }
}

TEST(Auto, TheSamePairTwiceIsOneKey) {
  // As OpenShift's Cloud Credential Operator writes it.
  const Data minted{{"aws_access_key_id", kId}, {"aws_secret_access_key", kSecret}, {"credentials", ini()}};
  EXPECT_EQ(found(minted), kPair);
  Data data = minted;
  data["credentials"] = ini() + "region = eu-west-1\n";
  EXPECT_EQ(found(data), kPair + " eu-west-1");
  data["credentials"] = ini() + "aws_session_token = x\n";
  EXPECT_EQ(found(data), "TemporaryCredentials") << "whichever of them says it";
  data["credentials"] = ini(kId, kOtherSecret);
  EXPECT_EQ(found(data), "SourceKeysAmbiguous");
}

TEST(Auto, ALoginIsNoKey) {
  const Data login{{"username", "postgres"}, {"password", "hunter2-SENTINEL"}};
  EXPECT_EQ(found(login), "SourceKeysNotFound");
  EXPECT_THAT(message(login), AllOf(HasSubstr("database"), HasSubstr("not an IAM key"), HasSubstr("535"),
                                    Not(HasSubstr("postgres")), Not(HasSubstr("SENTINEL"))));
  EXPECT_EQ(found(with(login, {{"accessKeyId", kId}, {"secretAccessKey", kSecret}})), kPair)
      << "and it is not in the way of one";
  EXPECT_EQ(found({{"id", "42"}, {"secret", "SENTINEL"}}), "SourceKeysNotFound");
  EXPECT_THAT(message({{"id", "42"}, {"secret", "SENTINEL"}}), Not(HasSubstr("database")));
}

TEST(Auto, KnowsAKeyByItsIdInEveryShape) {
  EXPECT_EQ(found({{"username", "ASIAIOSFODNN7EXAMPLE"}, {"password", kSecret}}), "TemporaryCredentials");
  EXPECT_EQ(found({{"username", kId}, {"password", kPassword}}), "AlreadyDerivedPassword") << "an SMTP login";
  EXPECT_EQ(found({{"username", kSecret}, {"password", kId}}), "SourceKeysSwapped");
  EXPECT_EQ(found({{"id", ' ' + kId + '\n'}, {"secret", kSecret}}), kPair);
}

TEST(Auto, TakesNoOtherIdsButSaysHow) {
  const Data vendor{{"accessKeyId", "vendor_key_id_0123"}, {"secretAccessKey", kSecret}};
  EXPECT_EQ(found(vendor), "SourceKeysNotFound");
  EXPECT_THAT(message(vendor), AllOf(HasSubstr("\"accessKeyId\""), HasSubstr("AKIA"), HasSubstr("535"),
                                     HasSubstr("spec.source.preset: Plain"), Not(HasSubstr("vendor_key"))));
  EXPECT_EQ(found(vendor, spec(Preset::kPlain)), "vendor_key_id_0123 " + kSecret);
  EXPECT_EQ(found(vendor, spec(Preset::kAuto, keys("accessKeyId", "secretAccessKey"))),
            "vendor_key_id_0123 " + kSecret)
      << "names that are given leave nothing to guess";
}

TEST(Auto, AKeyIsFoundBesideWhatIsSpoilt) {
  const Data key{{"access_key", kId}, {"secret_key", kSecret}};
  EXPECT_EQ(found(with(key, {{"accessKeyId", "AIDACKCEVSQ6C2EXAMPLE"}, {"secretAccessKey", "x"}})), kPair);
  EXPECT_EQ(found(with(key, {{"credentials", "[shop]\n"}, {"a.json", "{"}, {"a.csv", "a,b\n"}})), kPair);
}

TEST(Auto, ADocumentThatDoesNotDoIsReportedAsWhatItIs) {
  EXPECT_THAT(message({{"credentials", ini(kId, kSecret, "shop")}}),
              AllOf(HasSubstr("no profile \"default\""), HasSubstr("\"shop\"")));
  EXPECT_EQ(found({{"credentials", ini(kId, kSecret, "shop")}}, spec(Preset::kAuto, {}, "shop")), kPair);
  EXPECT_EQ(found({{"a.csv", "IAM user name,SMTP user name,SMTP password\ns," + kId + "," + kPassword}}),
            "AlreadyDerivedPassword");
  EXPECT_THAT(message({{"a.json", "{\"password\": \"SENTINEL\"}"}}),
              AllOf(HasSubstr("no IAM key"), Not(HasSubstr("SENTINEL"))));
}

}  // namespace
}  // namespace sessmtp::api
