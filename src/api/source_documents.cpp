#include "api/source_documents.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/text.h"
#include "ses/iam_key.h"

namespace sessmtp::api {
namespace {

using nlohmann::json;
using Values = Result<SourceValues, DocumentProblem>;

std::unexpected<DocumentProblem> problem(Reason reason, std::string message, bool recognised) {
  return std::unexpected(DocumentProblem{{reason, std::move(message)}, recognised});
}

std::unexpected<DocumentProblem> too_large() {
  return problem(
      Reason::kSourceValueMalformed,
      "is larger than " + std::to_string(kMaxDocument / 1024) +
          " KiB, which no document with a key is, so there is nothing to derive a password from that "
          "SES would not answer with 535; store the document with the key alone",
      false);
}

bool same_ignoring_case(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::ranges::equal(a, b, {}, lower, lower);
}

// The text up to the next line end, which is taken off `rest`.
std::string_view take_line(std::string_view& rest) {
  const std::size_t end = std::min(rest.find('\n'), rest.size());
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return line;
}

// --- AWS credentials file ---

// At most so many, and only those that are plainly names: a key pasted between brackets is not shown.
constexpr std::size_t kMaxProfilesShown = 10;
constexpr std::size_t kMaxProfileName = 32;

bool is_showable(std::string_view profile) {
  return profile.size() <= kMaxProfileName && !ses::looks_like_access_key_id(profile) &&
         std::ranges::all_of(profile, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                  c == '_' || c == '.' || c == '@' || c == ' ';
         });
}

std::string profile_list(const std::vector<std::string_view>& profiles) {
  std::vector<std::string> shown;
  for (const std::string_view profile : profiles) {
    if (shown.size() < kMaxProfilesShown && is_showable(profile) &&
        std::ranges::find(shown, in_quotes(profile)) == shown.end()) {
      shown.push_back(in_quotes(profile));
    }
  }
  if (profiles.empty()) {
    return "no profile at all";
  }
  return shown.empty() ? "others" : joined(shown);
}

// "[ shop ] # of the shop" is the profile "shop".
std::optional<std::string_view> profile_in(std::string_view line) {
  line = trimmed(line.substr(0, line.find_first_of("#;")));
  if (line.size() < 2 || line.front() != '[' || line.back() != ']') {
    return std::nullopt;
  }
  return trimmed(line.substr(1, line.size() - 2));
}

std::string_view without_comment(std::string_view value) {
  for (std::size_t i = 0; i < value.size(); ++i) {
    const bool after_space = i == 0 || value[i - 1] == ' ' || value[i - 1] == '\t';
    if (after_space && (value[i] == '#' || value[i] == ';')) {
      return value.substr(0, i);
    }
  }
  return value;
}

struct IniProperty {
  std::string_view name;
  std::string_view value;  // with all of its lines; in the file's text
};

struct IniProfile {
  bool found = false;
  std::vector<std::string_view> all;  // names of the profiles in the file
  std::vector<IniProperty> properties;
};

IniProfile parse_ini(std::string_view text, std::string_view wanted) {
  IniProfile profile;
  bool inside = false;
  // Of the property before; at the start of a profile no line is deeper.
  std::size_t indent = std::string_view::npos;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view line = take_line(rest);
    const std::string_view content = trimmed(line);
    if (content.empty() || content.starts_with('#') || content.starts_with(';')) {
      continue;
    }
    const std::size_t depth = line.find_first_not_of(" \t");
    if (depth > indent) {
      if (inside) {
        std::string_view& value = profile.properties.back().value;
        const char* start = value.empty() ? content.data() : value.data();
        value = {start, std::size_t(content.data() + content.size() - start)};
      }
      continue;
    }
    if (content.starts_with('[')) {
      const auto name = profile_in(content);
      inside = name == wanted;
      profile.found = profile.found || inside;
      if (name) {
        profile.all.push_back(*name);
      }
      indent = std::string_view::npos;
      continue;
    }
    indent = depth;
    if (inside) {
      const std::size_t equals = std::min(content.find('='), content.size());
      profile.properties.push_back(
          {.name = trimmed(content.substr(0, equals)),
           .value = trimmed(without_comment(content.substr(std::min(equals + 1, content.size()))))});
    }
  }
  return profile;
}

