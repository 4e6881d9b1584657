// Objects as the API server sends them: a credential, a Secret, a pod. What was understood of one is what is
// written again, reading only a part of it finds the same as reading all, and no message quotes a value.
#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "api/ses_smtp_credential.h"
#include "api/spec_check.h"
#include "base/base64.h"
#include "base/json.h"
#include "fuzz.h"
#include "kube/object.h"
#include "kube/pod_spec.h"
#include "kube/secret.h"

namespace {

using namespace sessmtp;
using fuzz::require;
using nlohmann::json;

void check_parts(std::string_view text, const json& object) {
  const auto whole = kube::decode_meta(object);
  const auto part = kube::parse_meta(text);
  require(whole.has_value() == part.has_value(), "metadata alone are understood when the object is");
  if (whole) {
    auto expected = *whole;
    expected.labels.erase("kubectl.kubernetes.io/last-applied-configuration");  // left out wherever it is
    require(*part == expected, "metadata alone are those of the whole");
  }
  require(kube::resource_version_of(text) == text_of(member_of(object, "metadata"), "resourceVersion"),
          "the version alone is that of the whole");
  require(kube::parse_object(text).has_value(), "what is JSON is JSON without what is left out");
  require(parse_json(to_json_text(object)) == object, "JSON is written as it was read");
}

void check_credential(const json& object) {
  const auto credential = api::decode_credential(object);
  if (!credential) {
    return;
  }
  (void)api::check_spec(credential->spec);
  json again = object;
  again["status"] = api::encode_status(credential->status);
  const auto decoded = api::decode_credential(again);
  require(decoded.has_value(), "a status as we write it does no harm to the object");
  require(decoded->status == credential->status, "a status is read as it was written");
  require(api::encode_status(decoded->status) == again["status"], "a status is written as it was read");
}

void check_secret(const json& object) {
  const auto secret = kube::decode_secret(object);
  if (!secret) {
    constexpr std::size_t kNoAccident = 24;
    for (const auto& [key, value] : member_of(object, "data").items()) {
      const std::string text = value.is_string() ? value.get<std::string>() : std::string();
      require(text.size() < kNoAccident || key.contains(text) || !secret.error().message.contains(text),
              "no value of a Secret is quoted");
    }
    return;
  }
  const json written = encode_secret(*secret);
  const auto again = kube::decode_secret(written);
  require(again.has_value(), "a Secret as we write it can be read");
  require(again->type == secret->type && again->meta.labels == secret->meta.labels &&
              again->meta.annotations == secret->meta.annotations &&
              again->meta.owner_references.size() == secret->meta.owner_references.size(),
          "a Secret is read as it was written");
  require(std::ranges::equal(
              again->data, secret->data,
              [](const auto& a, const auto& b) { return a.first == b.first && a.second.equals(b.second); }),
          "values are read as they were written");
  for (const auto& [key, value] : secret->data) {
    require(member_of(object, "data").at(key) == base64_encode(value.expose()), "base64 has one form");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = fuzz::text_of_input(data, size);
  const auto object = parse_json(text);
  if (!object) {
    require(!kube::parse_meta(text) && !kube::parse_object(text) && kube::resource_version_of(text).empty(),
            "what is no JSON is no JSON in parts");
    return 0;
  }
  check_parts(text, *object);
  check_credential(*object);
  check_secret(*object);
  (void)kube::uses_of_secret(*object, "ses-smtp");
  (void)kube::uses_of_secret(member_of(*object, "spec"), "ses-smtp");
  return 0;
}
