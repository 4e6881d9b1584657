// Secrets that people hand to a command other than by an argument, which every user of the machine can
// read (ps, /proc). The bytes pass through wiped buffers only, not through stdio. Not thread-safe: the
// terminal and the signal handlers belong to the process.
#pragma once

#include <cstddef>

#include "base/result.h"
#include "base/secret_bytes.h"

namespace sessmtp::cli {

inline constexpr std::size_t kMaxSecretInput = std::size_t{64} << 10;

[[nodiscard]] bool is_terminal(int fd);

// To the end of a pipe or file; a closed descriptor counts as empty. kInvalidInput beyond max_size bytes.
[[nodiscard]] Result<SecretBytes> read_all(int fd, std::size_t max_size = kMaxSecretInput);

// One line from a terminal that shows nothing of it. The terminal is put back as it was on every way out,
// signals that end the program included.
[[nodiscard]] Result<SecretBytes> read_hidden_line(int fd);

}  // namespace sessmtp::cli
