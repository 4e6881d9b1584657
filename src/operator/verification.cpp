#include "operator/verification.h"

#include "base/text.h"
#include "operator/needs.h"

namespace sessmtp::operator_ {
namespace {

using api::Condition;
using api::Problem;
using api::Reason;
using smtp::LoginVerdict;

const Condition* known(const Observation& o) {
  return find_condition(o.credential.status.conditions, "Verified");
}

// Status speaks of the pair that this version of the source gives for this spec.
bool is_same_pair(const Observation& o, const LoginSubject& subject) {
  return o.credential.status.source == subject.source && spec_is_observed(o.credential);
}

std::string_view status_of(LoginVerdict verdict) {
  switch (verdict) {
    case LoginVerdict::kAuthenticated:
      return "True";
    case LoginVerdict::kTemporaryFailure:
    case LoginVerdict::kEndpointUnreachable:
      return "Unknown";  // says nothing about the pair, and goes by itself
    default:
      return "False";
  }
}

// The same words at each try: status is written when something is new.
std::string describe(const LoginSubject& subject, const Login& login) {
  const std::string where = host_and_port(subject.endpoint);
  if (*login.verdict == LoginVerdict::kAuthenticated) {
    return where + " accepted the login of key " + subject.masked_id;
  }
  constexpr int kFirstFailure = 400;  // what is below it was no answer to the login, but to EHLO
  std::string text = where;
  if (smtp::is_refused(*login.verdict)) {
    text += " answered " + std::to_string(login.reply_code) + " to the login of key " + subject.masked_id;
  } else {
    text += ": no login with key " + subject.masked_id;
    if (login.reply_code >= kFirstFailure) {
      text += ", the answer was " + std::to_string(login.reply_code);
    } else if (!login.detail.empty()) {
      text += ", " + login.detail;
    }
  }
  return text + ". " +
         (login.may_be_young
              ? "SES does not know a new key for some seconds: it is tried each second. If that "
                "does not help: "
              : "") +
         std::string(smtp::explain(*login.verdict));
}

// Since when Verified is False, if it is.
std::optional<WallTime> false_since(const Observation& o, const Condition& verified) {
  if (verified.status != "False") {
    return std::nullopt;
  }
  const Condition* before = known(o);
  return before != nullptr && before->status == "False" ? before->last_transition_time : o.now;
}

}  // namespace

bool is_proved(const Observation& o, const LoginSubject& subject) {
  const Condition* verified = known(o);
  return verified != nullptr && verified->status == "True" &&
         o.credential.status.endpoint == subject.endpoint &&
         (is_same_pair(o, subject) || subject.is_of_target);
}

std::optional<WallTime> failing_since(const Observation& o, const LoginSubject& subject) {
  const Condition* verified = known(o);
  const bool refused =
      verified != nullptr && (verified->reason == to_string(LoginVerdict::kCredentialsInvalid) ||
                              verified->reason == to_string(LoginVerdict::kNotSubscribed));
  return refused && is_same_pair(o, subject) ? std::optional(verified->last_transition_time) : std::nullopt;
}

Condition verified_condition(const Observation& o, const LoginSubject& subject, const Login& login) {
  // Of a pair that is proved, a server that is away says nothing.
  const bool tells = login.verdict && (status_of(*login.verdict) != "Unknown" || !is_proved(o, subject));
  if (tells) {
    return {.type = "Verified",
            .status = std::string(status_of(*login.verdict)),
            .reason = std::string(to_string(*login.verdict)),
            .message = describe(subject, login)};
  }
  if (const Condition* before = known(o);
      before != nullptr && (before->status == "True" ? is_proved(o, subject) : is_same_pair(o, subject))) {
    return *before;
  }
  return {.type = "Verified",
          .status = "Unknown",
          .reason = std::string(to_string(Reason::kVerifying)),
          .message = "logging in at " + host_and_port(subject.endpoint) + " with key " + subject.masked_id};
}

std::optional<Problem> hold_back(const Observation& o, const LoginSubject& subject,
                                 const Condition& verified) {
  if (verified.status == "True") {
    return std::nullopt;
  }
  const std::string target =
      "Secret " + in_quotes(o.credential.spec.target.name) +
      (subject.target_is_current    ? " holds a login that is not proved (spec.verify.mode): "
       : o.credential.status.target ? " stays as it is until the login is proved: "
                                    : " is not written until the login is proved: ");
  if (verified.reason == to_string(LoginVerdict::kEndpointNotAllowed)) {
    return Problem{Reason::kEndpointNotAllowed, target + verified.message};
  }
  const auto since = false_since(o, verified);
  const bool failed = since && o.now - *since >= kVerificationLimit;
  return Problem{failed ? Reason::kVerificationFailed : Reason::kVerifying, target + verified.message};
}

std::optional<std::chrono::milliseconds> verdict_due(const Observation& o, const Condition& verified) {
  const auto since = false_since(o, verified);
  if (!since || o.now - *since >= kVerificationLimit) {
    return std::nullopt;
  }
  return std::chrono::ceil<std::chrono::milliseconds>(*since + kVerificationLimit - o.now);
}

}  // namespace sessmtp::operator_
