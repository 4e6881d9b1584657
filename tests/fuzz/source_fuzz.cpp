// Values and documents of a source Secret: whatever they are, no message quotes one of them.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "api/source.h"
#include "base/text.h"
#include "fuzz.h"

namespace {

using namespace sessmtp;

// Longer than any word of ours, and than any name of a profile that is shown: finding it is no accident.
constexpr std::size_t kNoAccident = 33;

bool quotes_a_word(std::string_view message, std::string_view value) {
  constexpr std::string_view kBetweenWords = " \t\r\n\",=[]{}:";
  while (!value.empty()) {
    const std::size_t end = std::min(value.find_first_of(kBetweenWords), value.size());
    const std::string_view word = value.substr(0, end);
    if (word.size() >= kNoAccident && message.contains(word)) {
      return true;
    }
    value.remove_prefix(std::min(end + 1, value.size()));
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::string_view kNames[] = {"accessKeyId", "secretAccessKey",   "sessionToken",
                                         "region",      "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
                                         "AWS_REGION",  "username",          "password",
                                         "access_key",  "secret_key",        "id",
                                         "secret",      "credentials",       "key.json",
                                         "key.csv"};
  constexpr unsigned kPresets = static_cast<unsigned>(api::SourcePreset::kAccessKeysCsv) + 1;
  if (size == 0) {
    return 0;
  }
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const auto next_byte = [&rest] {
    const auto byte = static_cast<unsigned char>(rest.front());
    rest.remove_prefix(1);
    return byte;
  };
  api::SourceSpec spec{.secret_name = "iam",
                       .preset = static_cast<api::SourcePreset>(next_byte() % kPresets),
                       .profile = "default",
                       .keys = {}};
  kube::Secret secret;
  secret.meta.name = "iam";
  while (rest.size() > 2) {  // name, length in units of 4, value
    const auto name = kNames[next_byte() % std::size(kNames)];
    const std::size_t length = std::min<std::size_t>(std::size_t{4} * next_byte(), rest.size());
    secret.data.insert_or_assign(std::string(name), SecretBytes(rest.substr(0, length)));
    rest.remove_prefix(length);
  }
  const auto source = api::read_source(secret, spec);
  const auto region = source ? api::choose_region({}, *source) : Result<std::string, api::Problem>();
  if (source && region) {
    return 0;
  }
  const std::string& message = source ? region.error().message : source.error().message;
  for (const auto& [name, value] : secret.data) {
    if (quotes_a_word(message, value.expose())) {
      std::abort();
    }
  }
  if (has_control_characters(message) || message.size() > 1024) {
    std::abort();  // no event takes it
  }
  return 0;
}
