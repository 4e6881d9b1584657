#include "operator/credential_metrics.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace sessmtp::operator_ {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;

MetricFamily gauge(const char* name, const char* help) {
  return {.name = name, .help = help, .type = prometheus::MetricType::Gauge, .metric = {}};
}

void add(MetricFamily& family, std::vector<ClientMetric::Label> labels, double value) {
  ClientMetric metric;
  metric.label = std::move(labels);
  metric.gauge.value = value;
  family.metric.push_back(std::move(metric));
}

void add(MetricFamily& family, std::vector<ClientMetric::Label> labels, const std::optional<WallTime>& time) {
  if (time) {
    add(family, std::move(labels), std::chrono::duration<double>(time->time_since_epoch()).count());
  }
}

// When the target was last brought in line. Status does not say it outright: it tells when Ready became True,
// and when the pair last changed under it. While Ready is not True nobody knows.
std::optional<WallTime> last_sync(const api::Status& status, const api::Condition* ready) {
  if (ready == nullptr || ready->status != "True") {
    return std::nullopt;
  }
  return std::max(ready->last_transition_time, status.last_rotation_time.value_or(WallTime{}));
}

// Those that say why they are not restarted yet.
double count_pending(const std::vector<api::Rollout>& rollouts) {
  return static_cast<double>(
      std::ranges::count_if(rollouts, [](const api::Rollout& rollout) { return !rollout.reason.empty(); }));
}

}  // namespace

CredentialMetrics::CredentialMetrics(ForEach for_each) : for_each_(std::move(for_each)) {}

std::vector<MetricFamily> CredentialMetrics::Collect() const {
  MetricFamily ready_family =
      gauge("ses_smtp_credential_ready", "1 while the condition Ready is True, else 0");
  MetricFamily condition_family =
      gauge("ses_smtp_credential_condition", "1 for the status and reason that a condition has now");
  MetricFamily key_family = gauge("ses_smtp_credential_key_since_timestamp_seconds",
                                  "When the key pair in the target was first used here, in Unix time");
  MetricFamily rotation_family = gauge("ses_smtp_credential_last_rotation_timestamp_seconds",
                                       "When the key pair last changed, in Unix time");
  MetricFamily sync_family =
      gauge("ses_smtp_credential_last_sync_timestamp_seconds",
            "When the target was last brought in line, in Unix time; only while ready");
  MetricFamily rollout_family =
      gauge("ses_smtp_credential_rollouts_pending",
            "Workloads of spec.rolloutRestartTargets whose restart is due and was not made yet");
  for_each_([&](const api::SesSmtpCredential& credential) {
    if (credential.meta.terminating) {
      return;  // nothing is done about it any more, so whatever it says nobody has to look into
    }
    const api::Status& status = credential.status;
    const std::vector<ClientMetric::Label> labels{{"namespace", credential.meta.namespace_},
                                                  {"name", credential.meta.name}};
    const api::Condition* const ready = api::find_condition(status.conditions, "Ready");
    add(ready_family, labels, ready != nullptr && ready->status == "True" ? 1 : 0);
    for (const api::Condition& condition : status.conditions) {
      if (api::find_condition(status.conditions, condition.type) == &condition) {  // one series for each type
        auto more = labels;
        more.insert(more.end(),
                    {{"type", condition.type}, {"status", condition.status}, {"reason", condition.reason}});
        add(condition_family, std::move(more), 1);
      }
    }
    add(key_family, labels, status.key_since);
    add(rotation_family, labels, status.last_rotation_time);
    add(sync_family, labels, last_sync(status, ready));
    if (!status.rollouts.empty()) {
      add(rollout_family, labels, count_pending(status.rollouts));
    }
  });
  std::vector<MetricFamily> families{std::move(ready_family), std::move(condition_family),
                                     std::move(key_family),   std::move(rotation_family),
                                     std::move(sync_family),  std::move(rollout_family)};
  std::erase_if(families, [](const MetricFamily& family) { return family.metric.empty(); });
  return families;
}

}  // namespace sessmtp::operator_
