#include "operator/login_checks.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <exception>
#include <map>
#include <mutex>
#include <random>
#include <stop_token>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/hmac.h"
#include "base/log.h"
#include "operator/login_queue.h"

namespace sessmtp::operator_ {
namespace {

using namespace std::chrono_literals;
using kube::NamespacedName;
using smtp::LoginReport;
using smtp::LoginVerdict;
using std::chrono::milliseconds;

// AWS advises 5 s, 10 s, 30 s and then 20 min between tries; with steps between, a key that works after two
// minutes is not found out after twenty. A tenth more or less.
constexpr std::array<milliseconds, 8> kBackoff = {5s, 10s, 30s, 1min, 2min, 5min, 10min, 20min};

struct Pair {
  SecretBytes username;
  SecretBytes password;
};

// Where it says that a pair has been refused for so long, so many tries have been made.
std::size_t tries_in(milliseconds time) {
  std::size_t tries = 0;
  for (auto passed = 0ms; tries + 1 < kBackoff.size() && passed + kBackoff.at(tries) <= time; ++tries) {
    passed += kBackoff.at(tries);
  }
  return tries;
}

SecretBytes random_key() {
  std::random_device random;
  std::array<char, 32> bytes{};
  std::ranges::generate(bytes, [&random] { return static_cast<char>(random()); });
  SecretBytes key({bytes.data(), bytes.size()});
  wipe(bytes.data(), bytes.size());
  return key;
}

// What is known of one credential's login. All but the fingerprint and the times is about that very login.
struct Entry {
  SecretBytes fingerprint;  // of endpoint and pair
  ses::Endpoint endpoint;
  Login known;
  SteadyTime since{};        // of what is known
  std::size_t tries = 0;     // that failed, in a row
  bool refused = false;      // the last one did, as far as anybody knows
  bool may_be_young = true;  // nobody has seen it work, and it has not been tried for long
  std::optional<SteadyTime> first_try;
  SteadyTime due{};             // of the next try
  bool retries_itself = false;  // and has the pair for that
  bool news = false;
  std::optional<Pair> pair;                 // while it waits to be tried
  LoginQueue::Ticket ticket = 0;            // while it waits or is under way
  std::stop_source stop{std::nostopstate};  // while it is under way
};

// A login as a thread makes it.
struct Task {
  LoginQueue::Ticket ticket = 0;
  NamespacedName credential;
  ses::Endpoint endpoint;
  Pair pair;
  std::stop_token stop;
};

void say(const NamespacedName& credential, const ses::Endpoint& endpoint, const LoginReport& report) {
  const bool accepted = report.verdict == LoginVerdict::kAuthenticated;
  const bool tried = report.verdict != LoginVerdict::kEndpointNotAllowed;
  (accepted ? log::info : log::warn)(accepted ? "login accepted"
                                     : tried  ? "login not accepted"
                                              : "login not tried",
                                     {{"namespace", credential.namespace_},
                                      {"name", credential.name},
                                      {"endpoint", host_and_port(endpoint)},
                                      {"reason", to_string(report.verdict)},
                                      {"code", report.reply_code},
                                      {"reply", report.reply},
                                      {"detail", report.detail}});
}

class Metrics {
 public:
  explicit Metrics(prometheus::Registry& registry)
      : logins_(prometheus::BuildCounter()
                    .Name("ses_smtp_verify_total")
                    .Help("Logins at SMTP servers, by reply code and verdict")
                    .Register(registry)),
        waiting_(prometheus::BuildGauge()
                     .Name("ses_smtp_verify_queue_depth")
                     .Help("Logins that wait for their turn")
                     .Register(registry)
                     .Add({})) {
    (void)of(kAccepted, LoginVerdict::kAuthenticated);  // there from the start, for rates
  }

  void count(const LoginReport& report) { of(report.reply_code, report.verdict).Increment(); }
  void set_waiting(std::size_t count) { waiting_.Set(static_cast<double>(count)); }

