#include "operator/controller.h"

#include <prometheus/registry.h>

#include <condition_variable>
#include <exception>
#include <list>
#include <mutex>
#include <thread>

#include "api/names.h"
#include "api/ses_smtp_credential.h"
#include "base/log.h"
#include "base/wait.h"
#include "kube/events.h"
#include "kube/reflector.h"
#include "kube/work_queue.h"
#include "operator/cache.h"
#include "operator/readers.h"
#include "operator/reconciler.h"

namespace sessmtp::operator_ {
namespace {

using namespace std::chrono_literals;

// What the API server did not do it may do at any moment; rights, quotas and policies change by hand.
constexpr auto kMaxRetry = 30s;
constexpr auto kSlowRetry = 30s;
constexpr auto kMaxSlowRetry = 300s;

void read(kube::Reflector& reflector, std::stop_token stop) {
  while (!stop.stop_requested()) {
    try {
      reflector.run(stop);
    } catch (const std::exception& error) {
      log::error("unexpected failure while reading, listing again", {{"error", error.what()}});
      (void)wait_for(1s, stop);
    }
  }
}

void work(kube::WorkQueue& queue, Reconciler& reconciler, std::stop_token intake, std::stop_token calls) {
  while (const auto key = queue.get(intake)) {
    Reconciler::Outcome outcome;
    try {
      outcome = reconciler.reconcile(*key, calls, queue.failures(*key));
    } catch (const std::exception& error) {
      log::error("unexpected failure, trying again",
                 {{"namespace", key->namespace_}, {"name", key->name}, {"error", error.what()}});
      outcome.retry = Retry::kBackoff;
    }
    switch (outcome.retry) {
      case Retry::kNo:
        queue.forget(*key);
        break;
      case Retry::kBackoff:
        queue.add_rate_limited(*key, outcome.retry_after, kMaxRetry);
        break;
      case Retry::kSlowly:
        queue.add_rate_limited(*key, kSlowRetry, kMaxSlowRetry);
        break;
    }
    if (outcome.again) {
      queue.add_after(*key, *outcome.again);
    }
    queue.done(*key);
  }
}

}  // namespace

void run_controller(kube::Client& client, const Clock& clock, prometheus::Registry& metrics,
                    const ControllerOptions& options, std::stop_token stop) {
  const std::vector<std::string> scopes =
      options.watch_namespaces.empty() ? std::vector<std::string>{""} : options.watch_namespaces;
  kube::WorkQueue queue(clock, metrics, "sessmtpcredential");
  Cache cache(scopes, clock, [&queue](const kube::NamespacedName& key, kube::Priority priority) {
    queue.add(key, priority);
  });
  kube::EventRecorder events(client, clock, metrics, options.instance);
  Reconciler reconciler(client, cache, events, clock);

  std::list<CredentialReader> credential_readers;
  std::list<SecretReader> secret_readers;
  std::list<kube::Reflector> reflectors;
  std::vector<std::jthread> threads;
  for (const std::string& scope : scopes) {
    reflectors.emplace_back(
        client, clock, metrics,
        kube::Reflector::Options{.resource = std::string(api::kPlural),
                                 .namespace_ = scope,
                                 .path = api::credential_path(scope),
                                 .field_selector = {},
                                 .representation = kube::Representation::kFull,
                                 .hint_when_missing = "install the CRD: kubectl apply -f crds/",
                                 .watch_timeout = options.watch_timeout},
        credential_readers.emplace_back(cache, scope));
    threads.emplace_back([&reflector = reflectors.back(), stop] { read(reflector, stop); });
    reflectors.emplace_back(client, clock, metrics,
                            kube::Reflector::Options{.resource = "secrets",
                                                     .namespace_ = scope,
                                                     .path = api::secret_path(scope),
                                                     .field_selector = api::watched_types_selector(),
                                                     .representation = kube::Representation::kMetadataOnly,
                                                     .hint_when_missing = {},
                                                     .watch_timeout = options.watch_timeout},
                            secret_readers.emplace_back(cache, scope));
    threads.emplace_back([&cache, &scope, &reflector = reflectors.back(), stop] {
      if (cache.wait_until_credentials_listed(scope, stop)) {
        read(reflector, stop);
      }
    });
  }

  if (cache.wait_until_filled(stop)) {
    log::info("ready", {{"credentials", cache.credentials().size()}, {"workers", options.workers}});
    std::stop_source calls;
    std::mutex mutex;
    std::condition_variable_any changed;
    int running = options.workers;
    std::vector<std::jthread> workers;
    workers.reserve(static_cast<std::size_t>(options.workers));
    for (int i = 0; i < options.workers; ++i) {
      workers.emplace_back([&] {
        work(queue, reconciler, stop, calls.get_token());
        const std::scoped_lock lock(mutex);
        --running;
        changed.notify_all();
      });
    }
    // Asked to stop, workers take nothing new; what they have in hand gets a limited time.
    std::unique_lock lock(mutex);
    (void)changed.wait(lock, stop, [] { return false; });
    (void)changed.wait_for(lock, options.drain_limit, [&running] { return running == 0; });
    calls.request_stop();
  }
  log::info("stopping");
}

}  // namespace sessmtp::operator_
