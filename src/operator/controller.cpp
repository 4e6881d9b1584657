#include "operator/controller.h"

#include <prometheus/registry.h>

#include <condition_variable>
#include <exception>
#include <list>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "api/names.h"
#include "api/ses_smtp_credential.h"
#include "base/log.h"
#include "base/wait.h"
#include "kube/events.h"
#include "kube/reflector.h"
#include "kube/work_queue.h"
#include "operator/cache.h"
#include "operator/reconciler.h"

namespace sessmtp::operator_ {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

// What the API server did not do it may do at any moment; rights, quotas and policies change by hand.
constexpr auto kMaxRetry = 30s;
constexpr auto kSlowRetry = 30s;
constexpr auto kMaxSlowRetry = 300s;

void skip(const json& object, const Error& error) {
  const auto meta = kube::decode_meta(object);
  log::error("object not understood, skipped", {{"namespace", meta ? meta->namespace_ : "?"},
                                                {"name", meta ? meta->name : "?"},
                                                {"error", error.message}});
}

// Decodes what can be decoded; an object that cannot affects no other.
template <class T>
std::vector<T> decode_all(const std::vector<json>& objects, Result<T> (*decode)(const json&)) {
  std::vector<T> decoded;
  decoded.reserve(objects.size());
  for (const json& object : objects) {
    if (auto value = decode(object)) {
      decoded.push_back(std::move(*value));
    } else {
      skip(object, value.error());
    }
  }
  return decoded;
}

template <class T, class Use>
void decode_one(const json& object, Result<T> (*decode)(const json&), const Use& use) {
  if (auto value = decode(object)) {
    use(std::move(*value));
  } else {
    skip(object, value.error());
  }
}

kube::Reflector::Handlers credential_handlers(Cache& cache, const std::string& scope) {
  return {.replace =
              [&cache, scope](const std::vector<json>& objects) {
                cache.replace_credentials(scope, decode_all(objects, &api::decode_credential));
              },
          .put =
              [&cache](const json& object) {
                decode_one(object, &api::decode_credential, [&cache](api::SesSmtpCredential credential) {
                  cache.put_credential(std::move(credential));
                });
              },
          .remove =
              [&cache](const json& object) {
                decode_one(object, &kube::decode_meta,
                           [&cache](const kube::ObjectMeta& meta) { cache.remove_credential(meta); });
              },
          .refused = [&cache, scope](const kube::ApiError&) { cache.refuse_credentials(scope); }};
}

kube::Reflector::Handlers secret_handlers(Cache& cache, const std::string& scope) {
  return {.replace =
              [&cache, scope](const std::vector<json>& objects) {
                cache.replace_secrets(scope, decode_all(objects, &kube::decode_meta));
              },
          .put =
              [&cache](const json& object) {
                decode_one(object, &kube::decode_meta,
                           [&cache](const kube::ObjectMeta& meta) { cache.put_secret(meta); });
              },
          .remove =
              [&cache](const json& object) {
                decode_one(object, &kube::decode_meta,
                           [&cache](const kube::ObjectMeta& meta) { cache.remove_secret(meta); });
              },
          .refused = [&cache, scope](const kube::ApiError&) { cache.refuse_secrets(scope); }};
}

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

void run_controller(kube::Client& client, const Clock& clock, const ControllerOptions& options,
                    std::stop_token stop) {
  const std::vector<std::string> scopes =
      options.watch_namespaces.empty() ? std::vector<std::string>{""} : options.watch_namespaces;
  prometheus::Registry registry;
  kube::WorkQueue queue(clock, registry, "sessmtpcredential");
  Cache cache(scopes, [&queue](const kube::NamespacedName& key) { queue.add(key); });
  kube::EventRecorder events(client, clock, registry, options.instance);
  Reconciler reconciler(client, cache, events, clock);

  std::list<kube::Reflector> reflectors;
  for (const std::string& scope : scopes) {
    reflectors.emplace_back(
        client, clock,
        kube::Reflector::Options{.path = api::credential_path(scope),
                                 .field_selector = {},
                                 .representation = kube::Representation::kFull,
                                 .hint_when_missing = "install the CRD: kubectl apply -f crds/"},
        credential_handlers(cache, scope));
    reflectors.emplace_back(client, clock,
                            kube::Reflector::Options{.path = api::secret_path(scope),
                                                     .field_selector = {},
                                                     .representation = kube::Representation::kMetadataOnly,
                                                     .hint_when_missing = {}},
                            secret_handlers(cache, scope));
  }
  std::vector<std::jthread> readers;
  for (kube::Reflector& reflector : reflectors) {
    readers.emplace_back([&reflector, stop] { read(reflector, stop); });
  }

  if (cache.wait_until_filled(stop)) {
    log::info("ready", {{"credentials", cache.credential_count()}, {"workers", options.workers}});
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