 private:
  static constexpr int kAccepted = 235;

  prometheus::Counter& of(int code, LoginVerdict verdict) {
    // What is below was no answer to the login, but to EHLO; and no server makes other series.
    const bool is_code = code == kAccepted || (code >= 400 && code < 600);
    return logins_.Add({{"code", is_code ? std::to_string(code) : std::string()},
                        {"reason", std::string(to_string(verdict))}});
  }

  prometheus::Family<prometheus::Counter>& logins_;
  prometheus::Gauge& waiting_;
};

}  // namespace

class LoginChecks::State {
 public:
  State(smtp::LoginProbe& probe, const Clock& clock, prometheus::Registry& metrics, Wake wake)
      : probe_(probe), clock_(clock), metrics_(metrics), wake_(std::move(wake)), key_(random_key()) {}
  ~State() {
    forget_all();
    std::ranges::for_each(threads_, [](std::jthread& thread) { thread.request_stop(); });
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  Login ask(const NamespacedName& credential, LoginRequest request);
  [[nodiscard]] bool has_news(const NamespacedName& credential) const;
  void forget(const NamespacedName& credential);
  void forget_all();

 private:
  [[nodiscard]] SecretBytes fingerprint_of(const LoginRequest& request) const;
  [[nodiscard]] Entry& entry_of_locked(const NamespacedName& credential, const LoginRequest& request,
                                       SecretBytes fingerprint, std::stop_source& outdated);
  void begin_locked(const NamespacedName& credential, Entry& entry);
  [[nodiscard]] std::stop_source drop_locked(Entry& entry);
  void begin_due_locked(SteadyTime now);
  void rouse_one_locked();

  void work(std::stop_token stop);
  [[nodiscard]] std::optional<Task> next_task(std::stop_token stop);
  [[nodiscard]] std::optional<Task> take_locked(SteadyTime now);
  [[nodiscard]] std::optional<SteadyTime> soonest_locked() const;
  [[nodiscard]] std::optional<LoginReport> try_to_log_in(const Task& task);
  void settle(Task task, std::optional<LoginReport> report);
  [[nodiscard]] bool learn_locked(Entry& entry, Task& task, const LoginReport& report);
  [[nodiscard]] milliseconds backoff_locked(std::size_t tries);

  smtp::LoginProbe& probe_;
  const Clock& clock_;
  Metrics metrics_;
  const Wake wake_;
  const SecretBytes key_;  // of the fingerprints

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  std::uint64_t changes_ = 0;  // so that a thread tells being woken from waking by itself
  std::map<NamespacedName, Entry> entries_;
  std::atomic<std::size_t> size_ = 0;  // of entries_, for those who only want to know whether there are any
  LoginQueue queue_;
  LoginQueue::Ticket last_ticket_ = 0;
  std::map<LoginQueue::Ticket, NamespacedName> tickets_;  // that wait
  std::multimap<SteadyTime, NamespacedName> retries_;     // of those that do it by themselves
  std::minstd_rand random_{std::random_device{}()};
  std::size_t idle_ = 0;                    // threads that wait for something to do
  SteadyTime watched_ = SteadyTime::max();  // one of them wakes by itself then
  std::vector<std::jthread> threads_;       // last: they end before what they use
};

Login LoginChecks::State::ask(const NamespacedName& credential, LoginRequest request) {
  SecretBytes fingerprint = fingerprint_of(request);
  std::stop_source outdated{std::nostopstate};
  Login known;
  {
    const std::scoped_lock lock(mutex_);
    const SteadyTime now = clock_.steady();
    begin_due_locked(now);
    Entry& entry = entry_of_locked(credential, request, std::move(fingerprint), outdated);
    entry.news = false;
    const bool accepted = entry.known.verdict == LoginVerdict::kAuthenticated;
    if (accepted && now - entry.since >= kTrusted) {
      entry.known = {};
    }
    const bool wanted = request.anew || (accepted ? !entry.known.verdict : now >= entry.due);
    if (entry.ticket == 0 && !(entry.retries_itself && !request.anew) && wanted) {
      entry.pair = Pair{.username = std::move(request.username), .password = std::move(request.password)};
      begin_locked(credential, entry);
    }
    known = entry.known;
    known.may_be_young = entry.may_be_young && known.verdict == LoginVerdict::kCredentialsInvalid;
    if (entry.ticket == 0 && !entry.retries_itself && entry.due > now) {
      known.ask_again = std::chrono::ceil<milliseconds>(entry.due - now);
    }
  }
  (void)outdated.request_stop();
  return known;
}

// Made anew when the pair or the endpoint is another one.
Entry& LoginChecks::State::entry_of_locked(const NamespacedName& credential, const LoginRequest& request,
                                           SecretBytes fingerprint, std::stop_source& outdated) {
  const auto [found, added] = entries_.try_emplace(credential);
  Entry& entry = found->second;
  if (!added) {
    if (!fingerprint.empty() && entry.fingerprint.equals(fingerprint)) {
      return entry;
    }
    outdated = drop_locked(entry);
  }
  entry = Entry();
  entry.fingerprint = std::move(fingerprint);
  entry.endpoint = request.endpoint;
  size_ = entries_.size();
  if (request.failing_since) {
    // Somebody else has tried it for so long. After a restart that goes on where it was: each at some time
    // within its step, not all at once.
    const auto failing = std::max<WallTime::duration>(clock_.now() - *request.failing_since, 0s);
    entry.refused = true;
    if (failing >= kYoung) {
      entry.may_be_young = false;
      entry.tries = tries_in(std::chrono::floor<milliseconds>(failing));
      std::uniform_real_distribution<double> anywhere(0, 1);
      entry.due = clock_.steady() +
                  std::chrono::duration_cast<milliseconds>(kBackoff.at(entry.tries) * anywhere(random_));
    }
  }
  return entry;
}

// It has the pair already.
void LoginChecks::State::begin_locked(const NamespacedName& credential, Entry& entry) {
  entry.retries_itself = false;
  entry.ticket = ++last_ticket_;
  tickets_.emplace(entry.ticket, credential);
  queue_.add(entry.ticket,
             {.namespace_ = credential.namespace_,
              .endpoint = host_and_port(entry.endpoint),
              .refused = entry.refused},
             clock_.steady());
  metrics_.set_waiting(queue_.waiting());
  rouse_one_locked();
}

// What is under way for it is of no interest any more: to be stopped, without the lock.
std::stop_source LoginChecks::State::drop_locked(Entry& entry) {
  if (entry.ticket != 0) {
    queue_.remove(entry.ticket, clock_.steady());
    tickets_.erase(entry.ticket);
    metrics_.set_waiting(queue_.waiting());
  }
  return std::exchange(entry.stop, std::stop_source{std::nostopstate});
}

void LoginChecks::State::begin_due_locked(SteadyTime now) {
  while (!retries_.empty() && retries_.begin()->first <= now) {
    const auto retry = retries_.extract(retries_.begin());
    const auto found = entries_.find(retry.mapped());
    // It may have been forgotten, replaced or begun since.
    if (found != entries_.end() && found->second.retries_itself && found->second.due == retry.key()) {
      begin_locked(found->first, found->second);
    }
  }
}

// A thread finds out what is to be done now, or when; one more if all have something in hand.
void LoginChecks::State::rouse_one_locked() {
  ++changes_;
  changed_.notify_one();
  const std::size_t wanted = queue_.waiting() + (retries_.empty() ? 0 : 1);
  if (idle_ < wanted && threads_.size() < LoginQueue::kPlaces) {
    try {
      threads_.emplace_back([this](std::stop_token stop) { work(std::move(stop)); });
    } catch (const std::system_error& error) {
      log::error("no thread for logins, those that are there go on", {{"error", error.what()}});
    }
  }
}

bool LoginChecks::State::has_news(const NamespacedName& credential) const {
  if (size_ == 0) {
    return false;
  }
  const std::scoped_lock lock(mutex_);
  const auto found = entries_.find(credential);
  return found != entries_.end() &&
         (found->second.news || (found->second.known.verdict && found->second.refused));
}

void LoginChecks::State::forget(const NamespacedName& credential) {
  if (size_ == 0) {
    return;
  }
  std::stop_source outdated{std::nostopstate};
  {
    const std::scoped_lock lock(mutex_);
    const auto found = entries_.find(credential);
    if (found == entries_.end()) {
      return;
    }
    outdated = drop_locked(found->second);
    entries_.erase(found);
    size_ = entries_.size();
  }
  (void)outdated.request_stop();
}

void LoginChecks::State::forget_all() {
  std::vector<std::stop_source> outdated;
  std::map<NamespacedName, Entry> forgotten;
  {
    const std::scoped_lock lock(mutex_);
    for (auto& [credential, entry] : entries_) {
      outdated.push_back(drop_locked(entry));
    }
    entries_.swap(forgotten);
    retries_.clear();
    size_ = 0;
  }
  std::ranges::for_each(outdated, [](std::stop_source& each) { (void)each.request_stop(); });
}

SecretBytes LoginChecks::State::fingerprint_of(const LoginRequest& request) const {
  const std::string where =
      host_and_port(request.endpoint) + ' ' + std::string(to_string(request.endpoint.tls));
  // Each under the digest of the one before, so that where one ends is part of it.
  SecretBytes digest = key_.clone();
  for (const std::string_view part :
       {std::string_view(where), request.username.expose(), request.password.expose()}) {
    auto next = hmac_sha256(digest, part);
    if (!next) {
      return {};  // like no other
    }
    digest = std::move(*next);
  }
  return digest;
}

void LoginChecks::State::work(std::stop_token stop) {
  while (!stop.stop_requested()) {
    try {
      while (auto task = next_task(stop)) {
        auto report = try_to_log_in(*task);
        settle(std::move(*task), std::move(report));
      }
    } catch (const std::exception& error) {
      log::error("unexpected failure of a login thread, going on", {{"error", error.what()}});
    }
  }
}

// Waits for one; empty once stop is requested.
std::optional<Task> LoginChecks::State::next_task(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    const SteadyTime now = clock_.steady();
    begin_due_locked(now);
    if (auto task = take_locked(now)) {
      rouse_one_locked();  // there may be another one, or the clock to be looked at
      return task;
    }
    ++idle_;
    const auto woken = [this, before = changes_] { return changes_ != before; };
    if (const auto soonest = soonest_locked(); soonest && *soonest < watched_) {
      watched_ = *soonest;
      (void)changed_.wait_for(lock, stop, *soonest - now, woken);
      watched_ = watched_ == *soonest ? SteadyTime::max() : watched_;
    } else {
      (void)changed_.wait(lock, stop, woken);
    }
    --idle_;
  }
  return std::nullopt;
}

std::optional<Task> LoginChecks::State::take_locked(SteadyTime now) {
  const auto ticket = queue_.take(now);
  if (!ticket) {
    return std::nullopt;
  }
  metrics_.set_waiting(queue_.waiting());
  const auto credential = tickets_.extract(*ticket);
  Entry& entry = entries_.at(credential.mapped());
  entry.stop = std::stop_source();
  entry.first_try = entry.first_try.value_or(now);
  Task task{.ticket = *ticket,
            .credential = credential.mapped(),
            .endpoint = entry.endpoint,
            .pair = std::move(*entry.pair),
            .stop = entry.stop.get_token()};
  entry.pair.reset();
  return task;
}

std::optional<SteadyTime> LoginChecks::State::soonest_locked() const {
  auto soonest = queue_.next();
  if (!retries_.empty()) {
    soonest = std::min(retries_.begin()->first, soonest.value_or(SteadyTime::max()));
  }
  return soonest;
}

std::optional<LoginReport> LoginChecks::State::try_to_log_in(const Task& task) {
  try {
    auto report = probe_.log_in(task.endpoint, task.pair.username, task.pair.password, task.stop);
    if (report || task.stop.stop_requested()) {
      return report;
    }
  } catch (const std::exception& error) {
    log::error("unexpected failure of a login", {{"namespace", task.credential.namespace_},
                                                 {"name", task.credential.name},
                                                 {"endpoint", host_and_port(task.endpoint)},
                                                 {"error", error.what()}});
  }
  LoginReport report;
  report.verdict = LoginVerdict::kProtocolError;
  report.detail = "the login failed in an unexpected way";
  return report;
}

void LoginChecks::State::settle(Task task, std::optional<LoginReport> report) {
  bool news = false;
  bool changed = false;
  {
    const std::scoped_lock lock(mutex_);
    queue_.done(task.ticket, clock_.steady(), report.has_value());
    rouse_one_locked();
    const auto found = entries_.find(task.credential);
    if (found != entries_.end() && found->second.ticket == task.ticket) {
      Entry& entry = found->second;
      entry.ticket = 0;
      entry.stop = std::stop_source{std::nostopstate};
      if (report) {
        changed = entry.known.verdict != report->verdict;
        news = learn_locked(entry, task, *report);
      }
    }
  }
  if (report) {
    metrics_.count(*report);
  }
  if (changed) {
    say(task.credential, task.endpoint, *report);
  }
  if (news) {
    wake_(task.credential);
  }
}

// True when somebody should hear of it.
bool LoginChecks::State::learn_locked(Entry& entry, Task& task, const LoginReport& report) {
  const SteadyTime now = clock_.steady();
  const bool changed = entry.known.verdict != report.verdict;
  entry.known = {.verdict = report.verdict, .reply_code = report.reply_code, .detail = report.detail};
  entry.since = now;
  entry.refused = report.verdict != LoginVerdict::kAuthenticated;
  if (!entry.refused) {
    entry.tries = 0;
    entry.may_be_young = false;
    entry.due = now;
  } else if (report.verdict == LoginVerdict::kCredentialsInvalid && entry.may_be_young &&
             now + kYoungStep <= *entry.first_try + kYoung) {
    entry.retries_itself = true;
    entry.due = now + kYoungStep;
    entry.pair = std::move(task.pair);
    retries_.emplace(entry.due, task.credential);
    entry.news = entry.news || changed;
    return changed;
  } else {
    entry.may_be_young = entry.may_be_young && report.verdict != LoginVerdict::kCredentialsInvalid;
    const bool by_policy = report.verdict == LoginVerdict::kEndpointNotAllowed;  // nothing that passes soon
    entry.due = now + backoff_locked(by_policy ? kBackoff.size() : entry.tries++);
  }
  // Also without a change: whoever is woken asks for the next try.
  entry.news = true;
  return true;
}

milliseconds LoginChecks::State::backoff_locked(std::size_t tries) {
  std::uniform_real_distribution<double> around(0.9, 1.1);
  return std::chrono::duration_cast<milliseconds>(kBackoff.at(std::min(tries, kBackoff.size() - 1)) *
                                                  around(random_));
}

LoginChecks::LoginChecks(smtp::LoginProbe& probe, const Clock& clock, prometheus::Registry& metrics,
                         Wake wake)
    : state_(std::make_unique<State>(probe, clock, metrics, std::move(wake))) {}
LoginChecks::~LoginChecks() = default;

Login LoginChecks::ask(const NamespacedName& credential, LoginRequest request) {
  return state_->ask(credential, std::move(request));
}
bool LoginChecks::has_news(const NamespacedName& credential) const {
  return state_->has_news(credential);
}
void LoginChecks::forget(const NamespacedName& credential) {
  state_->forget(credential);
}
void LoginChecks::forget_all() {
  state_->forget_all();
}

}  // namespace sessmtp::operator_
