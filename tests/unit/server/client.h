// A client that sends exactly what a test says, and shows exactly what comes back.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sessmtp::server {

class Client {
 public:
  explicit Client(std::uint16_t port, const char* address = "127.0.0.1");
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client();

  [[nodiscard]] bool connected() const { return connected_; }
  [[nodiscard]] bool send(std::string_view bytes) const;  // false: the server has closed
  // Everything up to the close, which the server must do within some seconds.
  [[nodiscard]] std::string rest();
  // One whole answer with a Content-Length, or what came before the close.
  [[nodiscard]] std::string answer(bool has_body = true);
  [[nodiscard]] std::string ask(std::string_view request) { return send(request) ? answer() : "closed"; }
  // Whether the server closed, or sent something, within this time.
  [[nodiscard]] bool readable_within(int milliseconds) const;

 private:
  [[nodiscard]] bool receive();  // false: closed, or nothing came for seconds

  int descriptor_;
  bool connected_ = false;
  bool timed_out_ = false;
  std::string received_;
};

}  // namespace sessmtp::server
