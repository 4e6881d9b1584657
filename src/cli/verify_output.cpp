#include "cli/verify_output.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "base/text.h"
#include "ses/iam_key.h"

namespace sessmtp::cli {
namespace {

using nlohmann::json;
using smtp::LoginReport;
using smtp::LoginVerdict;

std::string masked(const LoginPair& pair) {
  return ses::mask_access_key_id(pair.username.expose());
}

// Whole days, rounded down: "0" on the last one, negative when it is over.
std::optional<long> days_left(const smtp::Certificate& certificate, WallTime now) {
  if (!certificate.not_after) {
    return std::nullopt;
  }
  return static_cast<long>(std::chrono::floor<std::chrono::days>(*certificate.not_after - now).count());
}

std::string validity(const smtp::Certificate& certificate, WallTime now, const Paint& paint) {
  const auto days = days_left(certificate, now);
  if (!days) {
    return "?";
  }
  constexpr long kSoon = 14;
  const std::string text =
      to_rfc3339(*certificate.not_after) +
      (*days < 0 ? " (expired)" : " (" + std::to_string(*days) + (*days == 1 ? " day)" : " days)"));
  return paint(*days < 0 ? Ink::kBad : *days < kSoon ? Ink::kDoubtful : Ink::kPlain, text);
}

class Page {
 public:
  Page(const Paint& paint, std::size_t columns) : paint_(paint), columns_(columns) {}

  void row(std::string_view label, const std::string& value) {
    if (value.empty()) {
      return;
    }
    std::string head(label);
    head.resize(std::max(head.size() + 1, kColumn), ' ');
    text_ += "  " + paint_(Ink::kDim, head) + value + '\n';
  }

  // A long row, in lines that fit.
  void rows(std::string_view label, const std::string& value) {
    for (const std::string& line : wrapped(value, room(2 + kColumn))) {
      row(label, line);
      label = "";
    }
  }

  void line(const std::string& line) { text_ += line + '\n'; }

  void paragraph(std::string_view head, const std::string& body) {
    const std::string indent(head.size(), ' ');
    for (const std::string& line : wrapped(printable(body), room(head.size()))) {
      text_ += std::string(head) + line + '\n';
      head = indent;
    }
  }

  // A command is not broken: it is to be copied.
  void check(const std::string& text, std::size_t indent) {
    const bool command =
        !text.contains(", ") && (text.starts_with("kubectl ") || text.starts_with("openssl "));
    const std::string head = std::string(indent, ' ') + "check: ";
    if (command) {
      text_ += head + text + '\n';
    } else {
      paragraph(head, text);
    }
  }

  [[nodiscard]] std::string take() { return std::move(text_); }

 private:
  static constexpr std::size_t kColumn = 14;

  [[nodiscard]] std::size_t room(std::size_t indent) const {
    constexpr std::size_t kReadable = 100;
    const std::size_t columns = columns_ == 0 ? 0 : std::min(columns_, kReadable);
    return columns > 2 * indent ? columns - indent : 0;
  }

