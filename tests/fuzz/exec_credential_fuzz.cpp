// What a credential plugin prints: no message quotes it, and what is taken from it can be used.
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/json.h"
#include "base/text.h"
#include "fuzz.h"
#include "kube/exec_plugin.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sessmtp;
  using fuzz::require;
  const std::string_view output = fuzz::text_of_input(data, size);
  const auto document = parse_json(output);
  for (const char* version : {kube::kExecV1, kube::kExecV1beta1}) {
    const auto credential = kube::parse_exec_credential(output, version);
    if (credential) {
      require(document && text_of(*document, "apiVersion") == version, "it is of the version asked for");
      const nlohmann::json& status = member_of(*document, "status");
      require(credential->token.expose() == text_of(status, "token") &&
                  credential->certificate == text_of(status, "clientCertificateData") &&
                  credential->key.expose() == text_of(status, "clientKeyData"),
              "it is what was printed");
      require(!has_control_characters(credential->token.expose()), "a token is one line");
      require(credential->certificate.empty() == credential->key.empty(), "certificate and key go together");
      require(!credential->token.empty() || !credential->key.empty(), "there is something to use");
      require(credential->expires.has_value() == !text_of(status, "expirationTimestamp").empty(),
              "an expiry is not lost");
      continue;
    }
    constexpr std::size_t kLongest = 256;
    const std::string& message = credential.error().message;
    require(message.size() <= kLongest && !has_control_characters(message), "a message is one line of ours");
    if (document && member_of(*document, "status").is_object()) {
      nlohmann::json other = *document;
      for (nlohmann::json& value : other["status"]) {
        if (value.is_string() && message.contains(value.get<std::string>())) {  // or it is ours
          value = std::string(value.get_ref<const std::string&>().size(), '-');
        }
      }
      const auto of_other = kube::parse_exec_credential(to_json_text(other), version);
      require(!of_other && of_other.error().message == message, "nothing of it is quoted");
    }
  }
  return 0;
}
