#include "operator/health.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/text.h"

namespace sessmtp::operator_ {
namespace {

using std::chrono::seconds;

std::string in_seconds(SteadyTime::duration duration) {
  return std::to_string(std::chrono::duration_cast<seconds>(duration).count()) + " s";
}

class Report {
 public:
  void pass(const std::string& check, const std::string& note = {}) {
    report_.text += "[+]" + check + " ok" + (note.empty() ? "" : " (" + note + ')') + '\n';
  }
  void fail(const std::string& check, const std::string& why) {
    report_.ok = false;
    report_.text += "[-]" + check + ": " + why + '\n';
  }
  // `why` is empty when all is well.
  void add(const std::string& check, const std::string& why) {
    if (why.empty()) {
      pass(check);
    } else {
      fail(check, why);
    }
  }

  [[nodiscard]] HealthReport finish(std::string_view endpoint) && {
    report_.text += std::string(endpoint) + " check " + (report_.ok ? "passed\n" : "failed\n");
    return std::move(report_);
  }

 private:
  HealthReport report_;
};

// The API server has answered that part for longer than the limit without a pause, and the reader never.
// After an outage the pause is over for all at once, and the reader has the whole limit to come back.
bool answered_instead(const std::optional<Heard>& other, SteadyTime reader_heard,
                      SteadyTime::duration limit) {
  return other && other->last - std::max(other->since, reader_heard) > limit;
}

std::string trouble_of(const ReaderProgress& reader, const LivenessInputs& inputs, SteadyTime now,
                       const LivenessLimits& limits) {
  const SteadyTime heard = reader.heard ? reader.heard->last : reader.started;
  // Each byte gives a watch its whole time again, so a round in which bytes came may be long.
  if (const auto idle = now - std::max(heard, reader.last_round.value_or(reader.started));
      idle > limits.reader) {
    return "hangs since " + in_seconds(idle);
  }
  const auto instead = [&](const std::optional<Heard>& other) {
    return answered_instead(other, heard, limits.reader);
  };
  const bool others_are_answered =
      std::ranges::any_of(inputs.others_heard, instead) ||
      std::ranges::any_of(inputs.readers, instead, [](const ReaderProgress& other) { return other.heard; });
  return others_are_answered ? "has heard nothing for " + in_seconds(now - heard) + " while others have" : "";
}

std::string trouble_of(const WorkProgress& work, SteadyTime now, const LivenessLimits& limits) {
  if (work.longest_running > limits.work) {
    return "one key has been worked on for " + in_seconds(work.longest_running);
  }
  if (!work.working_since) {
    return {};
  }
  // Keys that wait for long are no fault: those of a standby do, and those of a large cluster at its start.
  const auto idle = std::min<SteadyTime::duration>(work.without_a_take, now - *work.working_since);
  return idle > limits.work ? "no progress for " + in_seconds(idle) : "";
}

}  // namespace

HealthReport judge_liveness(const LivenessInputs& inputs, SteadyTime now, const LivenessLimits& limits) {
  Report report;
  for (const ReaderProgress& reader : inputs.readers) {
    report.add(reader.name, trouble_of(reader, inputs, now, limits));
  }
  report.add("workers", trouble_of(inputs.work, now, limits));
  if (inputs.renewal_overdue) {
    report.add("leader election", *inputs.renewal_overdue ? "still at work, but the lease is over" : "");
  }
  return std::move(report).finish("healthz");
}

HealthReport judge_readiness(const ReadinessInputs& inputs) {
  Report report;
  switch (inputs.crd) {
    case CrdState::kUnknown:
      report.fail("crd", "not looked at yet");
      break;
    case CrdState::kCurrent:
      report.pass("crd");
      break;
    case CrdState::kOutdated:
      report.fail("crd", "older than this program, lacks " + joined(inputs.crd_lacks) +
                             "; apply the one of this release");
      break;
    case CrdState::kMissing:
      report.fail("crd", "not installed; apply the one of this release");
      break;
    case CrdState::kUnreadable:
      report.pass("crd", "its schema cannot be read");
      break;
  }
  // One namespace without rights is somebody's choice; to have none at all is a mistake.
  const bool all_refused = std::ranges::all_of(inputs.scopes, &ReadinessInputs::Scope::refused);
  for (const ReadinessInputs::Scope& scope : inputs.scopes) {
    if (scope.refused && !all_refused) {
      report.pass(scope.name, "not allowed to list SesSmtpCredentials");
    } else {
      report.add(scope.name, scope.refused  ? "not allowed to list SesSmtpCredentials"
                             : scope.filled ? ""
                                            : "not listed yet");
    }
  }
  return std::move(report).finish("readyz");
}

}  // namespace sessmtp::operator_
