#include "kube/token_source.h"

#include <utility>

#include "base/base64.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"

namespace sessmtp::kube {
namespace {

using namespace std::chrono_literals;

// A minute less ten seconds of leeway: client-go:transport/token_source.go.
constexpr auto kTokenLifetime = 50s;

SecretBytes fixed_authorization(const ClusterConfig& config) {
  if (!config.username.empty() || !config.password.empty()) {
    return SecretBytes("Basic " + base64_encode(config.username + ':' + config.password));  // RFC 7617
  }
  return config.token.empty() ? SecretBytes() : SecretBytes("Bearer " + config.token);
}

// client-go:transport/round_trippers.go
Headers impersonation_headers(const Impersonation& who) {
  Headers headers;
  if (!who.user.empty()) {
    headers.emplace_back("Impersonate-User", who.user);
  }
  if (!who.uid.empty()) {
    headers.emplace_back("Impersonate-Uid", who.uid);
  }
  for (const std::string& group : who.groups) {
    headers.emplace_back("Impersonate-Group", group);
  }
  for (const auto& [key, value] : who.extra) {
    headers.emplace_back("Impersonate-Extra-" + percent_encode(key), value);
  }
  return headers;
}

Result<SecretBytes> read_token(const std::filesystem::path& file) {
  Result<std::string> content = read_file(file);
  if (!content) {
    return std::unexpected(std::move(content.error()));
  }
  SecretBytes token(trimmed(*content));
  wipe(content->data(), content->size());
  if (token.empty() || has_control_characters(token.expose())) {
    return fail(ErrorCode::kInvalidInput, file.string() + (token.empty() ? ": empty" : ": not one line"));
  }
  return token;
}

}  // namespace

TokenSource::TokenSource(const ClusterConfig& config, const Clock& clock, std::shared_ptr<ExecPlugin> plugin)
    : clock_(clock),
      plugin_(std::move(plugin)),
      file_(config.token_file),
      fixed_(file_.empty() ? fixed_authorization(config) : SecretBytes()),
      impersonation_(impersonation_headers(config.impersonate)) {}

Result<std::uint64_t> TokenSource::authorize(Headers& headers, const std::stop_token& stop) {
  std::uint64_t credential = 0;
  SecretBytes token;
  if (plugin_) {
    Result<ExecPlugin::Token> given = plugin_->token(stop);
    if (!given) {
      return std::unexpected(std::move(given.error()));
    }
    token = std::move(given->value);
    credential = given->credential;
  } else if (!file_.empty()) {
    const Result<std::uint64_t> read = from_file(token);
    if (!read) {
      return read;
    }
    credential = *read;
  }
  if (!token.empty()) {
    headers.emplace_back("Authorization", "Bearer " + std::string(token.expose()));
  } else if (!fixed_.empty()) {
    headers.emplace_back("Authorization", fixed_.expose());
  }
  headers.insert(headers.end(), impersonation_.begin(), impersonation_.end());
  return credential;
}

Result<std::uint64_t> TokenSource::from_file(SecretBytes& token) {
  const std::scoped_lock lock(mutex_);
  const SteadyTime now = clock_.steady();
  if (!read_at_ || now - *read_at_ >= kTokenLifetime) {
    Result<SecretBytes> fresh = read_token(file_);
    if (fresh) {
      read_at_ = now;
      if (std::exchange(unreadable_, false)) {
        log::info("token file usable again", {{"file", file_.string()}});
      }
      if (!fresh->equals(token_)) {
        token_ = std::move(*fresh);
        ++number_;
      }
    } else {
      if (!std::exchange(unreadable_, true)) {
        log::warn(token_.empty() ? "token file not usable, nothing is sent until it is"
                                 : "token file not usable, keeping the last token",
                  {{"why", fresh.error().message}});
      }
      if (token_.empty()) {
        return std::unexpected(std::move(fresh.error()).in("token file"));
      }
    }
  }
  token = token_.clone();
  return number_;
}

void TokenSource::reject(std::uint64_t credential) {
  if (plugin_) {
    plugin_->reject(credential);
    return;
  }
  const std::scoped_lock lock(mutex_);
  if (credential == number_) {
    read_at_.reset();
  }
}

std::shared_ptr<ExecPlugin> make_exec_plugin(const ClusterConfig& config, const Clock& clock) {
  return config.exec ? std::make_shared<ExecPlugin>(config, clock) : nullptr;
}

}  // namespace sessmtp::kube
