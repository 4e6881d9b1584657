// Text and bytes in other clothes: base64 against OpenSSL's, percent encoding, JSON escapes, and what is said
// of an IAM key.
#include <openssl/evp.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/base64.h"
#include "base/json.h"
#include "base/text.h"
#include "fuzz.h"
#include "ses/iam_key.h"
#include "ses/region.h"

namespace {

using namespace sessmtp;
using fuzz::require;

const unsigned char* unsigned_bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

void check_base64(std::string_view bytes) {
  const std::string encoded = base64_encode(bytes);
  std::string expected(base64_size(bytes.size()) + 1, '\0');
  const int length = ::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(expected.data()),
                                       unsigned_bytes(bytes), static_cast<int>(bytes.size()));
  expected.resize(static_cast<std::size_t>(length));
  require(encoded == expected, "base64 is OpenSSL's");
  const auto decoded = base64_decode(encoded);
  require(decoded && decoded->expose() == bytes, "bytes come back from base64");

  // The other way round: what is taken for base64 is exactly what is written so.
  const auto taken = base64_decode(bytes);
  require(!taken || base64_encode(taken->expose()) == bytes, "base64 has one form");
  std::string room(bytes.size() + 3, '\0');
  const int size = bytes.empty() ? 0
                                 : ::EVP_DecodeBlock(reinterpret_cast<unsigned char*>(room.data()),
                                                     unsigned_bytes(bytes), static_cast<int>(bytes.size()));
  if (size >= 0 && !taken) {
    const std::size_t padding = bytes.ends_with("==") ? 2 : bytes.ends_with('=') ? 1 : 0;
    room.resize(static_cast<std::size_t>(size) - std::min(padding, static_cast<std::size_t>(size)));
    require(base64_encode(room) != bytes, "what is base64 is taken for it");
  }
}

void check_escapes(std::string_view text) {
  const std::string percent = percent_encode(text);
  require(percent.size() <= 3 * text.size(), "percent encoding is at most three times as long");
  std::string back;
  for (std::size_t i = 0; i < percent.size(); ++i) {
    const bool code = percent[i] == '%';
    back +=
        code ? static_cast<char>(std::strtoul(percent.substr(i + 1, 2).c_str(), nullptr, 16)) : percent[i];
    i += code ? 2 : 0;
  }
  require(back == text && percent.find_first_of(" /?#&=+@:\"'\\\r\n") == std::string::npos,
          "percent encoding fits into a URL");

  std::string escaped;
  append_json_escaped(escaped, text);
  require(escaped.size() <= 6 * text.size() && !has_control_characters(escaped) == !text.contains('\x7f'),
          "a text in JSON is one line");
  if (const auto json = parse_json('"' + escaped + '"')) {
    require(*json == std::string(text), "a text comes back from JSON");
  } else {
    require(!parse_json(to_json_text(std::string(text))) ||
                to_json_text(std::string(text)).contains("\xef\xbf\xbd"),
            "only what is not UTF-8 cannot stand in JSON");
  }
  const std::string line = to_json_text(nlohmann::json(std::string(text)));
  require(line.find_first_of("\r\n") == std::string::npos && parse_json(line).has_value(),
          "any bytes can be logged");
}

void check_key(std::string_view text) {
  const std::string mask = ses::mask_access_key_id(text);
  require(mask == "****" || (mask.size() == 20 && mask.substr(4, 12) == "************"), "a mask masks");
  const auto key = ses::check_secret_access_key(SecretBytes(text));
  require(!key || (!key->value.empty() && !has_control_characters(key->value.expose())), "a key is one line");
  const auto region = ses::suggest_region(text);
  require(!region || ses::has_region_syntax(*region), "a suggestion is a region");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of_input(data, size);
  check_base64(text);
  check_escapes(text);
  check_key(text);
  return 0;
}
