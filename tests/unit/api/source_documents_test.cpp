#include "api/source_documents.h"

#include <gmock/gmock.h>

namespace sessmtp::api {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const std::string kId = "AKIAIOSFODNN7EXAMPLE";
const std::string kSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const std::string kPairOnly = kId + '|' + kSecret + "|-|-";

using Values = Result<SourceValues, DocumentProblem>;

// "id|secret|token|region", "-" for what is absent; or the reason and "!" when it is plainly such a document.
std::string shown(const Values& values) {
  if (!values) {
    return std::string(to_string(values.error().problem.reason)) + (values.error().recognised ? "!" : "");
  }
  std::string text;
  for (const SourceValue* value :
       {&values->access_key_id, &values->secret_access_key, &values->session_token, &values->region}) {
    text += (text.empty() ? "" : "|") + (value->bytes ? std::string(value->bytes->expose()) : "-");
  }
  return text;
}

std::string ini(const std::string& text, const std::string& profile = "default") {
  return shown(read_credentials_file(text, profile));
}
std::string ini_message(const std::string& text) {
  const auto values = read_credentials_file(text, "default");
  return values ? "accepted" : values.error().problem.message;
}
std::string json(const std::string& text) {
  return shown(read_aws_json(text));
}
std::string csv(const std::string& text) {
  return shown(read_access_keys_csv(text));
}

const std::string kKey = "aws_access_key_id = " + kId + "\naws_secret_access_key = " + kSecret + "\n";

TEST(CredentialsFile, IsReadAsTheSdksDo) {
  EXPECT_EQ(ini("[default]\n" + kKey), kPairOnly);
  EXPECT_EQ(ini("\xEF\xBB\xBF[default]\r\naws_access_key_id=" + kId + "\r\naws_secret_access_key=" + kSecret +
                "\r\n"),
            kPairOnly);
  EXPECT_EQ(ini("# first\n; second\n\n[ default ] # third\nAWS_Access_Key_Id\t=\t" + kId +
                " # fourth\naws_secret_access_key = " + kSecret + "\t; fifth"),
            kPairOnly);
  EXPECT_EQ(ini("  [default]\n  aws_access_key_id = " + kId + "\n  aws_secret_access_key = " + kSecret),
            kPairOnly)
      << "indented as a whole";
  EXPECT_EQ(ini("[default]\n" + kKey + "aws_session_token = t\nregion = eu-west-1\noutput = json\n"),
            kId + '|' + kSecret + "|t|eu-west-1");
  EXPECT_EQ(ini("[default]\naws_access_key_id = a#b;c=d\n"), "a#b;c=d|-|-|-") << "no comment without a space";
}

TEST(CredentialsFile, OnlyTheProfileCounts) {
  const std::string two =
      "[other]\naws_access_key_id = x\n[default]\n" + kKey + "[shop]\naws_session_token = x\n";
  EXPECT_EQ(ini(two), kPairOnly);
  EXPECT_EQ(ini(two, "other"), "x|-|-|-");
  EXPECT_EQ(
      ini("[default]\naws_access_key_id = " + kId + "\n[x]\n[default]\naws_secret_access_key = " + kSecret),
      kPairOnly)
      << "in several places";
  EXPECT_EQ(ini("aws_session_token = x\n[default]\n" + kKey), kPairOnly) << "before any profile";
}

TEST(CredentialsFile, NamesTheProfilesWhenOneIsMissing) {
  EXPECT_EQ(ini("[shop]\n" + kKey + "[profile default]\n" + kKey), "SourceKeysNotFound!");
  EXPECT_THAT(ini_message("[shop]\n[profile default]\n[shop]\n"),
              AllOf(HasSubstr("found \"shop\", \"profile default\")"), HasSubstr("535"),
                    HasSubstr("spec.source.profile")));
  EXPECT_EQ(ini("[shop]\n" + kKey, "Shop"), "SourceKeysNotFound!");
  EXPECT_EQ(ini(kKey), "SourceKeysNotFound");
  EXPECT_THAT(ini_message(kKey),
              AllOf(HasSubstr("no profile at all"), Not(HasSubstr(kId)), Not(HasSubstr(kSecret))));
}

TEST(CredentialsFile, ShowsNoProfileThatMayBeAValue) {
  EXPECT_THAT(
      ini_message('[' + kId + "]\n[" + kSecret + "]\n[a\x01z]\n"),
      AllOf(HasSubstr("found others"), Not(HasSubstr(kId)), Not(HasSubstr(kSecret)), Not(HasSubstr("\x01"))));
}

TEST(CredentialsFile, AnIndentedLineGoesOnWithTheValue) {
  EXPECT_EQ(ini("[default]\ns3 =\n  aws_access_key_id = nested\n" + kKey), kPairOnly);
  EXPECT_EQ(ini("[default]\naws_access_key_id = AKIA\n  EXAMPLE\n"), "AKIA\n  EXAMPLE|-|-|-")
      << "to be refused later";
  EXPECT_EQ(ini("[default]\naws_access_key_id =\n  AKIA\n  EXAMPLE\n"), "AKIA\n  EXAMPLE|-|-|-");
}

TEST(CredentialsFile, NothingIsGivenTwice) {
  EXPECT_EQ(ini("[default]\n" + kKey + "[default]\naws_access_key_id = x\n"), "SourceKeysAmbiguous!");
  EXPECT_EQ(ini("[default]\n" + kKey + "output = a\noutput = b\n"), kPairOnly) << "what matters is not";
}

TEST(AwsJson, IsReadFromEachOfItsPlaces) {
  const std::string pair = R"("AccessKeyId": ")" + kId + R"(", "SecretAccessKey": ")" + kSecret + '"';
  EXPECT_EQ(json('{' + pair + '}'), kPairOnly);
  EXPECT_EQ(json(R"({"AccessKey": {"UserName": "shop", "Status": "Active", )" + pair + "}}\n"), kPairOnly);
  EXPECT_EQ(json(R"({"Credentials": {)" + pair + R"(, "SessionToken": "t", "Expiration": "x"}})"),
            kId + '|' + kSecret + "|t|-");
  EXPECT_EQ(json(R"({"Code": "Success", )" + pair + R"(, "Token": "t", "Region": "eu-west-1"})"),
            kId + '|' + kSecret + "|t|eu-west-1");
  EXPECT_EQ(json(R"({"AccessKey": {)" + pair + R"(}, "Region": "eu-west-1"})"),
            kId + '|' + kSecret + "|-|eu-west-1");
  EXPECT_EQ(json('{' + pair + R"(, "SessionToken": null, "Token": ""})"), kPairOnly);
  EXPECT_EQ(json("\xEF\xBB\xBF{" + pair + '}'), kPairOnly);
  EXPECT_EQ(json(R"({"AccessKeyId": ")" + kId + R"(", "SecretAccessKey": 5})"), kId + "|-|-|-");
}