// --- CSV ---

using CsvRow = std::vector<std::string_view>;

// A cell, and the comma or line end behind it taken off `rest`. Quotes doubled inside quotes stay doubled: no
// key holds any.
std::string_view take_cell(std::string_view& rest, bool& last_of_row) {
  const std::size_t start = std::min(rest.find_first_not_of(" \t"), rest.size());
  const bool quoted = rest.substr(start).starts_with('"');
  std::size_t close = start + 1;  // where the quotes end
  while (quoted && (close = std::min(rest.find('"', close), rest.size())) + 1 < rest.size() &&
         rest[close + 1] == '"') {
    close += 2;
  }
  const std::size_t end = std::min(rest.find_first_of(",\n", quoted ? close : 0), rest.size());
  const std::string_view cell =
      quoted ? rest.substr(start + 1, close - start - 1) : ses::trimmed(rest.substr(0, end));
  last_of_row = end == rest.size() || rest[end] == '\n';
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return cell;
}

// The next row that is not empty; none at the end.
CsvRow take_row(std::string_view& rest) {
  while (!rest.empty()) {
    CsvRow row;
    for (bool last = false; !last;) {
      row.push_back(take_cell(rest, last));
    }
    if (std::ranges::any_of(row, [](std::string_view cell) { return !cell.empty(); })) {
      return row;
    }
  }
  return {};
}

std::optional<std::size_t> column(const CsvRow& header, std::string_view name) {
  const auto found = std::ranges::find_if(
      header, [&](std::string_view cell) { return same_ignoring_case(trimmed(cell), name); });
  return found == header.end() ? std::nullopt : std::optional(std::size_t(found - header.begin()));
}

// --- JSON ---

struct JsonPlace {
  const json* object;
  std::string prefix;  // "AccessKey." for a member of it
};

const std::string* text_in(const json& object, const char* name) {
  return member_of(object, name).get_ptr<const std::string*>();
}

SourceValue json_value(const JsonPlace& place, const char* name) {
  const std::string* text = text_in(*place.object, name);
  return {place.prefix + name, text == nullptr ? std::nullopt : std::optional(SecretBytes(*text))};
}

// The first that is there and not empty; otherwise the first.
SourceValue first_with_value(std::array<SourceValue, 4> values) {
  const auto found = std::ranges::find_if(
      values, [](const SourceValue& value) { return value.bytes && !value.bytes->empty(); });
  return std::move(found == values.end() ? values.front() : *found);
}

}  // namespace

Values read_credentials_file(std::string_view text, std::string_view profile) {
  if (text.size() > kMaxDocument) {
    return too_large();
  }
  const IniProfile found = parse_ini(ses::trimmed(text), profile);
  if (!found.found) {
    return problem(Reason::kSourceKeysNotFound,
                   "has no profile " + in_quotes(profile) + " (found " + profile_list(found.all) +
                       "), and a password made of another profile's key could be the wrong one, which SES "
                       "answers with 535; set spec.source.profile, or put the key under [" +
                       std::string(profile) + "]",
                   !found.all.empty());
  }
  SourceValues values;
  const std::array<std::pair<std::string_view, SourceValue*>, 4> wanted{
      {{"aws_access_key_id", &values.access_key_id},
       {"aws_secret_access_key", &values.secret_access_key},
       {"aws_session_token", &values.session_token},
       {"region", &values.region}}};
  for (const auto& [name, value] : wanted) {
    value->name = std::string(name) + " of profile " + in_quotes(profile);
    for (const IniProperty& property : found.properties) {
      if (!same_ignoring_case(property.name, name)) {
        continue;
      }
      if (value->bytes) {
        return problem(Reason::kSourceKeysAmbiguous,
                       "gives " + value->name +
                           " twice, and of two values one is wrong, which SES would answer with 535; leave "
                           "the one that is in use",
                       true);
      }
      value->bytes = SecretBytes(property.value);
    }
  }
  return values;
}

