#include "base/hmac.h"

#include <openssl/evp.h>

#include <array>
#include <cstddef>

namespace sessmtp {

Result<SecretBytes> hmac_sha256(const SecretBytes& key, std::string_view message) {
  constexpr std::size_t kSize = 32;
  std::array<char, kSize> mac{};
  std::size_t size = 0;
  const std::string_view key_bytes =
      key.empty() ? std::string_view("") : key.expose();  // never a null pointer
  const bool done = EVP_Q_mac(nullptr, "HMAC", nullptr, "SHA256", nullptr, key_bytes.data(), key_bytes.size(),
                              reinterpret_cast<const unsigned char*>(message.data()), message.size(),
                              reinterpret_cast<unsigned char*>(mac.data()), mac.size(), &size) != nullptr;
  SecretBytes result(std::string_view(mac.data(), mac.size()));
  wipe(mac.data(), mac.size());
  if (!done || size != kSize) {
    return fail(ErrorCode::kInternal, "OpenSSL cannot compute HMAC-SHA256");
  }
  return result;
}

}  // namespace sessmtp
