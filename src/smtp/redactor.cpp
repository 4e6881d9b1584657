#include "smtp/redactor.h"

#include <algorithm>
#include <utility>

#include "base/base64.h"

namespace sessmtp::smtp {
namespace {

constexpr std::size_t kShortText = 128;
constexpr std::size_t kLongText = 512;

// What AUTH PLAIN sends (RFC 4616).
SecretBytes plain_message(std::string_view username, std::string_view password) {
  std::string message;
  message.reserve(username.size() + password.size() + 2);
  message.append(1, '\0').append(username).append(1, '\0').append(password);
  SecretBytes result(message);
  wipe(message.data(), message.size());
  return result;
}

std::string in_base64(std::string_view bytes) {
  std::string text;
  text.reserve(base64_size(bytes.size()));
  append_base64(text, bytes);
  return text;
}

// White space runs together, and what is not printable ASCII is a question mark. The text may be a secret: no
// copies left behind by growing.
std::string one_line(std::string_view text) {
  std::string line;
  line.reserve(text.size());
  for (const char c : text) {
    if (c > ' ' && c <= '~') {
      line += c;
    } else if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
      if (!line.empty() && line.back() != ' ') {
        line += ' ';
      }
    } else {
      line += '?';
    }
  }
  if (line.ends_with(' ')) {
    line.pop_back();
  }
  return line;
}

}  // namespace

Redactor::Redactor(const SecretBytes& username, const SecretBytes& password) {
  const SecretBytes plain = plain_message(username.expose(), password.expose());
  for (const SecretBytes* secret : {&username, &password}) {
    add(one_line(secret->expose()));  // as clean() would show it
    add(in_base64(secret->expose()));
  }
  add(in_base64(plain.expose()));
}

void Redactor::add(std::string secret) {
  if (!secret.empty()) {
    secrets_.emplace_back(secret);
  }
  wipe(secret.data(), secret.size());
}

// How many characters at the beginning of the text are a secret, or a part of one that is long enough to
// tell something.
std::size_t Redactor::secret_at(std::string_view text) const {
  constexpr std::size_t kTelling = 8;
  std::size_t longest = 0;
  for (const SecretBytes& each : secrets_) {
    const std::string_view secret = each.expose();
    const std::size_t least = std::min(kTelling, secret.size());
    if (text.size() < least) {
      continue;
    }
    for (std::size_t at = secret.find(text.substr(0, least)); at != std::string_view::npos;
         at = secret.find(text.substr(0, least), at + 1)) {
      const auto same = std::ranges::mismatch(secret.substr(at), text);
      longest = std::max(longest, static_cast<std::size_t>(same.in2 - text.begin()));
    }
  }
  return longest;
}

std::string Redactor::clean(std::string_view text, std::size_t max_size) const {
  constexpr std::string_view kBlank = "****";
  constexpr std::string_view kMore = "...";
  const std::string whole = one_line(text);
  std::string line;
  for (std::string_view rest = whole; !rest.empty();) {
    const std::size_t secret = secret_at(rest);
    line += secret > 0 ? kBlank : rest.substr(0, 1);
    rest.remove_prefix(std::max<std::size_t>(secret, 1));
  }
  if (line.size() > max_size) {
    line.resize(max_size - kMore.size());
    line += kMore;
  }
  return line;
}

void Redactor::clean(LoginReport& report) const {
  const auto shorten = [this](std::string& text, std::size_t size) { text = clean(text, size); };
  shorten(report.detail, kLongText);
  shorten(report.reply, kLongText);
  shorten(report.address, kShortText);
  shorten(report.tls_version, kShortText);
  shorten(report.cipher, kShortText);
  for (std::string& capability : report.capabilities) {
    shorten(capability, kShortText);
  }
  if (report.certificate) {
    shorten(report.certificate->subject, kLongText);
    shorten(report.certificate->issuer, kLongText);
    for (std::string& name : report.certificate->names) {
      shorten(name, kShortText);
    }
  }
}

}  // namespace sessmtp::smtp
