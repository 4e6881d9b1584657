#include "login_fixture.h"

#include <algorithm>

#include "certificates.h"

namespace sessmtp::smtp::testing {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

Pair pair_of_key(const std::string& region) {
  Pair pair{SecretBytes(kAccessKeyId), {}};
  if (Result<SecretBytes> password = ses::smtp_password_v4(SecretBytes(kSecret), region)) {
    pair.password = std::move(*password);
  }
  return pair;
}

std::string name_of_tls(const ::testing::TestParamInfo<ses::Tls>& test) {
  return std::string(ses::to_string(test.param));
}

ScopedEnvironment::ScopedEnvironment(const std::map<std::string, std::string>& variables) {
  for (const auto& [name, value] : variables) {
    const char* before = std::getenv(name.c_str());
    before_[name] = before == nullptr ? std::nullopt : std::optional<std::string>(before);
    setenv(name.c_str(), value.c_str(), 1);
  }
}

ScopedEnvironment::~ScopedEnvironment() {
  for (const auto& [name, value] : before_) {
    value ? setenv(name.c_str(), value->c_str(), 1) : unsetenv(name.c_str());
  }
}

void LoginTest::SetUp() {
  if (LoginServer::shared() == nullptr) {
    FAIL();  // it has said why
  }
  server().forget();
  server().accept({{kAccessKeyId, kSecret}});
  server().conduct({});
  options_.policy = EndpointPolicy::everything();
  options_.ca_file = server().ca();
}

void LoginTest::TearDown() {
  if (LoginServer::shared() == nullptr) {
    return;
  }
  EXPECT_THAT(server().records("plaintext"), IsEmpty());
  for (const nlohmann::json& login : server().records("login")) {
    EXPECT_EQ(login.at("tls"), tls() == ses::Tls::kImplicit ? "implicit" : "starttls");
  }
}

LoginReport LoginTest::log_in(const Pair& pair) {
  return log_in(pair, server().endpoint(tls()));
}

LoginReport LoginTest::log_in(const Pair& pair, const ses::Endpoint& endpoint) {
  const auto report = CurlLoginProbe(options_).log_in(endpoint, pair.username, pair.password, {});
  if (!report) {
    ADD_FAILURE() << "no report";
    return {};
  }
  const std::string told = all_texts(*report);
  for (const SecretBytes* secret : {&pair.username, &pair.password}) {
    if (secret->size() > 1) {
      EXPECT_THAT(told, Not(HasSubstr(std::string(secret->expose()))));
      EXPECT_THAT(told, Not(HasSubstr(base64_encode(secret->expose()))));
    }
  }
  EXPECT_TRUE(std::ranges::all_of(told, [](char c) { return c == '\n' || (c >= ' ' && c <= '~'); })) << told;
  EXPECT_LE(told.size(), 16384U);
  return *report;
}

std::filesystem::path LoginTest::another_ca() {
  const std::filesystem::path file = server().folder() / "another.crt";
  std::ofstream(file) << kube::testing::CertificateAuthority("another").pem();
  return file;
}

std::string all_texts(const LoginReport& report) {
  std::string all = report.detail + "\n" + report.reply + "\n" + report.address + "\n" + report.tls_version +
                    "\n" + report.cipher + "\n" + report.mechanism;
  for (const std::string& line : report.capabilities) {
    all += "\n" + line;
  }
  if (report.certificate) {
    all += "\n" + report.certificate->subject + "\n" + report.certificate->issuer;
    for (const std::string& name : report.certificate->names) {
      all += "\n" + name;
    }
  }
  return all;
}

}  // namespace sessmtp::smtp::testing
