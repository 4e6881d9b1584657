// A watch: bytes cut anywhere into lines, lines into events, events into objects.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "api/ses_smtp_credential.h"
#include "base/json.h"
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sessmtp;
  if (size == 0) {
    return 0;
  }
  const std::size_t piece = 1U + data[0] % 64U;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::vector<std::string> lines = lines_of(bytes, piece);
  if (lines != lines_of(bytes, bytes.size() + 1)) {
    std::abort();  // the cuts must not matter
  }
  for (const std::string& line : lines) {
    const auto event = parse_json(line);
    if (!event || !event->is_object() || !event->contains("object")) {
      continue;
    }
    (void)kube::decode_meta(event->at("object"));
    (void)api::decode_credential(event->at("object"));
    (void)to_json_text(*event);
  }
  return 0;
}
