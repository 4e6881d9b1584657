// Certificates made on the spot, so that tests need no files that expire.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <vector>

namespace sessmtp::kube::testing {

struct Identity {
  std::string certificate;  // PEM
  std::string key;          // PEM
};

struct LeafOptions {
  std::string common_name = "test";
  std::vector<std::string> names = {"DNS:localhost", "IP:127.0.0.1"};  // subjectAltName; empty: none
  long not_before = -3600;                                             // seconds from now
  long not_after = 3600;
};

class CertificateAuthority {
 public:
  explicit CertificateAuthority(const std::string& name);

  [[nodiscard]] const std::string& pem() const { return pem_; }
  [[nodiscard]] Identity issue(const LeafOptions& options = {}) const;

 private:
  using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
  using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;

  Key key_;
  Certificate certificate_;
  std::string pem_;
};

}  // namespace sessmtp::kube::testing
