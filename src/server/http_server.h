// A small HTTP/1.1 server for metrics and health: GET and HEAD, short answers made on the spot.
//
// One thread of its own, which also calls the handler; what the handler touches must be thread-safe, and it
// must not block. What clients send is limited in size, time and number of connections. Plain HTTP only.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "server/bind_address.h"

namespace sessmtp::server {

inline constexpr const char* kPlainText = "text/plain; charset=utf-8";

struct Answer {
  unsigned status = 200;
  std::string content_type = kPlainText;
  std::string body;
};

[[nodiscard]] inline Answer not_found() {
  return {.status = 404, .body = "not found\n"};
}

class HttpServer {
 public:
  // Given the path without the query, as it was sent. An exception becomes 500.
  using Handler = std::function<Answer(std::string_view path)>;

  struct Options {
    std::size_t max_header = 8192;                   // bytes, the request line included
    std::chrono::milliseconds read_timeout{10'000};  // from the last answer to the end of the next header
    std::chrono::milliseconds write_timeout{10'000};
    std::size_t max_connections = 64;  // more are closed at once
  };

  // Listens and answers until it is destroyed. kIo with address and reason when that address cannot be had.
  [[nodiscard]] static Result<std::unique_ptr<HttpServer>> start(const BindAddress& address, Handler handler,
                                                                 const Options& options);
  [[nodiscard]] static Result<std::unique_ptr<HttpServer>> start(const BindAddress& address, Handler handler);

  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;
  // Closes every connection, answered or not, and waits for the thread: as long as a handler takes.
  ~HttpServer();

  [[nodiscard]] std::uint16_t port() const;  // the one that was bound

 private:
  class Impl;
  explicit HttpServer(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace sessmtp::server
