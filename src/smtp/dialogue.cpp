#include "smtp/dialogue.h"

#include <algorithm>
#include <ranges>
#include <utility>

#include "base/text.h"

namespace sessmtp::smtp {
namespace {

constexpr std::size_t kMaxConversation = 65536;  // characters; an EHLO of SES has 120
constexpr std::size_t kMaxText = 2048;
constexpr std::size_t kMaxCapabilities = 64;
constexpr std::size_t kCodeSize = 3;

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

}  // namespace

std::string_view describe(Dialogue::Step step) {
  switch (step) {
    case Dialogue::Step::kConnection:
      return "the connection";
    case Dialogue::Step::kGreeting:
      return "the greeting";
    case Dialogue::Step::kEhlo:
    case Dialogue::Step::kEhloOverTls:
      return "the reply to EHLO";
    case Dialogue::Step::kStartTls:
      return "the reply to STARTTLS";
    case Dialogue::Step::kTls:
      return "TLS";
    case Dialogue::Step::kAuth:
    case Dialogue::Step::kUserName:
      return "the reply to AUTH";
    case Dialogue::Step::kLogin:
      break;
  }
  return "the reply to the login";
}

void Dialogue::next(Step step) {
  step_ = step;
}

void Dialogue::connected() {
  if (step_ == Step::kConnection && tls_ == ses::Tls::kStartTls) {
    next(Step::kGreeting);
  }
}

void Dialogue::encrypted() {
  encrypted_ = true;
  next(tls_ == ses::Tls::kImplicit ? Step::kGreeting : Step::kEhloOverTls);
}

bool Dialogue::hear(std::string_view line) {
  if (outcome_) {
    return false;
  }
  connected();
  heard_anything_ = true;
  size_ += line.size();
  const bool reply = line.size() > kCodeSize && std::ranges::all_of(line.substr(0, kCodeSize), is_digit);
  const std::string_view rest = trimmed(reply ? line.substr(kCodeSize + 1) : line);
  if (!std::exchange(in_reply_, true)) {
    code_ = 0;
    text_.clear();
    lines_.clear();
  }
  if (text_.size() < kMaxText) {
    text_.append(text_.empty() ? "" : " ").append(rest.substr(0, kMaxText));
  }
  if (!reply || size_ > kMaxConversation) {
    decide(LoginVerdict::kProtocolError,
           (reply ? "too much text in " : "no SMTP in ") + std::string(describe(step_)));
    return false;
  }
  if ((step_ == Step::kEhlo || step_ == Step::kEhloOverTls) && lines_.size() < kMaxCapabilities) {
    lines_.emplace_back(rest);
  }
  const bool last = line[kCodeSize] == ' ' || line.size() == kCodeSize + 2;  // "250\r\n"
  if (last) {
    code_ = (line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0');
    in_reply_ = false;
    conclude();
  }
  return !outcome_;
}

void Dialogue::decide(LoginVerdict verdict, std::string detail) {
  outcome_ = Outcome{verdict, std::move(detail)};
}

// By a reply that ends the conversation before the login.
void Dialogue::refuse(std::string_view what) {
  const bool temporary = code_ / 100 == 4;
  decide(temporary ? LoginVerdict::kTemporaryFailure : LoginVerdict::kProtocolError, std::string(what));
}

void Dialogue::conclude() {
  const bool accepted = code_ / 100 == 2;
  switch (step_) {
    case Step::kGreeting:
      return accepted ? next(encrypted_ ? Step::kEhloOverTls : Step::kEhlo)
                      : refuse("refused at the greeting");
    case Step::kEhlo:
    case Step::kEhloOverTls:
      return accepted ? conclude_ehlo() : refuse("EHLO refused");
    case Step::kStartTls:
      if (code_ == 220) {
        return next(Step::kTls);
      }
      return code_ / 100 == 4 ? refuse("STARTTLS refused for now")
                              : decide(LoginVerdict::kStartTlsNotOffered, "STARTTLS offered, then refused");
    case Step::kAuth:
    case Step::kUserName:
    case Step::kLogin:
      return conclude_auth();
    case Step::kConnection:
    case Step::kTls:
      break;
  }
  decide(LoginVerdict::kProtocolError, "plain text instead of TLS");
}

void Dialogue::conclude_ehlo() {
  lines_.erase(lines_.begin());  // whom the server greets
  capabilities_ = std::move(lines_);
  if (!encrypted_) {
    return offers("STARTTLS") ? next(Step::kStartTls)
                              : decide(LoginVerdict::kStartTlsNotOffered, "no STARTTLS in the reply to EHLO");
  }
  mechanism_ = offers_mechanism("PLAIN") ? "PLAIN" : offers_mechanism("LOGIN") ? "LOGIN" : "";
  if (!mechanism_.empty()) {
    return next(Step::kAuth);
  }
  const auto auth =
      std::ranges::find_if(capabilities_, [](const std::string& line) { return line.starts_with("AUTH"); });
  decide(LoginVerdict::kAuthNotOffered, auth == capabilities_.end()
                                            ? "no AUTH in the reply to EHLO"
                                            : "neither PLAIN nor LOGIN in " + in_quotes(*auth));
}

void Dialogue::conclude_auth() {
  constexpr int kGoOn = 334;
  constexpr int kWelcome = 235;
  if (code_ == kGoOn && step_ != Step::kLogin) {
    return next(step_ == Step::kAuth && mechanism_ == "LOGIN" ? Step::kUserName : Step::kLogin);
  }
  const bool out_of_place = code_ == kWelcome && (step_ != Step::kLogin || !encrypted_);
  const LoginVerdict verdict = out_of_place ? LoginVerdict::kProtocolError : judge_reply(code_, text_);
  std::string detail = "AUTH " + mechanism_;
  switch (verdict) {
    case LoginVerdict::kAuthenticated:
      detail = "logged in with " + detail;
      break;
    case LoginVerdict::kProtocolError:
      detail = out_of_place ? "235 before the login" : "unexpected reply to " + detail;
      break;
    default:
      detail = (step_ == Step::kLogin ? "login refused after " : "refused at ") + detail;
  }
  decide(verdict, std::move(detail));
}

bool Dialogue::offers(std::string_view keyword) const {
  return std::ranges::any_of(capabilities_,
                             [&](const std::string& line) { return line.starts_with(keyword); });
}

bool Dialogue::offers_mechanism(std::string_view name) const {
  constexpr std::string_view kAuth = "AUTH ";
  for (const std::string& line : capabilities_) {
    if (!line.starts_with(kAuth)) {
      continue;
    }
    for (const auto word : std::string_view(line).substr(kAuth.size()) | std::views::split(' ')) {
      if (trimmed(std::string_view(word.begin(), word.end())) == name) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace sessmtp::smtp
