#include "kube/leader_election.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "base/json.h"
#include "base/log.h"

namespace sessmtp::kube {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using std::chrono::milliseconds;
using Action = ElectionAction;
using Role = ElectionRole;

constexpr std::string_view kGroupVersion = "coordination.k8s.io/v1";
// controller-runtime:pkg/manager/internal.go, NewLeaderHealthzAdaptor(time.Second * 20)
constexpr auto kOverdueTolerance = 20s;

// Requests a stop when the time has come, unless it is destroyed before.
class Alarm {
 public:
  Alarm(const LeaderElector::Wait& wait, milliseconds after, std::stop_source& target)
      : thread_([&wait, after, &target](std::stop_token disarmed) {
          if (wait(after, std::move(disarmed))) {
            target.request_stop();
          }
        }) {}

 private:
  std::jthread thread_;
};

ApiError bad_answer(std::string message) {
  ApiError error;
  error.message = std::move(message);
  return error;
}

}  // namespace

// One stretch of guarded work, on a thread of its own.
class LeaderElector::Term {
 public:
  // Asked to stop at once when we are, however long a renewal may hang at that moment.
  Term(std::stop_token stop, const Lead& lead)
      : on_stop_(std::move(stop), [this] { end(); }), thread_([this, &lead] {
          lead(leading_.get_token());
          ended_.request_stop();
        }) {}

  ~Term() { end(); }
  Term(const Term&) = delete;
  Term& operator=(const Term&) = delete;

  void end() { leading_.request_stop(); }
  [[nodiscard]] std::stop_token ended() const { return ended_.get_token(); }

 private:
  std::stop_source leading_;
  std::stop_source ended_;  // "stop requested" once the work has returned
  std::stop_callback<std::function<void()>> on_stop_;
  std::jthread thread_;  // last: ends before what it uses
};

milliseconds request_timeout(const ElectionOptions& options) {
  return std::max<milliseconds>(1s, options.renew_deadline / 2);
}

LeaderElector::LeaderElector(Client& client, const Clock& clock, prometheus::Registry& metrics,
                             ElectionOptions options, Wait wait)
    : client_(client),
      clock_(clock),
      options_(std::move(options)),
      wait_(std::move(wait)),
      collection_(resource_path(kGroupVersion, options_.namespace_, "leases")),
      path_(resource_path(kGroupVersion, options_.namespace_, "leases", options_.name)),
      master_status_(prometheus::BuildGauge()
                         .Name("leader_election_master_status")
                         .Help("Gauge of if the reporting system is master of the relevant lease, 0 "
                               "indicates backup, 1 indicates master. 'name' is the string used to identify "
                               "the lease. Please make sure to group by name.")
                         .Register(metrics)
                         .Add({{"name", options_.name}})),
      random_(std::random_device{}()) {}

void LeaderElector::run(std::stop_token stop, const Lead& lead) {
  state_ = {};
  log::info("leader election: waiting",
            {{"namespace", options_.namespace_}, {"lease", options_.name}, {"identity", options_.identity}});
  std::optional<Term> term;
  while (state_.role != Role::kOver) {
    const bool needs_term = state_.role == Role::kLeading || state_.role == Role::kLost;
    if (stop.stop_requested() && !state_.stopping) {
      step(StopRequested{});
    } else if (needs_term && (!term || term->ended().stop_requested())) {
      term.reset();
      working_ = false;
      step(LeadEnded{});
    } else {
      std::stop_source wake;
      const auto awaken = [&wake] { wake.request_stop(); };
      const std::stop_callback on_stop(state_.stopping ? std::stop_token() : stop, awaken);
      const std::stop_callback on_end(term ? term->ended() : std::stop_token(), awaken);
      if (const auto input = perform(wake.get_token())) {
        step(*input);
      }
    }
    if (state_.role == Role::kLeading && !term && !stop.stop_requested()) {
      working_ = true;
      term.emplace(stop, lead);
    } else if (state_.role == Role::kLost && term) {
      term->end();
    }
  }
}

