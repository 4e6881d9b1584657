// One request under way in cpprestsdk. Private to cpprest_transport.cpp.
#pragma once

#include <cpprest/http_client.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>

#include "kube/transport.h"

namespace sessmtp::kube {

// The library reports by exceptions, so this is how a callback of ours tells it that something is wrong with
// what we have. Logged where it is thrown.
struct SetupFailed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// How many calls the library has not finished yet.
class Pending {
 public:
  void add();
  void remove();
  void wait_for_none(std::chrono::milliseconds at_most);

 private:
  std::mutex mutex_;
  std::condition_variable none_;
  int count_ = 0;
};

// Shared by the caller's thread and the library's. Of a stream the library reports head, pieces and end; the
// caller waits for them and answers each piece, or gives up. Of a short call it gathers the whole answer, and
// the caller is woken once.
class Call {
 public:
  using Instant = std::chrono::steady_clock::time_point;
  enum class Event : std::uint8_t { kStopped, kTimeout, kHead, kPiece, kTooLarge, kEnd };

  struct Head {
    int status = 0;
    std::optional<std::chrono::seconds> retry_after;
    std::string flow_schema;
    std::uint64_t content_length = 0;  // 0: not told
  };
  struct Failure {
    std::string text;
    int code = 0;
    bool ours = false;  // from SetupFailed
  };

  // With `room` the body is gathered, up to so many bytes, and there is no kHead and no kPiece; without it
  // there is no kTooLarge.
  Call(std::shared_ptr<Pending> pending, std::optional<std::size_t> room);

  // Sends. Whatever happens is reported by wait().
  static void start(const std::shared_ptr<Call>& call, web::http::client::http_client& client,
                    const Request& request);
  // To be called where the library makes a new connection.
  static void note_new_connection();

  // --- on the caller's thread

  [[nodiscard]] Event wait(Instant deadline, const std::stop_token& stop);
  [[nodiscard]] bool head_seen() const { return head_given_; }
  [[nodiscard]] const Head& head() const { return *head_; }         // after kHead, or kEnd without failure
  [[nodiscard]] std::string&& body() { return std::move(body_); }   // after kEnd, with room
  [[nodiscard]] std::string_view piece() const { return *piece_; }  // after kPiece
  [[nodiscard]] const std::optional<Failure>& failure() const { return failure_; }  // after kEnd
  // False: the connection came from the pool, or nobody knows.
  [[nodiscard]] bool on_new_connection() const { return new_connection_; }
  // Lets the library go on after a piece.
  void take();
  // Closes the connection if the call has not ended. Never on a thread of the library: it waits for that.
  void give_up();

  // --- on the library's threads; none of these waits

  void begin(const Head& head);
  // The library keeps the bytes where they are until the task is done, and reads no further.
  pplx::task<std::size_t> deliver(const char* data, std::size_t size);
  void end(std::optional<Failure> failure);

 private:
  [[nodiscard]] bool has_news() const;
  [[nodiscard]] bool gathers() const { return room_.has_value(); }

  const std::shared_ptr<Pending> pending_;
  const std::optional<std::size_t> room_;
  bool new_connection_ = false;  // of the caller's thread alone
  pplx::cancellation_token_source cancellation_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::optional<Head> head_;
  bool head_given_ = false;
  std::optional<std::string_view> piece_;
  pplx::task_completion_event<std::size_t> taken_;
  std::string body_;
  bool too_large_ = false;
  bool ended_ = false;
  bool given_up_ = false;
  std::optional<Failure> failure_;
};

}  // namespace sessmtp::kube