  const Paint& paint_;
  const std::size_t columns_;
  std::string text_;
};

void describe_server(const LoginReport& report, WallTime now, const Paint& paint, Page& page) {
  page.row("address", report.address);
  page.row("TLS", report.tls_version.empty() ? "" : report.tls_version + ", " + report.cipher);
  if (const auto& certificate = report.certificate) {
    page.row("certificate", certificate->subject);
    page.rows("  names", joined(certificate->names));
    page.row("  issuer", certificate->issuer);
    page.row("  valid until", validity(*certificate, now, paint));
  }
  page.rows("offers", joined(report.capabilities));
  page.row("mechanism", report.mechanism.empty() ? "" : "AUTH " + report.mechanism);
  page.row("reply", report.reply_code == 0 ? "" : std::to_string(report.reply_code) + ' ' + report.reply);
}

std::string verdict_line(const LoginReport& report, const Paint& paint) {
  if (report.verdict == LoginVerdict::kAuthenticated) {
    return paint(Ink::kGood, "The login works.");
  }
  const std::string name(smtp::to_string(report.verdict));
  const std::string detail = report.detail.empty() || report.reply_code != 0 ? "" : ": " + report.detail;
  const std::string rest = " (" + name + ")" + detail + '.';
  if (smtp::is_refused(report.verdict)) {
    return paint(Ink::kBad, "The login was refused" + rest);
  }
  const bool tried = !report.mechanism.empty();
  return paint(Ink::kDoubtful,
               (tried ? "The login was tried, and got no verdict" : "The login was not tried") + rest);
}

json or_null(const std::string& text) {
  return text.empty() ? json(nullptr) : json(text);
}

json or_null(const std::optional<WallTime>& time) {
  return time ? json(to_rfc3339(*time)) : json(nullptr);
}

json certificate_json(const LoginReport& report, WallTime now) {
  if (!report.certificate) {
    return nullptr;
  }
  const smtp::Certificate& certificate = *report.certificate;
  const auto days = days_left(certificate, now);
  return {{"subject", certificate.subject},
          {"issuer", certificate.issuer},
          {"names", certificate.names},
          {"notBefore", or_null(certificate.not_before)},
          {"notAfter", or_null(certificate.not_after)},
          {"daysLeft", days ? json(*days) : json(nullptr)}};
}

}  // namespace

std::string verify_heading(const LoginPair& pair, const Paint& paint) {
  const bool implicit = pair.endpoint.tls == ses::Tls::kImplicit;
  std::string text = paint(Ink::kBold, "Login at " + printable(host_and_port(pair.endpoint)) +
                                           (implicit ? " (TLS)" : " (STARTTLS)") + " as " + masked(pair));
  text += '\n';
  Page page(paint, 0);
  page.row("pair", printable(pair.source));
  page.row("region", pair.region);
  return text + page.take();
}

std::string verify_page(const LoginReport& report, const LoginAdvice& advice, WallTime now,
                        const Paint& paint, std::size_t columns) {
  Page page(paint, columns);
  describe_server(report, now, paint, page);
  page.line("");
  page.line(verdict_line(report, paint));
  page.paragraph("  ", advice.meaning);
  if (!advice.findings.empty()) {
    page.line("\nWhat is wrong with what was given:");
    for (const std::string& finding : advice.findings) {
      page.paragraph("  - ", finding);
    }
  }
  if (!advice.causes.empty()) {
    page.line("\nWhat it may be, the likeliest first:");
    std::size_t number = 0;
    for (const Cause& cause : advice.causes) {
      page.paragraph("  " + std::to_string(++number) + ". ", cause.what);
      page.check(cause.check, 5);
    }
  }
  if (!advice.next.empty()) {
    page.line("");
    page.paragraph("", advice.next);
  }
  return page.take();
}

std::string verify_json(const LoginPair& pair, const LoginReport& report, const LoginAdvice& advice,
                        WallTime now) {
  json causes = json::array();
  for (const Cause& cause : advice.causes) {
    causes.push_back({{"cause", cause.what}, {"check", cause.check}});
  }
  json reply = nullptr;
  if (report.reply_code != 0) {
    reply = {{"code", report.reply_code}, {"text", report.reply}};
  }
  json tls = nullptr;
  if (!report.tls_version.empty()) {
    tls = {{"version", report.tls_version}, {"cipher", report.cipher}};
  }
  const json result = {
      {"authenticated", report.verdict == LoginVerdict::kAuthenticated},
      {"refused", smtp::is_refused(report.verdict)},
      {"verdict", smtp::to_string(report.verdict)},
      {"detail", or_null(report.detail)},
      {"source", pair.source},
      {"username", masked(pair)},
      {"region", or_null(pair.region)},
      {"endpoint",
       {{"host", pair.endpoint.host},
        {"port", pair.endpoint.port},
        {"tls", pair.endpoint.tls == ses::Tls::kImplicit ? "implicit" : "starttls"}}},
      {"address", or_null(report.address)},
      {"tls", std::move(tls)},
      {"certificate", certificate_json(report, now)},
      {"capabilities", report.capabilities},
      {"mechanism", or_null(report.mechanism)},
      {"reply", std::move(reply)},
      {"meaning", advice.meaning},
      {"findings", advice.findings},
      {"causes", std::move(causes)},
      {"next", or_null(advice.next)},
  };
  return result.dump(2, ' ', false, json::error_handler_t::replace) + '\n';
}

}  // namespace sessmtp::cli