Values read_aws_json(std::string_view text) {
  if (text.size() > kMaxDocument) {
    return too_large();
  }
  const auto document = parse_json(text, [](int, const std::string& name) {
    constexpr std::array<std::string_view, 7> kNames = {
        "AccessKeyId", "SecretAccessKey", "Token", "SessionToken", "Region", "AccessKey", "Credentials"};
    return std::ranges::find(kNames, name) != kNames.end();
  });
  if (!document || !document->is_object()) {
    return problem(Reason::kSourceValueMalformed,
                   (document ? std::string("is JSON, but no object") : "is " + document.error().message) +
                       ", so there is no key in it, and a password made of the text would get 535 from SES; "
                       "store the answer of aws iam create-access-key as it is",
                   false);
  }
  const JsonPlace top{&*document, ""};
  std::vector<JsonPlace> places;
  for (const JsonPlace& place : {top, JsonPlace{&member_of(*document, "AccessKey"), "AccessKey."},
                                 JsonPlace{&member_of(*document, "Credentials"), "Credentials."}}) {
    if (text_in(*place.object, "AccessKeyId") != nullptr ||
        text_in(*place.object, "SecretAccessKey") != nullptr) {
      places.push_back(place);
    }
  }
  if (places.empty()) {
    return problem(
        Reason::kSourceKeysNotFound,
        "has no AccessKeyId and SecretAccessKey, neither at the top nor in AccessKey or "
        "Credentials; SES answers 535 to a password made of anything else; store the answer of aws "
        "iam create-access-key as it is",
        false);
  }
  if (places.size() > 1) {
    return problem(Reason::kSourceKeysAmbiguous,
                   "has two keys, " + places[0].prefix + "AccessKeyId and " + places[1].prefix +
                       "AccessKeyId, and of two one is wrong, which SES would answer with 535; leave the one "
                       "that is to be used",
                   true);
  }
  const JsonPlace& place = places.front();
  SourceValues values{.access_key_id = json_value(place, "AccessKeyId"),
                      .secret_access_key = json_value(place, "SecretAccessKey"),
                      .session_token = {},
                      .region = {}};
  values.session_token = first_with_value({json_value(place, "SessionToken"), json_value(place, "Token"),
                                           json_value(top, "SessionToken"), json_value(top, "Token")});
  values.region = first_with_value(
      {json_value(place, "Region"), json_value(top, "Region"), SourceValue{}, SourceValue{}});
  return values;
}

Values read_access_keys_csv(std::string_view text) {
  if (text.size() > kMaxDocument) {
    return too_large();
  }
  if (ses::is_ses_console_csv(ses::trimmed(text))) {
    return problem(
        Reason::kAlreadyDerivedPassword,
        "is the SES console's file of SMTP credentials: its password is derived already, for one "
        "region, and SES would answer 535 to one derived from it; create an access key for the IAM "
        "user and store that file",
        true);
  }
  std::string_view rest = ses::trimmed(text);
  const CsvRow header = take_row(rest);
  const auto id = column(header, "access key id");
  const auto secret = column(header, "secret access key");
  if (!id || !secret) {
    return problem(Reason::kSourceKeysNotFound,
                   std::string("has no column ") + (id ? "" : "\"Access key ID\"") +
                       (id || secret ? "" : " and no column ") + (secret ? "" : "\"Secret access key\"") +
                       "; SES answers 535 to a password made of anything else; store the file that the IAM "
                       "console offers once, after a key is created",
                   id || secret);
  }
  const CsvRow row = take_row(rest);
  std::size_t rows = row.empty() ? 0 : 1;
  while (!take_row(rest).empty()) {
    ++rows;
  }
  if (rows == 0) {
    return problem(Reason::kSourceKeysNotFound,
                   "has a header and no row under it, so there is nothing to derive a password from; SES "
                   "answers 535 to any other; store the whole file",
                   true);
  }
  if (rows > 1) {
    return problem(Reason::kSourceKeysAmbiguous,
                   "has " + std::to_string(rows) +
                       " rows, each with a key, and a password of the wrong one gets 535 from SES; leave the "
                       "row that is to be used",
                   true);
  }
  const auto cell = [&row](std::size_t at) {
    return SecretBytes(at < row.size() ? row[at] : std::string_view());
  };
  return SourceValues{.access_key_id = {"column \"Access key ID\"", cell(*id)},
                      .secret_access_key = {"column \"Secret access key\"", cell(*secret)},
                      .session_token = {},
                      .region = {}};
}

}  // namespace sessmtp::api
