#include "cli/remedy.h"

#include "api/names.h"

namespace sessmtp::cli {
namespace {

constexpr const char* kNewKey = " --from-file=accessKeyId=FILE --from-file=secretAccessKey=FILE";

}  // namespace

Advice Remedy::for_reason(api::Reason reason, const std::string& message) const {
  using api::Reason;
  // Only the very command that the operator asks for: other parts of a message are words of others.
  const std::string consent = "annotate secret -n " + credential.namespace_ + ' ' + target + ' ' +
                              std::string(api::kAllowTakeoverByAnnotation) + '=' + credential.name;
  for (const std::string& command : {consent, consent + " --overwrite"}) {
    if (const std::string end = ": kubectl " + command; message.ends_with(end)) {
      return {.fix = message.substr(0, message.size() - end.size()), .command = kubectl + ' ' + command};
    }
  }
  const std::string create = "create secret generic " + source + kNewKey;
  switch (reason) {
    case Reason::kSourceNotFound:
      return {
          .fix = "create the Secret with the IAM key, or name the one that has it in spec.source.secretName",
          .command = line(create)};
    case Reason::kSourceKeysNotFound:
    case Reason::kSourceKeysAmbiguous:
    case Reason::kSourceValueEmpty:
    case Reason::kTemporaryCredentials:
    case Reason::kAlreadyDerivedPassword:
    case Reason::kSourceKeysSwapped:
    case Reason::kNotAnAccessKeyId:
    case Reason::kSourceValueMalformed:
    case Reason::kSourceValueDoubleEncoded:
      return {
          .fix = "correct the source where it comes from; when it was made by hand, put the key there anew",
          .command = line(create + " --dry-run=client --output yaml") + " | " + line("apply --filename -")};
    case Reason::kRegionMissing:
    case Reason::kRegionInvalid:
      return {.fix = "say for which region of Amazon SES the login is (eu-west-1 is an example)",
              .command = patch(R"({"spec":{"region":"eu-west-1"}})")};
    case Reason::kTargetImmutable:
    case Reason::kTargetTypeImmutable:
      return {.fix = "delete the Secret if nobody needs it as it is; the operator makes it anew at once",
              .command = line("delete secret " + target)};
    case Reason::kTargetConflict:
      return {.fix = "see whose Secret that is, then delete it or choose another spec.target.name",
              .command = line("get secret " + target + " --show-labels")};
    case Reason::kTargetTerminating:
      return {.fix = "wait until it is gone; if it stays, see which finalizer keeps it",
              .command = line("get secret " + target + " --output jsonpath='{.metadata.finalizers}'")};
    case Reason::kTargetNotFound:
      return {.fix = "with spec.target.conflictPolicy Merge its owner has to create it",
              .command = line("create secret generic " + target)};
    case Reason::kQuotaExceeded:
      return {.fix = "the namespace has as many Secrets as it may have",
              .command = line("describe resourcequota")};
    case Reason::kEndpointUnknown:
    case Reason::kTemplateInvalid:
    case Reason::kInvalidSpec:
    case Reason::kSourceIsTarget:
    case Reason::kTargetTooLarge:
    case Reason::kEndpointNotAllowed:
      return {.fix = message, .command = line("edit sesc " + credential.name)};
    default:
      return {.fix = message, .command = describe()};
  }
}

std::string Remedy::line(const std::string& arguments) const {
  return kubectl + ' ' + arguments + " --namespace " + credential.namespace_;
}

std::string Remedy::patch(std::string_view merge_patch) const {
  return line("patch sesc " + credential.name + " --type merge --patch '" + std::string(merge_patch) + '\'');
}

std::string Remedy::describe() const {
  return line("describe sesc " + credential.name);
}

}  // namespace sessmtp::cli
