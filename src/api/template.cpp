#include "api/template.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base/base64.h"
#include "base/text.h"

namespace sessmtp::api {
namespace {

constexpr std::array<std::string_view, 3> kRegionalNames = {"password", "host", "url"};
constexpr std::array<std::string_view, 6> kOtherNames = {
    "username", "port", "region", "tls", "previousUsername", "previousPassword"};
constexpr std::string_view kNames =
    "username, password, host, port, region, tls, url, previousUsername, previousPassword";

constexpr std::array<std::pair<std::string_view, TemplateFilter>, 3> kFilters = {
    {{"urlencode", TemplateFilter::kUrlencode},
     {"base64", TemplateFilter::kBase64},
     {"json", TemplateFilter::kJson}}};

constexpr bool is_region_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}
constexpr bool is_word_character(char c) {
  return is_region_character(c) || (c >= 'A' && c <= 'Z') || c == '_' || c == '.';
}

std::string one_of_names(std::string_view names) {
  return "; it may be one of " + std::string(names);
}

// Reads a text from its beginning to its end.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Template, TemplateError> run() {
    while (at_ < text_.size()) {
      if (next_is("$(")) {
        auto reference = read_reference();
        if (!reference) {
          return std::unexpected(std::move(reference.error()));
        }
        flush();
        parsed_.emplace_back(std::move(*reference));
      } else {
        literal_ += text_[at_];
        at_ += next_is("$$") ? 2U : 1U;
      }
    }
    flush();
    return std::move(parsed_);
  }

 private:
  Result<TemplateReference, TemplateError> read_reference() {
    at_ += 2;
    const std::size_t start = at_;
    const std::string_view name = read(is_word_character);
    const bool regional = std::ranges::find(kRegionalNames, name) != kRegionalNames.end();
    if (!regional && std::ranges::find(kOtherNames, name) == kOtherNames.end()) {
      return complain(start, "is not the name of a value" + one_of_names(kNames));
    }
    TemplateReference reference{.value = std::string(name), .filter = {}, .region_position = {}};
    if (take('@')) {
      if (!regional) {
        return complain(
            at_ - 1, "after " + in_quotes(name) + ", which knows no region; only password, host and url do");
      }
      reference.region_position = position(at_);
      const std::string_view region = read(is_region_character);
      if (region.empty()) {
        return complain(at_, "where a region is expected, such as eu-west-1");
      }
      reference.value.append("@").append(region);
    }
    if (take('|')) {
      const std::size_t word = at_;
      const auto* filter = std::ranges::find(kFilters, read(is_word_character),
                                             &std::pair<std::string_view, TemplateFilter>::first);
      if (filter == kFilters.end()) {
        return complain(word, "is not the name of a filter" + one_of_names("urlencode, base64, json"));
      }
      reference.filter = filter->second;
    }
    if (!take(')')) {
      return complain(at_, "where \")\" has to end the reference; write \"$$(\" for a literal \"$(\"");
    }
    return reference;
  }

  [[nodiscard]] bool next_is(std::string_view what) const { return text_.substr(at_).starts_with(what); }

  bool take(char c) {
    const bool there = at_ < text_.size() && text_[at_] == c;
    at_ += there ? 1U : 0U;
    return there;
  }

  std::string_view read(bool (*fits)(char)) {
    const std::size_t start = at_;
    while (at_ < text_.size() && fits(text_[at_])) {
      ++at_;
    }
    return text_.substr(start, at_ - start);
  }

  void flush() {
    if (!literal_.empty()) {
      parsed_.emplace_back(std::exchange(literal_, {}));
    }
  }

  [[nodiscard]] TemplatePosition position(std::size_t offset) const {
    const std::string_view before = text_.substr(0, offset);
    const std::string_view line = before.substr(before.rfind('\n') + 1);
    const auto is_character = [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; };
    return {.line = 1 + static_cast<std::size_t>(std::ranges::count(before, '\n')),
            .column = 1 + static_cast<std::size_t>(std::ranges::count_if(line, is_character))};
  }

  // The word there, or the character.
  [[nodiscard]] std::string found(std::size_t offset) const {
    constexpr std::size_t kLongest = 32;
    const std::string_view rest = text_.substr(offset);
    if (rest.empty()) {
      return "the end of the text";
    }
    if (rest.front() == '\n' || rest.front() == '\r') {
      return "the end of the line";
    }
    const auto size =
        static_cast<std::size_t>(std::ranges::find_if_not(rest, is_word_character) - rest.begin());
    if (size > kLongest) {
      return "\"" + std::string(rest.substr(0, kLongest)) + "...\"";
    }
    if (size > 0) {
      return in_quotes(rest.substr(0, size));
    }
    const bool printable = rest.front() >= ' ' && rest.front() <= '~';
    return printable ? in_quotes(rest.substr(0, 1)) : "an unusual character";
  }

  [[nodiscard]] std::unexpected<TemplateError> complain(std::size_t offset, const std::string& what) const {
    return std::unexpected(TemplateError{position(offset), found(offset) + ' ' + what});
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string literal_;
  Template parsed_;
};

constexpr std::size_t longest(TemplateFilter filter, std::size_t size) {
  switch (filter) {
    case TemplateFilter::kUrlencode:
      return 3 * size;
    case TemplateFilter::kBase64:
      return base64_size(size);
    case TemplateFilter::kJson:
      return 6 * size;
    case TemplateFilter::kNone:
      break;
  }
  return size;
}

void append(std::string& to, std::string_view value, TemplateFilter filter) {
  switch (filter) {
    case TemplateFilter::kUrlencode:
      return append_percent_encoded(to, value);
    case TemplateFilter::kBase64:
      return append_base64(to, value);
    case TemplateFilter::kJson:
      return append_json_escaped(to, value);
    case TemplateFilter::kNone:
      to += value;
  }
}

// One part with its value; a literal has none of its own.
struct Piece {
  std::string_view text;
  TemplateFilter filter = TemplateFilter::kNone;
};

}  // namespace

std::string describe(const TemplateError& error) {
  return "line " + std::to_string(error.position.line) + ", column " + std::to_string(error.position.column) +
         ": " + error.message;
}

Result<Template, TemplateError> parse_template(std::string_view text) {
  return Parser(text).run();
}

Result<SecretBytes, TemplateError> expand(const Template& parsed, const TemplateValues& values) {
  std::vector<Piece> pieces;
  std::size_t size = 0;
  for (const auto& part : parsed) {
    Piece& piece = pieces.emplace_back();
    if (const auto* literal = std::get_if<std::string>(&part)) {
      piece.text = *literal;
    } else {
      const auto& reference = std::get<TemplateReference>(part);
      const auto value = values.find(reference.value);
      const auto region = reference.value.find('@');
      if (value == values.end() && region != std::string::npos) {
        return std::unexpected(TemplateError{reference.region_position,
                                             "region " + in_quotes(reference.value.substr(region + 1)) +
                                                 " is neither the credential's region nor one of "
                                                 "spec.additionalRegions; add it there"});
      }
      piece.filter = reference.filter;
      piece.text = value != values.end() ? value->second.expose() : std::string_view();
    }
    size += longest(piece.filter, piece.text.size());
  }
  std::string text;
  text.reserve(size);  // grows never: no copies
  for (const Piece& piece : pieces) {
    append(text, piece.text, piece.filter);
  }
  SecretBytes result(text);
  wipe(text.data(), text.size());
  return result;
}

}  // namespace sessmtp::api
