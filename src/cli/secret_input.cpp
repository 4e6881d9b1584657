#include "cli/secret_input.h"

#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <string>
#include <string_view>
#include <system_error>

namespace sessmtp::cli {
namespace {

constexpr std::array<int, 4> kEndingSignals = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};

volatile std::sig_atomic_t g_signal = 0;

void remember_signal(int number) {
  g_signal = number;
}

std::unexpected<Error> system_error(std::string_view what) {
  return fail(ErrorCode::kIo, std::string(what) + ": " + std::generic_category().message(errno));
}

// While it lives the terminal does not echo; a signal waits for its end.
class EchoOff {
 public:
  explicit EchoOff(int fd) : fd_(fd), active_(tcgetattr(fd, &before_) == 0) {
    if (!active_) {
      return;
    }
    g_signal = 0;
    struct sigaction interrupt{};
    interrupt.sa_handler = remember_signal;  // no SA_RESTART: read() is to come back
    for (std::size_t i = 0; i < kEndingSignals.size(); ++i) {
      (void)sigaction(kEndingSignals[i], &interrupt, &handlers_[i]);
    }
    termios hidden = before_;
    hidden.c_lflag &= ~tcflag_t{ECHO};
    hidden.c_lflag |= tcflag_t{ECHONL};
    silent_ = tcsetattr(fd_, TCSAFLUSH, &hidden) == 0;
  }

  ~EchoOff() {
    if (!active_) {
      return;
    }
    (void)tcsetattr(fd_, TCSAFLUSH, &before_);  // flush: the rest of a pasted file is not for the shell
    for (std::size_t i = 0; i < kEndingSignals.size(); ++i) {
      (void)sigaction(kEndingSignals[i], &handlers_[i], nullptr);
    }
    if (g_signal != 0) {
      (void)std::raise(g_signal);
    }
  }

  EchoOff(const EchoOff&) = delete;
  EchoOff& operator=(const EchoOff&) = delete;

  [[nodiscard]] bool silent() const { return silent_; }

 private:
  int fd_;
  termios before_{};
  std::array<struct sigaction, kEndingSignals.size()> handlers_{};
  bool active_;
  bool silent_ = false;
};

}  // namespace

bool is_terminal(int fd) {
  return isatty(fd) == 1;
}

Result<SecretBytes> read_all(int fd, std::size_t max_size) {
  std::string buffer(max_size + 1, '\0');
  std::size_t size = 0;
  ssize_t count = 0;
  while (size < buffer.size()) {
    count = read(fd, buffer.data() + size, buffer.size() - size);
    if (count > 0) {
      size += static_cast<std::size_t>(count);
    } else if (count == 0 || errno != EINTR) {
      break;
    }
  }
  const int error = errno;
  SecretBytes bytes(std::string_view(buffer).substr(0, size));
  wipe(buffer.data(), buffer.size());
  if (count < 0 && error != EBADF) {
    errno = error;
    return system_error("reading standard input");
  }
  if (size > max_size) {
    return fail(ErrorCode::kInvalidInput,
                "standard input holds more than " + std::to_string(max_size) + " bytes");
  }
  return bytes;
}

Result<SecretBytes> read_hidden_line(int fd) {
  const EchoOff hidden(fd);
  if (!hidden.silent()) {
    return system_error("switching off the terminal's echo");
  }
  std::array<char, 4096> line{};  // the longest line that a terminal hands over
  const ssize_t count = read(fd, line.data(), line.size());
  const int error = errno;
  SecretBytes bytes(std::string_view(line.data(), count > 0 ? static_cast<std::size_t>(count) : 0));
  wipe(line.data(), line.size());
  if (count < 0) {
    errno = error;
    return system_error("reading from the terminal");
  }
  return bytes;
}

}  // namespace sessmtp::cli
