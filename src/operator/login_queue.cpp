#include "operator/login_queue.h"

#include <algorithm>

namespace sessmtp::operator_ {
namespace {

constexpr std::array<std::size_t, 3> kPlacesOfKind = {LoginQueue::kPlaces, LoginQueue::kRefusedPlaces,
                                                      LoginQueue::kSlowPlaces};

}  // namespace

bool LoginQueue::Endpoint::idle(SteadyTime now) const {
  return under_way == 0 && full_at <= now && lines[kNew].by_namespace.empty() &&
         lines[kRefused].by_namespace.empty();
}

void LoginQueue::add(Ticket ticket, Login login, SteadyTime now) {
  forget_idle_endpoints(now);
  Namespace& of = namespaces_[login.namespace_];
  if (of.waiting++ == 0) {
    of.turn = ++last_turn_;  // after all that wait already
  }
  Endpoint& endpoint = endpoints_[login.endpoint];
  Lines& lines = endpoint.lines[login.refused ? kRefused : kNew];
  Line& line = lines.by_namespace[login.namespace_];
  if (line.tickets.empty()) {
    line.turn = of.turn;
    lines.order.emplace(line.turn, login.namespace_);
  }
  line.tickets.insert(ticket);
  place(login.endpoint, endpoint, now);
  waiting_.emplace(ticket, std::move(login));
}

void LoginQueue::remove(Ticket ticket, SteadyTime now) {
  const auto found = waiting_.find(ticket);
  if (found == waiting_.end()) {
    return;
  }
  const std::string name = found->second.endpoint;
  take_out(ticket);
  place(name, endpoints_.at(name), now);
}

std::optional<LoginQueue::Ticket> LoginQueue::take(SteadyTime now) {
  while (!refills_.empty() && refills_.begin()->first <= now) {
    const std::string name = refills_.begin()->second;
    place(name, endpoints_.at(name), now);
  }
  if (under_way_.size() >= kPlaces) {
    return std::nullopt;
  }
  for (const Kind kind : next_kinds()) {
    if (const auto name = first_ready(kind, now)) {
      return begin(*name, kind, now);
    }
  }
  return std::nullopt;
}

void LoginQueue::done(Ticket ticket, SteadyTime now, bool finished) {
  const auto found = under_way_.find(ticket);
  if (found == under_way_.end()) {
    return;
  }
  const UnderWay was = std::move(found->second);
  under_way_.erase(found);
  --busy_[was.kind];
  Endpoint& endpoint = endpoints_.at(was.endpoint);
  --endpoint.under_way;
  endpoint.refused_under_way -= was.refused ? 1 : 0;
  if (const bool slow = now - was.since >= kSlow; slow || finished) {
    endpoint.slow = slow;
  }
  place(was.endpoint, endpoint, now);
}

std::optional<SteadyTime> LoginQueue::next() const {
  return under_way_.size() >= kPlaces || refills_.empty() ? std::nullopt
                                                          : std::optional(refills_.begin()->first);
}

void LoginQueue::place(const std::string& name, Endpoint& endpoint, SteadyTime now) {
  unplace(name, endpoint);
  if (endpoint.under_way >= (endpoint.slow ? 1 : kPerEndpoint)) {
    return;
  }
  const auto fresh = head(endpoint.lines[kNew]);
  const auto refused = head(endpoint.lines[kRefused]);
  if (endpoint.slow) {
    endpoint.ready[kAtSlow] = fresh ? fresh : refused;
  } else {
    endpoint.ready[kNew] = fresh;
    endpoint.ready[kRefused] = endpoint.refused_under_way < kRefusedPerEndpoint ? refused : std::nullopt;
  }
  const bool any = std::ranges::any_of(endpoint.ready, [](const auto& turn) { return turn.has_value(); });
  if (const SteadyTime token = endpoint.full_at - (kBurst - 1) * kRefill; any && token > now) {
    endpoint.ready = {};
    endpoint.refill = token;
    refills_.emplace(token, name);
    return;
  }
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    if (endpoint.ready[kind]) {
      ready_[kind].emplace(*endpoint.ready[kind], name);
    }
  }
}

