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

// Touches of a Secret that change nothing reach the status at most this often.
constexpr milliseconds kVersionTouchInterval = 10s;

bool differ_in_versions_only(const Status& a, Status b) {
  if (!a.source || !b.source || a.target.has_value() != b.target.has_value()) {
    return false;
  }
  b.source = a.source;
  if (b.target) {
    b.target->resource_version = a.target->resource_version;
  }
  return a == b;
}

// Of an API server that answers, but not as it should; one that does not answer is the client's to log.
void log_first_failure(const Observation& observation) {
  const auto say = [&](const kube::ApiError* error, const char* what, const std::string& secret) {
    if (error != nullptr && error->http_status != 0) {
      log::warn("API server did not do its part, trying again",
                {{"namespace", observation.credential.meta.namespace_},
                 {"name", observation.credential.meta.name},
                 {"call", std::string(what) + " Secret " + secret},
                 {"error", error->summary()}});
    }
  };
  const api::Spec& spec = observation.credential.spec;
  say(std::get_if<kube::ApiError>(&observation.live_source), "read", spec.source.secret_name);
  say(std::get_if<kube::ApiError>(&observation.live_target), "read", spec.target.name);
  if (observation.written) {
    say(std::get_if<kube::ApiError>(&*observation.written), "write", spec.target.name);
  }
  for (const auto& [workload, answer] : observation.restarts) {
    if (answer.result == RestartResult::kTryAgain) {
      log::warn("workload not restarted, trying again",
                {{"namespace", observation.credential.meta.namespace_},
                 {"name", observation.credential.meta.name},
                 {"workload", in_words(workload)},
                 {"error", answer.message}});
    }
  }
}

}  // namespace

// The cluster, as one look at one credential may touch it.
class Reconciler::Access final : public WorldAccess {
 public:
  Access(Reconciler& reconciler, const SesSmtpCredential& credential, std::stop_token stop)
      : reconciler_(reconciler),
        key_(credential.meta.key()),
        uid_(credential.meta.uid),
        stop_(std::move(stop)) {}

  LiveRead read_secret(const std::string& name) override {
    return reconciler_.read_secret({key_.namespace_, name}, key_, stop_);
  }
  // One that went, or is going, while Secrets were read owns nothing any more. With its name on a target,
  // that would be deleted, even if `--cascade=orphan` was to leave it.
  std::optional<WriteAnswer> write_secret(const kube::Secret& intent) override {
    return reconciler_.cache_.is_alive(key_, uid_)
               ? std::optional(reconciler_.write_secret(intent, key_, stop_))
               : std::nullopt;
  }
  Login log_in(LoginRequest request) override { return reconciler_.logins_.ask(key_, std::move(request)); }
  RestartAnswer restart(const RestartRequest& request) override {
    return reconciler_.restarter_.restart(key_.namespace_, request, stop_);
  }

 private:
  Reconciler& reconciler_;
  const kube::NamespacedName key_;
  const std::string uid_;
  const std::stop_token stop_;
};

Reconciler::Outcome Reconciler::reconcile(const kube::NamespacedName& key, std::stop_token stop,
                                          unsigned failed_looks) {
  auto observation = cache_.observe(key);
  if (!observation) {
    logins_.forget(key);
    const std::scoped_lock lock(mutex_);
    last_version_touch_.erase(key);
    return {};
  }
  const SesSmtpCredential& credential = observation->credential;
  if (credential.spec.verify_mode == api::VerifyMode::kDisabled || credential.spec.suspend) {
    logins_.forget(key);
  }
  observation->now = clock_.now();
  observation->failed_looks = failed_looks;
  observation->login_news = logins_.has_news(key);
  Access access(*this, credential, stop);
  const auto looked = look(*observation, needs(*observation), access);
  if (!looked) {
    return {};
  }
  const Plan& decided = *looked;
  if (decided.wants_more()) {
    log::warn("target keeps changing, trying again",
              {{"namespace", credential.meta.namespace_}, {"name", key.name}});
    return {.retry = Retry::kBackoff, .again = {}};
  }
  if (decided.retry == Retry::kBackoff && failed_looks == 0) {
    log_first_failure(*observation);
  }
  Outcome outcome{.retry = decided.retry, .retry_after = decided.retry_after, .again = decided.look_again};
  if (!decided.status || *decided.status == credential.status) {
    return outcome;
  }
  if (!observation->written && differ_in_versions_only(credential.status, *decided.status)) {
    if (const milliseconds delay = version_touch_delay(key); delay > 0ms) {
      outcome.again = outcome.again ? std::min(*outcome.again, delay) : delay;
      return outcome;
    }
  }
  switch (write_status(credential, *decided.status, stop, failed_looks == 0)) {
    case StatusWrite::kFailed:
      outcome.retry = Retry::kBackoff;
      return outcome;
    case StatusWrite::kRefused:
      outcome.retry = Retry::kSlowly;
      outcome.terminal = true;
      return outcome;
    case StatusWrite::kChangedMeanwhile:
      return {};  // the watch will tell, and then all is looked at again
    case StatusWrite::kDone:
      break;
  }
  measure_rotation(*observation, decided);
  announce(credential, decided);
  const api::Condition* stalled = find_condition(decided.status->conditions, "Stalled");
  outcome.terminal = stalled != nullptr && stalled->status == "True";
  return outcome;
}

