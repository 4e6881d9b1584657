#include "kube/line_splitter.h"

#include <gmock/gmock.h>

#include <vector>

namespace sessmtp::kube {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

using Lines = std::vector<std::string>;

// The lines of the pieces, fed one after the other.
Lines split(const std::vector<std::string>& pieces, std::size_t max_line = LineSplitter::kMaxLine) {
  Lines lines;
  LineSplitter splitter([&lines](std::string_view line) { lines.emplace_back(line); }, max_line);
  for (const std::string& piece : pieces) {
    splitter.feed(piece);
  }
  return lines;
}

TEST(LineSplitter, GivesTheSameLinesWhereverTheStreamIsCut) {
  const std::string text = "{\"a\":1}\n\n{\"b\":\"ä\"}\n{\"c\":3}\nrest";
  for (std::size_t i = 0; i <= text.size(); ++i) {
    for (std::size_t j = i; j <= text.size(); ++j) {
      EXPECT_THAT(split({text.substr(0, i), text.substr(i, j - i), text.substr(j)}),
                  ElementsAre("{\"a\":1}", "{\"b\":\"ä\"}", "{\"c\":3}"))
          << "cut at " << i << " and " << j;
    }
  }
}

TEST(LineSplitter, DropsALineThatTheEndCutsOff) {
  EXPECT_THAT(split({"{\"half\":"}), IsEmpty());
}

TEST(LineSplitter, GivesAnEmptyTextForALineOverTheLimit) {
  std::vector<std::string> lines;
  LineSplitter splitter([&lines](std::string_view line) { lines.emplace_back(line); }, 4);
  for (const char* piece : {"12", "34", "\n12345", "678", "\n", "ab\ntoo long\ncd\n"}) {
    splitter.feed(piece);
  }
  EXPECT_THAT(lines, ElementsAre("1234", "", "ab", "", "cd"));
}

}  // namespace
}  // namespace sessmtp::kube
