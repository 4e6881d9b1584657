#include "cli/object_output.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <ostream>
#include <string>

namespace sessmtp::cli {
namespace {

using nlohmann::json;

// A text that no reader of YAML, of version 1.1 or 1.2, takes for anything else, quotes or not.
bool is_plain(const std::string& text) {
  const auto letter = [](unsigned char c) { return std::isalpha(c) != 0; };
  const auto allowed = [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == '/' || c == '+' || c == '=';
  };
  if (text.empty() || !letter(static_cast<unsigned char>(text.front())) ||
      !std::ranges::all_of(text, allowed)) {
    return false;
  }
  std::string lower;
  for (const char c : text) {
    lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  constexpr std::array kWords = {"true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf"};
  return std::ranges::find(kWords, lower) == kWords.end();
}

void emit_text(const std::string& text, YAML::Emitter& yaml) {
  if (!is_plain(text)) {
    yaml << YAML::DoubleQuoted;
  }
  yaml << text;
}

void emit(const json& value, YAML::Emitter& yaml) {
  if (value.is_object()) {
    yaml << YAML::BeginMap;
    for (const auto& [name, member] : value.items()) {
      yaml << YAML::Key;
      emit_text(name, yaml);
      yaml << YAML::Value;
      emit(member, yaml);
    }
    yaml << YAML::EndMap;
  } else if (value.is_array()) {
    yaml << YAML::BeginSeq;
    for (const json& item : value) {
      emit(item, yaml);
    }
    yaml << YAML::EndSeq;
  } else if (value.is_string()) {
    emit_text(value.get_ref<const std::string&>(), yaml);
  } else if (value.is_null()) {
    yaml << YAML::Null;  // the word would be put in quotes
  } else {
    yaml << value.dump();
  }
}

}  // namespace

void print_objects(const std::vector<json>& objects, ObjectFormat format, std::ostream& out) {
  if (format == ObjectFormat::kJson) {
    const json list = {{"apiVersion", "v1"}, {"kind", "List"}, {"items", objects}};
    out << list.dump(2, ' ', false, json::error_handler_t::replace) << '\n';
    return;
  }
  for (const json& object : objects) {
    YAML::Emitter yaml;
    emit(object, yaml);
    out << "---\n" << yaml.c_str() << '\n';
  }
}

}  // namespace sessmtp::cli
