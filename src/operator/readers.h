// From what a reflector brings to what the cache holds.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "kube/reflector.h"
#include "operator/cache.h"

namespace sessmtp::operator_ {

// Each of these serves one reflector, on its thread.
class CredentialReader final : public kube::ReflectorHandler {
 public:
  CredentialReader(Cache& cache, std::string scope) : cache_(cache), scope_(std::move(scope)) {}

  void list_begins() override;
  [[nodiscard]] Result<void> listed(std::string_view object) override;
  void list_ends() override;
  [[nodiscard]] Result<std::string> put(std::string_view object) override;
  [[nodiscard]] Result<std::string> remove(std::string_view object) override;
  void lost() override {}  // none is that long: the API server takes 3 MiB at most
  void refused(const kube::ApiError& error) override;
  void missing() override;

 private:
  Cache& cache_;
  const std::string scope_;
  std::set<kube::NamespacedName> unreadable_;
};

class SecretReader final : public kube::ReflectorHandler {
 public:
  SecretReader(Cache& cache, std::string scope) : cache_(cache), scope_(std::move(scope)) {}

  void list_begins() override;
  [[nodiscard]] Result<void> listed(std::string_view object) override;
  void list_ends() override;
  [[nodiscard]] Result<std::string> put(std::string_view object) override;
  [[nodiscard]] Result<std::string> remove(std::string_view object) override;
  void lost() override;
  void refused(const kube::ApiError& error) override;
  void missing() override {}  // Secrets are always there

 private:
  Cache& cache_;
  const std::string scope_;
};

}  // namespace sessmtp::operator_
