// Standard base64 (RFC 4648 section 4, padded), as Kubernetes writes Secret data.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/secret_bytes.h"

namespace sessmtp {

[[nodiscard]] std::string base64_encode(std::string_view bytes);

// Strict: empty when the text holds anything but the alphabet and correct padding.
[[nodiscard]] std::optional<SecretBytes> base64_decode(std::string_view text);

}  // namespace sessmtp
