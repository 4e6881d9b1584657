#include "smtp/server_check.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <ctime>
#include <string_view>
#include <system_error>
#include <utility>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"

namespace sessmtp::smtp {
namespace {

struct OpensslFree {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(X509_STORE* store) const { X509_STORE_free(store); }
  void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
};
template <class T>
using Handle = std::unique_ptr<T, OpensslFree>;

// OpenSSL looks where Debian has them: in SSL_CERT_FILE and SSL_CERT_DIR, or below /usr/lib/ssl. The program
// runs elsewhere, too.
void trust_system(X509_STORE* store) {
  constexpr std::array kElsewhere = {
      "/etc/ssl/certs/ca-certificates.crt",  // Debian without openssl, Alpine
      "/etc/pki/tls/certs/ca-bundle.crt",    // Fedora, RHEL, Amazon Linux
      "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
      "/etc/ssl/ca-bundle.pem",  // SUSE
      "/etc/ssl/cert.pem",
  };
  X509_STORE_set_default_paths(store);
  std::error_code ignored;
  const bool chosen = std::getenv(X509_get_default_cert_file_env()) != nullptr ||
                      std::getenv(X509_get_default_cert_dir_env()) != nullptr;
  if (!chosen && !std::filesystem::exists(X509_get_default_cert_file(), ignored) &&
      !std::filesystem::exists(X509_get_default_cert_dir(), ignored)) {
    const auto found = std::ranges::find_if(
        kElsewhere, [&](const char* file) { return std::filesystem::exists(file, ignored); });
    if (found != kElsewhere.end()) {
      X509_STORE_load_file(store, *found);
    }
  }
  ERR_clear_error();
}

Result<void> trust_file(X509_STORE* store, const std::filesystem::path& file) {
  const Result<std::string> pem = read_file(file);
  if (!pem) {
    return std::unexpected(Error(pem.error()).in("the CA file"));
  }
  const Handle<BIO> bio(BIO_new_mem_buf(pem->data(), static_cast<int>(pem->size())));
  bool any = false;
  while (const Handle<X509> certificate{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)}) {
    any = X509_STORE_add_cert(store, certificate.get()) == 1;
  }
  // "no start line" ends every file; any other error is of a certificate that cannot be read.
  const bool whole = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (!any || !whole) {
    return fail(ErrorCode::kInvalidInput,
                "the CA file: " + file.string() + ": " +
                    (any ? "a broken certificate in it" : "no PEM certificate in it"));
  }
  return {};
}

std::string text_of(const X509_NAME* name) {
  const Handle<BIO> bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_ONELINE);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return size > 0 ? std::string(data, static_cast<std::size_t>(size)) : "";
}

std::optional<WallTime> time_of(const ASN1_TIME* time) {
  std::tm broken{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &broken) != 1) {
    return std::nullopt;
  }
  return std::chrono::time_point_cast<WallTime::duration>(
      std::chrono::system_clock::from_time_t(timegm(&broken)));
}

std::vector<std::string> names_of(X509* certificate) {
  constexpr int kMost = 16;
  std::vector<std::string> result;
  const Handle<GENERAL_NAMES> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < std::min(sk_GENERAL_NAME_num(names.get()), kMost); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) {
      result.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                          static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
    }
  }
  return result;
}

Certificate describe(X509* certificate) {
  return {.subject = text_of(X509_get_subject_name(certificate)),
          .issuer = text_of(X509_get_issuer_name(certificate)),
          .names = names_of(certificate),
          .not_before = time_of(X509_get0_notBefore(certificate)),
          .not_after = time_of(X509_get0_notAfter(certificate))};
}

bool is_address(const std::string& host) {
  unsigned char address[sizeof(in6_addr)];
  return inet_pton(AF_INET, host.c_str(), address) == 1 || inet_pton(AF_INET6, host.c_str(), address) == 1;
}

// A context finds its check through this slot.
int check_slot() {
  static const int slot = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return slot;
}

}  // namespace

