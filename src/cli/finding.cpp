#include "cli/finding.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

namespace sessmtp::cli {
namespace {

using nlohmann::json;

constexpr std::size_t kMarkWidth = 9;
constexpr std::size_t kStepWidth = 12;
constexpr std::size_t kTextAt = kMarkWidth + kStepWidth;

Ink ink_of(Mark mark) {
  switch (mark) {
    case Mark::kOk:
      return Ink::kGood;
    case Mark::kWrong:
      return Ink::kBad;
    case Mark::kUnknown:
      return Ink::kDoubtful;
    case Mark::kSkipped:
      break;
  }
  return Ink::kDim;
}

std::string padded(std::string_view text, std::size_t width) {
  return std::string(text) + std::string(width - std::min(width, text.size()), ' ');
}

// The text from that column on, broken so that it ends before the last. Begins in that column already.
std::string block(std::string_view text, std::size_t from, std::size_t columns) {
  std::string result;
  for (const std::string& line : wrapped(printable(text), columns > 2 * from ? columns - from : 0)) {
    result += (result.empty() ? "" : '\n' + std::string(from, ' ')) + line;
  }
  return result;
}

std::string unknown_steps(const Findings& findings) {
  std::string result;
  for (const Finding& finding : findings) {
    if (finding.mark == Mark::kUnknown) {
      result += (result.empty() ? "" : ", ") + std::string(to_string(finding.step));
    }
  }
  return result;
}

}  // namespace

std::string_view to_string(Step step) {
  constexpr std::array<std::string_view, 11> kNames = {"credential", "operator",   "source", "values",
                                                       "region",     "derivation", "target", "status",
                                                       "pods",       "restarts",   "login"};
  return kNames.at(static_cast<std::size_t>(step));
}

std::string_view to_string(Mark mark) {
  constexpr std::array<std::string_view, 4> kNames = {"ok", "wrong", "unknown", "skipped"};
  return kNames.at(static_cast<std::size_t>(mark));
}

const Finding* first_wrong(const Findings& findings) {
  const auto found = std::ranges::find(findings, Mark::kWrong, &Finding::mark);
  return found == findings.end() ? nullptr : &*found;
}

Mark verdict(const Findings& findings) {
  if (first_wrong(findings) != nullptr) {
    return Mark::kWrong;
  }
  const bool unknown = std::ranges::find(findings, Mark::kUnknown, &Finding::mark) != findings.end();
  return unknown ? Mark::kUnknown : Mark::kOk;
}

std::string findings_text(const kube::NamespacedName& credential, const Findings& findings,
                          std::size_t columns, const Paint& paint) {
  std::string text =
      paint(Ink::kBold, "SesSmtpCredential " + credential.namespace_ + '/' + credential.name) + "\n\n";
  for (const Finding& finding : findings) {
    const Ink ink = finding.mark == Mark::kSkipped ? Ink::kDim : Ink::kPlain;
    text += paint(ink_of(finding.mark), padded(to_string(finding.mark), kMarkWidth)) +
            paint(ink, padded(to_string(finding.step), kStepWidth)) +
            paint(ink, block(finding.text, kTextAt, columns)) + '\n';
    for (const std::string& detail : finding.details) {
      text += std::string(kTextAt, ' ') + block(detail, kTextAt, columns) + '\n';
    }
  }
  if (const Finding* wrong = first_wrong(findings)) {
    text += '\n' + paint(Ink::kBad, "The first thing wrong: " + std::string(to_string(wrong->step))) + '\n';
    if (!wrong->fix.empty()) {
      constexpr std::string_view kToDo = "To do: ";
      text += std::string(kToDo) + block(wrong->fix, kToDo.size(), columns) + '\n';
    }
    if (!wrong->command.empty()) {
      text += '\n' + paint(Ink::kBold, "    " + printable(wrong->command)) + '\n';
    }
  } else {
    const std::string unknown = unknown_steps(findings);
    text +=
        unknown.empty() ? "\nNothing is wrong.\n" : "\nNothing is surely wrong. Not known: " + unknown + '\n';
  }
  return text;
}

json findings_json(const kube::NamespacedName& credential, const Findings& findings) {
  json steps = json::array();
  for (const Finding& finding : findings) {
    steps.push_back({{"step", to_string(finding.step)},
                     {"result", to_string(finding.mark)},
                     {"message", finding.text},
                     {"details", finding.details},
                     {"fix", finding.fix.empty() ? json(nullptr) : json(finding.fix)},
                     {"command", finding.command.empty() ? json(nullptr) : json(finding.command)}});
  }
  const Finding* wrong = first_wrong(findings);
  return {{"namespace", credential.namespace_},
          {"name", credential.name},
          {"result", to_string(verdict(findings))},
          {"firstWrong", wrong == nullptr ? json(nullptr) : json(to_string(wrong->step))},
          {"steps", std::move(steps)}};
}

}  // namespace sessmtp::cli
