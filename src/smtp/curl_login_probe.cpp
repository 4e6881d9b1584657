#include "smtp/curl_login_probe.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <malloc.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/text.h"
#include "smtp/dialogue.h"
#include "smtp/redactor.h"
#include "smtp/server_check.h"

namespace sessmtp::smtp {
namespace {

using std::chrono::milliseconds;
using Step = Dialogue::Step;
using Instant = std::chrono::steady_clock::time_point;

// libcurl copies the pair into buffers of its own, in the clear and as base64, and frees them as they are.
void wipe_and_free(void* block) {
  if (block != nullptr) {
    wipe(static_cast<char*>(block), malloc_usable_size(block));
    std::free(block);
  }
}

void* wiping_realloc(void* block, std::size_t size) {
  if (block == nullptr) {
    return std::malloc(size);
  }
  void* moved = std::malloc(size);
  if (moved != nullptr) {
    std::memcpy(moved, block, std::min(size, malloc_usable_size(block)));
    wipe_and_free(block);
  }
  return moved;
}

void set_up_curl() {
  static std::once_flag once;
  std::call_once(once, [] {
    curl_global_init_mem(CURL_GLOBAL_DEFAULT, &std::malloc, &wipe_and_free, &wiping_realloc, &strdup,
                         &std::calloc);
  });
}

struct EasyFree {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct MultiFree {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};

bool is_ipv6(const std::string& host) {
  in6_addr address{};
  return inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

// Nothing that has a meaning in a URL.
bool is_host(const std::string& host) {
  constexpr std::size_t kMaxHost = 253;
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  };
  return is_ipv6(host) || (!host.empty() && host.size() <= kMaxHost && std::ranges::all_of(host, fits));
}

// The last part is what we call ourselves at EHLO, in place of this machine's name.
std::string url_of(const ses::Endpoint& endpoint) {
  const bool implicit = endpoint.tls == ses::Tls::kImplicit;
  const std::string host = is_ipv6(endpoint.host) ? "[" + endpoint.host + "]" : endpoint.host;
  return (implicit ? "smtps://" : "smtp://") + host + ":" + std::to_string(endpoint.port) + "/ses-smtp";
}

LoginReport not_tried(LoginVerdict verdict, std::string detail) {
  LoginReport report;
  report.verdict = verdict;
  report.detail = std::move(detail);
  return report;
}

class CurlLogin {
 public:
  CurlLogin(const CurlLoginProbeOptions& options, const ses::Endpoint& endpoint, ServerCheck& check)
      : options_(options),
        endpoint_(endpoint),
        check_(check),
        dialogue_(endpoint.tls),
        multi_(curl_multi_init()),
        easy_(curl_easy_init()) {}

  ~CurlLogin() {
    if (multi_ && easy_) {
      curl_multi_remove_handle(multi_.get(), easy_.get());
    }
  }
  CurlLogin(const CurlLogin&) = delete;
  CurlLogin& operator=(const CurlLogin&) = delete;

  [[nodiscard]] std::optional<LoginReport> run(const SecretBytes& username, const SecretBytes& password,
                                               const std::stop_token& stop);

 private:
  template <class Value>
  void set(CURLoption option, Value value) {
    set_up_ = set_up_ && curl_easy_setopt(easy_.get(), option, value) == CURLE_OK;
  }
  void set_secret(CURLoption option, const SecretBytes& value);
  void set_options(const SecretBytes& username, const SecretBytes& password);
  void set_callbacks();
  [[nodiscard]] bool perform(const std::stop_token& stop);
  [[nodiscard]] milliseconds limit(Step step) const;
  [[nodiscard]] curl_off_t info(CURLINFO what) const;
  [[nodiscard]] LoginReport report() const;
  [[nodiscard]] Dialogue::Outcome outcome() const;
  [[nodiscard]] Dialogue::Outcome not_connected() const;
  [[nodiscard]] Dialogue::Outcome no_tls() const;
  [[nodiscard]] Dialogue::Outcome broken_off() const;
  [[nodiscard]] bool is_connected() const { return check_.has_begun() || info(CURLINFO_CONNECT_TIME_T) > 0; }
  void note_connection() {
    if (is_connected()) {
      dialogue_.connected();
    }
  }
  [[nodiscard]] std::string within_limit() const;

  static curl_socket_t open_socket(void* login, curlsocktype purpose, curl_sockaddr* address);
  static std::size_t hear(char* line, std::size_t size, std::size_t count, void* login);
  static CURLcode prepare_tls(CURL* easy, void* context, void* login);

