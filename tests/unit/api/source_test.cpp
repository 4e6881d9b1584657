#include "api/source.h"

#include <gmock/gmock.h>

#include <map>

#include "base/base64.h"

namespace sessmtp::api {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

using Data = std::map<std::string, std::string>;

const std::string kId = "AKIAIOSFODNN7EXAMPLE";
const std::string kSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const std::string kOtherId = "AKIAI44QH8DHBEXAMPLE";
const std::string kOtherSecret = "je7MtGbClwBF/2Zp9Utk/h3yCo8nvbEXAMPLEKEY";

kube::Secret secret(const Data& data) {
  kube::Secret result;
  result.meta.name = "iam";
  for (const auto& [key, value] : data) {
    result.data.emplace(key, SecretBytes(value));
  }
  return result;
}

// What stands between the first two quotes.
std::string quoted(const std::string& text) {
  const std::size_t begin = text.find('"') + 1;
  return text.substr(begin, text.find('"', begin) - begin);
}

// "id secret region-key=region", or the reason of the refusal.
std::string found(const Data& data, const SourceKeys& keys = {}) {
  const auto source = read_source(secret(data), {.secret_name = {}, .keys = keys});
  if (!source) {
    return std::string(to_string(source.error().reason));
  }
  return std::string(source->key.access_key_id.expose()) + ' ' +
         std::string(source->key.secret_access_key.expose()) +
         (source->region_place.empty()
              ? ""
              : ' ' + quoted(source->region_place) + '=' + source->region.value_or("?"));
}

std::string message(const Data& data, const SourceKeys& keys = {}) {
  const auto source = read_source(secret(data), {.secret_name = {}, .keys = keys});
  return source ? "accepted" : source.error().message;
}

const std::string kPair = kId + ' ' + kSecret;
const std::string kOtherPair = kOtherId + ' ' + kOtherSecret;

Data plain() {
  return {{"accessKeyId", kId}, {"secretAccessKey", kSecret}};
}
Data env() {
  return {{"AWS_ACCESS_KEY_ID", kOtherId}, {"AWS_SECRET_ACCESS_KEY", kOtherSecret}};
}
Data with(Data data, const Data& more) {
  data.merge(Data(more));
  return data;
}

TEST(ReadSource, KnowsTheShapes) {
  EXPECT_EQ(found(plain()), kPair);
  EXPECT_EQ(found(with(plain(), {{"region", "eu-west-1"}})), kPair + " region=eu-west-1");
  EXPECT_EQ(found(env()), kOtherPair);
  EXPECT_EQ(found({{"aws_access_key_id", kId}, {"aws_secret_access_key", kSecret}}), kPair);
  EXPECT_EQ(found({{"AWS_ACCESS_KEY_ID", kId}, {"aws_secret_access_key", kSecret}}), kPair);
}

TEST(ReadSource, TwoCompleteKeysAreAmbiguousAndHalfOfOneIsNot) {
  EXPECT_EQ(found(with(plain(), env())), "SourceKeysAmbiguous");
  EXPECT_EQ(found(with(plain(), {{"AWS_ACCESS_KEY_ID", kOtherId}})), kPair);
  EXPECT_EQ(found({{"accessKeyId", kId}, {"AWS_SECRET_ACCESS_KEY", kSecret}}), "SourceKeysNotFound")
      << "halves of two shapes are no key";
}

TEST(ReadSource, NamedKeysTakeThePlaceOfTheKnownOnes) {
  const SourceKeys both{.access_key_id = "AWS_ACCESS_KEY_ID",
                        .secret_access_key = "AWS_SECRET_ACCESS_KEY",
                        .session_token = {},
                        .region = {}};
  EXPECT_EQ(found(with(plain(), env()), both), kOtherPair);
  const SourceKeys own{.access_key_id = "user.id",
                       .secret_access_key = "user.key",
                       .session_token = "user.token",
                       .region = "where"};
  const Data data{{"user.id", kId}, {"user.key", kSecret}, {"where", "eu-west-1"}, {"region", "us-east-1"}};
  EXPECT_EQ(found(data, own), kPair + " where=eu-west-1");
  EXPECT_EQ(found(with(data, {{"user.token", "SENTINEL"}}), own), "TemporaryCredentials");
  EXPECT_EQ(found(plain(), own), "SourceKeysNotFound");
  EXPECT_THAT(message(plain(), own), AllOf(HasSubstr("user.id"), HasSubstr("user.key")));
}

TEST(ReadSource, OneNamedKeyLeavesTheOthersAsTheyAre) {
  const SourceKeys region{
      .access_key_id = {}, .secret_access_key = {}, .session_token = {}, .region = "where"};
  EXPECT_EQ(found(with(plain(), {{"where", "eu-west-1"}, {"region", "us-east-1"}}), region),
            kPair + " where=eu-west-1");
  EXPECT_EQ(found(with(plain(), {{"region", "us-east-1"}}), region), kPair) << "the named one, or none";
  const SourceKeys token{.access_key_id = {}, .secret_access_key = {}, .session_token = "t", .region = {}};
  EXPECT_EQ(found(with(plain(), {{"t", "SENTINEL"}}), token), "TemporaryCredentials");
  EXPECT_EQ(found(with(plain(), {{"sessionToken", "SENTINEL"}}), token), kPair) << "the named one counts";
}

TEST(ReadSource, RegionKeysInTheirOrder) {
  EXPECT_EQ(found(with(plain(), {{"AWS_REGION", "eu-west-1"}})), kPair + " AWS_REGION=eu-west-1");
  EXPECT_EQ(found(with(plain(), {{"AWS_REGION", "eu-west-1"}, {"region", "eu-west-2"}})),
            kPair + " region=eu-west-2");
  EXPECT_EQ(found(with(
                env(),
                {{"AWS_DEFAULT_REGION", "eu-west-1"}, {"AWS_REGION", "eu-west-2"}, {"region", "eu-west-3"}})),
            kOtherPair + " AWS_REGION=eu-west-2");
  EXPECT_EQ(found(with(env(), {{"AWS_DEFAULT_REGION", "eu-west-1"}, {"region", "eu-west-3"}})),
            kOtherPair + " AWS_DEFAULT_REGION=eu-west-1");
  EXPECT_EQ(found(with(env(), {{"region", "eu-west-3"}})), kOtherPair + " region=eu-west-3");
}

TEST(ReadSource, ARegionIsTrimmedAndOnlyShownWhenItIsOne) {
  EXPECT_EQ(found(with(plain(), {{"region", " eu-west-1\n"}})), kPair + " region=eu-west-1");
  EXPECT_EQ(found(with(plain(), {{"region", " "}})), kPair) << "as good as none";
  EXPECT_EQ(found(with(plain(), {{"region", kOtherSecret}})), kPair + " region=?");
}

TEST(ReadSource, TokensOfTheShapeFoundAreRefused) {
  EXPECT_EQ(found(with(plain(), {{"sessionToken", "SENTINEL"}})), "TemporaryCredentials");
  EXPECT_EQ(found(with(plain(), {{"sessionToken", " \n"}})), kPair);
  EXPECT_EQ(found(with(env(), {{"AWS_SESSION_TOKEN", "SENTINEL"}})), "TemporaryCredentials");
  EXPECT_EQ(found(with(env(), {{"aws_session_token", "SENTINEL"}})), "TemporaryCredentials");
}

TEST(ReadSource, MessagesOfEveryFaultSayWhereItIsAndWhatComesOfItAndNeverAValue) {
  struct Case {
    Data data;
    const char* reason;
    const char* key;
    const char* advice;
  };
  const auto changed = [](const std::string& key, const std::string& value) {
    Data data = plain();
    data[key] = value;
    return data;
  };
  const std::string quoted = '"' + kSecret + '"';
  const std::vector<Case> cases = {
      {changed("accessKeyId", ""), "SourceValueEmpty", "\"accessKeyId\"", "put the access key id"},
      {changed("secretAccessKey", "\n"), "SourceValueEmpty", "\"secretAccessKey\"",
       "put the secret access key"},
      {changed("accessKeyId", "ASIAIOSFODNN7SENTINE"), "TemporaryCredentials", "\"accessKeyId\"", "IAM user"},
      {changed("sessionToken", "SENTINEL"), "TemporaryCredentials", "\"sessionToken\"", "IAM user"},
      {changed("secretAccessKey", "BLBM/9hSUELfq8Gw+rU1YcBjkOxGbhT2XG763xVLGWL9"), "AlreadyDerivedPassword",
       "\"secretAccessKey\"", "put the secret access key"},
      {{{"accessKeyId", kSecret}, {"secretAccessKey", kId}},
       "SourceKeysSwapped",
       "\"secretAccessKey\"",
       "put each in its place"},
      {changed("accessKeyId", "AIDACKCEVSQ6C2SENTINEL"), "NotAnAccessKeyId", "\"accessKeyId\"",
       "begins with AKIA"},
      {changed("accessKeyId", '"' + kId + '"'), "NotAnAccessKeyId", "\"accessKeyId\"", "without quotes"},
      {changed("secretAccessKey", "wJalr XUtnFEMI/SENTINEL"), "SourceValueMalformed", "\"secretAccessKey\"",
       "store the bare key"},
      {changed("secretAccessKey", quoted), "SourceValueMalformed", "\"secretAccessKey\"", "quotes around it"},
      {changed("secretAccessKey", base64_encode(kSecret)), "SourceValueDoubleEncoded", "\"secretAccessKey\"",
       "encode it once"},
      {changed("accessKeyId", base64_encode(kId)), "SourceValueDoubleEncoded", "\"accessKeyId\"",
       "encode it once"},
      {with(plain(), env()), "SourceKeysAmbiguous", "\"AWS_ACCESS_KEY_ID\"", "spec.source.preset"},
      {{{"user", "SENTINEL"}, {"accessKeyId", kId}},
       "SourceKeysNotFound",
       "found accessKeyId, user",
       "spec.source.keys"},
      {{}, "SourceKeysNotFound", "found no keys", "spec.source.preset"},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(found(one.data), one.reason);
    EXPECT_THAT(message(one.data), AllOf(HasSubstr(one.key), HasSubstr("Secret \"iam\""), HasSubstr("535"),
                                         HasSubstr(one.advice)))
        << one.reason;
    EXPECT_LE(message(one.data).size(), 1000U) << "an event takes no more";
    for (const auto& [key, value] : one.data) {
      if (value.size() > 2) {
        EXPECT_THAT(message(one.data), Not(HasSubstr(value))) << one.reason;
      }
    }
  }
}

TEST(ReadSource, AMessageNamesTenKeysAtMost) {
  Data data;
  for (char c = 'a'; c <= 'z'; ++c) {
    data[std::string(3, c)] = "x";
  }
  EXPECT_THAT(message(data), AllOf(HasSubstr("found aaa, bbb"), HasSubstr("jjj, …"), Not(HasSubstr("kkk"))));
}

TEST(ReadSource, CautionsDoNotStopIt) {
  const auto trimmed = read_source(secret({{"accessKeyId", kId + '\n'}, {"secretAccessKey", kSecret}}), {});
  ASSERT_TRUE(trimmed);
  ASSERT_EQ(trimmed->cautions.size(), 1U);
  EXPECT_EQ(trimmed->cautions[0].reason, EventReason::kWhitespaceTrimmed);
  EXPECT_EQ(trimmed->key.access_key_id.expose(), kId);
  const auto unusual = read_source(secret({{"accessKeyId", kId}, {"secretAccessKey", kSecret + "x"}}), {});
  ASSERT_TRUE(unusual);
  ASSERT_EQ(unusual->cautions.size(), 1U);
  EXPECT_EQ(unusual->cautions[0].reason, EventReason::kUnusualKeyLength);
  EXPECT_THAT(read_source(secret(plain()), {})->cautions, IsEmpty());
}

std::string region(const std::optional<std::string>& in_spec, const Data& more) {
  const auto source = read_source(secret(with(plain(), more)), {});
  Spec spec;
  spec.source.secret_name = "iam";
  spec.region = in_spec;
  const auto chosen = choose_region(spec, *source);
  return chosen ? *chosen : std::string(to_string(chosen.error().reason)) + ": " + chosen.error().message;
}

TEST(ChooseRegion, TheSpecWinsOverTheSource) {
  EXPECT_EQ(region("eu-west-2", {{"region", "eu-west-1"}}), "eu-west-2");
  EXPECT_EQ(region("eu-west-2", {{"region", "nonsense"}}), "eu-west-2");
  EXPECT_EQ(region({}, {{"region", "eu-west-1"}}), "eu-west-1");
}

TEST(ChooseRegion, WhatIsMissingOrNoRegionIsSaid) {
  EXPECT_THAT(region({}, {}),
              AllOf(HasSubstr("RegionMissing: "), HasSubstr("spec.region"), HasSubstr("535")));
  EXPECT_THAT(region({}, {{"region", "EU-WEST-1a"}}),
              AllOf(HasSubstr("RegionInvalid: key \"region\" of Secret \"iam\""),
                    HasSubstr("did you mean eu-west-1?"), HasSubstr("535"), Not(HasSubstr("EU-WEST"))));
  EXPECT_THAT(region({}, {{"region", kOtherSecret}}),
              AllOf(HasSubstr("RegionInvalid: "), Not(HasSubstr(kOtherSecret))));
  EXPECT_THAT(region("nonsense", {{"region", "eu-west-1"}}),
              AllOf(HasSubstr("RegionInvalid: spec.region"), HasSubstr("535")));
}

}  // namespace
}  // namespace sessmtp::api
