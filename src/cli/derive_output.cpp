#include "cli/derive_output.h"

#include <yaml-cpp/yaml.h>

#include <map>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string_view>

#include "base/base64.h"

namespace sessmtp::cli {
namespace {

std::string text_of(const SecretBytes& bytes) {
  return std::string(bytes.expose());
}

void print_json(std::ostream& out, const Credential& c) {
  const nlohmann::ordered_json document = {{"username", text_of(c.username)},
                                           {"password", text_of(c.password)},
                                           {"host", c.endpoint.host},
                                           {"port", c.endpoint.port},
                                           {"region", c.region},
                                           {"url", text_of(c.url)}};
  out << document.dump(2) << '\n';
}

void print_yaml(std::ostream& out, const Credential& c) {
  YAML::Emitter yaml;
  yaml << YAML::BeginMap;
  const auto add = [&yaml](const char* key, const std::string& value) {
    yaml << YAML::Key << key << YAML::Value << YAML::DoubleQuoted << value;  // quoted: "1e5" is a string
  };
  add("username", text_of(c.username));
  add("password", text_of(c.password));
  add("host", c.endpoint.host);
  yaml << YAML::Key << "port" << YAML::Value << c.endpoint.port;
  add("region", c.region);
  add("url", text_of(c.url));
  yaml << YAML::EndMap;
  out << yaml.c_str() << '\n';
}

// The names of target.format Env. No value can hold a character that a shell or an env file would mind.
void print_env(std::ostream& out, const Credential& c) {
  out << "SMTP_HOST=" << c.endpoint.host << "\nSMTP_PORT=" << c.endpoint.port
      << "\nSMTP_USERNAME=" << c.username.expose() << "\nSMTP_PASSWORD=" << c.password.expose()
      << "\nSMTP_URL=" << c.url.expose()
      << "\nSMTP_TLS=" << (c.endpoint.tls == ses::Tls::kImplicit ? "implicit" : "starttls") << '\n';
}

void print_secret(std::ostream& out, const Credential& c, const DeriveOptions& options) {
  const std::map<std::string_view, std::string> data = {{"username", text_of(c.username)},
                                                        {"password", text_of(c.password)},
                                                        {"host", c.endpoint.host},
                                                        {"port", std::to_string(c.endpoint.port)},
                                                        {"region", c.region},
                                                        {"url", text_of(c.url)}};
  YAML::Emitter yaml;
  yaml << YAML::BeginMap << YAML::Key << "apiVersion" << YAML::Value << "v1";
  yaml << YAML::Key << "data" << YAML::Value << YAML::BeginMap;
  for (const auto& [key, value] : data) {
    yaml << YAML::Key << std::string(key) << YAML::Value << base64_encode(value);
  }
  yaml << YAML::EndMap << YAML::Key << "kind" << YAML::Value << "Secret";
  yaml << YAML::Key << "metadata" << YAML::Value << YAML::BeginMap;
  yaml << YAML::Key << "name" << YAML::Value << YAML::DoubleQuoted << options.secret_name;
  if (!options.secret_namespace.empty()) {
    yaml << YAML::Key << "namespace" << YAML::Value << YAML::DoubleQuoted << options.secret_namespace;
  }
  yaml << YAML::EndMap << YAML::Key << "type" << YAML::Value << "Opaque" << YAML::EndMap;
  out << yaml.c_str() << '\n';
}

}  // namespace

void print(const Credential& credential, const DeriveOptions& options, std::ostream& out) {
  switch (options.output) {
    case DeriveOutput::kText:
      out << credential.password.expose() << '\n';
      return;
    case DeriveOutput::kJson:
      return print_json(out, credential);
    case DeriveOutput::kYaml:
      return print_yaml(out, credential);
    case DeriveOutput::kEnv:
      return print_env(out, credential);
    case DeriveOutput::kUrl:
      out << credential.url.expose() << '\n';
      return;
    case DeriveOutput::kSecret:
      return print_secret(out, credential, options);
  }
}

}  // namespace sessmtp::cli
