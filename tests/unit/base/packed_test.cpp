#include "base/packed.h"

#include <gtest/gtest.h>

#include <limits>

namespace sessmtp {

namespace shop {

enum class Colour : std::uint8_t { kRed, kBlue = 200 };

struct Item {
  std::string name = {};
  std::int64_t price = 0;
  bool sold = false;
  Colour colour = Colour::kRed;
  std::optional<std::uint16_t> shelf = {};
  std::optional<std::string> note = {};
  std::vector<std::string> tags = {};
  std::map<std::string, std::string> labels = {};
  std::chrono::sys_time<std::chrono::microseconds> made{};
  std::chrono::steady_clock::time_point seen{};
  std::chrono::milliseconds lasts{};

  friend bool operator==(const Item&, const Item&) = default;
};

auto fields_of(SameAs<Item> auto& value) {
  auto& [name, price, sold, colour, shelf, note, tags, labels, made, seen, lasts] = value;
  return std::tie(name, price, sold, colour, shelf, note, tags, labels, made, seen, lasts);
}

}  // namespace shop

namespace {

using namespace std::chrono_literals;
using shop::Item;

TEST(Packed, GivesBackWhatWasPutIn) {
  const std::vector<Item> items = {
      {},
      {.name = std::string("null \0 and more", 15)},
      {.name = std::string(100'000, 'x'), .price = -1},
      {.price = std::numeric_limits<std::int64_t>::max()},
      {.price = std::numeric_limits<std::int64_t>::min(), .sold = true, .colour = shop::Colour::kBlue},
      {.shelf = 0, .note = ""},
      {.shelf = 65535, .note = "fragile", .tags = {"", "a", "b"}, .labels = {{"", "x"}, {"y", ""}}},
      {.made = std::chrono::sys_time<std::chrono::microseconds>(-1us),
       .seen = std::chrono::steady_clock::time_point(123456789ns),
       .lasts = -5ms},
  };
  for (const Item& item : items) {
    EXPECT_EQ(Packed(item).unpack(), item);
    for (const Item& other : items) {
      EXPECT_EQ(Packed(item) == Packed(other), item == other);
    }
  }
}

}  // namespace
}  // namespace sessmtp
