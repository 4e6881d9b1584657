// Bytes of a list or a watch, cut anywhere: the cuts do not matter, nothing grows past its limit, and the
// objects are those that a parser of the whole finds.
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "fuzz.h"
#include "kube/json_splitter.h"
#include "kube/line_splitter.h"

namespace {

using namespace sessmtp;
using fuzz::Pieces;
using fuzz::require;
using nlohmann::json;

constexpr std::size_t kMaxLine = 32;

std::vector<std::string> lines_of(std::string_view bytes, Pieces pieces) {
  std::vector<std::string> lines;
  kube::LineSplitter splitter([&lines](std::string_view line) { lines.emplace_back(line); }, kMaxLine);
  fuzz::in_pieces(bytes, pieces, [&splitter](std::string_view piece) { splitter.feed(piece); });
  return lines;
}

// What the splitter promises, said once more: whole lines that are not empty; of a long one an empty text.
std::vector<std::string> expected_lines(std::string_view bytes) {
  std::vector<std::string> lines;
  for (std::size_t end = bytes.find('\n'); end != std::string_view::npos; end = bytes.find('\n')) {
    if (end > 0) {
      lines.emplace_back(end <= kMaxLine ? bytes.substr(0, end) : std::string_view());
    }
    bytes.remove_prefix(end + 1);
  }
  return lines;
}

struct Split {
  std::vector<std::string> objects;
  std::string envelope;

  friend bool operator==(const Split&, const Split&) = default;
};

Split split(const char* member, std::string_view bytes, Pieces pieces, std::size_t max_object) {
  Split result;
  kube::JsonSplitter splitter(
      member, [&result](std::string_view object) { result.objects.emplace_back(object); }, max_object);
  fuzz::in_pieces(bytes, pieces, [&splitter](std::string_view piece) { splitter.feed(piece); });
  result.envelope = splitter.envelope();
  return result;
}

// Only where the member is there once, spelled plainly, with nothing in it but objects: anything else is
// refused by whoever asked for the list.
void compare_with_parser(const char* member, std::string_view bytes) {
  int times = 0;
  const auto whole = parse_json(bytes, [&times, member](int depth, const std::string& name) {
    times += depth == 1 && name == member ? 1 : 0;
    return true;
  });
  if (!whole || !whole->is_object() || times != 1 || bytes.contains('\\')) {
    return;
  }
  const json& value = member_of(*whole, member);
  const json expected = value.is_object() ? json::array({value}) : value;
  if (!expected.is_array() ||
      !std::ranges::all_of(expected, [](const json& item) { return item.is_object(); })) {
    return;
  }
  const Split found = split(member, bytes, Pieces::kMixed, bytes.size());
  json objects = json::array();
  for (const std::string& object : found.objects) {
    const auto parsed = parse_json(object);
    require(parsed.has_value(), "an object that was cut out can be parsed");
    objects.push_back(*parsed);
  }
  require(objects == expected, "the objects are those of the whole");
  json rest = *whole;
  rest[member] = value.is_object() ? json() : json::array();
  const auto envelope = parse_json(found.envelope);
  require(envelope && *envelope == rest, "the envelope is the rest of the whole");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes = fuzz::text_of_input(data, size);
  const std::vector<std::string> lines = expected_lines(bytes);
  for (const Pieces pieces : {Pieces::kWhole, Pieces::kSingleBytes, Pieces::kMixed}) {
    require(lines_of(bytes, pieces) == lines, "lines do not depend on the cuts");
  }
  for (const char* member : {"items", "object"}) {
    const Split whole = split(member, bytes, Pieces::kWhole, kMaxLine);
    require(whole == split(member, bytes, Pieces::kSingleBytes, kMaxLine), "objects survive single bytes");
    require(whole == split(member, bytes, Pieces::kMixed, kMaxLine), "objects do not depend on the cuts");
    require(std::ranges::all_of(whole.objects,
                                [](const std::string& object) { return object.size() <= kMaxLine; }),
            "no object is longer than the limit");
    compare_with_parser(member, bytes);
  }
  return 0;
}
