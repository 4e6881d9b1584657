// JSON from outside, read with limits: nlohmann/json parses iteratively but copies, writes and
// destroys recursively (nlohmann/json#971, #1419), so depth is checked before anything is built.
#pragma once

#include <cstddef>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

namespace sessmtp {

inline constexpr std::size_t kMaxJsonDepth = 100;

// kInvalidInput with the position, never with the text: the document may hold secrets.
[[nodiscard]] Result<nlohmann::json> parse_json(std::string_view text, std::size_t max_depth = kMaxJsonDepth);

// The same, but builds only the members that `keep` says yes to; `depth` is 1 for those of the outermost
// object.
using KeepMember = std::function<bool(int depth, const std::string& name)>;
[[nodiscard]] Result<nlohmann::json> parse_json(std::string_view text, const KeepMember& keep);

// What `object` holds under that name: null when there is nothing, or when it is not an object.
[[nodiscard]] const nlohmann::json& member_of(const nlohmann::json& object, const char* name);
// The same if it is a text, else an empty one.
[[nodiscard]] std::string text_of(const nlohmann::json& object, const char* name);

// One line of JSON; bytes that are not UTF-8 become U+FFFD instead of an exception.
[[nodiscard]] std::string to_json_text(const nlohmann::json& value);

}  // namespace sessmtp