  const CurlLoginProbeOptions& options_;
  const ses::Endpoint& endpoint_;
  ServerCheck& check_;
  Dialogue dialogue_;
  bool set_up_ = true;
  bool refused_address_ = false;
  bool opened_socket_ = false;
  bool timed_out_ = false;
  CURLcode code_ = CURLE_OK;
  std::array<char, CURL_ERROR_SIZE> error_{};
  std::unique_ptr<CURLM, MultiFree> multi_;
  std::unique_ptr<CURL, EasyFree> easy_;
};

void CurlLogin::set_secret(CURLoption option, const SecretBytes& value) {
  std::string text;
  text.reserve(value.size() + 1);
  text.append(value.expose());
  set(option, text.c_str());  // which libcurl copies
  wipe(text.data(), text.size());
}

void CurlLogin::set_options(const SecretBytes& username, const SecretBytes& password) {
  const auto total = static_cast<long>(options_.limits.total.count());
  set(CURLOPT_URL, url_of(endpoint_).c_str());
  set(CURLOPT_PROTOCOLS_STR, "smtp,smtps");
  set_secret(CURLOPT_USERNAME, username);
  set_secret(CURLOPT_PASSWORD, password);
  set(CURLOPT_LOGIN_OPTIONS, "AUTH=PLAIN;AUTH=LOGIN");
  set(CURLOPT_CONNECT_ONLY, 1L);  // ends after the login; no mail, not even HELP
  set(CURLOPT_PROXY, "");         // whatever the environment says
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_QUICK_EXIT, 1L);  // does not wait for a name lookup that hangs
  set(CURLOPT_FRESH_CONNECT, 1L);
  set(CURLOPT_FORBID_REUSE, 1L);
  set(CURLOPT_USE_SSL, static_cast<long>(CURLUSESSL_ALL));
  set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  set(CURLOPT_SSL_VERIFYPEER, 1L);
  set(CURLOPT_SSL_VERIFYHOST, 2L);
  set(CURLOPT_SSL_SESSIONID_CACHE, 0L);
  set(CURLOPT_CAINFO, static_cast<char*>(nullptr));  // ServerCheck knows whom to trust
  set(CURLOPT_CAPATH, static_cast<char*>(nullptr));
  set(CURLOPT_TIMEOUT_MS, total);
  set(CURLOPT_CONNECTTIMEOUT_MS, total);  // up to the end of the login, as libcurl counts
  set(CURLOPT_ERRORBUFFER, error_.data());
}

void CurlLogin::set_callbacks() {
  set(CURLOPT_OPENSOCKETFUNCTION, &CurlLogin::open_socket);
  set(CURLOPT_OPENSOCKETDATA, this);
  set(CURLOPT_HEADERFUNCTION, &CurlLogin::hear);
  set(CURLOPT_HEADERDATA, this);
  set(CURLOPT_SSL_CTX_FUNCTION, &CurlLogin::prepare_tls);
  set(CURLOPT_SSL_CTX_DATA, this);
}

curl_socket_t CurlLogin::open_socket(void* login, curlsocktype, curl_sockaddr* address) {
  auto& self = *static_cast<CurlLogin*>(login);
  if (!self.options_.policy.allows(self.endpoint_, address->addr)) {
    self.refused_address_ = true;
    return CURL_SOCKET_BAD;
  }
  self.opened_socket_ = true;
  return ::socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

std::size_t CurlLogin::hear(char* line, std::size_t size, std::size_t count, void* login) {
  Dialogue& dialogue = static_cast<CurlLogin*>(login)->dialogue_;
  const bool go_on = dialogue.hear({line, size * count});
  // Anything else than the size of what was passed makes libcurl break off.
  return go_on || dialogue.outcome()->verdict == LoginVerdict::kAuthenticated ? size * count : 0;
}

CURLcode CurlLogin::prepare_tls(CURL*, void* context, void* login) {
  auto& self = *static_cast<CurlLogin*>(login);
  const bool applied =
      self.check_.apply(static_cast<SSL_CTX*>(context), [&self] { self.dialogue_.encrypted(); });
  return applied ? CURLE_OK : CURLE_SSL_CERTPROBLEM;
}

std::optional<LoginReport> CurlLogin::run(const SecretBytes& username, const SecretBytes& password,
                                          const std::stop_token& stop) {
  if (!multi_ || !easy_) {
    return not_tried(LoginVerdict::kProtocolError, "no memory for a connection");
  }
  set_options(username, password);
  set_callbacks();
  // An option that this libcurl does not know would leave out a protection.
  if (!set_up_ || curl_multi_add_handle(multi_.get(), easy_.get()) != CURLM_OK) {
    return not_tried(LoginVerdict::kProtocolError,
                     std::string("an option that is needed is not in ") + curl_version());
  }
  if (!perform(stop)) {
    return std::nullopt;
  }
  return report();
}

milliseconds CurlLogin::limit(Step step) const {
  return step == Step::kConnection || step == Step::kTls ? options_.limits.connect : options_.limits.reply;
}

// Until the login is over, or a limit is reached. False when asked to stop.
bool CurlLogin::perform(const std::stop_token& stop) {
  const std::stop_callback on_stop(stop, [this] { curl_multi_wakeup(multi_.get()); });
  const Instant end = std::chrono::steady_clock::now() + options_.limits.total;
  Step step = dialogue_.step();
  Instant step_began = std::chrono::steady_clock::now();
  while (!stop.stop_requested()) {
    int running = 0;
    if (curl_multi_perform(multi_.get(), &running) != CURLM_OK || running == 0) {
      break;
    }
    note_connection();
    const Instant now = std::chrono::steady_clock::now();
    if (std::exchange(step, dialogue_.step()) != dialogue_.step()) {
      step_began = now;
    }
    const Instant deadline = std::min(end, step_began + limit(step));
    if (now >= deadline) {
      timed_out_ = true;
      break;
    }
    const auto left = std::chrono::ceil<milliseconds>(deadline - now);
    curl_multi_poll(multi_.get(), nullptr, 0, static_cast<int>(left.count()), nullptr);
  }
  note_connection();
  int left_over = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_.get(), &left_over)) {
    code_ = message->data.result;
    timed_out_ = timed_out_ || code_ == CURLE_OPERATION_TIMEDOUT;
  }
  return !stop.stop_requested();
}

curl_off_t CurlLogin::info(CURLINFO what) const {
  curl_off_t value = 0;
  curl_easy_getinfo(easy_.get(), what, &value);
  return value;
}

LoginReport CurlLogin::report() const {
  Dialogue::Outcome result = outcome();
  LoginReport report;
  report.verdict = result.verdict;
  report.detail = std::move(result.detail);
  if (dialogue_.outcome()) {
    report.reply_code = dialogue_.code();
    report.reply = dialogue_.text();
  }
  report.tls_version = check_.tls_version();
  report.cipher = check_.cipher();
  report.certificate = check_.certificate();
  report.capabilities = dialogue_.capabilities();
  report.mechanism = dialogue_.mechanism();
  const char* address = nullptr;
  if (is_connected() && curl_easy_getinfo(easy_.get(), CURLINFO_PRIMARY_IP, &address) == CURLE_OK &&
      address != nullptr) {
    report.address = address;
  }
  return report;
}

Dialogue::Outcome CurlLogin::outcome() const {
  if (!check_.refusal().empty()) {
    return {LoginVerdict::kCertificateInvalid, check_.refusal()};
  }
  if (dialogue_.outcome()) {
    return *dialogue_.outcome();
  }
  if (!is_connected()) {
    return not_connected();
  }
  if (code_ == CURLE_PEER_FAILED_VERIFICATION) {
    return {LoginVerdict::kCertificateInvalid, error_.data()};
  }
  return dialogue_.step() == Step::kConnection || dialogue_.step() == Step::kTls ? no_tls() : broken_off();
}

// " within 10s"
std::string CurlLogin::within_limit() const {
  const milliseconds length = std::min(limit(dialogue_.step()), options_.limits.total);
  const bool whole = length % std::chrono::seconds(1) == milliseconds(0);
  return " within " +
         (whole ? std::to_string(length.count() / 1000) + "s" : std::to_string(length.count()) + "ms");
}

Dialogue::Outcome CurlLogin::not_connected() const {
  if (refused_address_ && !opened_socket_) {
    return {LoginVerdict::kEndpointNotAllowed,
            "the name leads to an address of this machine or its network link"};
  }
  if (code_ == CURLE_COULDNT_RESOLVE_HOST) {
    return {LoginVerdict::kEndpointUnreachable, "host name not found"};
  }
  if (timed_out_) {
    const bool resolved = info(CURLINFO_NAMELOOKUP_TIME_T) > 0;
    return {LoginVerdict::kEndpointUnreachable,
            (resolved ? "no connection" : "no answer about the host name") + within_limit()};
  }
  long error = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_OS_ERRNO, &error);
  if (error == ECONNREFUSED) {
    return {LoginVerdict::kEndpointUnreachable, "connection refused"};
  }
  return {LoginVerdict::kEndpointUnreachable,
          "no connection: " + (error == 0 ? std::string(error_.data())
                                          : std::generic_category().message(static_cast<int>(error)))};
}

