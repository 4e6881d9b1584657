// A Transport that answers from a script, in order, and keeps what it was asked.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "kube/transport.h"

namespace sessmtp::kube {

// One answer: a failure, or a status with a body. A stream brings the pieces before it ends, or the body
// in one piece.
struct Scripted {
  int status = 200;
  std::string body = "{}";
  std::optional<TransportFailure> failure = std::nullopt;
  std::vector<std::string> pieces = {};
  std::optional<std::chrono::seconds> retry_after = std::nullopt;
  std::function<void()> meanwhile = nullptr;  // while the request is on its way
};

// Thread-safe. When the script is at its end, it asks for a stop and cancels.
class ScriptedTransport final : public Transport {
 public:
  explicit ScriptedTransport(std::stop_source at_end = std::stop_source()) : at_end_(std::move(at_end)) {}

  ScriptedTransport& then(Scripted answer) {
    const std::scoped_lock lock(mutex_);
    script_.push_back(std::move(answer));
    return *this;
  }

  Result<Response, TransportError> send(const Request& request, std::chrono::milliseconds,
                                        std::stop_token) override {
    const Scripted answer = next(request);
    return finish(answer);
  }
  Result<Response, TransportError> stream(const Request& request, std::chrono::milliseconds, std::stop_token,
                                          const OnBytes& on_bytes) override {
    const Scripted answer = next(request);
    if (answer.status == 200) {
      for (const std::string& piece : answer.pieces.empty() ? std::vector{answer.body} : answer.pieces) {
        on_bytes(piece);
      }
    }
    return finish(answer);
  }

  [[nodiscard]] std::vector<Request> requests() const {
    const std::scoped_lock lock(mutex_);
    return requests_;
  }
  [[nodiscard]] std::vector<std::string> targets() const {
    std::vector<std::string> result;
    for (const Request& request : requests()) {
      result.push_back(request.target);
    }
    return result;
  }

 private:
  Scripted next(const Request& request) {
    Scripted answer;
    {
      const std::scoped_lock lock(mutex_);
      requests_.push_back(request);
      if (script_.empty()) {
        at_end_.request_stop();
        answer.failure = TransportFailure::kCancelled;
        return answer;
      }
      answer = std::move(script_.front());
      script_.pop_front();
    }
    if (answer.meanwhile) {
      answer.meanwhile();
    }
    return answer;
  }
  static Result<Response, TransportError> finish(const Scripted& answer) {
    if (answer.failure) {
      return std::unexpected(TransportError{.kind = *answer.failure, .message = "scripted"});
    }
    return Response{.status = answer.status, .body = answer.body, .retry_after = answer.retry_after};
  }

  mutable std::mutex mutex_;
  std::stop_source at_end_;
  std::deque<Scripted> script_;
  std::vector<Request> requests_;
};

inline std::string header(const Request& request, const std::string& name) {
  for (const auto& [key, value] : request.headers) {
    if (key == name) {
      return value;
    }
  }
  return "(none)";
}

}  // namespace sessmtp::kube
