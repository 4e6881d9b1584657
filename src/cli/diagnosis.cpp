#include "cli/diagnosis.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <utility>

#include "api/condition.h"
#include "api/names.h"
#include "api/reason.h"
#include "base/text.h"
#include "cli/credential_reads.h"
#include "cli/pod_diagnosis.h"
#include "cli/remedy.h"
#include "smtp/login_verdict.h"

namespace sessmtp::cli {
namespace {

using api::Problem;
using namespace std::chrono_literals;

// A change is worked on within a second or so; nobody is alarmed before this has passed.
constexpr auto kSoon = 30s;

std::string ago(WallTime time, WallTime now) {
  return short_age(std::chrono::duration_cast<std::chrono::seconds>(now - time)) + " ago";
}

class Diagnosis {
 public:
  explicit Diagnosis(const Seen& seen)
      : seen_(seen),
        spec_(seen.credential.spec),
        remedy_{.kubectl = seen.kubectl,
                .credential = seen.credential.meta.key(),
                .source = seen.credential.spec.source.secret_name,
                .target = seen.credential.spec.target.name} {}

  Findings run() && {
    look_at_credential();
    look_at_operator();
    look_at_source();
    look_at_target();
    look_at_status();
    std::ranges::move(diagnose_pods(seen_), std::back_inserter(findings_));
    std::ranges::move(diagnose_restarts(seen_), std::back_inserter(findings_));
    look_at_login();
    return std::move(findings_);
  }

 private:
  Finding& add(Step step, Mark mark, std::string text) {
    findings_.push_back({.step = step, .mark = mark, .text = std::move(text)});
    return findings_.back();
  }

  void blame(Step step, const Problem& problem) {
    Finding& finding =
        add(step, Mark::kWrong, std::string(to_string(problem.reason)) + ": " + problem.message);
    const Advice advice = remedy_.for_reason(problem.reason, problem.message);
    finding.fix = advice.fix;
    finding.command = advice.command;
  }

  void look_at_credential() {
    if (seen_.view.deleting) {
      Finding& finding =
          add(Step::kCredential, Mark::kWrong, "it is being deleted; the operator leaves it alone");
      finding.fix = "wait until it is gone; if it stays, see which finalizer keeps it";
      finding.command = remedy_.line("get sesc " + seen_.credential.meta.name +
                                     " --output jsonpath='{.metadata.finalizers}'");
      return;
    }
    add(Step::kCredential, Mark::kOk,
        seen_.view.suspended ? "it is suspended (spec.suspend): the operator does nothing about it"
                             : "it is there, and is not suspended");
  }

  [[nodiscard]] std::string what_leases_say(Finding& finding) const {
    if (seen_.leases.empty()) {
      return "see whether it runs, and whether it serves this namespace (--watch-namespaces)";
    }
    const auto latest = std::ranges::max_element(seen_.leases, {}, &LeaseSeen::renewed);
    const std::string lease = "Lease " + latest->namespace_ + '/' + latest->name;
    if (latest->holder.empty() || !latest->renewed) {
      finding.details.push_back("nobody holds its " + lease + ": it does not run");
      return "start it";
    }
    const bool alive = seen_.now - *latest->renewed < 2 * latest->duration;
    finding.details.push_back("its " + lease + " was renewed " + ago(*latest->renewed, seen_.now) + " by " +
                              latest->holder + (alive ? ": it runs" : ": it does not run any more"));
    return alive ? "see whether it serves this namespace (--watch-namespaces), and what its log says"
                 : "see why it ended, and start it";
  }

  void suspect_operator(Finding& finding) const {
    finding.fix = what_leases_say(finding);
    finding.command = seen_.kubectl + kFindOperator;
  }

  void look_at_operator() {
    if (seen_.view.deleting) {
      add(Step::kOperator, Mark::kSkipped, "nothing is to be done");
      return;
    }
    if (seen_.view.current) {
      add(Step::kOperator, Mark::kOk, "it has looked at the present spec");
      return;
    }
    const WallTime since = seen_.spec_changed.value_or(seen_.credential.meta.creation_timestamp);
    const bool never = seen_.view.ready.status.empty();
    if (seen_.now - since < kSoon) {
      add(Step::kOperator, Mark::kUnknown,
          "the spec is " + short_age(std::chrono::duration_cast<std::chrono::seconds>(seen_.now - since)) +
              " old, and the operator has not looked at it yet; run this again in a moment");
      return;
    }
    Finding& finding =
        add(Step::kOperator, Mark::kWrong,
            std::string("the operator has not looked at ") + (never ? "it" : "the present spec") +
                ", which is from " + ago(since, seen_.now));
    suspect_operator(finding);
  }