void LoginQueue::unplace(const std::string& name, Endpoint& endpoint) {
  for (std::size_t kind = 0; kind < kKinds; ++kind) {
    if (endpoint.ready[kind]) {
      ready_[kind].erase({*endpoint.ready[kind], name});
      endpoint.ready[kind].reset();
    }
  }
  if (endpoint.refill) {
    refills_.erase({*endpoint.refill, name});
    endpoint.refill.reset();
  }
}

// The namespace whose turn it is comes to the front of the order.
std::optional<LoginQueue::Turn> LoginQueue::head(Lines& lines) {
  while (!lines.order.empty()) {
    const auto first = lines.order.begin();
    const Turn turn = namespaces_.at(first->second).turn;
    if (first->first == turn) {
      return turn;
    }
    lines.by_namespace.at(first->second).turn = turn;
    auto moved = lines.order.extract(first);
    moved.value().first = turn;
    lines.order.insert(std::move(moved));
  }
  return std::nullopt;
}

std::optional<std::string> LoginQueue::first_ready(Kind kind, SteadyTime now) {
  auto& ready = ready_[kind];
  if (busy_[kind] >= kPlacesOfKind[kind]) {
    return std::nullopt;
  }
  while (!ready.empty()) {
    const auto first = *ready.begin();
    place(first.second, endpoints_.at(first.second), now);  // its turn may be an old one
    if (!ready.empty() && *ready.begin() == first) {
      return first.second;
    }
  }
  return std::nullopt;
}

std::array<LoginQueue::Kind, LoginQueue::kKinds> LoginQueue::next_kinds() const {
  if (taken_ % kOthersTurn != kOthersTurn - 1) {
    return {kNew, kAtSlow, kRefused};
  }
  return taken_ / kOthersTurn % 2 == 0 ? std::array{kRefused, kAtSlow, kNew}
                                       : std::array{kAtSlow, kRefused, kNew};
}

LoginQueue::Ticket LoginQueue::begin(const std::string& name, Kind kind, SteadyTime now) {
  Endpoint& endpoint = endpoints_.at(name);
  const bool any_new = !endpoint.lines[kNew].order.empty();
  const Lines& lines = endpoint.lines[kind == kRefused || !any_new ? kRefused : kNew];
  const Ticket ticket = *lines.by_namespace.at(lines.order.begin()->second).tickets.begin();
  const Login login = waiting_.at(ticket);
  take_out(ticket);
  if (const auto of = namespaces_.find(login.namespace_); of != namespaces_.end()) {
    of->second.turn = ++last_turn_;
  }
  ++taken_;
  ++busy_[kind];
  ++endpoint.under_way;
  endpoint.refused_under_way += login.refused ? 1 : 0;
  endpoint.full_at = std::max(endpoint.full_at, now) + kRefill;
  under_way_.emplace(ticket,
                     UnderWay{.endpoint = name, .kind = kind, .refused = login.refused, .since = now});
  place(name, endpoint, now);
  return ticket;
}

void LoginQueue::take_out(Ticket ticket) {
  const Login login = std::move(waiting_.extract(ticket).mapped());
  Lines& lines = endpoints_.at(login.endpoint).lines[login.refused ? kRefused : kNew];
  const auto line = lines.by_namespace.find(login.namespace_);
  line->second.tickets.erase(ticket);
  if (line->second.tickets.empty()) {
    lines.order.erase({line->second.turn, login.namespace_});
    lines.by_namespace.erase(line);
  }
  if (const auto of = namespaces_.find(login.namespace_); --of->second.waiting == 0) {
    namespaces_.erase(of);
  }
}

// What one is said to be when nothing is known of it costs it no more than a moment.
void LoginQueue::forget_idle_endpoints(SteadyTime now) {
  if (endpoints_.size() >= forget_at_) {
    std::erase_if(endpoints_, [now](const auto& entry) { return entry.second.idle(now); });
    forget_at_ = std::max<std::size_t>(64, 2 * endpoints_.size());
  }
}

}  // namespace sessmtp::operator_
