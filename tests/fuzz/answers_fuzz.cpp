// An answer that is no success, from the API server or from whatever stands before it. The first line is the
// code, the second the Retry-After header, the third the flow schema; the rest is the body.
#include <charconv>
#include <string>
#include <string_view>

#include "base/duration.h"
#include "base/text.h"
#include "fuzz.h"
#include "kube/api_error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sessmtp;
  using fuzz::require;
  std::string_view body = fuzz::text_of_input(data, size);
  const std::string_view code = fuzz::take_line(body);
  const std::string_view retry_after = fuzz::take_line(body);
  const std::string_view schema = fuzz::take_line(body);
  int status = 0;
  (void)std::from_chars(code.data(), code.data() + code.size(), status);

  const kube::ApiError error =
      kube::to_api_error(kube::Response{.status = status,
                                        .body = std::string(body),
                                        .retry_after = parse_retry_after(retry_after),
                                        .flow_schema = std::string(schema)});
  constexpr auto kLongestWait = std::chrono::minutes(5);
  require(!error.retry_after || (error.retry_after->count() >= 0 && *error.retry_after <= kLongestWait),
          "nobody waits for ever");
  require(error.http_status == status, "the code is the answer's");
  // Reason and fields end up in status and events.
  constexpr std::size_t kLongestSummary = 64;
  require(error.summary().size() <= kLongestSummary && !has_control_characters(error.summary()),
          "a summary is of our words");
  constexpr std::size_t kMostFields = 10;
  constexpr std::size_t kLongestField = 128;
  require(error.fields.size() <= kMostFields, "there are few fields");
  for (const std::string& field : error.fields) {
    require(
        !field.empty() && field.size() <= kLongestField &&
            field.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-[]") ==
                std::string::npos,
        "a field is a name");
  }
  require(status != 404 || error.kind == kube::ApiErrorKind::kNotFound, "404 is not found");
  require(status != 409 || !error.transient(), "a conflict is no reason to send the same again");
  return 0;
}