  void skip_from(Step first, const std::string& why) {
    for (const Step step : {Step::kValues, Step::kRegion, Step::kDerivation, Step::kTarget}) {
      if (step >= first) {
        add(step, Mark::kSkipped, why);
      }
    }
  }

  // False: what was read is not to be had.
  bool look_at_access(Step step, const SecretSeen& secret, const std::string& name) {
    if (secret.access == Access::kForbidden) {
      Finding& finding = add(step, Mark::kUnknown,
                             "you may not read Secret " + in_quotes(name) + ", so nothing is said of it");
      finding.details.push_back(
          can_i(seen_.kubectl, "get", "secrets/" + name, remedy_.credential.namespace_));
      return false;
    }
    if (secret.access == Access::kFailed) {
      add(step, Mark::kUnknown, "Secret " + in_quotes(name) + " could not be read: " + secret.error);
      return false;
    }
    return true;
  }

  void look_at_source() {
    const std::string& name = spec_.source.secret_name;
    if (!look_at_access(Step::kSource, seen_.source, name)) {
      skip_from(Step::kValues, "the source could not be read");
      return;
    }
    const Rehearsal& would = seen_.rehearsal;
    if (would.source) {
      blame(Step::kSource, *would.source);
      skip_from(Step::kValues, "there is no source");
      return;
    }
    add(Step::kSource, Mark::kOk,
        "Secret " + in_quotes(name) + " is there, with " + count_keys(seen_.source.keys));
    if (would.values) {
      blame(Step::kValues, *would.values);
      skip_from(Step::kRegion, "there is no key to derive from");
      return;
    }
    add(Step::kValues, Mark::kOk, "they are those of an IAM key").details = would.cautions;
    if (would.region) {
      blame(Step::kRegion, *would.region);
      skip_from(Step::kDerivation, "there is no region to derive for");
      return;
    }
    add(Step::kRegion, Mark::kOk,
        would.region_name + ", by " + (spec_.region ? std::string("spec.region") : "the source") +
            (would.endpoint ? "; mail goes to " + host_and_port(*would.endpoint) : std::string()));
    if (would.derivation) {
      blame(Step::kDerivation, *would.derivation);
      skip_from(Step::kTarget, "there is nothing to compare it with");
      return;
    }
    add(Step::kDerivation, Mark::kOk, "gives a Secret with " + count_keys(would.keys));
  }

  static std::string count_keys(const std::vector<std::string>& keys) { return "the keys " + joined(keys); }

  void look_at_target() {
    const bool told = std::ranges::find(findings_, Step::kTarget, &Finding::step) != findings_.end();
    if (told) {
      return;
    }
    const Rehearsal& would = seen_.rehearsal;
    const std::string secret = "Secret " + in_quotes(spec_.target.name);
    if (!look_at_access(Step::kTarget, seen_.target, spec_.target.name)) {
      return;
    }
    if (would.target) {
      blame(Step::kTarget, *would.target);
    } else if (would.would_create) {
      behind(secret + " is not there");
    } else if (would.drift && would.drift->any()) {
      behind(secret + " is not as it would be written: " + differences(*would.drift));
    } else {
      add(Step::kTarget, Mark::kOk, secret + " holds just what is derived");
    }
  }

  static std::string differences(const api::Drift& drift) {
    std::string text = drift.keys.empty() ? "" : "the values of " + joined(drift.keys);
    if (!drift.metadata.empty()) {
      text += (text.empty() ? "" : ", and ") + std::string("the metadata ") + joined(drift.metadata);
    }
    return text + (drift.keys.size() + drift.metadata.size() == 1 ? " differs" : " differ");
  }

  // The operator would write the target, and has not.
  void behind(std::string text) {
    const std::string& reason = seen_.view.ready.reason;
    if (seen_.view.deleting) {
      add(Step::kTarget, Mark::kSkipped, std::move(text));
    } else if (seen_.view.suspended) {
      Finding& finding =
          add(Step::kTarget, Mark::kWrong, text + "; nothing is written while it is suspended");
      finding.fix = "resume it";
      finding.command = remedy_.patch(R"({"spec":{"suspend":null}})");
    } else if (spec_.verify_mode == api::VerifyMode::kEnforce &&
               (reason == "Verifying" || reason == "VerificationFailed" || reason == "EndpointNotAllowed")) {
      add(Step::kTarget, Mark::kSkipped,
          text + "; it is held back until the mail server accepts the login (spec.verify.mode Enforce)");
    } else if (seen_.view.current && seen_.view.ready.status != "True") {
      add(Step::kTarget, Mark::kWrong, text + "; the operator says why, see status");
      advise_by_status(findings_.back());
    } else {
      Finding& finding =
          add(Step::kTarget, Mark::kWrong, text + "; the operator does that within seconds, if it runs");
      suspect_operator(finding);
    }
  }

