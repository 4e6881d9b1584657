// Objects in a file that a person hands to `ses-smtp render`: YAML of any size, aliases included, ends soon,
// and what was read is read as the same after it was printed.
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>

#include "base/json.h"
#include "cli/manifests.h"
#include "cli/object_output.h"
#include "fuzz.h"

namespace {

using namespace sessmtp;
using fuzz::require;

cli::Manifests read(std::string_view text) {
  cli::Manifests manifests;
  cli::parse_manifests(text, "fuzz.yaml", [](std::string_view, std::string_view) { return true; }, manifests);
  return manifests;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of_input(data, size);
  for (const cli::Manifest& manifest : read(text).found) {
    require(!text_of(manifest.object, "kind").empty() && !text_of(manifest.object, "apiVersion").empty(),
            "an object has a kind");
    if (text_of(manifest.object, "kind").ends_with("List")) {
      continue;
    }
    for (const cli::ObjectFormat format : {cli::ObjectFormat::kYaml, cli::ObjectFormat::kJson}) {
      std::ostringstream out;
      cli::print_objects({manifest.object}, format, out);
      const cli::Manifests again = read(out.str());
      require(again.problems.empty() && again.found.size() == 1, "what was printed can be read");
      require(to_json_text(again.found.front().object) == to_json_text(manifest.object),
              "what was printed is read as the same");
    }
  }
  return 0;
}
