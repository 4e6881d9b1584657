// `ses-smtp verify`: one login at an SMTP server, no mail, and what its outcome means.
//
// The password comes from a file, a pipe, a prompt or the cluster, never from an argument. No output holds
// it, nor the whole user name. Not thread-safe: it may prompt on the terminal.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "cli/cluster_access.h"
#include "cli/exit_code.h"
#include "cli/terminal.h"
#include "cli/verify_pair.h"
#include "smtp/curl_login_probe.h"
#include "smtp/login_probe.h"

namespace CLI {
class App;
}

namespace sessmtp::cli {

struct VerifyOptions {
  EndpointFlags server;
  std::string username;
  std::string password_file;
  std::string from_secret;      // "[NAMESPACE/]NAME"
  std::string from_credential;  // the same
  std::string ca_file;
  std::chrono::milliseconds timeout{10'000};  // for a connection, and for each answer
  bool json = false;
  bool password_argument = false;  // somebody tried to give it as an argument
  ColorWhen color = ColorWhen::kAuto;
  ClusterOptions cluster;
};

struct VerifyIo {
  int in;  // descriptor of standard input; prompts when it is a terminal and nothing else gives the password
  const Terminal& terminal;
  const Clock& clock;
  std::function<std::unique_ptr<smtp::LoginProbe>(smtp::CurlLoginProbeOptions options)> make_probe;
};

// Over libcurl, for everything but tests.
[[nodiscard]] std::unique_ptr<smtp::LoginProbe> make_curl_probe(smtp::CurlLoginProbeOptions options);

// Declares the subcommand; options is filled when app parses and must live as long as app.
CLI::App* add_verify(CLI::App& app, VerifyOptions& options);

// kOk when the server took the pair, kFailed when it did not or could not be asked. Call before any thread is
// started.
[[nodiscard]] ExitCode run_verify(const VerifyOptions& options, const VerifyIo& io);

}  // namespace sessmtp::cli
