#include "base/json.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace sessmtp {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string nested(std::size_t depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

TEST(ParseJson, ReadsADocument) {
  const auto document = parse_json(R"({"a": [1, "zwei", null]})");
  ASSERT_TRUE(document) << document.error().message;
  EXPECT_EQ(document->at("a").at(1), "zwei");
}

TEST(ParseJson, DepthIsLimited) {
  EXPECT_TRUE(parse_json(nested(kMaxJsonDepth)));
  EXPECT_FALSE(parse_json(nested(kMaxJsonDepth + 1)));
  EXPECT_FALSE(parse_json(R"({"a":{"b":{"c":1}}})", 2));
  EXPECT_TRUE(parse_json(R"({"a":{"b":{"c":1}}})", 3));
}

TEST(ParseJson, ADocumentThatWouldExhaustTheStackIsRefused) {
  EXPECT_FALSE(parse_json(nested(1'000'000)));
  EXPECT_FALSE(parse_json(std::string(1'000'000, '[')));  // never closed
}

TEST(ParseJson, BracketsInStringsAreNotDepth) {
  EXPECT_TRUE(parse_json('"' + std::string(1000, '[') + '"'));
  EXPECT_TRUE(parse_json(R"({"a": "\"[[[[", "b": "\\"})", 1));
  EXPECT_FALSE(parse_json(R"({"a": "\\", "b": [[1]]})", 2)) << "the escaped backslash ends the string";
}

TEST(ParseJson, ManySiblingsAreNotDepth) {
  std::string wide = "[";
  for (int i = 0; i < 1000; ++i) {
    wide += "[],";
  }
  EXPECT_TRUE(parse_json(wide + "[]]", 2));
}

TEST(ParseJson, ErrorsSayWhereAndNeverWhat) {
  for (const std::string& text :
       {std::string(R"({"password": "hunter2")"), std::string(R"({"password": hunter2})"),
        std::string("hunter2"), std::string("{\"hunter2\": \"\xff\"}"), std::string("{\"hunter2\": 1e99999}"),
        nested(200) + "hunter2"}) {
    const auto document = parse_json(text);
    ASSERT_FALSE(document) << text;
    EXPECT_EQ(document.error().code, ErrorCode::kInvalidInput);
    EXPECT_THAT(document.error().message, Not(HasSubstr("hunter")));
    EXPECT_THAT(document.error().message, HasSubstr("JSON"));
  }
  EXPECT_THAT(parse_json("[1,]").error().message, HasSubstr("byte 4"));
}

// The same by another way: everything is built, and what is not wanted is taken out again.
void take_out(nlohmann::json& value, const KeepMember& keep, int depth = 1) {
  if (value.is_object()) {
    for (auto member = value.begin(); member != value.end();) {
      if (keep(depth, member.key())) {
        take_out(*member, keep, depth + 1);
        ++member;
      } else {
        member = value.erase(member);
      }
    }
  }
}

TEST(ParseJson, LeavesOutMembersThatAreNotWanted) {
  const std::vector<std::string> documents = {
      R"({})",
      R"({"x":1})",
      R"({"a":1,"x":2})",
      R"({"x":1,"a":2})",
      R"({"a":1,"x":2,"b":3})",
      R"({"x":1,"x2":2,"a":3})",
      R"({"x":1,"x2":2})",
      R"({"a":0,"x":1,"x2":2,"b":3,"x3":4})",
      R"( { "a" : 1 , "x" : { "b" : [ 1 , { "c" : "}" } ] } , "d" : [ ] } )",
      R"({"x":"\"},{\\","a":"x"})",
      R"({"a":{"x":1,"b":{"x":[],"c":null,"x2":{}},"x3":""},"x":{"x":1}})",
      R"({"a":[{"b":1},{"c":{"d":2}}],"x":[1,[2,3]],"b":[]})",
      R"([{"a":1},{"b":[2]}])",
      R"("x")",
      R"(7)",
      R"({"a":{"b":{"x":1}},"x":true,"c":{"x":{"y":2},"d":false}})"};
  const KeepMember keep = [](int /*depth*/, const std::string& name) { return !name.starts_with('x'); };
  const KeepMember deep = [](int depth, const std::string& name) { return depth != 2 || name != "x"; };
  for (const std::string& document : documents) {
    for (const KeepMember& wanted : {keep, deep}) {
      auto expected = parse_json(document).value();
      take_out(expected, wanted);
      const auto found = parse_json(document, wanted);
      ASSERT_TRUE(found) << document;
      EXPECT_EQ(*found, expected) << document;
    }
  }
}

TEST(ParseJson, WhatIsCutOffOrNestedTooDeepIsRefusedAlsoWhereMembersAreLeftOut) {
  const KeepMember none = [](int /*depth*/, const std::string& /*name*/) { return false; };
  const std::string whole = R"({"a":{"b":[1,"]"]},"c":"\""})";
  EXPECT_EQ(parse_json(whole, none).value(), nlohmann::json::object());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(parse_json(whole.substr(0, size), none)) << whole.substr(0, size);
  }
  EXPECT_FALSE(parse_json("{\"a\":" + nested(kMaxJsonDepth) + "}", none));
  std::string objects;
  for (int i = 0; i < 300'000; ++i) {
    objects += "{\"a\":";
  }
  EXPECT_FALSE(parse_json(objects, none)) << "at once, too";
}

TEST(JsonText, IsOneLineAndSurvivesBytesThatAreNotUtf8) {
  const nlohmann::json value = {{"a", "line\nbreak"}, {"b", "bad \xff byte"}};
  EXPECT_EQ(to_json_text(value), "{\"a\":\"line\\nbreak\",\"b\":\"bad \xEF\xBF\xBD byte\"}");
}

TEST(JsonMember, IsWhatIsThereAndNothingElse) {
  const nlohmann::json object = {{"a", "text"}, {"b", 7}, {"c", {{"d", "inside"}}}, {"e", nullptr}};
  EXPECT_EQ(text_of(object, "a"), "text");
  EXPECT_EQ(text_of(member_of(object, "c"), "d"), "inside");
  EXPECT_EQ(member_of(object, "b"), 7);
  for (const char* name : {"b", "c", "e", "missing"}) {
    EXPECT_EQ(text_of(object, name), "") << name;
  }
  for (const nlohmann::json& other : {nlohmann::json(), nlohmann::json("a"), nlohmann::json::array({"a"})}) {
    EXPECT_TRUE(member_of(other, "a").is_null());
  }
}

}  // namespace
}  // namespace sessmtp
