#include "cli/credential_view.h"

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace sessmtp::cli {
namespace {

using nlohmann::json;

ConditionView condition_of(const json& status, std::string_view type) {
  for (const json& condition : member_of(status, "conditions")) {
    if (text_of(condition, "type") == type) {
      return {.status = text_of(condition, "status"),
              .reason = text_of(condition, "reason"),
              .message = text_of(condition, "message")};
    }
  }
  return {};
}

bool is_true(const json& value) {
  return value.is_boolean() && value.get<bool>();
}

json or_null(const std::string& text) {
  return text.empty() ? json(nullptr) : json(text);
}

json or_null(const std::optional<WallTime>& time) {
  return time ? json(to_rfc3339(*time)) : json(nullptr);
}

}  // namespace

std::string CredentialView::hint() const {
  if (suspended) {
    return "";
  }
  if (ready.status.empty()) {
    return "the operator has not looked at it yet; if that lasts, see whether it runs: kubectl" +
           std::string(kFindOperator);
  }
  if (!current) {
    return "the operator has not looked at the present spec yet; if that lasts, see whether it runs: "
           "kubectl" +
           std::string(kFindOperator);
  }
  if (ready.status != "True") {
    return ready.message;
  }
  return verified.status == "False" ? "login: " + verified.message : "";
}

CredentialView view_of(const json& object) {
  const json& metadata = member_of(object, "metadata");
  const json& spec = member_of(object, "spec");
  const json& status = member_of(object, "status");
  CredentialView view;
  view.namespace_ = text_of(metadata, "namespace");
  view.name = text_of(metadata, "name");
  view.ready = condition_of(status, "Ready");
  view.verified = condition_of(status, "Verified");
  view.region = text_of(status, "region");
  view.secret = text_of(member_of(status, "target"), "name");
  view.access_key_id = text_of(status, "accessKeyId");
  view.created = parse_rfc3339(text_of(metadata, "creationTimestamp"));
  view.rotated = parse_rfc3339(text_of(status, "lastRotationTime"));
  view.suspended = is_true(member_of(spec, "suspend"));
  view.deleting = !text_of(metadata, "deletionTimestamp").empty();
  const json& observed = member_of(status, "observedGeneration");
  view.current = observed.is_number_integer() && observed == member_of(metadata, "generation");
  return view;
}

json to_json(const CredentialView& view) {
  json verified = nullptr;
  if (!view.verified.status.empty()) {
    verified = {{"status", view.verified.status},
                {"reason", view.verified.reason},
                {"message", view.verified.message}};
  }
  return {{"namespace", view.namespace_},
          {"name", view.name},
          {"ready", view.is_ready()},
          {"suspended", view.suspended},
          {"deleting", view.deleting},
          {"current", view.current},
          {"reason", or_null(view.ready.reason)},
          {"message", or_null(view.ready.message)},
          {"region", or_null(view.region)},
          {"secret", or_null(view.secret)},
          {"accessKeyId", or_null(view.access_key_id)},
          {"verified", std::move(verified)},
          {"rotatedAt", or_null(view.rotated)},
          {"createdAt", or_null(view.created)}};
}

}  // namespace sessmtp::cli
