#include "operator/reconciler.h"

#include <nlohmann/json.hpp>

#include "api/names.h"
#include "base/log.h"

namespace sessmtp::operator_ {
namespace {

using namespace std::chrono_literals;
using api::SesSmtpCredential;
using api::Status;
using std::chrono::milliseconds;

// A write may find the target changed under it; each time it is read again and decided anew.
constexpr int kMaxRounds = 4;

// Touches of a Secret that change nothing reach the status at most this often.
constexpr milliseconds kVersionTouchInterval = 10s;

bool differ_in_versions_only(const Status& a, Status b) {
  if (!a.source || !b.source || !a.target || !b.target) {
    return false;
  }
  b.source = a.source;
  b.target->resource_version = a.target->resource_version;
  return a == b;
}

}  // namespace

Reconciler::Outcome Reconciler::reconcile(const kube::NamespacedName& key, std::stop_token stop) {
  auto observation = cache_.observe(key);
  if (!observation) {
    const std::scoped_lock lock(mutex_);
    last_version_touch_.erase(key);
    return {};
  }
  observation->now = clock_.now();
  const SesSmtpCredential& credential = observation->credential;
  const std::string& namespace_ = credential.meta.namespace_;

  const Needs needed = needs(*observation);
  if (needed != Needs::kNothing) {
    observation->live_source = read_secret(namespace_, credential.spec.source_name, stop);
  }
  if (needed == Needs::kSourceAndTarget) {
    observation->live_target = read_secret(namespace_, credential.spec.target_name, stop);
  }
  Plan decided = plan(*observation);
  for (int round = 0; (decided.read_target || decided.write) && round < kMaxRounds; ++round) {
    if (decided.write) {
      observation->written = write_secret(*decided.write, key, stop);
    } else {
      observation->written.reset();
      observation->live_target = read_secret(namespace_, credential.spec.target_name, stop);
    }
    decided = plan(*observation);
  }
  if (decided.read_target || decided.write) {
    log::warn("target keeps changing, trying again", {{"namespace", namespace_}, {"name", key.name}});
    return {.retry = Retry::kBackoff, .again = {}};
  }
  if (!decided.status || *decided.status == credential.status) {
    return {.retry = decided.retry, .again = {}};
  }
  if (!observation->written && differ_in_versions_only(credential.status, *decided.status)) {
    if (const milliseconds delay = version_touch_delay(key); delay > 0ms) {
      return {.retry = decided.retry, .again = delay};
    }
  }
  switch (write_status(credential, *decided.status, stop)) {
    case StatusWrite::kFailed:
      return {.retry = Retry::kBackoff, .again = {}};
    case StatusWrite::kObjectGone:
      return {};
    case StatusWrite::kDone:
      break;
  }
  announce(credential, decided);
  return {.retry = decided.retry, .again = {}};
}

LiveRead Reconciler::read_secret(const std::string& namespace_, const std::string& name,
                                 std::stop_token stop) {
  const auto answer = client_.get(api::secret_path(namespace_, name), stop);
  if (!answer) {
    if (answer.error().kind == kube::ApiErrorKind::kNotFound) {
      return Missing{};
    }
    if (answer.error().transient() && answer.error().kind != kube::ApiErrorKind::kNoAnswer) {
      log::warn("Secret not readable, trying again",
                {{"namespace", namespace_}, {"name", name}, {"error", answer.error().message}});
    }
    return answer.error();
  }
  auto secret = kube::decode_secret(*answer);
  if (!secret) {
    kube::ApiError error;
    error.message = secret.error().message;
    log::error("Secret not understood",
               {{"namespace", namespace_}, {"name", name}, {"error", error.message}});
    return error;
  }
  return std::move(*secret);
}

WriteAnswer Reconciler::write_secret(const kube::Secret& intent, const kube::NamespacedName& writer,
                                     std::stop_token stop) {
  const auto answer = client_.apply(api::secret_path(intent.meta.namespace_, intent.meta.name),
                                    encode_secret(intent), {.force = true}, stop);
  if (!answer) {
    return answer.error();
  }
  const auto meta = kube::decode_meta(*answer);
  if (!meta) {
    kube::ApiError error;
    error.message = meta.error().message;
    return error;
  }
  cache_.note_written_secret(*meta, writer);
  return api::SecretVersion{.uid = meta->uid, .resource_version = meta->resource_version};
}

Reconciler::StatusWrite Reconciler::write_status(const SesSmtpCredential& credential, const Status& status,
                                                 std::stop_token stop) {
  const nlohmann::json intent = {{"apiVersion", api::kGroupVersion},
                                 {"kind", api::kKind},
                                 {"metadata",
                                  {{"namespace", credential.meta.namespace_},
                                   {"name", credential.meta.name},
                                   {"uid", credential.meta.uid}}},
                                 {"status", encode_status(status)}};
  const auto answer =
      client_.apply(api::credential_path(credential.meta.namespace_, credential.meta.name) + "/status",
                    intent, {.force = true}, stop);
  if (!answer) {
    const kube::ApiError& error = answer.error();
    if (error.kind == kube::ApiErrorKind::kNotFound || error.kind == kube::ApiErrorKind::kConflict) {
      return StatusWrite::kObjectGone;  // or another one has its name: its own event will come
    }
    if (error.kind != kube::ApiErrorKind::kCancelled && error.kind != kube::ApiErrorKind::kNoAnswer) {
      log::warn("status not written, trying again", {{"namespace", credential.meta.namespace_},
                                                     {"name", credential.meta.name},
                                                     {"error", error.summary() + ": " + error.message}});
    }
    return StatusWrite::kFailed;
  }
  auto written = api::decode_credential(*answer);
  if (written) {
    cache_.note_written_credential(std::move(*written));
  }
  return StatusWrite::kDone;
}

void Reconciler::announce(const SesSmtpCredential& credential, const Plan& decided) {
  const kube::ObjectReference regarding{.api_version = std::string(api::kGroupVersion),
                                        .kind = std::string(api::kKind),
                                        .key = credential.meta.key(),
                                        .uid = credential.meta.uid,
                                        .resource_version = credential.meta.resource_version};
  for (const kube::Event& event : decided.events) {
    const bool warning = event.type == kube::EventType::kWarning;
    (warning ? log::warn : log::info)(
        event.reason,
        {{"namespace", regarding.key.namespace_}, {"name", regarding.key.name}, {"message", event.note}});
    events_.publish(regarding, event);
  }
  const api::Condition* before = find_condition(credential.status.conditions, "Ready");
  const api::Condition* after = find_condition(decided.status->conditions, "Ready");
  const bool news = before == nullptr || before->reason != after->reason;
  if (news && decided.events.empty()) {
    log::info(
        after->reason,
        {{"namespace", regarding.key.namespace_}, {"name", regarding.key.name}, {"message", after->message}});
  }
}

milliseconds Reconciler::version_touch_delay(const kube::NamespacedName& key) {
  const std::scoped_lock lock(mutex_);
  const SteadyTime now = clock_.steady();
  const auto [entry, first] = last_version_touch_.try_emplace(key, now);
  if (first || now - entry->second >= kVersionTouchInterval) {
    entry->second = now;
    return 0ms;
  }
  return std::chrono::ceil<milliseconds>(entry->second + kVersionTouchInterval - now);
}

}  // namespace sessmtp::operator_
