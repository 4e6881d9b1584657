#include "kube/token_source.h"

#include <string_view>

#include "base/file.h"
#include "base/log.h"

namespace sessmtp::kube {
namespace {

using namespace std::chrono_literals;

constexpr auto kTokenLifetime = 60s;  // client-go:transport/token_source.go

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const auto first = text.find_first_not_of(kSpace);
  return first == std::string_view::npos ? std::string_view()
                                         : text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

}  // namespace

TokenSource::TokenSource(const ClusterConfig& config, const Clock& clock)
    : clock_(clock), file_(config.token_file), token_(config.token) {}

SecretBytes TokenSource::token() {
  const std::scoped_lock lock(mutex_);
  const SteadyTime now = clock_.steady();
  if (!file_.empty() && (!read_at_ || now - *read_at_ >= kTokenLifetime)) {
    auto content = read_file(file_);
    if (content && !trim(*content).empty()) {
      token_ = SecretBytes(trim(*content));
    } else {
      log::warn("token file not usable, keeping the last token",
                {{"file", file_.string()}, {"why", content ? "empty" : content.error().message}});
    }
    read_at_ = now;
  }
  return token_.clone();
}

void TokenSource::reject() {
  const std::scoped_lock lock(mutex_);
  read_at_.reset();
}

}  // namespace sessmtp::kube
