// Answers of real API servers (1.31 to 1.34) to a server-side apply of a Secret, and what they mean.
#include "operator/write_failure.h"

#include <gmock/gmock.h>

#include <nlohmann/json.hpp>
#include <ostream>

namespace sessmtp::operator_ {

void PrintTo(const WriteVerdict& verdict, std::ostream* out) {
  constexpr std::array kFailures = {"look again", "namespace goes", "try again", "report"};
  *out << kFailures.at(std::size_t(verdict.failure));
  if (verdict.failure == WriteFailure::kReport) {
    *out << ' ' << to_string(verdict.reason);
  }
}

namespace {

using api::Reason;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

constexpr const char* kQuoted = "d0phbHJYVXRuRkVNSS9LN01ERU5H";  // a value that the server quotes back

struct RealAnswer {
  const char* what;
  int code;
  const char* body;
  std::string verdict;
};

kube::ApiError error_of(const RealAnswer& answer) {
  return to_api_error(kube::Response{.status = answer.code, .body = answer.body, .retry_after = {}});
}

const std::vector<RealAnswer>
    kAnswers =
        {
            {"RBAC, patch", 403,
             R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"secrets \"mail\" is forbidden: User \"system:serviceaccount:ops:ses-smtp\" cannot patch resource \"secrets\" in API group \"\" in the namespace \"shop\"","reason":"Forbidden","details":{"name":"mail","kind":"secrets"},"code":403})",
             "report Forbidden"},
            {"RBAC, create on apply", 403,
             R"({"kind":"Status","message":"secrets \"mail\" is forbidden: User \"system:serviceaccount:ops:ses-smtp\" cannot create resource \"secrets\" in API group \"\" in the namespace \"shop\"","reason":"Forbidden","details":{"name":"mail","kind":"secrets"},"code":403})",
             "report Forbidden"},
            {"quota", 403,
             R"({"kind":"Status","message":"secrets \"mail\" is forbidden: exceeded quota: few, requested: secrets=1, used: secrets=3, limited: secrets=3","reason":"Forbidden","details":{"name":"mail","kind":"secrets"},"code":403})",
             "report QuotaExceeded"},
            {"validating admission policy", 422,
             R"({"kind":"Status","message":"secrets \"mail\" is forbidden: ValidatingAdmissionPolicy 'no' with binding 'no' denied request: got d0phbHJYVXRuRkVNSS9LN01ERU5H","reason":"Invalid","details":{"name":"mail","kind":"secrets","causes":[{"message":"ValidatingAdmissionPolicy 'no' with binding 'no' denied request: got d0phbHJYVXRuRkVNSS9LN01ERU5H"}]},"code":422})",
             "report AdmissionDenied"},
            {"validating admission policy that says Forbidden", 403,
             R"({"kind":"Status","message":"secrets \"mail\" is forbidden: ValidatingAdmissionPolicy 'no' with binding 'no' denied request: d0phbHJYVXRuRkVNSS9LN01ERU5H","reason":"Forbidden","details":{"name":"mail","kind":"secrets","causes":[{"message":"d0phbHJYVXRuRkVNSS9LN01ERU5H"}]},"code":403})",
             "report AdmissionDenied"},
            {"webhook without a code", 400,
             R"({"kind":"Status","message":"admission webhook \"w.example\" denied the request: d0phbHJYVXRuRkVNSS9LN01ERU5H","code":400})",
             "report AdmissionDenied"},
            {"webhook", 403,
             R"({"kind":"Status","message":"admission webhook \"w.example\" denied the request: d0phbHJYVXRuRkVNSS9LN01ERU5H","reason":"Forbidden","code":403})",
             "report AdmissionDenied"},
            {"webhook that does not answer", 500,
             R"({"kind":"Status","message":"Internal error occurred: failed calling webhook \"w.example\": dial tcp: connection refused","reason":"InternalError","details":{"causes":[{"message":"failed calling webhook"}]},"code":500})",
             "try again"},
            {"namespace terminating", 403,
             R"({"kind":"Status","message":"secrets \"mail\" is forbidden: unable to create new content in namespace shop because it is being terminated","reason":"Forbidden","details":{"name":"mail","kind":"secrets","causes":[{"reason":"NamespaceTerminating","message":"namespace shop is being terminated","field":"metadata.namespace"}]},"code":403})",
             "namespace goes"},
            {"namespace gone", 404,
             R"({"kind":"Status","message":"namespaces \"shop\" not found","reason":"NotFound","details":{"name":"shop","kind":"namespaces"},"code":404})",
             "namespace goes"},
            {"uid of a Secret that is gone", 409,
             R"({"kind":"Status","message":"Operation cannot be fulfilled on secrets \"mail\": uid mismatch: the provided object specified uid 7f, and no existing object was found","reason":"Conflict","details":{"name":"mail","kind":"secrets"},"code":409})",
             "look again"},
            {"resourceVersion of the past", 409,
             R"({"kind":"Status","message":"Operation cannot be fulfilled on secrets \"mail\": the object has been modified; please apply your changes to the latest version and try again","reason":"Conflict","code":409})",
             "look again"},
            {"uid of another Secret", 422,
             R"({"kind":"Status","message":"Secret \"mail\" is invalid: metadata.uid: Invalid value: \"7f\": field is immutable","reason":"Invalid","details":{"name":"mail","kind":"Secret","causes":[{"reason":"FieldValueInvalid","message":"Invalid value: \"7f\": field is immutable","field":"metadata.uid"}]},"code":422})",
             "look again"},
            {"another type", 422, R"({"kind":"Status","message":"Secret \"mail\" is invalid: type: Invalid value: \"Opaque\": field is immutable","reason":"Invalid","details":{"name":"mail","kind":"Secret","causes":[{"reason":"FieldValueInvalid","message":"Invalid value: \"Opaque\": field is immutable","field":"type"}]},"code":422})",
             "report TargetTypeImmutable"},
            {"immutable", 422,
             R"({"kind":"Status","message":"Secret \"mail\" is invalid: data: Forbidden: field is immutable when `immutable` is set","reason":"Invalid","details":{"name":"mail","kind":"Secret","causes":[{"reason":"FieldValueForbidden","message":"Forbidden: field is immutable when `immutable` is set","field":"data"}]},"code":422})",
             "report TargetImmutable"},
            {"two controllers", 422,
             R"({"kind":"Status","message":"Secret \"mail\" is invalid: metadata.ownerReferences: Invalid value: []: Only one reference can have Controller set to true. Found \"true\" in references for SesSmtpCredential/mail and App/shop","reason":"Invalid","details":{"name":"mail","kind":"Secret","causes":[{"reason":"FieldValueInvalid","message":"Only one reference can have Controller set to true","field":"metadata.ownerReferences"}]},"code":422})",
             "report TargetConflict"},
            {"more than 1 MiB with the keys of others", 422,
             R"({"kind":"Status","message":"Secret \"mail\" is invalid: data: Too long: may not be more than 1048576 bytes","reason":"Invalid","details":{"name":"mail","kind":"Secret","causes":[{"reason":"FieldValueTooLong","message":"Too long: may not be more than 1048576 bytes","field":"data"}]},"code":422})",
             "report TargetTooLarge"},
            {"a request over the limit", 413,
             R"({"kind":"Status","message":"Request entity too large: limit is 3145728","reason":"RequestEntityTooLarge","code":413})",
             "report TargetTooLarge"},
            {"another field", 422,
             R"({"kind":"Status","message":"Secret \"Mail\" is invalid: metadata.name: Invalid value","reason":"Invalid","details":{"causes":[{"reason":"FieldValueInvalid","message":"Invalid value","field":"metadata.name"}]},"code":422})",
             "report ApiError"},
            {"flow control", 429,
             R"({"kind":"Status","message":"too many requests","reason":"TooManyRequests","code":429})",
             "try again"},
            {"etcd away", 500, R"({"kind":"Status","message":"etcdserver: request timed out","code":500})",
             "try again"},
            {"a proxy's page", 502, "<html>Bad Gateway</html>", "try again"},
            {"a token that has just expired", 401,
             R"({"kind":"Status","message":"Unauthorized","reason":"Unauthorized","code":401})", "try again"},
};

