// The templates of spec.target.data: text with references.
//
//   text       $(name[@region][|filter]); "$$" is a literal "$", any other "$" stays
//   names      username password host port region tls url previousUsername previousPassword
//   @region    after password, host and url: those of an additional region
//   filters    urlencode (RFC 3986), base64, json (escaped as inside a JSON string, without the quotes)
//
// No functions, loops or conditions. The CRD refuses by a rule of its own what parse_template() refuses.
// Pure; thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/secret_bytes.h"

namespace sessmtp::api {

// In a template; both count from 1, columns in characters of UTF-8.
struct TemplatePosition {
  std::size_t line = 1;
  std::size_t column = 1;

  friend bool operator==(const TemplatePosition&, const TemplatePosition&) = default;
};

// The message tells no more of the text than the word at that position.
struct TemplateError {
  TemplatePosition position;
  std::string message;
};

// "line 2, column 7: ..."
[[nodiscard]] std::string describe(const TemplateError& error);

enum class TemplateFilter : std::uint8_t { kNone, kUrlencode, kBase64, kJson };

struct TemplateReference {
  std::string value;  // "host", "host@eu-west-1"
  TemplateFilter filter = TemplateFilter::kNone;
  TemplatePosition region_position;
};

using Template = std::vector<std::variant<std::string, TemplateReference>>;

[[nodiscard]] Result<Template, TemplateError> parse_template(std::string_view text);

// By what a reference calls them: "host", "host@eu-west-1". What is not there expands to nothing, unless
// it is about a region: that is an error.
using TemplateValues = std::map<std::string, SecretBytes>;

[[nodiscard]] Result<SecretBytes, TemplateError> expand(const Template& parsed, const TemplateValues& values);

}  // namespace sessmtp::api
