#include "cli/plugin.h"

#include <CLI/CLI.hpp>
#include <vector>

namespace sessmtp::cli {
namespace {

constexpr std::string_view kProgram = "ses-smtp";

std::string& name() {
  static std::string name(kProgram);
  return name;
}

// Is it the program there, and not a part of another word such as "ses-smtp-operator" or a subcommand of
// kubectl?
bool is_a_word(std::string_view text, std::size_t at) {
  constexpr std::string_view kKubectl = "kubectl ";
  const std::size_t end = at + kProgram.size();
  const bool begins = at == 0 || text[at - 1] == ' ' || text[at - 1] == '\n' || text[at - 1] == '(';
  return begins && end < text.size() && text[end] == ' ' && !text.substr(0, at).ends_with(kKubectl);
}

std::string with_program(std::string text) {
  for (std::size_t at = text.find(kProgram); at != std::string::npos; at = text.find(kProgram, at)) {
    if (is_a_word(text, at)) {
      text.replace(at, kProgram.size(), program());
      at += program().size();
    } else {
      at += kProgram.size();
    }
  }
  return text;
}

}  // namespace

CalledAs called_as(std::string_view argv0) {
  const std::string_view file = argv0.substr(argv0.rfind('/') + 1);  // npos + 1 is 0
  if (file == "kubectl_complete-ses_smtp") {
    name() = "kubectl ses-smtp";
    return CalledAs::kPluginCompletion;
  }
  if (file == "kubectl-ses_smtp") {
    name() = "kubectl ses-smtp";
    return CalledAs::kPlugin;
  }
  name() = kProgram;
  return CalledAs::kProgram;
}

const std::string& program() {
  return name();
}

void name_after_program(CLI::App& app) {
  if (app.get_parent() == nullptr) {
    app.name(program());
  }
  app.footer(with_program(app.get_footer()));
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; })) {
    name_after_program(*command);
  }
}

}  // namespace sessmtp::cli
