#include "smtp/login_verdict.h"

#include <algorithm>

namespace sessmtp::smtp {
namespace {

bool holds(std::string_view text, std::string_view part) {  // part in lower case
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return !std::ranges::search(text, part, {}, lower).empty();
}

}  // namespace

std::string_view to_string(LoginVerdict verdict) {
  switch (verdict) {
    case LoginVerdict::kAuthenticated:
      return "Authenticated";
    case LoginVerdict::kCredentialsInvalid:
      return "CredentialsInvalid";
    case LoginVerdict::kNotSubscribed:
      return "NotSubscribed";
    case LoginVerdict::kTemporaryFailure:
      return "TemporaryFailure";
    case LoginVerdict::kEndpointUnreachable:
      return "EndpointUnreachable";
    case LoginVerdict::kEndpointNotAllowed:
      return "EndpointNotAllowed";
    case LoginVerdict::kStartTlsNotOffered:
      return "StartTlsNotOffered";
    case LoginVerdict::kAuthNotOffered:
      return "AuthNotOffered";
    case LoginVerdict::kCertificateInvalid:
      return "CertificateInvalid";
    case LoginVerdict::kProtocolError:
      break;
  }
  return "ProtocolError";
}

LoginVerdict judge_reply(int code, std::string_view text) {
  constexpr int kFirstTemporary = 400;
  constexpr int kFirstPermanent = 500;
  if (code >= kFirstTemporary && code < kFirstPermanent) {
    return LoginVerdict::kTemporaryFailure;
  }
  switch (code) {
    case 235:
      return LoginVerdict::kAuthenticated;
    case 535:
      return holds(text, "not subscribed") ? LoginVerdict::kNotSubscribed : LoginVerdict::kCredentialsInvalid;
    case 525:  // RFC 5248, X.7.13: user account disabled
      return LoginVerdict::kCredentialsInvalid;
    case 504:  // RFC 4954: the mechanism is not known,
    case 534:  // or too weak for this user
      return LoginVerdict::kAuthNotOffered;
    default:
      // 500, 502, 503: does not know AUTH, or not now. 530, 538: asks for TLS, which there is. Any other,
      // such as a 554 of a block list, is about the client or the server. None of them is about the pair.
      return LoginVerdict::kProtocolError;
  }
}

std::string_view explain(LoginVerdict verdict) {
  switch (verdict) {
    case LoginVerdict::kAuthenticated:
      return "The server took the user name and the password. A login shows neither the right to send "
             "(ses:SendRawEmail) nor that the sender's address is verified.";
    case LoginVerdict::kCredentialsInvalid:
      return "The server does not take this user name and password. Look for: a key that is inactive or "
             "deleted, the secret of another key, a server of another region, or a key younger than a few "
             "minutes.";
    case LoginVerdict::kNotSubscribed:
      return "The AWS account of this key does not use Amazon SES. Open the SES console once in this account "
             "and "
             "region, or take a key of the account that sends the mail.";
    case LoginVerdict::kTemporaryFailure:
      return "The server could not judge the login now, which says nothing about the password. Try again "
             "later; if "
             "it stays so, log in less often or look at the AWS Health Dashboard.";
    case LoginVerdict::kEndpointUnreachable:
      return "There was no SMTP server to talk to. Check host and port, DNS, and that firewalls, security "
             "groups and "
             "network policies let this port out: 587, 2587, 465 and 2465 are open more often than 25.";
    case LoginVerdict::kEndpointNotAllowed:
      return "Passwords are sent only to the SMTP endpoints of Amazon SES, on its ports, and to the servers "
             "of "
             "--verify-allowed-endpoints. Correct host and port, or have them added there.";
    case LoginVerdict::kStartTlsNotOffered:
      return "The server offers no TLS here, so nothing was sent to log in. Check host and port (465 and "
             "2465 begin "
             "with TLS), and whether something in between takes STARTTLS out.";
    case LoginVerdict::kAuthNotOffered:
      return "The server offers no login with PLAIN or LOGIN, so the password was not sent. Check host and "
             "port: this "
             "may be a mail server for incoming mail.";
    case LoginVerdict::kCertificateInvalid:
      return "The server's certificate is not to be trusted, so nothing was sent to log in. Check the host "
             "name and "
             "the clock, and for a server with a private CA that its certificate is in the CA file.";
    case LoginVerdict::kProtocolError:
      break;
  }
  return "What answered does not speak SMTP as expected. Check host and port, whether TLS begins at once "
         "(465, 2465) or "
         "with STARTTLS (25, 587, 2587), and whether a proxy is in between.";
}

}  // namespace sessmtp::smtp
