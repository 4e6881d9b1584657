// HMAC-SHA256 (RFC 2104), by OpenSSL. Pure; thread-safe.
#pragma once

#include <string_view>

#include "base/result.h"
#include "base/secret_bytes.h"

namespace sessmtp {

// 32 bytes. kInternal only when OpenSSL fails.
[[nodiscard]] Result<SecretBytes> hmac_sha256(const SecretBytes& key, std::string_view message);

}  // namespace sessmtp
