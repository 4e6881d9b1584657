#include "kube/exec_plugin.h"

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "base/base64.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"

namespace sessmtp::kube {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

constexpr auto kLeeway = 10s;  // before a credential expires, and for how long one counts as young
constexpr auto kFirstPause = 1s;
constexpr auto kLongestPause = 30s;

// RFC 3339 with any offset: Go's plugins write local time as well.
std::optional<WallTime> parse_time(std::string_view text) {
  constexpr std::size_t kOffset = 6;  // "+01:00"
  if (text.size() < kOffset || text.ends_with('Z')) {
    return parse_rfc3339(text);
  }
  const std::string_view offset = text.substr(text.size() - kOffset);
  const auto digit = [offset](std::size_t at) { return offset[at] >= '0' && offset[at] <= '9'; };
  if ((offset[0] != '+' && offset[0] != '-') || !digit(1) || !digit(2) || offset[3] != ':' || !digit(4) ||
      !digit(5)) {
    return std::nullopt;
  }
  const auto number = [offset](std::size_t at) { return (offset[at] - '0') * 10 + (offset[at + 1] - '0'); };
  if (number(1) > 23 || number(4) > 59) {
    return std::nullopt;
  }
  const auto ahead = std::chrono::hours(number(1)) + std::chrono::minutes(number(4));
  auto time = parse_rfc3339(std::string(text.substr(0, text.size() - kOffset)) + 'Z');
  if (time) {
    *time -= offset[0] == '+' ? ahead : -ahead;
  }
  return time;
}

}  // namespace

Result<ExecCredential> parse_exec_credential(std::string_view output, std::string_view api_version) {
  const auto wrong = [](const std::string& what) { return fail(ErrorCode::kInvalidInput, what); };
  const auto document = parse_json(output);
  if (!document || !document->is_object()) {
    return wrong("did not print a JSON object");
  }
  if (text_of(*document, "kind") != "ExecCredential") {
    return wrong("did not print an ExecCredential");
  }
  if (text_of(*document, "apiVersion") != api_version) {
    return wrong("printed an ExecCredential of another apiVersion than " + std::string(api_version) +
                 ", which the kubeconfig asks for");
  }
  const json& status = member_of(*document, "status");
  if (!status.is_object()) {
    return wrong("printed an ExecCredential without status");
  }
  for (const char* name : {"token", "clientKeyData", "clientCertificateData", "expirationTimestamp"}) {
    if (const json& field = member_of(status, name); !field.is_null() && !field.is_string()) {
      return wrong("printed an ExecCredential with a field that is not a text");
    }
  }
  std::string token = text_of(status, "token");
  std::string key = text_of(status, "clientKeyData");
  const std::string expiration = text_of(status, "expirationTimestamp");
  ExecCredential credential;
  credential.certificate = text_of(status, "clientCertificateData");
  credential.token = SecretBytes(token);
  credential.key = SecretBytes(key);
  const bool unusable = has_control_characters(token);
  wipe(token.data(), token.size());
  wipe(key.data(), key.size());
  if (unusable) {
    return wrong("gave a token with control characters");
  }
  if (credential.token.empty() && credential.certificate.empty() && credential.key.empty()) {
    return wrong("gave neither a token nor a client certificate");
  }
  if (credential.certificate.empty() != credential.key.empty()) {
    return wrong("gave a client certificate or a key, but not both");
  }
  if (!expiration.empty()) {
    credential.expires = parse_time(expiration);
    if (!credential.expires) {
      return wrong("gave an expirationTimestamp that is not a time");
    }
  }
  return credential;
}

ExecPlugin::ExecPlugin(ClusterConfig cluster, const Clock& clock, Run run)
    : cluster_(std::move(cluster)), clock_(clock), run_(std::move(run)) {}

Result<ExecPlugin::Token> ExecPlugin::token(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  const std::uint64_t found = number_;
  while (true) {
    const WallTime now = clock_.now();
    const bool good = credential_ && (!credential_->expires || now < *credential_->expires);
    const bool ageing = good && credential_->expires && now >= *credential_->expires - kLeeway;
    const bool paused = clock_.steady() < next_run_ && (good || failure_);
    if ((!good || ageing || rejected_) && !running_ && !paused && number_ == found) {
      start_run();
    }
    const bool worth_waiting = running_ && (!good || rejected_);
    if (!worth_waiting) {
      // What has just come may be past its end already; there is no better.
      return good || number_ != found ? current() : Result<Token>(std::unexpected(*failure_));
    }
    if (!run_ended_.wait(lock, stop, [this] { return !running_; })) {
      return fail(ErrorCode::kIo, "stopped");
    }
  }
}

void ExecPlugin::reject(std::uint64_t credential) {
  const std::lock_guard lock(mutex_);
  if (credential == number_ && clock_.steady() - obtained_ >= kLeeway) {
    rejected_ = true;
  }
}

std::optional<ExecPlugin::Identity> ExecPlugin::identity() const {
  const std::lock_guard lock(mutex_);
  if (!credential_ || credential_->certificate.empty()) {
    return std::nullopt;
  }
  return Identity{credential_->certificate, credential_->key.clone()};
}

