#include "operator/controller.h"

#include <algorithm>
#include <exception>
#include <random>
#include <set>
#include <thread>

#include "api/names.h"
#include "base/chained_stop.h"
#include "base/heap.h"
#include "base/log.h"
#include "base/wait.h"

namespace sessmtp::operator_ {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr milliseconds kTidyPeriod = 10s;

// After that, another may lead.
milliseconds drain_limit_of(const ControllerOptions& options) {
  return options.election ? std::min(options.drain_limit,
                                     options.election->lease_duration - options.election->renew_deadline)
                          : options.drain_limit;
}

// Each once: two readers of one scope would take each other's lists for their own.
std::vector<std::string> scopes_of(const ControllerOptions& options) {
  const std::set<std::string> names(options.watch_namespaces.begin(), options.watch_namespaces.end());
  return names.empty() ? std::vector<std::string>{""} : std::vector<std::string>(names.begin(), names.end());
}

std::string name_of(const kube::Reflector& reflector) {
  const kube::Reflector::Options& options = reflector.options();
  return "watch " + options.resource + (options.namespace_.empty() ? "" : " in " + options.namespace_);
}

}  // namespace

Controller::Controller(kube::Client& client, kube::Client& election_client, smtp::LoginProbe& probe,
                       const Answers& answers, const Clock& clock, prometheus::Registry& metrics,
                       ControllerOptions options)
    : answers_(answers),
      clock_(clock),
      registry_(metrics),
      options_(std::move(options)),
      scopes_(scopes_of(options_)),
      client_(client),
      queue_(clock, metrics, "sessmtpcredential"),
      cache_(scopes_, clock,
             [this](const kube::NamespacedName& key, kube::Priority priority) {
               if (at_work_) {
                 queue_.add(key, priority);
               }
             }),
      events_(client, clock, metrics, options_.instance),
      reconcile_metrics_(metrics, options_.workers),
      rotation_metrics_(metrics),
      credential_metrics_([this](const auto& use) { cache_.each_credential(use); }),
      logins_(probe, clock, metrics,
              [this](const kube::NamespacedName& key) {
                if (at_work_) {
                  queue_.add(key);
                }
              }),
      restarter_(client, clock, metrics),
      reconciler_(client, cache_, logins_, restarter_, events_, rotation_metrics_, clock),
      workers_(queue_, reconciler_, reconcile_metrics_, clock, options_.workers),
      crd_(client, [this] {
        return std::ranges::any_of(
            scopes_, [this](const std::string& scope) { return cache_.credentials_listed(scope); });
      }) {
  if (options_.election) {
    elector_.emplace(election_client, clock, metrics, *options_.election);
  }
  for (const std::string& scope : scopes_) {
    add_scope(scope);
  }
}

void Controller::add_scope(const std::string& scope) {
  reflectors_.emplace_back(
      client_, clock_, registry_,
      kube::Reflector::Options{.resource = std::string(api::kPlural),
                               .namespace_ = scope,
                               .path = api::credential_path(scope),
                               .field_selector = {},
                               .representation = kube::Representation::kFull,
                               .hint_when_missing = "install the CRD: kubectl apply -f crds/",
                               .watch_timeout = options_.watch_timeout},
      credential_readers_.emplace_back(cache_, scope));
  reflectors_.emplace_back(client_, clock_, registry_,
                           kube::Reflector::Options{.resource = "secrets",
                                                    .namespace_ = scope,
                                                    .path = api::secret_path(scope),
                                                    .field_selector = api::watched_types_selector(),
                                                    .representation = kube::Representation::kMetadataOnly,
                                                    .hint_when_missing = {},
                                                    .watch_timeout = options_.watch_timeout},
                           secret_readers_.emplace_back(cache_, scope));
}

