// What the targets share.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace sessmtp::fuzz {

// Ends the program when a property does not hold, and libFuzzer keeps the input.
inline void require(bool holds, const char* property) {
  if (!holds) {
    (void)std::fprintf(stderr, "does not hold: %s\n", property);
    std::abort();
  }
}

inline std::string_view text_of_input(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// Takes the first line off, without its end: inputs of several parts stay readable.
inline std::string_view take_line(std::string_view& input) {
  const std::size_t end = input.find('\n');
  const std::string_view line = input.substr(0, end);
  input.remove_prefix(end == std::string_view::npos ? input.size() : end + 1);
  return line;
}

// Hands the bytes over in pieces, as a network does.
enum class Pieces : std::uint8_t { kWhole, kSingleBytes, kMixed };

template <class Use>
void in_pieces(std::string_view bytes, Pieces pieces, const Use& use) {
  constexpr std::size_t kLongest = 61;
  std::size_t mix = bytes.size();
  while (!bytes.empty()) {
    mix = mix * 6364136223846793005U + 1442695040888963407U;
    const std::size_t size = pieces == Pieces::kWhole         ? bytes.size()
                             : pieces == Pieces::kSingleBytes ? 1
                                                              : 1 + (mix >> 33U) % kLongest;
    use(bytes.substr(0, size));
    bytes.remove_prefix(std::min(size, bytes.size()));
  }
}

}  // namespace sessmtp::fuzz

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
