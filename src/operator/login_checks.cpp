#include "operator/login_checks.h"

namespace sessmtp::operator_ {

class LoginChecks::State {};

LoginChecks::LoginChecks(smtp::LoginProbe& /*probe*/, const Clock& /*clock*/, prometheus::Registry& /*metrics*/,
                         Wake /*wake*/) {}
LoginChecks::~LoginChecks() = default;

Login LoginChecks::ask(const kube::NamespacedName& /*credential*/, LoginRequest /*request*/) {
  return {};
}
bool LoginChecks::has_news(const kube::NamespacedName& /*credential*/) const {
  return false;
}
void LoginChecks::forget(const kube::NamespacedName& /*credential*/) {}
void LoginChecks::forget_all() {}

}  // namespace sessmtp::operator_
