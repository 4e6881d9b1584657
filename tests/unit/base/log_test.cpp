#include "base/log.h"

#include <gmock/gmock.h>

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>

#include "base/json.h"
#include "base/secret_bytes.h"

namespace sessmtp::log {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;

static_assert(!std::is_constructible_v<Field, std::string_view, const SecretBytes&>,
              "a secret must not reach the log by accident");

class Log : public testing::Test {
 protected:
  void TearDown() override { configure(Level::kInfo, Format::kText); }

  template <class Action>
  static std::string written_by(Action action) {
    testing::internal::CaptureStderr();
    action();
    return testing::internal::GetCapturedStderr();
  }
};

TEST_F(Log, JsonLineHasTheMessageAndTypedFields) {
  configure(Level::kInfo, Format::kJson);
  const std::string text = written_by([] {
    info("target Secret written", {{"name", "shop-mail"},
                                   {"attempt", 3},
                                   {"big", std::numeric_limits<std::int64_t>::max()},
                                   {"seconds", 0.5},
                                   {"adopted", true}});
  });
  ASSERT_THAT(text, EndsWith("}\n"));
  const auto line = parse_json(text);
  ASSERT_TRUE(line) << text;
  EXPECT_EQ(line->at("level"), "info");
  EXPECT_EQ(line->at("msg"), "target Secret written");
  EXPECT_EQ(line->at("name"), "shop-mail");
  EXPECT_EQ(line->at("attempt"), 3);
  EXPECT_EQ(line->at("big"), std::numeric_limits<std::int64_t>::max());
  EXPECT_EQ(line->at("seconds"), 0.5);
  EXPECT_EQ(line->at("adopted"), true);
  EXPECT_THAT(line->at("ts").get<std::string>(), testing::MatchesRegex("....-..-..T..:..:..\\....Z"));
}

TEST_F(Log, ValueCannotForgeAFieldOrALine) {
  configure(Level::kInfo, Format::kJson);
  const std::string nasty = "x\",\"level\":\"error\"}\n{\"forged\":true, \\ %v %l {} \x1b[31m \x01 \xff";
  const std::string text =
      written_by([&nasty] { info("got {} %v \"quoted\"\n", {{"value", nasty}, {"k\"ey", "v"}}); });
  EXPECT_EQ(std::ranges::count(text, '\n'), 1) << text;
  EXPECT_EQ(text.find('\x1b'), std::string::npos) << "a control sequence reached the terminal";
  const auto line = parse_json(text);
  ASSERT_TRUE(line) << text;
  EXPECT_EQ(line->at("msg"), "got {} %v \"quoted\"\n");
  EXPECT_EQ(line->at("value"), nasty.substr(0, nasty.size() - 1) + "\xEF\xBF\xBD");
  EXPECT_EQ(line->at("k\"ey"), "v");
  EXPECT_FALSE(line->contains("forged"));
}

TEST_F(Log, TextLineQuotesWhatCouldBeMisread) {
  configure(Level::kInfo, Format::kText);
  const std::string text =
      written_by([] { warn("odd value", {{"a", "plain"}, {"b", "two words"}, {"c", ""}, {"d", "x\ny=z"}}); });
  EXPECT_THAT(text, HasSubstr(R"(odd value a=plain b="two words" c="" d="x\ny=z")"));
}

TEST_F(Log, NothingBelowTheLevelIsWritten) {
  configure(Level::kWarn, Format::kJson);
  EXPECT_THAT(written_by([] {
                debug("d");
                info("i");
              }),
              IsEmpty());
  EXPECT_THAT(written_by([] { warn("w"); }), HasSubstr("\"level\":\"warning\""));
  EXPECT_THAT(written_by([] { error("e"); }), HasSubstr("\"level\":\"error\""));
}

}  // namespace
}  // namespace sessmtp::log