bool LeaderElector::overdue() const {
  return working_ && clock_.steady() - renewed_.load() > options_.lease_duration + kOverdueTolerance;
}

std::optional<ElectionInput> LeaderElector::perform(std::stop_token wake) {
  if (!wait_(state_.wait, wake)) {
    return std::nullopt;
  }
  state_.wait = 0ms;
  if (state_.action == Action::kWait) {
    return TimePassed{};
  }
  std::stop_source cancel;
  const SteadyTime now = clock_.steady();
  const auto time_left = std::chrono::ceil<milliseconds>(request_deadline(state_, now, options_) - now);
  const Alarm alarm(wait_, time_left, cancel);
  // Other calls are not cut short by a stop: nobody would know whether a write was done.
  const bool only_reads =
      state_.role == Role::kCampaigning && (state_.action == Action::kGet || state_.action == Action::kWatch);
  const std::stop_callback on_wake(only_reads ? std::move(wake) : std::stop_token(),
                                   [&cancel] { cancel.request_stop(); });
  switch (state_.action) {
    case Action::kGet:
      return get(cancel.get_token());
    case Action::kWatch:
      return watch(cancel);
    default:
      return write(cancel.get_token());
  }
}

ElectionInput LeaderElector::get(std::stop_token cancel) {
  auto answer = client_.get(path_, std::move(cancel));
  if (!answer) {
    if (answer.error().kind == ApiErrorKind::kNotFound) {
      return LeaseAbsent{};
    }
    return LeaseRequestFailed{std::move(answer.error())};
  }
  auto record = remember(std::move(*answer));
  if (!record) {
    return LeaseRequestFailed{bad_answer("not the lease that was asked for")};
  }
  return LeaseObserved{std::move(*record)};
}

ElectionInput LeaderElector::write(std::stop_token cancel) {
  const SteadyTime sent = clock_.steady();
  const LeaseClaim claim{
      .identity = options_.identity, .duration = options_.lease_duration, .now = clock_.now()};
  const bool releasing = state_.role == Role::kReleasing;
  const bool creating = state_.action == Action::kCreate;
  auto answer =
      creating
          ? client_.create(collection_, new_lease(options_.namespace_, options_.name, claim), cancel)
          : client_.replace(path_, releasing ? released_lease(lease_, claim.now) : held_lease(lease_, claim),
                            cancel);
  if (!answer) {
    if (!creating && answer.error().kind == ApiErrorKind::kNotFound) {
      return LeaseAbsent{};
    }
    return LeaseRequestFailed{std::move(answer.error())};
  }
  auto record = remember(std::move(*answer));
  if (!record || record->holder != (releasing ? "" : options_.identity)) {
    return LeaseRequestFailed{bad_answer("not the lease that was written")};
  }
  return LeaseWritten{.record = std::move(*record), .sent = sent};
}

std::optional<ElectionInput> LeaderElector::watch(std::stop_source cancel) {
  const SteadyTime began = clock_.steady();
  LeaseWatchEnded result;
  bool decided = false;
  const auto answer = client_.watch(collection_,
                                    {.resource_version = state_.record->resource_version,
                                     .field_selector = "metadata.name=" + options_.name,
                                     .timeout = watch_timeout(state_, began, options_)},
                                    cancel.get_token(), [&](std::string_view line) {
                                      handle_line(line, result);
                                      if (state_.action != Action::kWatch) {
                                        decided = true;
                                        cancel.request_stop();
                                      }
                                    });
  if (decided) {
    return std::nullopt;
  }
  result.lasted = std::chrono::duration_cast<milliseconds>(clock_.steady() - began);
  if (!answer && !result.error) {
    result.error = answer.error();
  }
  return result;
}

