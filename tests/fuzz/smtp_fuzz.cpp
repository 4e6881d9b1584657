// What a mail server says, and with it says back the pair: only 235 over TLS is a login, and nothing of the
// pair gets through the redactor. The first line is the user name, the second the password, the third says
// how TLS begins ("implicit" or "starttls", and "never" for a handshake that does not come).
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/base64.h"
#include "base/text.h"
#include "fuzz.h"
#include "smtp/dialogue.h"
#include "smtp/login_verdict.h"
#include "smtp/redactor.h"

namespace {

using namespace sessmtp;
using fuzz::require;
using smtp::Dialogue;
using smtp::LoginVerdict;

constexpr std::size_t kTelling = 8;

// As a reader sees it: white space runs together, and what cannot be shown is a question mark.
std::string as_shown(std::string_view text) {
  std::string shown;
  for (const char c : text) {
    const bool space = c == ' ' || c == '\t' || c == '\r' || c == '\n';
    if (space ? !shown.empty() && shown.back() != ' ' : true) {
      shown += space ? ' ' : c > ' ' && c <= '~' ? c : '?';
    }
  }
  while (shown.ends_with(' ')) {
    shown.pop_back();
  }
  return shown;
}

class Pair {
 public:
  Pair(std::string_view user, std::string_view password) {
    const std::string plain = std::string(1, '\0').append(user).append(1, '\0').append(password);
    for (const std::string& secret : {as_shown(user), as_shown(password), base64_encode(user),
                                      base64_encode(password), base64_encode(plain)}) {
      // What the blanks themselves are made of proves nothing.
      if (!secret.empty() && secret.find_first_not_of("*.?") != std::string::npos) {
        secrets_.push_back(secret);
      }
    }
  }

  [[nodiscard]] bool shows_in(std::string_view text) const {
    return std::ranges::any_of(secrets_, [text](std::string_view secret) {
      for (std::size_t at = 0; at + std::min(kTelling, secret.size()) <= secret.size(); ++at) {
        const std::string_view part = secret.substr(at, kTelling);
        if (part.find_first_of("*.") == std::string_view::npos && text.contains(part)) {
          return true;
        }
      }
      return false;
    });
  }

 private:
  std::vector<std::string> secrets_;
};

void check_report(const Dialogue& dialogue, const smtp::Redactor& redactor, const Pair& pair) {
  constexpr std::size_t kLongest = 512;
  smtp::LoginReport report{.verdict = LoginVerdict::kProtocolError,
                           .detail = dialogue.outcome() ? dialogue.outcome()->detail : "",
                           .reply_code = dialogue.code(),
                           .reply = dialogue.text(),
                           .address = {},
                           .tls_version = {},
                           .cipher = {},
                           .certificate = {},
                           .capabilities = dialogue.capabilities(),
                           .mechanism = dialogue.mechanism()};
  redactor.clean(report);
  report.capabilities.push_back(report.reply);
  report.capabilities.push_back(report.detail);
  for (const std::string& text : report.capabilities) {
    require(text.size() <= kLongest, "a text is of limited length");
    require(std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; }), "a text is printable");
    require(!pair.shows_in(text), "nothing of the pair is shown");
  }
}

void check_outcome(const Dialogue& dialogue, bool heard_welcome) {
  constexpr std::size_t kMaxText = 2 * 2048 + 1;
  constexpr std::size_t kMaxCapabilities = 64;
  require(dialogue.text().size() <= kMaxText && dialogue.capabilities().size() <= kMaxCapabilities,
          "a dialogue remembers no more than it may");
  require(dialogue.code() >= 0 && dialogue.code() <= 999, "a code has three digits");
  if (dialogue.outcome() && dialogue.outcome()->verdict == LoginVerdict::kAuthenticated) {
    require(dialogue.is_encrypted(), "nobody logs in without TLS");
    require(heard_welcome && dialogue.code() == 235, "nobody logs in without being welcome");
    require(dialogue.step() == Dialogue::Step::kLogin, "nobody logs in before the pair was sent");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view input = fuzz::text_of_input(data, size);
  const std::string_view user = fuzz::take_line(input);
  const std::string_view password = fuzz::take_line(input);
  const std::string_view way = fuzz::take_line(input);
  const smtp::Redactor redactor{SecretBytes(user), SecretBytes(password)};
  const Pair pair(user, password);

  Dialogue dialogue(way.contains("implicit") ? ses::Tls::kImplicit : ses::Tls::kStartTls);
  const bool handshakes = !way.contains("never");
  if (way.contains("implicit") && handshakes) {
    dialogue.encrypted();
  }
  bool welcome = false;
  while (!input.empty()) {
    if (dialogue.step() == Dialogue::Step::kTls && handshakes) {
      dialogue.encrypted();
    }
    const std::string line = std::string(fuzz::take_line(input)) + '\n';
    welcome = welcome || line.starts_with("235");
    const bool over = dialogue.outcome().has_value();
    const LoginVerdict before = over ? dialogue.outcome()->verdict : LoginVerdict::kProtocolError;
    const bool goes_on = dialogue.hear(line);
    require(goes_on == !dialogue.outcome().has_value(), "an outcome ends the conversation");
    require(!over || dialogue.outcome()->verdict == before, "nothing counts afterwards");
    check_outcome(dialogue, welcome);
  }
  (void)smtp::judge_reply(dialogue.code(), dialogue.text());
  check_report(dialogue, redactor, pair);
  return 0;
}
