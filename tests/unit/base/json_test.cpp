#include "base/json.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

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
  EXPECT_THAT(parse_json(std::string_view("{}\0{}", 5)).error().message, HasSubstr("byte 3")) << "it goes on";
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
