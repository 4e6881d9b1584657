#include "base/json.h"

#include <nlohmann/json.hpp>
#include <string>

namespace sessmtp {
namespace {

std::size_t nesting_depth(std::string_view text) {
  std::size_t depth = 0, deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      deepest = ++depth > deepest ? depth : deepest;
    } else if ((c == '}' || c == ']') && depth > 0) {
      --depth;
    }
  }
  return deepest;
}

Result<nlohmann::json> parse(std::string_view text, std::size_t max_depth,
                             const nlohmann::json::parser_callback_t& callback) {
  if (nesting_depth(text) > max_depth) {
    return fail(ErrorCode::kInvalidInput, "JSON nested deeper than " + std::to_string(max_depth) + " levels");
  }
  if (const std::size_t at = text.find('\0'); at != std::string_view::npos) {  // the library would end there
    return fail(ErrorCode::kInvalidInput, "not valid JSON at byte " + std::to_string(at + 1));
  }
  try {
    return nlohmann::json::parse(text, callback);
  } catch (const nlohmann::json::parse_error& error) {
    return fail(ErrorCode::kInvalidInput, "not valid JSON at byte " + std::to_string(error.byte));
  } catch (const nlohmann::json::exception&) {
    return fail(ErrorCode::kInvalidInput, "not valid JSON");  // a number out of range, say
  }
}

}  // namespace

Result<nlohmann::json> parse_json(std::string_view text, std::size_t max_depth) {
  return parse(text, max_depth, nullptr);
}

Result<nlohmann::json> parse_json(std::string_view text, const KeepMember& keep) {
  using Event = nlohmann::json::parse_event_t;
  return parse(text, kMaxJsonDepth, [&keep](int depth, Event event, nlohmann::json& parsed) {
    return event != Event::key || keep(depth, parsed.get_ref<const std::string&>());
  });
}

const nlohmann::json& member_of(const nlohmann::json& object, const char* name) {
  static const nlohmann::json kNull;
  const auto found = object.is_object() ? object.find(name) : object.end();
  return found == object.end() ? kNull : *found;
}

std::string text_of(const nlohmann::json& object, const char* name) {
  const nlohmann::json& value = member_of(object, name);
  return value.is_string() ? value.get<std::string>() : std::string();
}

std::string to_json_text(const nlohmann::json& value) {
  return value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace sessmtp