LiveRead Reconciler::read_secret(const kube::NamespacedName& name, const kube::NamespacedName& reader,
                                 std::stop_token stop) {
  const auto answer = client_.get(api::secret_path(name.namespace_, name.name), stop);
  if (!answer) {
    if (answer.error().kind == kube::ApiErrorKind::kNotFound) {
      cache_.note_missing_secret(name);
      return Missing{};
    }
    return answer.error();
  }
  auto secret = kube::decode_secret(*answer);
  if (!secret) {
    kube::ApiError error;
    error.message = secret.error().message;
    log::error("Secret not understood",
               {{"namespace", name.namespace_}, {"name", name.name}, {"error", error.message}});
    return error;
  }
  if (api::is_watched_type(secret->type)) {
    cache_.note_secret(secret->meta, reader);
  } else {
    cache_.note_unwatched_secret(name, secret->type);
  }
  return std::move(*secret);
}

WriteAnswer Reconciler::write_secret(const kube::Secret& intent, const kube::NamespacedName& writer,
                                     std::stop_token stop) {
  const auto written =
      client_.apply(api::secret_path(intent.meta.namespace_, intent.meta.name), encode_secret(intent), stop);
  if (!written) {
    return written.error();
  }
  cache_.note_secret(*written, writer);
  return api::SecretVersion{.uid = written->uid, .resource_version = written->resource_version};
}

Reconciler::StatusWrite Reconciler::write_status(const SesSmtpCredential& credential, const Status& status,
                                                 std::stop_token stop, bool say_so) {
  // At this very version: of a status alone the API server does not compare the uid, and a credential that
  // was deleted and made anew meanwhile would inherit what was found out about the dead one.
  const nlohmann::json intent = {{"apiVersion", api::kGroupVersion},
                                 {"kind", api::kKind},
                                 {"metadata",
                                  {{"namespace", credential.meta.namespace_},
                                   {"name", credential.meta.name},
                                   {"uid", credential.meta.uid},
                                   {"resourceVersion", credential.meta.resource_version}}},
                                 {"status", encode_status(status)}};
  const auto written = client_.apply(
      api::credential_path(credential.meta.namespace_, credential.meta.name) + "/status", intent, stop);
  if (!written) {
    const kube::ApiError& error = written.error();
    if (error.kind == kube::ApiErrorKind::kNotFound || error.kind == kube::ApiErrorKind::kConflict) {
      return StatusWrite::kChangedMeanwhile;
    }
    const bool refused = error.kind == kube::ApiErrorKind::kInvalid;
    if (say_so && error.http_status != 0) {
      log::warn(
          refused ? "status refused by the CRD, trying again slowly" : "status not written, trying again",
          {{"namespace", credential.meta.namespace_},
           {"name", credential.meta.name},
           {"error", error.summary() + ": " + error.message}});
    }
    return refused ? StatusWrite::kRefused : StatusWrite::kFailed;
  }
  // It was written at that very version, so the spec is the same.
  cache_.note_written_credential({.meta = *written, .spec = credential.spec, .status = status});
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
  const bool news = after != nullptr && (before == nullptr || before->reason != after->reason);
  if (news && decided.events.empty()) {
    log::info(
        after->reason,
        {{"namespace", regarding.key.namespace_}, {"name", regarding.key.name}, {"message", after->message}});
  }
}

void Reconciler::measure_rotation(const Observation& before, const Plan& decided) {
  const bool rotated = decided.status->last_rotation_time != before.credential.status.last_rotation_time;
  if (!rotated) {
    return;
  }
  rotations_.rotations.Increment();
  // Of another source nobody knows when it began to matter.
  const bool same_source = before.credential.status.source && decided.status->source &&
                           before.credential.status.source->uid == decided.status->source->uid;
  if (before.source.changed && same_source) {
    rotations_.lag.Observe(std::chrono::duration<double>(clock_.steady() - *before.source.changed).count());
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
