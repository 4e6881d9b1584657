// A watch or a list: bytes cut anywhere into lines, lines into events, events into objects.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "api/ses_smtp_credential.h"
#include "base/json.h"
#include "kube/json_splitter.h"
#include "kube/line_splitter.h"
#include "kube/object.h"

namespace {

constexpr std::size_t kMaxLine = 4096;

std::vector<std::string> lines_of(std::string_view bytes, std::size_t piece) {
  std::vector<std::string> lines;
  sessmtp::kube::LineSplitter splitter([&lines](std::string_view line) { lines.emplace_back(line); },
                                       kMaxLine);
  while (!bytes.empty()) {
    splitter.feed(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
  }
  return lines;
}

std::vector<std::string> objects_of(std::string_view member, std::string_view bytes, std::size_t piece) {
  std::vector<std::string> objects;
  sessmtp::kube::JsonSplitter splitter(
      member, [&objects](std::string_view object) { objects.emplace_back(object); }, kMaxLine);
  while (!bytes.empty()) {
    splitter.feed(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
  }
  objects.push_back(splitter.envelope());
  return objects;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sessmtp;
  if (size == 0) {
    return 0;
  }
  const std::size_t piece = 1U + data[0] % 64U;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::vector<std::string> lines = lines_of(bytes, piece);
  if (lines != lines_of(bytes, bytes.size() + 1) ||
      objects_of("items", bytes, piece) != objects_of("items", bytes, bytes.size() + 1)) {
    std::abort();  // the cuts must not matter
  }
  for (const std::string& line : lines) {
    for (const std::string& object : objects_of("object", line, line.size() + 1)) {
      (void)kube::parse_meta(object);
      (void)kube::resource_version_of(object);
      if (const auto parsed = kube::parse_object(object)) {
        (void)api::decode_credential(*parsed);
        (void)to_json_text(*parsed);
      }
    }
  }
  return 0;
}
