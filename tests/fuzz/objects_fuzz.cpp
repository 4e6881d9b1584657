// Objects as the API server sends them: JSON to a credential or a Secret and back.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "api/ses_smtp_credential.h"
#include "base/json.h"
#include "kube/secret.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sessmtp;
  const auto object = parse_json({reinterpret_cast<const char*>(data), size});
  if (!object) {
    return 0;
  }
  if (const auto credential = api::decode_credential(*object)) {
    // What was understood of a status is what is written again.
    nlohmann::json again = *object;
    again["status"] = api::encode_status(credential->status);
    const auto decoded = api::decode_credential(again);
    if (!decoded || api::encode_status(decoded->status) != again["status"]) {
      std::abort();
    }
  }
  if (const auto secret = kube::decode_secret(*object)) {
    const auto again = kube::decode_secret(encode_secret(*secret));
    // An intent has no uid unless one was there, and a Secret without one is refused.
    if (!again || again->data.size() != secret->data.size()) {
      std::abort();
    }
  }
  return 0;
}
