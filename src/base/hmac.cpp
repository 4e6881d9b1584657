#include "base/hmac.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <array>
#include <cstddef>
#include <memory>

namespace sessmtp {
namespace {

using Context = std::unique_ptr<EVP_MAC_CTX, decltype([](EVP_MAC_CTX* c) { EVP_MAC_CTX_free(c); })>;

// One that copies are made of: to look the algorithm up by its name takes many times as long as to compute.
Context prototype() {
  const std::unique_ptr<EVP_MAC, decltype([](EVP_MAC* m) { EVP_MAC_free(m); })> mac(
      EVP_MAC_fetch(nullptr, "HMAC", nullptr));
  Context context(mac ? EVP_MAC_CTX_new(mac.get()) : nullptr);
  std::array digest{'S', 'H', 'A', '2', '5', '6', '\0'};
  const std::array params{OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest.data(), 0),
                          OSSL_PARAM_construct_end()};
  const std::array<unsigned char, 1> no_key{};  // one must have been set, or it cannot be copied
  if (!context || EVP_MAC_init(context.get(), no_key.data(), 0, params.data()) != 1) {
    return nullptr;
  }
  return context;
}

bool compute(std::string_view key, std::string_view message, std::array<char, 32>& mac) {
  static const Context kPrototype = prototype();
  const Context context(kPrototype ? EVP_MAC_CTX_dup(kPrototype.get()) : nullptr);
  const auto bytes = [](std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
  };
  std::size_t size = 0;
  return context && EVP_MAC_init(context.get(), bytes(key), key.size(), nullptr) == 1 &&
         EVP_MAC_update(context.get(), bytes(message), message.size()) == 1 &&
         EVP_MAC_final(context.get(), reinterpret_cast<unsigned char*>(mac.data()), &size, mac.size()) == 1 &&
         size == mac.size();
}

}  // namespace

Result<SecretBytes> hmac_sha256(const SecretBytes& key, std::string_view message) {
  std::array<char, 32> mac{};
  // Never a null pointer: it would stand for the key of before.
  const bool done = compute(key.empty() ? std::string_view("") : key.expose(), message, mac);
  SecretBytes result(std::string_view(mac.data(), mac.size()));
  wipe(mac.data(), mac.size());
  if (!done) {
    return fail(ErrorCode::kInternal, "OpenSSL cannot compute HMAC-SHA256");
  }
  return result;
}

}  // namespace sessmtp
