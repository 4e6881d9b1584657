// What a login at an SMTP server tells, as a reason: for the condition Verified and for people.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace sessmtp::smtp {

enum class LoginVerdict : std::uint8_t {
  kAuthenticated,        // 235
  kCredentialsInvalid,   // 535: wrong pair, wrong region, inactive key, or one that is too young
  kNotSubscribed,        // 535: the account does not use SES
  kTemporaryFailure,     // 421, 451, 454 and other 4xx: says nothing about the pair
  kEndpointUnreachable,  // name not found, refused, no route, silent, or cut before it said anything
  kEndpointNotAllowed,   // no socket was opened
  kStartTlsNotOffered,   // so nothing was sent to log in
  kAuthNotOffered,       // or no mechanism that SES has: PLAIN, LOGIN
  kCertificateInvalid,   // expired, of another host, or signed by nobody we trust
  kProtocolError,        // whatever answered does not speak SMTP as it should
};

// As it stands in conditions: "CredentialsInvalid".
[[nodiscard]] std::string_view to_string(LoginVerdict verdict);

// The server has looked at the pair and does not take it. Everything else but kAuthenticated says nothing
// about the pair.
[[nodiscard]] constexpr bool is_refused(LoginVerdict verdict) {
  return verdict == LoginVerdict::kCredentialsInvalid || verdict == LoginVerdict::kNotSubscribed;
}

// The meaning of a reply to AUTH, from its code and text (Amazon SES Developer Guide, "Amazon SES SMTP
// response codes"). Of a code that no SMTP server gives there: kProtocolError.
[[nodiscard]] LoginVerdict judge_reply(int code, std::string_view text);

// What it means and what to do, for a person: one or two sentences without any value of a Secret.
[[nodiscard]] std::string_view explain(LoginVerdict verdict);

}  // namespace sessmtp::smtp