Result<std::unique_ptr<ServerCheck>> ServerCheck::make(std::string host,
                                                       const std::filesystem::path& ca_file) {
  Handle<X509_STORE> roots(X509_STORE_new());
  if (!roots) {
    return fail(ErrorCode::kInternal, "no memory for certificates");
  }
  X509_STORE_set_flags(roots.get(), X509_V_FLAG_PARTIAL_CHAIN);  // an intermediate may be the anchor
  trust_system(roots.get());
  if (!ca_file.empty()) {
    if (Result<void> trusted = trust_file(roots.get(), ca_file); !trusted) {
      return std::unexpected(std::move(trusted).error());
    }
  }
  return std::unique_ptr<ServerCheck>(new ServerCheck(std::move(host), roots.release()));
}

ServerCheck::ServerCheck(std::string host, X509_STORE* roots) : host_(std::move(host)), roots_(roots) {}

ServerCheck::~ServerCheck() {
  X509_STORE_free(roots_);
}

bool ServerCheck::apply(SSL_CTX* context, std::function<void()> encrypted) {
  encrypted_ = std::move(encrypted);
  std::uint64_t options = SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET;
#ifdef SSL_OP_CLEANSE_PLAINTEXT
  options |= SSL_OP_CLEANSE_PLAINTEXT;
#endif
  SSL_CTX_set_options(context, options);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  X509_VERIFY_PARAM* checks = SSL_CTX_get0_param(context);
  X509_VERIFY_PARAM_set_hostflags(checks, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  const int named = is_address(host_) ? X509_VERIFY_PARAM_set1_ip_asc(checks, host_.c_str())
                                      : X509_VERIFY_PARAM_set1_host(checks, host_.c_str(), host_.size());
  SSL_CTX_set_cert_verify_callback(context, &ServerCheck::verify, this);
  SSL_CTX_set_info_callback(context, &ServerCheck::watch);
  // Not the store of libcurl, which it fills on its own.
  return named == 1 && SSL_CTX_set1_verify_cert_store(context, roots_) == 1 &&
         SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
         SSL_CTX_set_ex_data(context, check_slot(), this) == 1;
}

int ServerCheck::verify(X509_STORE_CTX* chain, void* check) {
  auto& self = *static_cast<ServerCheck*>(check);
  if (X509* certificate = X509_STORE_CTX_get0_cert(chain)) {
    self.certificate_ = describe(certificate);
  }
  const int verdict = X509_verify_cert(chain);
  if (verdict <= 0) {
    self.refusal_ = self.explain(chain);
  }
  return verdict;
}

std::string ServerCheck::explain(X509_STORE_CTX* chain) const {
  const int error = X509_STORE_CTX_get_error(chain);
  X509* where = X509_STORE_CTX_get_current_cert(chain);
  const std::string which =
      X509_STORE_CTX_get_error_depth(chain) == 0 ? "the certificate" : "the certificate of a CA";
  const auto date = [](const std::optional<WallTime>& time) { return time ? to_rfc3339(*time) : "?"; };
  switch (error) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
      return which + " expired at " + date(time_of(X509_get0_notAfter(where)));
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return which + " is not valid before " + date(time_of(X509_get0_notBefore(where)));
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: {
      const std::string names = joined(certificate_ ? certificate_->names : std::vector<std::string>());
      return "the certificate is not for " + host_ + " but for " + (names.empty() ? "no host name" : names);
    }
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
      return "the certificate is self-signed";
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return "the certificate is of an unknown CA: " + (certificate_ ? certificate_->issuer : "?");
    default:
      return which + " was refused: " + X509_verify_cert_error_string(error);
  }
}

void ServerCheck::watch(const SSL* ssl, int where, int value) {
  auto* self = static_cast<ServerCheck*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), check_slot()));
  if (self == nullptr) {
    return;
  }
  self->begun_ = true;
  // With TLS 1.3 each session ticket ends a handshake once more.
  if (where == SSL_CB_HANDSHAKE_DONE && self->tls_version_.empty() &&
      SSL_get_verify_result(ssl) == X509_V_OK) {
    self->tls_version_ = SSL_get_version(ssl);
    self->cipher_ = SSL_get_cipher_name(ssl);
    self->encrypted_();
  }
  if (where == SSL_CB_READ_ALERT && (value >> 8) == SSL3_AL_FATAL) {
    self->alert_ = SSL_alert_desc_string_long(value);
  }
}

}  // namespace sessmtp::smtp