void Controller::run(std::stop_token stop) {
  std::vector<std::jthread> threads;
  const ChainedStop end(stop);
  for (kube::Reflector& reflector : reflectors_) {
    threads.emplace_back([this, &reflector, token = end.token()] { read(reflector, token); });
  }
  threads.emplace_back([this, token = end.token()] { keep_house(token); });

  if (crd_.wait_until_usable(stop) && cache_.wait_until_filled(stop)) {
    // The schema and the first lists took memory that is not needed again.
    give_back_free_heap();
    log::info("ready", {{"credentials", cache_.credential_count()}, {"workers", options_.workers}});
    // A standby queues nothing: whatever happened meanwhile, everybody looks when it takes over.
    const auto lead = [this](std::stop_token leading) {
      at_work_ = true;
      cache_.wake_all();
      workers_.run(leading, drain_limit_of(options_));
      at_work_ = false;
      logins_.forget_all();  // whoever leads next logs in for itself
    };
    if (elector_) {
      elector_->run(stop, lead);
    } else {
      lead(stop);
    }
  }
  log::info("stopping");
}

void Controller::read(kube::Reflector& reflector, std::stop_token stop) {
  const kube::Reflector::Options& options = reflector.options();
  if (options.resource == "secrets" && !cache_.wait_until_credentials_listed(options.namespace_, stop)) {
    return;
  }
  while (!stop.stop_requested()) {
    try {
      reflector.run(stop);
    } catch (const std::exception& error) {
      log::error("unexpected failure while reading, listing again", {{"error", error.what()}});
      (void)wait_for(1s, stop);
    }
  }
}

void Controller::keep_house(std::stop_token stop) {
  std::minstd_rand random(std::random_device{}());
  std::uniform_real_distribution<double> around(0.9, 1.1);
  const auto next_resync = [&] {
    return clock_.steady() +
           std::chrono::duration_cast<milliseconds>(options_.resync_period * around(random));
  };
  SteadyTime resync_at = next_resync();
  while (
      wait_for(std::min(kTidyPeriod, std::chrono::ceil<milliseconds>(resync_at - clock_.steady())), stop)) {
    if (clock_.steady() >= resync_at) {
      cache_.resync();
      resync_at = next_resync();
    }
    if (queue_.tidy()) {
      give_back_free_heap();  // much work at once leaves much behind
    }
  }
}

HealthReport Controller::liveness() const {
  LivenessInputs inputs;
  for (const kube::Reflector& reflector : reflectors_) {
    if (const auto progress = reflector.progress()) {
      inputs.readers.push_back({.name = name_of(reflector),
                                .started = progress->started,
                                .heard = progress->heard,
                                .last_round = progress->last_round});
    }
  }
  inputs.others_heard = {answers_.to_calls.get(), answers_.to_election.get()};
  const kube::WorkQueue::Progress queue = queue_.progress();
  inputs.work = {.without_a_take = queue.without_a_take,
                 .longest_running = queue.longest_running,
                 .working_since = workers_.working_since()};
  if (elector_) {
    inputs.renewal_overdue = elector_->overdue();
  }
  LivenessLimits limits;
  // A watch that is silent to its end, and what it takes to notice.
  limits.reader =
      std::max(limits.reader, std::chrono::ceil<std::chrono::seconds>(2 * options_.watch_timeout) + 120s);
  return judge_liveness(inputs, clock_.steady(), limits);
}

HealthReport Controller::readiness() const {
  const CrdCheck::Finding crd = crd_.finding();
  ReadinessInputs inputs{.scopes = {}, .crd = crd.state, .crd_lacks = crd.lacks};
  for (const std::string& scope : scopes_) {
    inputs.scopes.push_back({.name = scope.empty() ? "lists" : "lists of " + scope,
                             .filled = cache_.filled(scope),
                             .refused = cache_.credentials_refused(scope)});
  }
  return judge_readiness(inputs);
}

std::string Controller::metrics() const {
  std::vector<const prometheus::Collectable*> sources{&registry_, &queue_, &process_metrics_};
  if (options_.metrics_per_credential) {
    sources.push_back(&credential_metrics_);
  }
  return scrape(sources);
}

}  // namespace sessmtp::operator_
