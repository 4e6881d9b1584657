#include "api/template.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/json.h"

namespace sessmtp::api {
namespace {

using testing::StartsWith;

TemplateValues values() {
  TemplateValues result;
  for (const auto& [name, value] :
       std::map<std::string, std::string>{{"username", "AKIA"},
                                          {"password", "B+/="},
                                          {"host", "h.example"},
                                          {"host@eu-west-1", "eu.example"},
                                          {"previousUsername", "\"\\/\b\f\n\r\t\x01\x1f\x7f ü"}}) {
    result.emplace(name, SecretBytes(value));
  }
  return result;
}

std::string expanded(std::string_view text) {
  const auto parsed = parse_template(text);
  if (!parsed) {
    return "error at " + describe(parsed.error());
  }
  const auto value = expand(*parsed, values());
  return value ? std::string(value->expose()) : "error at " + describe(value.error());
}

TEST(Template, TakesReferencesOutOfText) {
  EXPECT_EQ(expanded(""), "");
  EXPECT_EQ(expanded("text, \"quoted\" \\ 'so' ü\r\n\t"), "text, \"quoted\" \\ 'so' ü\r\n\t");
  EXPECT_EQ(expanded("$(username)"), "AKIA");
  EXPECT_EQ(expanded("[$(host)]:587 $(username):$(password)\n"), "[h.example]:587 AKIA:B+/=\n");
  EXPECT_EQ(expanded("$(host)$(host@eu-west-1)"), "h.exampleeu.example");
}

TEST(Template, ADollarIsADollarUnlessAReferenceBegins) {
  for (const auto& [text, expected] :
       std::map<std::string, std::string>{{"$", "$"},
                                          {"5$", "5$"},
                                          {"$$", "$"},
                                          {"$$$", "$$"},
                                          {"$$$$", "$$"},
                                          {"$x $1 ${host} $ (host) $\n", "$x $1 ${host} $ (host) $\n"},
                                          {"$$(host)", "$(host)"},
                                          {"$$$(host)", "$h.example"},
                                          {"$$$$(host)", "$$(host)"},
                                          {"$x$(host)", "$xh.example"},
                                          {"(host) ) $)", "(host) ) $)"}}) {
    EXPECT_EQ(expanded(text), expected) << text;
  }
}

TEST(Template, Filters) {
  EXPECT_EQ(expanded("$(password|urlencode)"), "B%2B%2F%3D");
  EXPECT_EQ(expanded("$(password|base64)"), "QisvPQ==");
  EXPECT_EQ(expanded("$(password|json)"), "B+/=");
  EXPECT_EQ(expanded("$(previousUsername|json)"), R"(\"\\/\b\f\n\r\t\u0001\u001F)"
                                                  "\x7f ü");
  EXPECT_EQ(expanded("$(host@eu-west-1|base64)"), "ZXUuZXhhbXBsZQ==");
}

TEST(Template, WhatIsNotThereIsEmptyUnlessItIsARegion) {
  EXPECT_EQ(expanded("<$(previousPassword)$(previousPassword|base64)>"), "<>");
  EXPECT_EQ(expanded("a\nü$(password@eu-west-9)"),
            "error at line 2, column 13: region \"eu-west-9\" is neither the credential's region nor one of "
            "spec.additionalRegions; add it there");
}

TEST(Template, ErrorsSayWhereAndWhat) {
  for (const auto& [text, error] : std::map<std::string, std::string>{
           {"$(passwort)", "line 1, column 3: 'passwort' is not the name of a value"},
           {"ü\n\nüü $(Host)", "line 3, column 6: 'Host' is not the name of a value"},
           {"a\r\n$()", "line 2, column 3: ')' is not the name of a value"},
           {"$(", "line 1, column 3: the end of the text is not the name of a value"},
           {"$(\nhost)", "line 1, column 3: the end of the line is not the name of a value"},
           {"$(ü)", "line 1, column 3: an unusual character is not the name of a value"},
           {"$( host)", "line 1, column 3: ' ' is not the name of a value"},
           {"$(host )", "line 1, column 7: ' ' where ')' has to end the reference"},
           {"$(host", "line 1, column 7: the end of the text where ')' has to end"},
           {"$(host@)", "line 1, column 8: ')' where a region is expected"},
           {"$(host@EU)", "line 1, column 8: 'EU' where a region is expected"},
           {"$(port@eu-west-1)", "line 1, column 7: '@' after 'port', which knows no region"},
           {"$(host|)", "line 1, column 8: ')' is not the name of a filter"},
           {"$(host|quote)", "line 1, column 8: 'quote' is not the name of a filter"},
           {"$(host|json|base64)", "line 1, column 12: '|' where ')' has to end the reference"},
           {"$(host|json@eu)", "line 1, column 12: '@' where ')' has to end the reference"},
           {"$$$$$(x)", "line 1, column 7: 'x' is not the name of a value"},
           {"$(" + std::string(33, 'x') + ")",
            "line 1, column 3: '" + std::string(32, 'x') + "...' is not the name of a value"}}) {
    std::string said = expanded(text);
    std::ranges::replace(said, '"', '\'');
    EXPECT_THAT(said, StartsWith("error at " + error)) << text;
  }
}

// The cluster tests hold the rule of the CRD against the same file.
TEST(Template, AgreesWithTheRuleOfTheCrd) {
  const nlohmann::json cases = parse_json(read_file(SESSMTP_TEMPLATES).value()).value();
  for (const nlohmann::json& text : cases.at("accepted")) {
    const auto parsed = parse_template(text.get<std::string>());
    EXPECT_TRUE(parsed) << text << ": " << describe(parsed.error());
  }
  for (const nlohmann::json& text : cases.at("refused")) {
    EXPECT_FALSE(parse_template(text.get<std::string>())) << text;
  }
  EXPECT_GT(cases.at("accepted").size(), 100U);
  EXPECT_GT(cases.at("refused").size(), 100U);
}

}  // namespace
}  // namespace sessmtp::api
