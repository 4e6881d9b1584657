// Picks the subcommand, nothing else.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <optional>
#include <string>
#include <string_view>

#include "base/process_hardening.h"
#include "cli/completion.h"
#include "cli/controller.h"
#include "cli/derive.h"
#include "cli/doctor.h"
#include "cli/exit_code.h"
#include "cli/plugin.h"
#include "cli/render.h"
#include "cli/status.h"
#include "cli/verify.h"

namespace {

std::optional<std::string> environment_variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? std::optional<std::string>(value) : std::nullopt;
}

int run(int argc, char** argv) {
  const auto called_as = sessmtp::cli::called_as(argv[0]);
  CLI::App app{"Amazon SES SMTP credentials from IAM access keys", "ses-smtp"};
  app.set_version_flag("--version", "ses-smtp " SESSMTP_VERSION);
  app.require_subcommand(1);
  sessmtp::cli::ControllerCommand controller_command;
  const CLI::App* controller = sessmtp::cli::add_controller(app, controller_command);
  sessmtp::cli::DeriveOptions derive_options;
  const CLI::App* derive = sessmtp::cli::add_derive(app, derive_options);
  sessmtp::cli::RenderOptions render_options;
  const CLI::App* render = sessmtp::cli::add_render(app, render_options);
  sessmtp::cli::StatusOptions status_options;
  const CLI::App* status = sessmtp::cli::add_status(app, status_options);
  sessmtp::cli::DoctorOptions doctor_options;
  const CLI::App* doctor = sessmtp::cli::add_doctor(app, doctor_options);
  sessmtp::cli::VerifyOptions verify_options;
  const CLI::App* verify = sessmtp::cli::add_verify(app, verify_options);
  sessmtp::cli::CompletionOptions completion_options;
  const CLI::App* completion = sessmtp::cli::add_completion(app, completion_options);
  sessmtp::cli::name_after_program(app);
  const bool asked = argc > 1 && std::string_view(argv[1]) == sessmtp::cli::kCompleteCommand;
  if (asked || called_as == sessmtp::cli::CalledAs::kPluginCompletion) {
    return sessmtp::cli::run_complete(app, {argv + (asked ? 2 : 1), argv + argc}, std::cout);
  }
  if (argc == 1) {
    std::cerr << app.help();
    return sessmtp::cli::kUsage;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ExtrasError&) {  // its own message would print what may be a secret
    std::cerr << "error: there is an argument that ses-smtp does not know\n  fix: " << sessmtp::cli::program()
              << " --help\n";
    return sessmtp::cli::kUsage;
  } catch (const CLI::RequiredError& error) {
    const std::string_view word = argv[1];
    const bool command_like =
        word.size() < 20 && word.find_first_not_of("abcdefghijklmnopqrstuvwxyz-") == word.npos;
    if (!app.get_subcommands().empty() || !command_like || word.starts_with('-')) {
      return app.exit(error) == 0 ? sessmtp::cli::kOk : sessmtp::cli::kUsage;
    }
    std::cerr << "error: \"" << word << "\" is not a command\n  fix: " << sessmtp::cli::program()
              << " --help lists them\n";
    return sessmtp::cli::kUsage;
  } catch (const CLI::ParseError& error) {
    const bool about_a_value = error.get_name() == "ValidationError" || error.get_name() == "ConversionError";
    if (about_a_value && std::string_view(argv[1]) == "derive") {  // the same
      const std::string_view text = error.what();
      std::cerr << "error: the value of " << text.substr(0, text.find(':'))
                << " is not accepted\n  fix: ses-smtp derive --help says what is\n";
      return sessmtp::cli::kUsage;
    }
    return app.exit(error) == 0 ? sessmtp::cli::kOk : sessmtp::cli::kUsage;
  }

  if (controller->parsed()) {
    return sessmtp::cli::run_controller_command(controller_command);
  }
  if (derive->parsed()) {
    return sessmtp::cli::run_derive(derive_options,
                                    {STDIN_FILENO, std::cout, std::cerr, environment_variable});
  }
  if (render->parsed()) {
    return sessmtp::cli::run_render(render_options, {STDIN_FILENO, std::cout, std::cerr});
  }
  if (status->parsed()) {
    return sessmtp::cli::run_status(status_options,
                                    sessmtp::cli::Terminal::for_process(environment_variable));
  }
  if (doctor->parsed()) {
    return sessmtp::cli::run_doctor(doctor_options,
                                    sessmtp::cli::Terminal::for_process(environment_variable));
  }
  if (completion->parsed()) {
    return sessmtp::cli::run_completion(completion_options, std::cout);
  }
  if (verify->parsed()) {
    const auto terminal = sessmtp::cli::Terminal::for_process(environment_variable);
    return sessmtp::cli::run_verify(
        verify_options, {STDIN_FILENO, terminal, sessmtp::SystemClock(), sessmtp::cli::make_curl_probe});
  }
  return sessmtp::cli::kUsage;
}

}  // namespace

int main(int argc, char** argv) {
  sessmtp::forbid_core_dumps();
  try {
    return run(argc, argv);
  } catch (const std::exception&) {  // its text may hold input
    (void)std::fputs("error: unexpected failure inside ses-smtp, such as no memory\n", stderr);
    return sessmtp::cli::kFailed;
  }
}
