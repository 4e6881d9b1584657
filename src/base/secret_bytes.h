// Bytes that must not leak: secret access keys, derived passwords, tokens.
//
// Move-only, so that every copy is visible in the code (clone), wiped when it ends, and neither
// printable nor comparable by accident. Not thread-safe; holds its bytes alone.
#pragma once

#include <cstddef>
#include <iosfwd>
#include <memory>
#include <string_view>

namespace sessmtp {

class SecretBytes {
 public:
  SecretBytes() noexcept = default;
  explicit SecretBytes(std::string_view bytes);
  SecretBytes(SecretBytes&& other) noexcept;
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes();

  // The bytes themselves, valid while this object lives. Every call is a place to review.
  [[nodiscard]] std::string_view expose() const noexcept { return {data_.get(), size_}; }
  [[nodiscard]] SecretBytes clone() const { return SecretBytes(expose()); }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }
  [[nodiscard]] bool empty() const noexcept { return size_ == 0; }

  // In time that depends on the sizes only.
  [[nodiscard]] bool equals(const SecretBytes& other) const noexcept;

  template <class Stream>
  friend Stream& operator<<(Stream&, const SecretBytes&) = delete;

 private:
  void wipe() noexcept;

  std::unique_ptr<char[]> data_;
  std::size_t size_ = 0;
};

// Overwrites a buffer so that the compiler cannot leave it out.
void wipe(char* data, std::size_t size) noexcept;

}  // namespace sessmtp
