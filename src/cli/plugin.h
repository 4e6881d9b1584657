// By which name people call this program. As `kubectl-ses_smtp` on PATH it is a plugin of kubectl, and as
// `kubectl_complete-ses_smtp` what kubectl asks for completions of that plugin's arguments.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace CLI {
class App;
}

namespace sessmtp::cli {

enum class CalledAs : std::uint8_t { kProgram, kPlugin, kPluginCompletion };

// From argv[0]. Remembers it for program(): call it once, before any thread is started.
CalledAs called_as(std::string_view argv0);

// What a person types: "ses-smtp" or "kubectl ses-smtp".
[[nodiscard]] const std::string& program();

// Makes the help of app and its subcommands show what a person types.
void name_after_program(CLI::App& app);

}  // namespace sessmtp::cli
