// Logins of credentials, made beside the workers, which never wait for one: they ask, and are woken when
// there is something new.
//
// A pair is kept in memory until it has been tried, and for as long as its key may be too young to work
// (kYoung); later tries are asked for anew, with the pair as the source then holds it. At each endpoint few
// logins are under way at once and few begin in a second; namespaces take turns, and pairs that were not
// refused yet go first (login_queue.h). Thread-safe.
#pragma once

#include <prometheus/registry.h>

#include <chrono>
#include <functional>
#include <memory>

#include "base/clock.h"
#include "kube/object.h"
#include "operator/login.h"
#include "smtp/login_probe.h"

namespace sessmtp::operator_ {

class LoginChecks {
 public:
  // A new key may be refused for so long after the first try; meanwhile it is tried every kYoungStep.
  static constexpr std::chrono::seconds kYoung{30};
  static constexpr std::chrono::seconds kYoungStep{1};
  // So long an accepted login is good for whoever asks about that very pair.
  static constexpr std::chrono::minutes kTrusted{10};

  // There is news of that credential. Called without any lock held.
  using Wake = std::function<void(const kube::NamespacedName& credential)>;

  // Starts no thread before it is first asked.
  LoginChecks(smtp::LoginProbe& probe, const Clock& clock, prometheus::Registry& metrics, Wake wake);
  ~LoginChecks();
  LoginChecks(const LoginChecks&) = delete;
  LoginChecks& operator=(const LoginChecks&) = delete;

  // What is known of that very login; without a verdict, it is begun as soon as its turn comes. Another pair
  // or endpoint than before takes the place of the one before.
  [[nodiscard]] Login ask(const kube::NamespacedName& credential, LoginRequest request);
  // A verdict that nobody has asked for since it came; or the login was not accepted, which status has to
  // say, also when it could not be written at once.
  [[nodiscard]] bool has_news(const kube::NamespacedName& credential) const;
  // Nobody wants to know any more.
  void forget(const kube::NamespacedName& credential);
  // The same for all; logins under way are ended.
  void forget_all();

 private:
  class State;
  std::unique_ptr<State> state_;
};

}  // namespace sessmtp::operator_
