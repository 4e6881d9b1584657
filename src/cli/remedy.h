// What to do about each reason, with the line to be copied. Pure; thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "api/reason.h"
#include "kube/object.h"

namespace sessmtp::cli {

struct Advice {
  std::string fix;      // in words
  std::string command;  // for a shell; may be empty
};

struct Remedy {
  std::string kubectl;  // as it is to be called
  kube::NamespacedName credential;
  std::string source;  // names of Secrets
  std::string target;

  // The message is that of the condition: it says what to do, and may end with the command for it.
  [[nodiscard]] Advice for_reason(api::Reason reason, const std::string& message) const;

  // "kubectl ARGUMENTS --namespace shop"
  [[nodiscard]] std::string line(const std::string& arguments) const;
  [[nodiscard]] std::string patch(std::string_view merge_patch) const;  // of the credential
  [[nodiscard]] std::string describe() const;                           // it and its events
};

}  // namespace sessmtp::cli
