#include "kube/object.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "kube/secret.h"

namespace sessmtp::kube {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

TEST(DecodeMeta, ReadsWhatEveryKindShares) {
  const auto meta = decode_meta(json::parse(R"({"metadata": {
    "namespace": "shop", "name": "mail", "uid": "u", "resourceVersion": "7", "generation": 3,
    "creationTimestamp": "2026-11-22T08:00:00Z", "deletionTimestamp": "2026-11-22T09:00:00Z",
    "labels": {"a": "b"}, "annotations": {"c": "d"},
    "ownerReferences": [{"apiVersion": "v1", "kind": "K", "name": "n", "uid": "o", "controller": true}, {"uid": "p"}],
    "managedFields": [{"manager": "x"}]}})"));
  ASSERT_TRUE(meta);
  EXPECT_EQ(meta->key(), (NamespacedName{"shop", "mail"}));
  EXPECT_EQ(meta->generation, 3);
  EXPECT_EQ(to_rfc3339(meta->creation_timestamp), "2026-11-22T08:00:00Z");
  EXPECT_TRUE(meta->terminating);
  EXPECT_EQ(meta->label("a"), "b");
  EXPECT_EQ(meta->label("x"), "");
  EXPECT_EQ(meta->annotation("c"), "d");
  ASSERT_EQ(meta->owner_references.size(), 2U);
  EXPECT_EQ(meta->owner_references[0], (OwnerReference{"v1", "K", "n", "o", true}));
  EXPECT_FALSE(meta->owner_references[1].controller);
}

TEST(DecodeMeta, TakesHostileShapesForAbsent) {
  for (const char* extra :
       {R"("labels": 7)", R"("labels": {"a": {"b": 1}})", R"("annotations": ["x"])",
        R"("ownerReferences": {"uid": 1})",
        R"("ownerReferences": [7, null, {"controller": "yes", "uid": []}])", R"("generation": "many")",
        R"("creationTimestamp": "tomorrow")", R"("creationTimestamp": null)", R"("resourceVersion": 7)",
        R"("generation": 18446744073709551615)"}) {
    const auto meta =
        decode_meta(json::parse(R"({"metadata": {"name": "mail", "uid": "u", )" + std::string(extra) + "}}"));
    ASSERT_TRUE(meta) << extra;
    EXPECT_TRUE(meta->labels.empty() && meta->annotations.empty() && !meta->terminating) << extra;
  }
}

TEST(DecodeMeta, RefusesAnObjectThatCannotBeTold) {
  for (const char* text : {"null", "7", "[]", R"("x")", "{}", R"({"metadata": null})", R"({"metadata": []})",
                           R"({"metadata": {"name": "mail"}})", R"({"metadata": {"uid": "u"}})",
                           R"({"metadata": {"name": 7, "uid": "u"}})"}) {
    EXPECT_FALSE(decode_meta(json::parse(text))) << text;
    EXPECT_FALSE(decode_secret(json::parse(text))) << text;
  }
}

TEST(LaterVersion, ComparesAsNumbersAndClaimsNothingElse) {
  EXPECT_TRUE(later_version("10", "9"));
  EXPECT_FALSE(later_version("9", "10"));
  EXPECT_FALSE(later_version("9", "9"));
  EXPECT_TRUE(later_version("18446744073709551615", "18446744073709551614"));
  for (const char* strange : {"", "x", "7x", "-1", "18446744073709551616", " 8"}) {
    EXPECT_FALSE(later_version(strange, "7")) << strange;
    EXPECT_FALSE(later_version("7", strange)) << strange;
  }
}

json secret_with(json data) {
  return {{"metadata", {{"name", "iam"}, {"namespace", "shop"}, {"uid", "u"}}},
          {"type", "Opaque"},
          {"immutable", true},
          {"data", std::move(data)}};
}

TEST(DecodeSecret, ReadsTheValues) {
  const auto secret = decode_secret(secret_with({{"a", "AAEC/w=="}, {"empty", ""}}));
  ASSERT_TRUE(secret);
  EXPECT_EQ(secret->type, "Opaque");
  EXPECT_TRUE(secret->immutable);
  EXPECT_EQ(secret->data.at("a").expose(), std::string_view("\0\1\2\xff", 4));
  EXPECT_TRUE(secret->data.at("empty").empty());
}

TEST(DecodeSecret, WithoutDataHasNone) {
  EXPECT_TRUE(decode_secret(secret_with(nullptr))->data.empty());
  json bare = secret_with({});
  bare.erase("data");
  EXPECT_TRUE(decode_secret(bare)->data.empty());
}

TEST(DecodeSecret, NamesTheKeyThatIsNotBase64AndNotItsValue) {
  for (const json& value :
       {json("SENTINEL!"), json(7), json(nullptr), json::array({"SENTINEL"}), json("U0VOVA")}) {
    const auto secret = decode_secret(secret_with({{"good", "eA=="}, {"broken", value}}));
    ASSERT_FALSE(secret) << value;
    EXPECT_THAT(secret.error().message, AllOf(HasSubstr("data.broken"), Not(HasSubstr("SENTINEL"))));
  }
  EXPECT_FALSE(decode_secret(secret_with("text")));
  EXPECT_FALSE(decode_secret(secret_with(json::array({"x"}))));
}

TEST(EncodeSecret, IsAnIntentWithWhatIsSetAndNothingElse) {
  Secret secret;
  secret.meta.namespace_ = "shop";
  secret.meta.name = "mail";
  secret.type = "Opaque";
  secret.data.emplace("a", SecretBytes("\xff/"));
  EXPECT_EQ(encode_secret(secret), json::parse(R"({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
                            "metadata": {"namespace": "shop", "name": "mail"}, "data": {"a": "/y8="}})"));
}

}  // namespace
}  // namespace sessmtp::kube