// The handshake did not come to an end, and not for the certificate.
Dialogue::Outcome CurlLogin::no_tls() const {
  // Before the server said anything, or in mid-conversation.
  const LoginVerdict lost =
      dialogue_.heard_anything() ? LoginVerdict::kTemporaryFailure : LoginVerdict::kEndpointUnreachable;
  const std::string_view error = error_.data();
  if (timed_out_) {
    return {lost, "no TLS" + within_limit()};
  }
  if (code_ == CURLE_WEIRD_SERVER_REPLY) {  // behind the 220 of STARTTLS, put there by anybody in between
    return {LoginVerdict::kProtocolError, "more text where TLS was to begin"};
  }
  if (!check_.alert().empty()) {
    return {LoginVerdict::kProtocolError, "the server refused TLS: " + check_.alert()};
  }
  constexpr std::string_view kReasonOfOpenssl = "::";  // "error:0A00010B:SSL routines::wrong version number"
  const std::size_t reason = error.rfind(kReasonOfOpenssl);
  if (reason == std::string_view::npos || error.ends_with("unexpected eof while reading")) {
    return {lost, "the connection was cut during TLS"};
  }
  return {LoginVerdict::kProtocolError,
          "no TLS: " + std::string(error.substr(reason + kReasonOfOpenssl.size()))};
}

