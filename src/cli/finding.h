// What `ses-smtp doctor` says of each step, as people and as scripts read it. Pure; thread-safe.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "cli/terminal.h"
#include "kube/object.h"

namespace sessmtp::cli {

// In the order in which one rests on the other.
enum class Step : std::uint8_t {
  kCredential,  // it is there and is to be worked on
  kOperator,    // somebody works on it
  kSource,      // the Secret with the IAM key can be read
  kValues,      // it holds an IAM key
  kRegion,
  kDerivation,  // the Secret that the spec asks for can be made
  kTarget,      // it is there, is ours and holds just that
  kStatus,      // what the operator says
  kPods,        // they have what it holds
  kRestarts,    // spec.rolloutRestartTargets
  kLogin,       // the mail server takes it
};
[[nodiscard]] std::string_view to_string(Step step);

enum class Mark : std::uint8_t {
  kOk,
  kWrong,
  kUnknown,  // could not be found out, such as for lack of a right
  kSkipped,  // nobody asked, or an earlier step leaves nothing to look at
};
[[nodiscard]] std::string_view to_string(Mark mark);

struct Finding {
  Step step = Step::kCredential;
  Mark mark = Mark::kOk;
  std::string text;
  std::vector<std::string> details = {};
  std::string fix = {};      // what to do, in words
  std::string command = {};  // the same, to be copied into a shell
};

using Findings = std::vector<Finding>;

// The first that is wrong; null when none is.
[[nodiscard]] const Finding* first_wrong(const Findings& findings);
// kWrong when something is, kUnknown when something could not be found out, else kOk.
[[nodiscard]] Mark verdict(const Findings& findings);

// A line for each, and what to do about the first that is wrong.
[[nodiscard]] std::string findings_text(const kube::NamespacedName& credential, const Findings& findings,
                                        std::size_t columns, const Paint& paint);
// The object of `doctor -o json`, whose fields docs/command-line.md lists.
[[nodiscard]] nlohmann::json findings_json(const kube::NamespacedName& credential, const Findings& findings);

}  // namespace sessmtp::cli
