#include "kube/json_splitter.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <vector>

namespace sessmtp::kube {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::IsEmpty;

struct Parts {
  std::vector<std::string> objects;
  std::string envelope;
};

Parts split(const std::string& member, const std::vector<std::string>& pieces,
            std::size_t max_object = LineSplitter::kMaxLine) {
  Parts parts;
  JsonSplitter splitter(
      member, [&parts](std::string_view text) { parts.objects.emplace_back(text); }, max_object);
  for (const std::string& piece : pieces) {
    splitter.feed(piece);
  }
  parts.envelope = splitter.envelope();
  return parts;
}

// What nlohmann/json finds in the whole text, to compare with.
std::vector<json> items_of(const std::string& text) {
  return json::parse(text).at("items").get<std::vector<json>>();
}

TEST(JsonSplitter, GivesTheSameObjectsWhereverTheListIsCut) {
  const std::string list =
      R"({"kind":"SecretList","items":"no","metadata":{"items":[{"no":1}],"resourceVersion":"5"},)"
      R"( "items" : [ {"a":"x\"}],{"} , {"b":{"c":[{},[{}]]}},{}] ,"more":[{"no":2}]})";
  ASSERT_TRUE(json::accept(list));
  const auto expected = items_of(list);
  ASSERT_EQ(expected.size(), 3U);
  for (std::size_t i = 0; i <= list.size(); ++i) {
    for (std::size_t j = i; j <= list.size(); j += 7) {
      const Parts parts = split("items", {list.substr(0, i), list.substr(i, j - i), list.substr(j)});
      ASSERT_EQ(parts.objects.size(), expected.size()) << "cut at " << i << " and " << j;
      for (std::size_t k = 0; k < expected.size(); ++k) {
        EXPECT_EQ(json::parse(parts.objects[k]), expected[k]);
      }
      EXPECT_EQ(json::parse(parts.envelope).at("metadata").at("resourceVersion"), "5");
      EXPECT_TRUE(json::parse(parts.envelope).at("items").empty());
    }
  }
}

TEST(JsonSplitter, TakesTheObjectOutOfAnEvent) {
  const Parts parts = split("object", {R"({"type":"ADDED","object":{"metadata":{"name":"a"},"object":{}}})"});
  EXPECT_THAT(parts.objects, ElementsAre(R"({"metadata":{"name":"a"},"object":{}})"));
  EXPECT_EQ(json::parse(parts.envelope), json({{"type", "ADDED"}, {"object", nullptr}}));
}

TEST(JsonSplitter, AnObjectThatTheEndCutsOffIsNotHandedOver) {
  const Parts parts = split("items", {R"({"items":[{"a":1},{"b":)"});
  EXPECT_THAT(parts.objects, ElementsAre(R"({"a":1})"));
  EXPECT_FALSE(json::accept(parts.envelope));
}

TEST(JsonSplitter, OfAnObjectOverTheLimitAnEmptyTextIsHandedOver) {
  const Parts parts =
      split("items", {R"({"items":[{"a":1},{"long":")", std::string(100, 'x'), R"("},{"b":2}]})"}, 20);
  EXPECT_THAT(parts.objects, ElementsAre(R"({"a":1})", "", R"({"b":2})"));
  EXPECT_EQ(json::parse(parts.envelope), json({{"items", json::array()}}));
}

TEST(JsonSplitter, WhatIsNoObjectStaysInTheEnvelope) {
  EXPECT_EQ(json::parse(split("items", {R"({"items":[7]})"}).envelope), json({{"items", {7}}}));
  EXPECT_EQ(json::parse(split("items", {R"({"items":null})"}).envelope), json({{"items", nullptr}}));
  EXPECT_THAT(split("items", {R"([{"items":[{}]}])"}).objects, IsEmpty());
}

TEST(JsonSplitter, AHostileAnswerCostsNoMemory) {
  const std::string endless(std::size_t{1} << 20, '[');
  Parts parts = split("items", {endless, endless, endless});
  EXPECT_EQ(parts.envelope.size(), JsonSplitter::kMaxEnvelope);
  parts = split("items", {"}}}}]]]]", R"({"items":[{}]})"});
  EXPECT_THAT(parts.objects, ElementsAre("{}")) << "what is closed too often is as good as never opened";
}

}  // namespace
}  // namespace sessmtp::kube
