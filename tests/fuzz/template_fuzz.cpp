// A template of spec.target.data, and a value: parsing, printing and parsing again ends where it began, and
// an expansion is what a simple model of the filters says, no longer than they allow.
#include <array>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "api/template.h"
#include "base/text.h"
#include "fuzz.h"

namespace {

using namespace sessmtp;
using api::TemplateFilter;
using fuzz::require;

constexpr std::array<std::string_view, 4> kFilterNames = {"", "|urlencode", "|base64", "|json"};

std::string print(const api::Template& parsed) {
  std::string text;
  for (const auto& part : parsed) {
    if (const auto* literal = std::get_if<std::string>(&part)) {
      for (const char c : *literal) {
        text += c == '$' ? "$$" : std::string(1, c);
      }
    } else {
      const auto& reference = std::get<api::TemplateReference>(part);
      text += "$(" + reference.value + std::string(kFilterNames[static_cast<std::size_t>(reference.filter)]) +
              ')';
    }
  }
  return text;
}

bool same(const api::Template& a, const api::Template& b) {
  return std::ranges::equal(a, b, [](const auto& x, const auto& y) {
    if (x.index() != y.index()) {
      return false;
    }
    if (const auto* literal = std::get_if<std::string>(&x)) {
      return *literal == std::get<std::string>(y);
    }
    const auto& one = std::get<api::TemplateReference>(x);
    const auto& other = std::get<api::TemplateReference>(y);
    return one.value == other.value && one.filter == other.filter;
  });
}

std::string filtered(std::string_view value, TemplateFilter filter) {
  constexpr std::string_view kPlain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";
  constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string result;
  std::string bits;
  for (const char c : value) {
    const auto byte = static_cast<unsigned>(static_cast<unsigned char>(c));
    char code[8] = {c, '\0'};
    if (filter == TemplateFilter::kUrlencode && !kPlain.contains(c)) {
      (void)std::snprintf(code, sizeof code, "%%%02X", byte);
    } else if (filter == TemplateFilter::kJson && (c == '"' || c == '\\')) {
      (void)std::snprintf(code, sizeof code, "\\%c", c);
    } else if (filter == TemplateFilter::kJson && byte < ' ') {
      constexpr std::string_view kNamed = "\bb\tt\nn\ff\rr";
      const auto at = kNamed.find(c);
      (void)(at != std::string_view::npos ? std::snprintf(code, sizeof code, "\\%c", kNamed[at + 1])
                                          : std::snprintf(code, sizeof code, "\\u%04X", byte));
    }
    for (unsigned bit = 8; bit-- > 0;) {
      bits += (byte >> bit & 1U) != 0 ? '1' : '0';
    }
    result += c == '\0' && code[0] == '\0' ? std::string(1, c) : std::string(code);
  }
  if (filter != TemplateFilter::kBase64) {
    return result;
  }
  result.clear();
  for (std::size_t at = 0; at < bits.size(); at += 6) {
    std::string group = bits.substr(at, 6);
    group.resize(6, '0');
    result += kBase64[std::strtoul(group.c_str(), nullptr, 2)];
  }
  result.resize((result.size() + 3) / 4 * 4, '=');
  return result;
}

void check_expansion(const api::Template& parsed, std::string_view value) {
  api::TemplateValues values;
  for (const char* name : {"username", "password", "url", "password@eu-west-1"}) {
    values.emplace(name, SecretBytes(value));
  }
  std::optional<std::string> expected = "";
  std::size_t longest = 0;
  for (const auto& part : parsed) {
    if (const auto* literal = std::get_if<std::string>(&part)) {
      *expected += *literal;
      longest += literal->size();
      continue;
    }
    const auto& reference = std::get<api::TemplateReference>(part);
    if (values.contains(reference.value)) {
      *expected += filtered(value, reference.filter);
      longest += 6 * value.size() + 4;
    } else if (reference.value.contains('@')) {
      expected.reset();
      break;
    }
  }
  const auto expanded = api::expand(parsed, values);
  require(expanded.has_value() == expected.has_value(), "only a region that is not there is an error");
  if (expanded) {
    require(expanded->expose() == *expected, "an expansion is what the filters say");
    require(expanded->size() <= longest, "an expansion is no longer than the filters allow");
  } else {
    for (auto& [name, other] : values) {
      other = SecretBytes(std::string(value.size(), '-'));
    }
    const auto with_others = api::expand(parsed, values);
    require(!with_others && describe(with_others.error()) == describe(expanded.error()),
            "no value is quoted");
  }
}

}  // namespace

// The value is in the first line; the rest is the template.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text = fuzz::text_of_input(data, size);
  const std::string_view value = fuzz::take_line(text);
  const auto parsed = api::parse_template(text);
  if (!parsed) {
    constexpr std::size_t kLongest = 256;
    const std::string message = describe(parsed.error());
    require(message.size() <= kLongest && !has_control_characters(message), "a message is a short line");
    const auto lines = static_cast<std::size_t>(std::ranges::count(text, '\n')) + 1;
    require(parsed.error().position.line <= lines && parsed.error().position.column <= text.size() + 1,
            "a mistake is where there is text");
    return 0;
  }
  const auto again = api::parse_template(print(*parsed));
  require(again && same(*parsed, *again), "what was printed is read as the same");
  check_expansion(*parsed, value);
  return 0;
}
