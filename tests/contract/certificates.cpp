#include "certificates.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <atomic>

namespace sessmtp::kube::testing {
namespace {

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;

std::string content(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return {data, static_cast<std::size_t>(size)};
}

std::string pem_of(X509* certificate) {
  const Bio bio(BIO_new(BIO_s_mem()), &BIO_free);
  PEM_write_bio_X509(bio.get(), certificate);
  return content(bio.get());
}

std::string pem_of(EVP_PKEY* key) {
  const Bio bio(BIO_new(BIO_s_mem()), &BIO_free);
  PEM_write_bio_PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr);
  return content(bio.get());
}

EVP_PKEY* new_key() {
  return EVP_EC_gen("P-256");
}

X509* new_certificate(EVP_PKEY* key, const std::string& name, long not_before, long not_after) {
  static std::atomic<long> serial = 1;
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
  X509_gmtime_adj(X509_getm_notBefore(certificate), not_before);
  X509_gmtime_adj(X509_getm_notAfter(certificate), not_after);
  X509_set_pubkey(certificate, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  return certificate;
}

void extend(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

}  // namespace

CertificateAuthority::CertificateAuthority(const std::string& name)
    : key_(new_key(), &EVP_PKEY_free),
      certificate_(new_certificate(key_.get(), name, -3600, 3600), &X509_free) {
  X509* self = certificate_.get();
  X509_set_issuer_name(self, X509_get_subject_name(self));
  extend(self, self, NID_basic_constraints, "critical,CA:TRUE");
  extend(self, self, NID_key_usage, "critical,keyCertSign");
  X509_sign(self, key_.get(), EVP_sha256());
  pem_ = pem_of(self);
}

Identity CertificateAuthority::issue(const LeafOptions& options) const {
  const Key key(new_key(), &EVP_PKEY_free);
  const Certificate leaf(
      new_certificate(key.get(), options.common_name, options.not_before, options.not_after), &X509_free);
  X509_set_issuer_name(leaf.get(), X509_get_subject_name(certificate_.get()));
  std::string names;
  for (const std::string& name : options.names) {
    names += (names.empty() ? "" : ",") + name;
  }
  if (!names.empty()) {
    extend(leaf.get(), certificate_.get(), NID_subject_alt_name, names);
  }
  X509_sign(leaf.get(), key_.get(), EVP_sha256());
  return {pem_of(leaf.get()), pem_of(key.get())};
}

}  // namespace sessmtp::kube::testing
