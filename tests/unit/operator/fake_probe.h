// An SMTP server that answers what it is told to, and remembers who logged in.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "smtp/login_probe.h"

namespace sessmtp::operator_ {

// Thread-safe.
class FakeProbe final : public smtp::LoginProbe {
 public:
  std::optional<smtp::LoginReport> log_in(const ses::Endpoint& endpoint, const SecretBytes& username,
                                          const SecretBytes& /*password*/,
                                          std::stop_token /*stop*/) override {
    const std::scoped_lock lock(mutex_);
    logins_.push_back(endpoint.host + ' ' + std::string(username.expose()));
    return report_;
  }

  void answer(smtp::LoginVerdict verdict, int reply_code = 0) {
    const std::scoped_lock lock(mutex_);
    report_ = report_of(verdict, reply_code);
  }
  // "host user", in order.
  [[nodiscard]] std::vector<std::string> logins() const {
    const std::scoped_lock lock(mutex_);
    return logins_;
  }

 private:
  static smtp::LoginReport report_of(smtp::LoginVerdict verdict, int reply_code) {
    smtp::LoginReport report;
    report.verdict = verdict;
    report.reply_code = reply_code;
    return report;
  }

  mutable std::mutex mutex_;
  smtp::LoginReport report_ = report_of(smtp::LoginVerdict::kAuthenticated, 235);
  std::vector<std::string> logins_;
};

}  // namespace sessmtp::operator_
