#include "kube/tls_policy.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <string_view>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/secret_bytes.h"

namespace sessmtp::kube {
namespace {

struct OpensslFree {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(X509_STORE* store) const { X509_STORE_free(store); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(GENERAL_NAMES* names) const { GENERAL_NAMES_free(names); }
};
template <class T>
using Handle = std::unique_ptr<T, OpensslFree>;

// The reason OpenSSL queued first; empties the queue, which asio would misread otherwise.
std::string openssl_reason() {
  const char* reason = ERR_reason_error_string(ERR_get_error());
  std::string text = reason != nullptr ? reason : "unknown reason";
  ERR_clear_error();
  return text;
}

Handle<BIO> reader(std::string_view pem) {
  return Handle<BIO>(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

std::vector<Handle<X509>> parse_certificates(std::string_view pem) {
  std::vector<Handle<X509>> certificates;
  const Handle<BIO> bio = reader(pem);
  while (X509* certificate = PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)) {
    certificates.emplace_back(certificate);
  }
  ERR_clear_error();  // "no start line" ends every file
  return certificates;
}

// An encrypted key must not make the program ask at a terminal.
int no_password(char*, int, int, void*) {
  return 0;
}

// The names a certificate is valid for: "kubernetes.default.svc, 10.96.0.1".
std::string names_of(X509* certificate) {
  constexpr int kMost = 8;
  const Handle<GENERAL_NAMES> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  std::string text;
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    std::string one;
    if (name->type == GEN_DNS) {
      one.assign(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                 static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
    } else if (name->type == GEN_IPADD) {
      char address[INET6_ADDRSTRLEN] = "";
      const int family = ASN1_STRING_length(name->d.iPAddress) == 4 ? AF_INET : AF_INET6;
      if (family == AF_INET || ASN1_STRING_length(name->d.iPAddress) == 16) {
        inet_ntop(family, ASN1_STRING_get0_data(name->d.iPAddress), address, sizeof address);
      }
      one = address;
    }
    if (i == kMost) {
      return text + ", …";
    }
    text += (text.empty() ? "" : ", ") + one;
  }
  return text.empty() ? "no host at all" : text;
}

// Who we are, for the connections of one context.
Result<void> present(SSL_CTX* context, std::string_view certificate_pem, std::string_view key_pem) {
  const Handle<EVP_PKEY> key(PEM_read_bio_PrivateKey(reader(key_pem).get(), nullptr, &no_password, nullptr));
  if (!key) {
    return fail(ErrorCode::kInvalidInput,
                "the client key: not a PEM key, or one with a password: " + openssl_reason());
  }
  std::vector<Handle<X509>> chain = parse_certificates(certificate_pem);
  if (chain.empty()) {
    return fail(ErrorCode::kInvalidInput, "the client certificate: no PEM certificate in it");
  }
  bool fits = SSL_CTX_use_certificate(context, chain.front().get()) == 1 &&
              SSL_CTX_use_PrivateKey(context, key.get()) == 1;
  for (std::size_t i = 1; fits && i < chain.size(); ++i) {
    fits = SSL_CTX_add1_chain_cert(context, chain[i].get()) == 1;
  }
  if (!fits) {
    return fail(ErrorCode::kInvalidInput, "the client certificate and key do not fit: " + openssl_reason());
  }
  return {};
}

// A context keeps its policy alive through this slot.
void drop_policy(void*, void* policy, CRYPTO_EX_DATA*, int, long, void*) {
  delete static_cast<std::shared_ptr<TlsPolicy>*>(policy);
}

int policy_slot() {
  static const int slot = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, drop_policy);
  return slot;
}

}  // namespace

bool is_ip_literal(const std::string& host) {
  unsigned char address[16];
  return inet_pton(AF_INET, host.c_str(), address) == 1 || inet_pton(AF_INET6, host.c_str(), address) == 1;
}

TlsPolicy::TlsPolicy(const ClusterConfig& config, std::string server_name, HandshakeHook hook,
                     std::shared_ptr<ExecPlugin> plugin)
    : authority_(config.certificate_authority),
      certificate_(config.client_certificate),
      key_(config.client_key),
      server_name_(std::move(server_name)),
      verify_server_(!config.insecure_skip_tls_verify),
      hook_(hook),
      plugin_(std::move(plugin)),
      fingerprint_(fingerprint()),
      looked_at_(std::chrono::steady_clock::now()),
      plugin_revision_(plugin_ ? plugin_->identity_revision() : 0) {}

Result<void> TlsPolicy::apply(SSL_CTX* context) {
  std::uint64_t options = SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION;
#ifdef SSL_OP_CLEANSE_PLAINTEXT
  options |= SSL_OP_CLEANSE_PLAINTEXT;
#endif
  SSL_CTX_set_options(context, options);
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);  // 34 KiB less for each idle connection
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_ex_data(context, policy_slot(), new std::shared_ptr<TlsPolicy>(shared_from_this()));
  SSL_CTX_set_info_callback(context, &TlsPolicy::watch);