TEST(WriteFailure, EveryAnswerMeansWhatItMeans) {
  for (const RealAnswer& answer : kAnswers) {
    EXPECT_EQ(testing::PrintToString(judge_write_failure(error_of(answer))), answer.verdict) << answer.what;
  }
}

TEST(WriteFailure, NoAnswerMeansTryAgain) {
  for (const auto kind : {kube::TransportFailure::kBroken, kube::TransportFailure::kDeadline,
                          kube::TransportFailure::kUnreachable, kube::TransportFailure::kCancelled}) {
    const auto error = to_api_error(kube::TransportError{.kind = kind, .message = "x"});
    EXPECT_EQ(testing::PrintToString(judge_write_failure(error)), "try again");
  }
}

TEST(WriteFailure, IsDescribedByCodeReasonAndFieldsOnly) {
  for (const RealAnswer& answer : kAnswers) {
    const kube::ApiError error = error_of(answer);
    const std::string text = describe_write_failure(judge_write_failure(error).reason, "mail", error);
    EXPECT_THAT(text, AllOf(HasSubstr("writing Secret \"mail\": HTTP " + std::to_string(answer.code)),
                            Not(HasSubstr(kQuoted)), Not(HasSubstr("denied request"))));
    if (error.message.contains(' ')) {
      EXPECT_THAT(text, Not(HasSubstr(error.message))) << answer.what;
    }
    for (const std::string& field : error.fields) {
      EXPECT_THAT(text, HasSubstr(field)) << answer.what;
    }
  }
}

// A webhook writes the reason and the fields of its refusal itself.
TEST(WriteFailure, WhatAWebhookPutsInPlaceOfAReasonOrAFieldIsNotShown) {
  for (const std::string secret :
       {"password is BLBM/9hSUELfq8Gw+rU1", "BLBM9hSUELfq8GwrU1", "AKIAIOSFODNN7EXAMPLE"}) {
    const nlohmann::json body = {
        {"kind", "Status"},
        {"message", secret},
        {"reason", secret},
        {"details", {{"causes", {{{"field", secret}}, {{"field", "data[" + secret + "]"}}}}}}};
    const kube::ApiError error = kube::to_api_error(kube::Response{403, body.dump(), {}});
    const std::string text = describe_write_failure(Reason::kAdmissionDenied, "mail", error);
    EXPECT_THAT(text, AllOf(HasSubstr("HTTP 403"), Not(HasSubstr(secret))));
  }
}

TEST(WriteFailure, ManyFieldsDoNotMakeAMessageTooLongForTheStatus) {
  nlohmann::json body = {{"kind", "Status"}, {"reason", "Invalid"}};
  for (int i = 0; i < 5000; ++i) {
    body["details"]["causes"].push_back({{"field", "spec.something[" + std::to_string(i) + "]"}});
  }
  const auto error = to_api_error(kube::Response{.status = 422, .body = body.dump(), .retry_after = {}});
  EXPECT_LT(describe_write_failure(Reason::kApiError, "mail", error).size(), 4096U);
}

}  // namespace
}  // namespace sessmtp::operator_