void LeaderElector::handle_line(std::string_view line, LeaseWatchEnded& so_far) {
  auto event = parse_json(line);
  if (!event || !event->is_object() || !event->contains("object")) {
    log::error("watch line not understood, skipped", {{"path", path_}});
    return;
  }
  json& object = (*event)["object"];
  const json type = event->value("type", json());
  if (type == "ERROR") {
    const json code = object.is_object() ? object.value("code", json()) : json();
    so_far.error = to_api_error(Response{.status = code.is_number_integer() ? code.get<int>() : 500,
                                         .body = to_json_text(object),
                                         .retry_after = std::nullopt});
    return;
  }
  if (type == "BOOKMARK") {
    so_far.progressed = true;  // it has no spec: nothing to learn from it
    return;
  }
  auto record = remember(std::move(object));
  if (!record) {
    return;
  }
  so_far.progressed = true;
  if (type == "DELETED") {
    step(LeaseAbsent{});
  } else {
    step(LeaseObserved{std::move(*record)});
  }
}

std::optional<LeaseRecord> LeaderElector::remember(json object) {
  auto record = decode_lease(object);
  if (!record || object.at("metadata").value("name", json()) != options_.name) {
    return std::nullopt;
  }
  lease_ = std::move(object);
  return record;
}

void LeaderElector::step(const ElectionInput& input) {
  const ElectionState before = state_;
  state_ = next(std::move(state_), input, clock_.steady(), random_fraction(), options_);
  renewed_ = state_.renewed;
  leading_ = state_.role == Role::kLeading;
  master_status_.Set(leading_ ? 1 : 0);
  report(before, input);
}

void LeaderElector::report(const ElectionState& before, const ElectionInput& input) {
  if (const auto* failed = std::get_if<LeaseRequestFailed>(&input)) {
    report_trouble(before.action == Action::kGet      ? "get"
                   : before.action == Action::kCreate ? "create"
                                                      : "update",
                   failed->error);
  } else if (const auto* ended = std::get_if<LeaseWatchEnded>(&input); ended != nullptr && ended->error) {
    report_trouble("watch", *ended->error);
  }
  const std::string holder = state_.record ? state_.record->holder : std::string();
  const bool ours = holder == options_.identity;
  if (std::exchange(holder_, holder) != holder && !holder.empty() && !ours) {
    log::info("leader election: another holds the lease", {{"lease", options_.name}, {"holder", holder}});
  }
  const bool written = std::holds_alternative<LeaseWritten>(input);
  if (written) {
    troubles_said_.clear();
  }
  if (before.role == state_.role) {
    return;
  }
  if (state_.role == Role::kLeading) {
    log::info("became leader", {{"lease", options_.name}, {"identity", options_.identity}});
  } else if (state_.role == Role::kLost) {
    log::warn("lost the lease", {{"lease", options_.name},
                                 {"reason", ours ? "it could not be renewed in time" : "another holds it"}});
  } else if (before.role == Role::kReleasing && written) {
    log::info("released the lease", {{"lease", options_.name}});
  } else if (before.role == Role::kReleasing && (ours || state_.in_doubt)) {
    log::warn("the lease could not be released: others wait until it expires", {{"lease", options_.name}});
  }
}

void LeaderElector::report_trouble(std::string_view doing, const ApiError& error) {
  // Races lost and versions too old are part of the game, and the client says when nobody answers.
  if (error.kind == ApiErrorKind::kConflict || error.kind == ApiErrorKind::kGone ||
      error.kind == ApiErrorKind::kNoAnswer || error.kind == ApiErrorKind::kCancelled ||
      !troubles_said_.insert(std::string(doing) + ' ' + error.summary()).second) {
    return;
  }
  const std::string hint =
      error.kind == ApiErrorKind::kForbidden
          ? "grant get, create, update and watch on leases of coordination.k8s.io in namespace " +
                options_.namespace_
      : error.kind == ApiErrorKind::kNotFound ? "create the namespace " + options_.namespace_
                                              : "the API server's own log says more";
  log::warn("leader election: a request failed, trying again",
            {{"verb", doing},
             {"namespace", options_.namespace_},
             {"lease", options_.name},
             {"error", error.summary() + (error.message.empty() ? "" : ": " + error.message)},
             {"hint", hint}});
}

double LeaderElector::random_fraction() {
  return std::uniform_real_distribution<double>(0.0, 1.0)(random_);
}

}  // namespace sessmtp::kube