std::uint64_t ExecPlugin::identity_revision() const {
  const std::lock_guard lock(mutex_);
  return identity_revision_;
}

ExecPlugin::Token ExecPlugin::current() const {
  return {credential_->token.clone(), number_};
}

// With the mutex held. The run before has ended but for its last line, so there is no wait for its thread.
void ExecPlugin::start_run() {
  try {
    runner_ = std::jthread([this](const std::stop_token& stop) { run_once(stop); });
    running_ = true;
  } catch (const std::system_error&) {
    note_failure(
        {ErrorCode::kIo, "no thread to run the credential plugin " + in_quotes(cluster_.exec->command)});
  }
}

void ExecPlugin::run_once(const std::stop_token& stop) {
  Result<ExecCredential> fresh = fail(ErrorCode::kInternal, {});
  try {
    fresh = run(stop);
  } catch (const std::exception&) {  // of a library, and it may quote what the program said
    fresh = fail(ErrorCode::kInternal, "running the credential plugin " + in_quotes(cluster_.exec->command) +
                                           " failed within this program");
  }
  const std::lock_guard lock(mutex_);
  running_ = false;
  run_ended_.notify_all();
  if (fresh) {
    keep(std::move(*fresh));
  } else if (!stop.stop_requested()) {
    note_failure(fresh.error());
  }
}

Result<ExecCredential> ExecPlugin::run(const std::stop_token& stop) const {
  const ExecConfig& exec = *cluster_.exec;
  const auto failed = [&](const Error& error) {
    std::string text = "credential plugin " + in_quotes(exec.command) + " of " + cluster_.origin + ' ' +
                       error.message + "; ";
    text += error.code == ErrorCode::kNotFound && !exec.install_hint.empty()
                ? "its kubeconfig says: " + exec.install_hint
                : "run it by hand to see what it says";
    return std::unexpected(Error{error.code, text});
  };
  Result<std::string> info = exec_info();
  if (!info) {
    return failed(info.error());
  }
  ChildProcess program{.command = exec.command, .arguments = exec.arguments, .environment = exec.environment};
  program.environment.emplace_back("KUBERNETES_EXEC_INFO", std::move(*info));
  Result<std::string> output = run_(program, stop);
  if (!output) {
    return failed(output.error());
  }
  Result<ExecCredential> credential = parse_exec_credential(*output, exec.api_version);
  wipe(output->data(), output->size());
  if (!credential) {
    return failed(credential.error());
  }
  if (credential->expires && *credential->expires <= clock_.now()) {
    return failed({ErrorCode::kInvalidInput,
                   "gave a credential that has expired already, or this machine's clock is wrong"});
  }
  return credential;
}

// client-go:pkg/apis/clientauthentication/v1/types.go
Result<std::string> ExecPlugin::exec_info() const {
  json spec = {{"interactive", false}};
  if (cluster_.exec->provide_cluster_info) {
    json cluster = {{"server", cluster_.server}};
    if (!cluster_.tls_server_name.empty()) {
      cluster["tls-server-name"] = cluster_.tls_server_name;
    }
    if (cluster_.insecure_skip_tls_verify) {
      cluster["insecure-skip-tls-verify"] = true;
    }
    if (!cluster_.certificate_authority.empty()) {
      const Result<std::string> authority = cluster_.certificate_authority.read();
      if (!authority) {
        return fail(ErrorCode::kIo, "was not run: the cluster's CA: " + authority.error().message);
      }
      cluster["certificate-authority-data"] = base64_encode(*authority);
    }
    if (!cluster_.proxy_url.empty()) {
      cluster["proxy-url"] = cluster_.proxy_url;
    }
    if (const auto config = parse_json(cluster_.exec->cluster_config);
        config && !cluster_.exec->cluster_config.empty()) {
      cluster["config"] = *config;
    }
    spec["cluster"] = std::move(cluster);
  }
  return to_json_text(
      {{"kind", "ExecCredential"}, {"apiVersion", cluster_.exec->api_version}, {"spec", spec}});
}

void ExecPlugin::keep(ExecCredential credential) {
  const bool same_identity = credential_ ? credential_->certificate == credential.certificate &&
                                               credential_->key.equals(credential.key)
                                         : credential.certificate.empty();
  identity_revision_ += same_identity ? 0 : 1;
  credential_ = std::move(credential);
  ++number_;
  rejected_ = false;
  obtained_ = clock_.steady();
  next_run_ = obtained_ + kFirstPause;  // whatever expiry it has
  pause_ = 0s;
  if (std::exchange(failure_, std::nullopt)) {
    log::info("credential plugin works again", {{"command", cluster_.exec->command}});
  }
}

void ExecPlugin::note_failure(const Error& error) {
  pause_ = std::clamp<std::chrono::seconds>(pause_ * 2, kFirstPause, kLongestPause);
  next_run_ = clock_.steady() + pause_;
  if (!std::exchange(failure_, error)) {
    log::warn("no credential from the plugin, trying again", {{"error", error.message}});
  }
}

}  // namespace sessmtp::kube
