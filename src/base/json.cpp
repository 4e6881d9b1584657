#include "base/json.h"

#include <algorithm>
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

// Where the text that begins at `at` ends.
std::size_t end_of_text(std::string_view text, std::size_t at) {
  for (++at; at < text.size() && text[at] != '"'; ++at) {
    at += text[at] == '\\' ? 1U : 0U;
  }
  return std::min(at + 1, text.size());
}

// The text without the members that `keep` says no to, but for those of lists. To pass over them costs a
// tenth of parsing them. It looks for where they begin and end, and judges nothing else; it knows names that
// are written without escapes.
std::string pruned(std::string_view text, const KeepMember& keep) {
  std::string kept;
  std::string open;          // braces and brackets around here
  std::size_t taken = 0;     // up to here it is kept, or left out
  std::size_t since = 0;     // where the current member begins, with the comma before it
  bool is_first = true;      // of those kept in its object: it has none
  bool is_name = false;      // a text that comes now is a member's name
  std::size_t skipping = 0;  // how deep the object is whose member is left out; 0: none is
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (c == '"') {
      const std::size_t end = end_of_text(text, at);
      const bool in_object = is_name && skipping == 0 && !open.contains('[');
      if (in_object && !keep(static_cast<int>(open.size()), std::string(text.substr(at + 1, end - at - 2)))) {
        kept += text.substr(taken, since - taken);
        skipping = open.size();
      }
      is_name = false;
      at = end;
      continue;
    }
    const bool ends_member = (c == ',' || c == '}') && !open.empty() && open.back() == '{';
    const bool was_skipped = ends_member && skipping != 0 && open.size() == skipping;
    if (was_skipped) {
      skipping = 0;
      taken = c == ',' && is_first ? at + 1 : at;
    }
    if (c == '{' || c == '[') {
      open += c;
      if (open.size() > kMaxJsonDepth) {
        return std::string(text);  // it will be refused
      }
    } else if ((c == '}' || c == ']') && !open.empty()) {
      open.pop_back();
    }
    if (skipping == 0 && (c == '{' || c == ',')) {
      is_first = c == '{' || (was_skipped && is_first);
      since = is_first ? at + 1 : at;
    }
    is_name = (c == '{' || c == ',') && !open.empty() && open.back() == '{';
    ++at;
  }
  if (skipping == 0) {
    kept += text.substr(taken);
  }
  return kept;
}

Result<nlohmann::json> parse(std::string_view text, std::size_t max_depth,
                             const nlohmann::json::parser_callback_t& callback) {
  if (nesting_depth(text) > max_depth) {
    return fail(ErrorCode::kInvalidInput, "JSON nested deeper than " + std::to_string(max_depth) + " levels");
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
  return parse(pruned(text, keep), kMaxJsonDepth, [&keep](int depth, Event event, nlohmann::json& parsed) {
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
