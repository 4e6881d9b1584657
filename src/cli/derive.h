// `ses-smtp derive`: the SMTP password of an IAM key, without a cluster.
//
// The secret access key comes from a file, a pipe, the environment or a prompt, never from an argument.
// Standard output gets the result alone; notes, warnings and errors go to standard error and hold no value
// that was given. Not thread-safe (it may prompt on the terminal).
#pragma once

#include <cstdint>
#include <functional>
#include <iosfwd>
#include <optional>
#include <string>
#include <vector>

#include "cli/exit_code.h"
#include "ses/endpoint.h"

namespace CLI {
class App;
}

namespace sessmtp::cli {

enum class DeriveOutput : std::uint8_t { kText, kJson, kYaml, kEnv, kUrl, kSecret };
enum class SignatureVersion : std::uint8_t { kV4, kV2 };

struct DeriveOptions {
  std::string region;  // empty: AWS_REGION, then AWS_DEFAULT_REGION
  std::string access_key_id;
  std::string secret_access_key_file;
  std::vector<std::string> compare_files;  // hold passwords to be judged; nothing is printed of them
  DeriveOutput output = DeriveOutput::kText;
  SignatureVersion signature_version = SignatureVersion::kV4;
  ses::EndpointOverrides endpoint;
  std::string secret_name;                // for kSecret
  std::string secret_namespace;           // for kSecret; empty: the manifest names none
  std::vector<std::string> unrecognized;  // arguments that no flag took: refused and not printed
};

// What the command touches outside of itself.
struct DeriveIo {
  int in;  // descriptor of standard input; prompts when it is a terminal and nothing else gives the key
  std::ostream& out;
  std::ostream& err;
  std::function<std::optional<std::string>(const char* name)> environment;
};

// Declares the subcommand; options is filled when app parses and must live as long as app.
CLI::App* add_derive(CLI::App& app, DeriveOptions& options);

[[nodiscard]] ExitCode run_derive(const DeriveOptions& options, const DeriveIo& io);

}  // namespace sessmtp::cli
