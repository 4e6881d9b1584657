// Values of a source Secret: whatever they are, no message quotes one of them.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "api/source.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sessmtp;
  constexpr std::string_view kNames[] = {
      "accessKeyId",       "secretAccessKey",       "sessionToken", "region",
      "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION",   "other"};
  kube::Secret secret;
  secret.meta.name = "iam";
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  while (rest.size() > 2) {  // name, length, value
    const auto name = kNames[static_cast<unsigned char>(rest[0]) % 8U];
    const std::size_t length = std::min<std::size_t>(static_cast<unsigned char>(rest[1]), rest.size() - 2);
    secret.data.insert_or_assign(std::string(name), SecretBytes(rest.substr(2, length)));
    rest.remove_prefix(2 + length);
  }
  const auto source = api::read_source(secret, {});
  if (source) {
    return 0;
  }
  // Longer than any word of ours, so that finding it is no accident.
  for (const auto& [name, value] : secret.data) {
    const bool one_word = value.size() >= 40 && !value.expose().contains(' ');
    if (one_word && source.error().message.contains(value.expose())) {
      std::abort();
    }
  }
  return 0;
}
