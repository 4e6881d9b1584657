// `ses-smtp render`: the target Secret and the status that the controller would make of manifests, without a
// cluster.
//
// Standard output gets objects alone, which hold SMTP passwords; errors, warnings and notes go to standard
// error and hold no value. Not thread-safe: standard input belongs to the process.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "cli/exit_code.h"
#include "cli/object_output.h"

namespace CLI {
class App;
}

namespace sessmtp::cli {

enum class RenderShow : std::uint8_t { kAll, kSecret, kStatus };

struct RenderOptions {
  std::vector<std::string> files;  // "-": standard input
  bool recursive = false;
  std::string namespace_;  // of objects that name none
  ObjectFormat format = ObjectFormat::kYaml;
  RenderShow show = RenderShow::kAll;
  std::optional<WallTime> now;
};

struct RenderIo {
  int in;  // descriptor of standard input
  std::ostream& out;
  std::ostream& err;
};

// Declares the subcommand; options is filled when app parses and must live as long as app.
CLI::App* add_render(CLI::App& app, RenderOptions& options);

// kOk when every credential that is not suspended would be Ready, kFailed when one would not be, or when the
// input cannot be used: then nothing is printed.
[[nodiscard]] ExitCode run_render(const RenderOptions& options, const RenderIo& io);

}  // namespace sessmtp::cli
