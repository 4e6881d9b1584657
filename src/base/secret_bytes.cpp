#include "base/secret_bytes.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <utility>

namespace sessmtp {

void wipe(char* data, std::size_t size) noexcept {
  OPENSSL_cleanse(data, size);
}

SecretBytes::SecretBytes(std::string_view bytes)
    : data_(std::make_unique<char[]>(bytes.size())), size_(bytes.size()) {
  std::ranges::copy(bytes, data_.get());
}

SecretBytes::SecretBytes(SecretBytes&& other) noexcept
    : data_(std::move(other.data_)), size_(std::exchange(other.size_, 0)) {}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  if (this != &other) {
    wipe();
    data_ = std::move(other.data_);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

SecretBytes::~SecretBytes() {
  wipe();
}

bool SecretBytes::equals(const SecretBytes& other) const noexcept {
  return size_ == other.size_ && CRYPTO_memcmp(data_.get(), other.data_.get(), size_) == 0;
}

void SecretBytes::wipe() noexcept {
  if (data_) {
    sessmtp::wipe(data_.get(), size_);
  }
}

}  // namespace sessmtp