  void advise_by_status(Finding& finding) const {
    const auto reason = api::reason_from_string(seen_.view.ready.reason);
    const Advice advice = reason ? remedy_.for_reason(*reason, seen_.view.ready.message)
                                 : Advice{.fix = seen_.view.ready.message, .command = remedy_.describe()};
    finding.fix = advice.fix;
    finding.command = advice.command;
  }

  void look_at_status() {
    const ConditionView& ready = seen_.view.ready;
    if (ready.status.empty()) {
      add(Step::kStatus, Mark::kSkipped, "the operator has said nothing yet");
      return;
    }
    const std::string text = (seen_.view.current ? "Ready is " : "of an earlier spec: Ready is ") +
                             ready.status + ", " + ready.reason;
    if (ready.status == "True" || seen_.view.suspended || seen_.view.deleting || !seen_.view.current) {
      add(Step::kStatus, Mark::kOk, text);
      return;
    }
    const bool passes = ready.reason == "Verifying";
    const bool told = std::ranges::any_of(
        findings_, [&ready](const Finding& one) { return one.text.starts_with(ready.reason + ": "); });
    Finding& finding =
        add(Step::kStatus, passes ? Mark::kUnknown : Mark::kWrong, text + (told ? ", as above" : ""));
    if (!told) {
      finding.details.push_back(ready.message);
    }
    advise_by_status(finding);
  }

  void look_at_login() {
    if (seen_.login_asked && seen_.login) {
      judge_login(*seen_.login);
      return;
    }
    if (seen_.login_asked) {
      add(Step::kLogin, Mark::kSkipped, "there is no pair to log in with");
      return;
    }
    const ConditionView& verified = seen_.view.verified;
    if (verified.status.empty()) {
      add(Step::kLogin, Mark::kSkipped, "add --login to try it");
      return;
    }
    const Mark mark = verified.status == "True"    ? Mark::kOk
                      : verified.status == "False" ? Mark::kWrong
                                                   : Mark::kUnknown;
    const bool told = mark != Mark::kOk && std::ranges::any_of(findings_, [&verified](const Finding& one) {
                        return one.step == Step::kStatus && !one.details.empty() &&
                               one.details[0].ends_with(verified.message);
                      });
    Finding& finding =
        add(Step::kLogin, mark, "the operator says " + verified.reason + (told ? ", as above" : ""));
    if (mark != Mark::kOk) {
      if (!told) {
        finding.details.push_back(verified.message);
      }
      finding.fix = verified.message;
      finding.command = remedy_.describe();
    }
  }

  void judge_login(const smtp::LoginReport& report) {
    using smtp::LoginVerdict;
    const LoginVerdict verdict = report.verdict;
    const bool elsewhere = verdict == LoginVerdict::kTemporaryFailure ||
                           verdict == LoginVerdict::kEndpointUnreachable ||
                           verdict == LoginVerdict::kEndpointNotAllowed;
    const Mark mark = verdict == LoginVerdict::kAuthenticated ? Mark::kOk
                      : elsewhere                             ? Mark::kUnknown
                                                              : Mark::kWrong;
    std::string text(to_string(verdict));
    if (seen_.rehearsal.endpoint) {
      text += " at " + host_and_port(*seen_.rehearsal.endpoint);
    }
    if (report.reply_code != 0) {
      text += ": " + std::to_string(report.reply_code) + ' ' + report.reply;
    } else if (!report.detail.empty()) {
      text += ": " + report.detail;
    }
    Finding& finding = add(Step::kLogin, mark, std::move(text));
    if (mark != Mark::kOk) {
      finding.details.emplace_back(explain(verdict));
      finding.fix = explain(verdict);
    }
  }

  const Seen& seen_;
  const api::Spec& spec_;
  const Remedy remedy_;
  Findings findings_;
};

}  // namespace

Findings diagnose(const Seen& seen) {
  return Diagnosis(seen).run();
}

}  // namespace sessmtp::cli