// The connection stood, and there was TLS or not yet a reason for it.
Dialogue::Outcome CurlLogin::broken_off() const {
  const std::string what(describe(dialogue_.step()));
  const bool greeting = dialogue_.step() == Step::kGreeting;
  const bool cut = code_ == CURLE_RECV_ERROR || code_ == CURLE_SEND_ERROR || code_ == CURLE_GOT_NOTHING;
  long heard = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_HEADER_SIZE, &heard);
  constexpr long kFlood = 65536;  // without one line end, or it had been noticed before
  if (heard > kFlood || (greeting && heard > 0)) {
    return {LoginVerdict::kProtocolError, (heard > kFlood ? "too much text in " : "no SMTP in ") + what};
  }
  const LoginVerdict lost = greeting ? LoginVerdict::kEndpointUnreachable : LoginVerdict::kTemporaryFailure;
  if (timed_out_) {
    const bool perhaps_tls = greeting && endpoint_.tls == ses::Tls::kStartTls;
    return {lost,
            "not " + what + within_limit() + (perhaps_tls ? "; perhaps TLS comes first at this port" : "")};
  }
  if (cut) {
    const std::string alert = check_.alert().empty() ? "" : " (" + check_.alert() + ")";
    return {lost, "the connection was cut before " + what + alert};
  }
  return {LoginVerdict::kProtocolError, "libcurl gave up at " + what + ": " + curl_easy_strerror(code_)};
}

// Why this can be no pair: a report without a connection.
std::optional<LoginReport> check_pair(const SecretBytes& username, const SecretBytes& password) {
  if (username.empty() || password.empty()) {
    return not_tried(LoginVerdict::kCredentialsInvalid, "the user name or the password is empty");
  }
  if (username.expose().contains('\0') || password.expose().contains('\0')) {
    return not_tried(LoginVerdict::kCredentialsInvalid, "a NUL byte in the user name or the password");
  }
  return std::nullopt;
}

}  // namespace

CurlLoginProbe::CurlLoginProbe(CurlLoginProbeOptions options) : options_(std::move(options)) {
  set_up_curl();
}

std::optional<LoginReport> CurlLoginProbe::log_in(const ses::Endpoint& endpoint, const SecretBytes& username,
                                                  const SecretBytes& password, std::stop_token stop) {
  const Redactor redactor(username, password);
  const auto cleaned = [&redactor](std::optional<LoginReport> report) {
    if (report) {
      redactor.clean(*report);
    }
    return report;
  };
  if (stop.stop_requested()) {
    return std::nullopt;
  }
  if (!options_.policy.allows(endpoint)) {
    return cleaned(
        not_tried(LoginVerdict::kEndpointNotAllowed, "neither an endpoint of Amazon SES nor listed"));
  }
  if (!is_host(endpoint.host) || endpoint.port == 0) {
    return cleaned(
        not_tried(LoginVerdict::kEndpointUnreachable, "not a host and a port: " + in_quotes(endpoint.host)));
  }
  if (std::optional<LoginReport> impossible = check_pair(username, password)) {
    return impossible;
  }
  const Result<std::unique_ptr<ServerCheck>> check = ServerCheck::make(endpoint.host, options_.ca_file);
  if (!check) {
    return cleaned(not_tried(LoginVerdict::kCertificateInvalid, check.error().message));
  }
  CurlLogin login(options_, endpoint, **check);
  return cleaned(login.run(username, password, stop));
}

}  // namespace sessmtp::smtp
