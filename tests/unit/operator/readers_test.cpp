#include "operator/readers.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "../kube/fake_clock.h"
#include "api/names.h"
#include "world.h"

namespace sessmtp::operator_ {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

json credential(const std::string& name, int version = 10) {
  return {{"apiVersion", api::kGroupVersion},
          {"kind", api::kKind},
          {"metadata",
           {{"namespace", "shop"},
            {"name", name},
            {"uid", "uid of " + name},
            {"generation", 1},
            {"resourceVersion", std::to_string(version)}}},
          {"spec", {{"source", {{"secretName", "iam"}}}}},
          {"status", {{"observedGeneration", -1}}}};
}

// As a metadata watch brings it, of a Secret made with `kubectl apply`.
json secret(const std::string& name, int version = 10) {
  return {
      {"apiVersion", "meta.k8s.io/v1"},
      {"kind", "PartialObjectMetadata"},
      {"metadata",
       {{"namespace", "shop"},
        {"name", name},
        {"uid", "uid of " + name},
        {"resourceVersion", std::to_string(version)},
        {"labels", {{std::string(api::kOwnerUidLabel), "uid of mail"}}},
        {"annotations",
         {{"kubectl.kubernetes.io/last-applied-configuration", R"({"data":{"secretAccessKey":"c2VjcmV0"}})"},
          {std::string(api::kCredentialAnnotation), "mail"}}},
        {"managedFields", {{{"manager", "kubectl"}, {"fieldsV1", {{"f:data", json::object()}}}}}}}}};
}

json with(json object, const char* where, const json& value) {
  object[json::json_pointer(where)] = value;
  return object;
}

std::string nested(const char* open, const char* close, int depth) {
  std::string text;
  for (int i = 0; i < depth; ++i) {
    text += open;
  }
  text += "1";
  for (int i = 0; i < depth; ++i) {
    text += close;
  }
  return text;
}

struct Bad {
  std::string text;
  std::string error;  // a part of it
};

// No object at all, whatever the kind.
std::vector<Bad> garbage() {
  return {
      {"", ""},
      {"null", "without metadata"},
      {"[]", "without metadata"},
      {"\"text\"", "without metadata"},
      {"{}", "without metadata"},
      {"{\"metadata\":", ""},
      {R"({"metadata":null})", "object without metadata"},
      {R"({"metadata":[]})", "without name or uid"},
      {R"({"metadata":{"name":7,"uid":{}}})", "without name or uid"},
      {R"({"metadata":{"name":"mail"}})", "without name or uid"},
      {R"({"metadata":{"uid":"u"}})", "without name or uid"},
      {"{\"metadata\":{\"name\":\"\xff\xfe\",\"uid\":\"u\"}}", ""},
      {std::string("\0\0\0", 3), ""},
      {"{\"metadata\":" + nested("[", "]", 100'000) + "}", ""},
      {"{\"metadata\":{\"annotations\":" + nested("{\"a\":", "}", 100'000) + "}}", ""},
  };
}

class ReadersTest : public testing::Test {
 protected:
  // "mail@10, news@11"
  [[nodiscard]] Names credentials() const {
    Names names;
    cache.each_credential([&names](const api::SesSmtpCredential& each) {
      names.push_back(each.meta.name + '@' + each.meta.resource_version);
    });
    return names;
  }
  [[nodiscard]] Sight source() const { return cache.observe({"shop", "mail"})->source; }
  void list(const std::vector<json>& objects) {
    credentials_reader.list_begins();
    for (const json& object : objects) {
      ASSERT_TRUE(credentials_reader.listed(object.dump()));
    }
    credentials_reader.list_ends();
  }
  void list_secrets(const std::vector<json>& objects) {
    secrets_reader.list_begins();
    for (const json& object : objects) {
      ASSERT_TRUE(secrets_reader.listed(object.dump()));
    }
    secrets_reader.list_ends();
  }
  template <class T>
  static std::string error_of(const Result<T>& result) {
    return result ? "(understood)" : result.error().message;
  }

  FakeClock clock;
  std::vector<kube::NamespacedName> woken;
  Cache cache{{""}, clock, [this](const kube::NamespacedName& key, kube::Priority) { woken.push_back(key); }};
  CredentialReader credentials_reader{cache, ""};
  SecretReader secrets_reader{cache, ""};
};

TEST_F(ReadersTest, WhatIsNoCredentialChangesNothing) {
  list({credential("mail"), credential("news")});
  list_secrets({secret("iam")});
  const Sight before = source();
  woken.clear();
  for (const Bad& bad : garbage()) {
    SCOPED_TRACE(bad.text.substr(0, 80));
    EXPECT_THAT(error_of(credentials_reader.put(bad.text)), HasSubstr(bad.error));
    EXPECT_THAT(error_of(credentials_reader.remove(bad.text)), HasSubstr(bad.error));
    EXPECT_THAT(error_of(secrets_reader.put(bad.text)), HasSubstr(bad.error));
    EXPECT_THAT(error_of(secrets_reader.remove(bad.text)), HasSubstr(bad.error));
    EXPECT_FALSE(credentials_reader.put(bad.text));
    EXPECT_FALSE(credentials_reader.remove(bad.text));
    EXPECT_FALSE(secrets_reader.put(bad.text));
    EXPECT_FALSE(secrets_reader.remove(bad.text));
  }
  EXPECT_THAT(credentials(), ElementsAre("mail@10", "news@10"));
  EXPECT_EQ(source(), before);
  EXPECT_THAT(woken, IsEmpty());
}

TEST_F(ReadersTest, ACredentialThatCannotBeUnderstoodIsNamed) {
  for (const auto& [where, value] :
       std::vector<std::pair<const char*, json>>{{"/spec", 7},
                                                 {"/spec", nullptr},
                                                 {"/spec/source", json::array()},
                                                 {"/spec/source/secretName", {{"a", 1}}},
                                                 {"/spec/endpoint", {{"port", 0}}},
                                                 {"/spec/endpoint", {{"port", "587"}}},
                                                 {"/spec/endpoint", {{"tls", "Maybe"}}}}) {
    const json object = with(credential("mail"), where, value);
    EXPECT_THAT(error_of(credentials_reader.put(object.dump())), HasSubstr("shop/mail")) << object;
  }
  EXPECT_THAT(credentials(), IsEmpty());
}

TEST_F(ReadersTest, ACredentialThatCannotBeUnderstoodLeavesTheOthersAlone) {
  credentials_reader.list_begins();
  EXPECT_TRUE(credentials_reader.listed(credential("mail").dump()));
  EXPECT_FALSE(credentials_reader.listed(with(credential("bad"), "/spec", json::array()).dump()));
  EXPECT_FALSE(credentials_reader.listed("{\xff"));
  EXPECT_TRUE(credentials_reader.listed(credential("news").dump()));
  credentials_reader.list_ends();
  EXPECT_THAT(credentials(), ElementsAre("mail@10", "news@10"));
}

TEST_F(ReadersTest, AStatusThatCannotBeUnderstoodIsWrittenAnew) {
  list({with(credential("mail"), "/status", "text"),
        with(credential("news"), "/status", {{"observedGeneration", "one"}})});
  ASSERT_THAT(credentials(), ElementsAre("mail@10", "news@10"));
  cache.each_credential(
      [](const api::SesSmtpCredential& each) { EXPECT_EQ(each.status, api::Status()) << each.meta.name; });
}

TEST_F(ReadersTest, AKnownCredentialThatBecomesUnreadableStaysAsItWas) {
  list({credential("mail", 10)});
  EXPECT_FALSE(credentials_reader.put(with(credential("mail", 11), "/spec/source", 1).dump()));
  EXPECT_THAT(credentials(), ElementsAre("mail@10"));
}

TEST_F(ReadersTest, ACredentialIsRemovedByItsMetadataAlone) {
  list({credential("mail")});
  EXPECT_TRUE(credentials_reader.remove(with(credential("mail"), "/spec", 7).dump()));
  EXPECT_THAT(credentials(), IsEmpty());
}

TEST_F(ReadersTest, AListThatDoesNotEndLeavesNoTrace) {
  list({credential("mail", 10)});
  list_secrets({secret("iam", 10)});
  const Sight before = source();
  woken.clear();
  credentials_reader.list_begins();
  EXPECT_TRUE(credentials_reader.listed(credential("ghost", 20).dump()));
  EXPECT_TRUE(credentials_reader.listed(credential("mail", 20).dump()));
  secrets_reader.list_begins();
  EXPECT_TRUE(secrets_reader.listed(secret("iam", 20).dump()));
  EXPECT_THAT(credentials(), ElementsAre("mail@10"));
  EXPECT_EQ(source(), before);
  EXPECT_THAT(woken, IsEmpty());

  list({credential("mail", 12), credential("news", 12)});
  EXPECT_THAT(credentials(), ElementsAre("mail@12", "news@12")) << "nothing of the aborted one";
  list_secrets({});
  EXPECT_EQ(source().presence, Presence::kAbsent) << "although the aborted one had it";
}

TEST_F(ReadersTest, OfASecretOnlyWhatIsNeededIsKept) {
  list({credential("mail")});
  list_secrets({secret("iam", 10), secret("other", 10)});
  EXPECT_EQ(source().record, (SecretRecord{.version = {.uid = "uid of iam", .resource_version = "10"},
                                           .terminating = false,
                                           .managed = false,
                                           .owner_uid = "uid of mail",
                                           .credential_name = "mail"}));
  EXPECT_TRUE(secrets_reader.put(secret("iam", 11).dump()));
  EXPECT_EQ(source().record.version.resource_version, "11");
  EXPECT_TRUE(secrets_reader.remove(secret("iam", 12).dump()));
  EXPECT_EQ(source().presence, Presence::kAbsent);
}

TEST_F(ReadersTest, WhatKubectlLeavesBehindIsNotKept) {
  json object = credential("mail");
  object["metadata"]["annotations"] = {{"kubectl.kubernetes.io/last-applied-configuration", "{\"a\":1}"},
                                       {"b", "2"}};
  object["metadata"]["managedFields"] = {{{"manager", "kubectl"}}};
  list({object});
  EXPECT_THAT(cache.observe({"shop", "mail"})->credential.meta.annotations,
              ElementsAre(testing::Pair("b", "2")));
}

TEST_F(ReadersTest, AHugeObjectIsReadAndWhatIsNotNeededForgotten) {
  list({credential("mail")});
  json huge = secret("iam", 11);
  huge["metadata"]["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] =
      std::string(1 << 20, 'x');
  huge["metadata"]["managedFields"] = json::array();
  for (int i = 0; i < 20'000; ++i) {
    huge["metadata"]["managedFields"].push_back({{"manager", std::to_string(i)}});
  }
  huge["data"]["large"] = std::string(1 << 20, 'y');
  EXPECT_TRUE(secrets_reader.put(huge.dump()));
  EXPECT_EQ(source().record.version.resource_version, "11");
}

TEST_F(ReadersTest, NoErrorQuotesAValue) {
  json object = secret("iam");
  object["metadata"].erase("uid");
  object["data"] = {{"secretAccessKey", "dG9wc2VjcmV0"}};
  const std::string text = object.dump();
  for (const std::string& bad : {text, text.substr(0, text.size() - 3), text + "dG9wc2VjcmV0"}) {
    const auto answer = secrets_reader.put(bad);
    ASSERT_FALSE(answer);
    EXPECT_THAT(answer.error().message, Not(HasSubstr("dG9w")));
  }
}

TEST_F(ReadersTest, LostEventsAndRefusalsReachTheCache) {
  list({credential("mail")});
  list_secrets({secret("iam")});
  secrets_reader.lost();
  EXPECT_EQ(source().presence, Presence::kUnknown);
  secrets_reader.refused({});
  EXPECT_EQ(source().presence, Presence::kForbidden);
  EXPECT_TRUE(cache.filled(""));
  credentials_reader.refused({});
  EXPECT_THAT(credentials(), IsEmpty());
}

}  // namespace
}  // namespace sessmtp::operator_