  if (verify_server_) {
    if (Result<void> trusted = trust(context); !trusted) {
      return trusted;
    }
    X509_VERIFY_PARAM* checks = SSL_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_hostflags(checks, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);  // as Go: no CN fallback
    const int named = is_ip_literal(server_name_)
                          ? X509_VERIFY_PARAM_set1_ip_asc(checks, server_name_.c_str())
                          : X509_VERIFY_PARAM_set1_host(checks, server_name_.c_str(), server_name_.size());
    if (named != 1) {
      return fail(ErrorCode::kInternal, "checking the host name: " + openssl_reason());
    }
    SSL_CTX_set_cert_verify_callback(context, &TlsPolicy::verify, this);
  }
  return identify(context);
}

void TlsPolicy::note(const Result<void>& applied) {
  const std::lock_guard lock(mutex_);
  if (std::exchange(unusable_, !applied) == !applied) {
    return;
  }
  if (applied) {
    log::info("certificates for the API server usable again");
  } else {
    log::warn("no new connection to the API server, for a certificate or key here is not usable",
              {{"why", applied.error().message}});
  }
}

Result<void> TlsPolicy::trust(SSL_CTX* context) const {
  if (authority_.empty()) {
    X509_STORE_set_default_paths(SSL_CTX_get_cert_store(context));  // the system's roots
    ERR_clear_error();
    return {};
  }
  const Result<std::string> pem = authority_.read();
  if (!pem) {
    return std::unexpected(Error(pem.error()).in("the cluster's CA"));
  }
  const std::vector<Handle<X509>> certificates = parse_certificates(*pem);
  if (certificates.empty()) {
    return fail(ErrorCode::kInvalidInput, "the cluster's CA: no PEM certificate in it");
  }
  Handle<X509_STORE> store(X509_STORE_new());  // a new one: the system's roots must not count
  if (!store) {
    return fail(ErrorCode::kInternal, "the cluster's CA: " + openssl_reason());
  }
  X509_STORE_set_flags(store.get(),
                       X509_V_FLAG_PARTIAL_CHAIN);  // an intermediate may be the anchor, as in Go
  for (const Handle<X509>& certificate : certificates) {
    if (X509_STORE_add_cert(store.get(), certificate.get()) != 1) {
      return fail(ErrorCode::kInvalidInput, "the cluster's CA: " + openssl_reason());
    }
  }
  SSL_CTX_set_cert_store(context, store.release());
  return {};
}

Result<void> TlsPolicy::identify(SSL_CTX* context) const {
  if (const auto given = plugin_ ? plugin_->identity() : std::nullopt) {
    return present(context, given->certificate, given->key.expose());
  }
  if (certificate_.empty() && key_.empty()) {
    return {};
  }
  const Result<std::string> certificate = certificate_.read();
  if (!certificate) {
    return std::unexpected(Error(certificate.error()).in("the client certificate"));
  }
  Result<std::string> key = key_.read();
  if (!key) {
    return std::unexpected(Error(key.error()).in("the client key"));
  }
  Result<void> presented = present(context, *certificate, *key);
  wipe(key->data(), key->size());
  return presented;
}

bool TlsPolicy::rotated(std::chrono::milliseconds interval) {
  const std::uint64_t revision = plugin_ ? plugin_->identity_revision() : 0;
  const Instant now = std::chrono::steady_clock::now();
  const std::lock_guard lock(mutex_);
  bool changed = std::exchange(plugin_revision_, revision) != revision;
  if (now - looked_at_ >= interval) {
    looked_at_ = now;
    if (std::optional<std::string> seen = fingerprint(); seen && seen != fingerprint_) {
      fingerprint_ = std::move(seen);
      changed = true;
    }
  }
  return changed;
}

// A digest: what is read here is not kept.
std::optional<std::string> TlsPolicy::fingerprint() const {
  std::string together;
  for (const Pem* pem : {&authority_, &certificate_, &key_}) {
    Result<std::string> content = pem->empty() ? Result<std::string>() : pem->read();
    if (!content) {
      return std::nullopt;
    }
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    if (EVP_Digest(content->data(), content->size(), digest, &size, EVP_sha256(), nullptr) != 1) {
      return std::nullopt;
    }
    wipe(content->data(), content->size());
    together.append(reinterpret_cast<const char*>(digest), size);
  }
  return together;
}

int TlsPolicy::verify(X509_STORE_CTX* chain, void* policy) {
  const int verdict = X509_verify_cert(chain);
  if (verdict <= 0) {
    auto& self = *static_cast<TlsPolicy*>(policy);
    self.write(self.refusal_, self.explain(chain));
  }
  return verdict;
}

std::string TlsPolicy::explain(X509_STORE_CTX* chain) const {
  const int error = X509_STORE_CTX_get_error(chain);
  const std::string detail = X509_verify_cert_error_string(error);
  switch (error) {
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return std::string("the server's certificate is not signed by ") +
             (authority_.empty() ? "a CA of this system" : "the cluster's CA") + " (" + detail + ")";
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH: {
      X509* certificate = X509_STORE_CTX_get0_cert(chain);
      return "the server's certificate is not valid for " + server_name_ + " but for " +
             names_of(certificate) + " (" + detail + ")";
    }
    case X509_V_ERR_CERT_HAS_EXPIRED:
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return "the server's certificate, or one of its CAs, is not valid at this time; check the clock (" +
             detail + ")";
    default:
      return "the server's certificate was refused: " + detail;
  }
}

void TlsPolicy::watch(const SSL* ssl, int where, int value) {
  const auto* slot =
      static_cast<std::shared_ptr<TlsPolicy>*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), policy_slot()));
  if (slot == nullptr) {
    return;
  }
  TlsPolicy& self = **slot;
  if (where == SSL_CB_HANDSHAKE_START && self.hook_ != nullptr) {
    self.hook_(const_cast<SSL*>(ssl));
  }
  if (where == SSL_CB_READ_ALERT && (value >> 8) == SSL3_AL_FATAL) {
    constexpr int kCertificateRequired = 116;  // OpenSSL 3.0 has no text for it
    self.write(self.alert_, (value & 0xff) == kCertificateRequired ? "certificate required"
                                                                   : SSL_alert_desc_string_long(value));
  }
}

void TlsPolicy::write(std::optional<Note>& note, std::string text) {
  const std::lock_guard lock(mutex_);
  note = Note{std::move(text), std::chrono::steady_clock::now()};
}

std::optional<std::string> TlsPolicy::read(const std::optional<Note>& note, Instant since) const {
  const std::lock_guard lock(mutex_);
  return note && note->when >= since ? std::optional(note->text) : std::nullopt;
}

std::optional<std::string> TlsPolicy::refusal_since(Instant since) const {
  return read(refusal_, since);
}
std::optional<std::string> TlsPolicy::alert_since(Instant since) const {
  return read(alert_, since);
}

}  // namespace sessmtp::kube
