// The seam between the Kubernetes client and an HTTP library. Types are ours: nothing of the library
// shows here, so it can be replaced, and everything above it is tested with a scripted transport.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace sessmtp::kube {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct Request {
  std::string method = "GET";
  std::string target;  // path and query, percent-encoded: "/api/v1/secrets?limit=500"
  Headers headers;
  std::string body;
};

struct Limits {
  std::size_t body_size = std::size_t{64} << 20;          // of send(): more is kTooLarge
  std::size_t stream_error_size = std::size_t{64} << 10;  // of a stream's answer other than 200: cut off here
  std::chrono::milliseconds stream_head{60000};           // how long a stream may take to give its status
  std::chrono::milliseconds rotation_check{300000};       // how often certificate files are looked at
};

struct Response {
  int status = 0;
  std::string body;                                 // at most Limits::body_size bytes
  std::optional<std::chrono::seconds> retry_after;  // the Retry-After header, in its seconds form
  std::string flow_schema = {};                     // the X-Kubernetes-PF-FlowSchema-UID header
};

enum class TransportFailure : std::uint8_t {
  kCancelled,      // by the stop token
  kDeadline,       // no complete answer, or no byte of a stream, in the time given
  kUnreachable,    // no connection: name not found, refused, no route
  kTls,            // the server could not prove who it is, or did not accept us
  kBroken,         // the connection ended before the answer did
  kTooLarge,       // the answer is larger than allowed
  kNoCredentials,  // not sent: something here that proves who is who is not usable; whoever found out has
                   // logged it
};

struct TransportError {
  TransportFailure kind = TransportFailure::kBroken;
  std::string message;  // for people and logs; no headers, no bodies
};

// Thread-safe: any number of calls at once. A call never outlives its stop token by more than moments.
class Transport {
 public:
  virtual ~Transport() = default;

  // One request, one whole answer. `deadline` bounds all of it, connection included. Redirects are
  // never followed: a 3xx is an answer like any other. Sent again once, on a fresh connection, when a
  // pooled one turns out to be dead: so every request must be safe to repeat.
  [[nodiscard]] virtual Result<Response, TransportError> send(const Request& request,
                                                              std::chrono::milliseconds deadline,
                                                              std::stop_token stop) = 0;

  // Receives bytes in order, in pieces of any size; called on the thread that called stream().
  using OnBytes = std::function<void(std::string_view)>;

  // A long answer (a watch), handed over as it arrives: the server is not read from while on_bytes runs.
  // Returns when the server has ended it properly; a cut line is kBroken, silence longer than `idle`
  // (or Limits::stream_head before the status) is kDeadline. An answer other than 200 comes back
  // like one of send(), and on_bytes is not called.
  [[nodiscard]] virtual Result<Response, TransportError> stream(const Request& request,
                                                                std::chrono::milliseconds idle,
                                                                std::stop_token stop,
                                                                const OnBytes& on_bytes) = 0;
};

}  // namespace sessmtp::kube
