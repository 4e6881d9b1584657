#include "cli/terminal.h"

#include <gtest/gtest.h>

namespace sessmtp::cli {
namespace {

TEST(Printable, HoldsNothingThatMovesTheCursor) {
  EXPECT_EQ(printable("a\x1b[31mb\r\n\x7f"), "a [31mb   ");
  EXPECT_EQ(printable("a\xc2\x9b"
                      "31m"),
            "a 31m");
}

TEST(Printable, KeepsEverythingElse) {
  EXPECT_EQ(printable("Gr\xc3\xbc\xc3\x9f"
                      "e \xc2\xa7 \xe2\x82\xac"),
            "Gr\xc3\xbc\xc3\x9f"
            "e \xc2\xa7 \xe2\x82\xac");
  EXPECT_EQ(printable("cut \xc2 off \xc2"), "cut \xc2 off \xc2");
}

}  // namespace
}  // namespace sessmtp::cli