TEST(AwsJson, AnythingElseIsRefused) {
  EXPECT_EQ(json("[]"), "SourceValueMalformed");
  EXPECT_EQ(json("{"), "SourceValueMalformed");
  EXPECT_EQ(json(""), "SourceValueMalformed");
  EXPECT_EQ(json("{}"), "SourceKeysNotFound");
  EXPECT_EQ(json(R"({"Data": {"AccessKeyId": "a", "SecretAccessKey": "b"}})"), "SourceKeysNotFound");
  EXPECT_EQ(json(R"({"AccessKeyId": "a", "Credentials": {"AccessKeyId": "b"}})"), "SourceKeysAmbiguous!");
}

TEST(AwsJson, IsReadWithLimits) {
  EXPECT_EQ(json(std::string(5000, '[')), "SourceValueMalformed");
  EXPECT_EQ(json(R"({"AccessKeyId": ")" + std::string(kMaxDocument, 'x') + "\"}"), "SourceValueMalformed");
  EXPECT_EQ(csv(std::string(kMaxDocument + 1, '\n')), "SourceValueMalformed");
  EXPECT_EQ(ini("[default]\n" + kKey + std::string(kMaxDocument, '\n')), "SourceValueMalformed");
}

TEST(AccessKeysCsv, IsReadAsTheConsoleWritesIt) {
  EXPECT_EQ(csv("Access key ID,Secret access key\n" + kId + ',' + kSecret), kPairOnly);
  EXPECT_EQ(csv("\xEF\xBB\xBF\"Access key ID\",\"Secret access key\"\r\n\"" + kId + "\",\"" + kSecret +
                "\"\r\n\r\n"),
            kPairOnly);
  EXPECT_EQ(csv("User name,Password,Access key ID,Secret access key,Console login link\n\"a, \"\"b\"\"\",," +
                kId + ',' + kSecret + ",https://example.com\n"),
            kPairOnly);
  EXPECT_EQ(csv("Secret Access Key , Access Key Id\n" + kSecret + ',' + kId), kPairOnly);
}

TEST(AccessKeysCsv, AnythingElseIsRefused) {
  EXPECT_EQ(csv("Access key ID,Secret access key\n"), "SourceKeysNotFound!");
  EXPECT_EQ(csv("Access key ID,Secret access key\n" + kId), kId + "||-|-")
      << "an empty value, to be refused later";
  EXPECT_EQ(csv("Access key ID\n" + kId), "SourceKeysNotFound!");
  EXPECT_EQ(csv(kId + ',' + kSecret), "SourceKeysNotFound") << "without a header";
  EXPECT_EQ(csv(""), "SourceKeysNotFound");
  EXPECT_EQ(csv("Access key ID,Secret access key\na,b\n,\nc,d\n"), "SourceKeysAmbiguous!");
  EXPECT_EQ(csv("IAM user name,SMTP user name,SMTP password\na,b,c\n"), "AlreadyDerivedPassword!");
  EXPECT_EQ(csv("Access key ID,\"Secret access key"), "SourceKeysNotFound!") << "quotes that do not end";
}

}  // namespace
}  // namespace sessmtp::api
