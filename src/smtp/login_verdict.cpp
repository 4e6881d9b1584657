#include "smtp/login_verdict.h"

namespace sessmtp::smtp {

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

}  // namespace sessmtp::smtp
