// Standard base64 (RFC 4648 section 4, padded), as Kubernetes writes Secret data.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/secret_bytes.h"

namespace sessmtp {

[[nodiscard]] std::string base64_encode(std::string_view bytes);
// The same for a caller with a secret, who reserves base64_size() more and leaves no copies behind.
void append_base64(std::string& to, std::string_view bytes);
[[nodiscard]] constexpr std::size_t base64_size(std::size_t bytes) {
  return (bytes + 2) / 3 * 4;
}

// Strict: empty when the text holds anything but the alphabet and correct padding.
[[nodiscard]] std::optional<SecretBytes> base64_decode(std::string_view text);

}  // namespace sessmtp
