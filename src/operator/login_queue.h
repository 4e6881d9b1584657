// Which login is next. Logins are slow where a server is: one that hangs, or a namespace full of refused
// keys, must not delay those of others, and no endpoint may be stormed.
//
// At an endpoint (host and port) few logins are under way at once and few begin in a second. Each is of one
// of three kinds, of which the last two never have all places:
//
//   new      a pair that was not refused yet, at an endpoint that answers at once
//   refused  one whose last login did not succeed
//   slow     at an endpoint whose last login took long, or of which nothing is known: one at a time, which
//            finds out
//
// New ones go first, but not for ever; namespaces take turns, and within one it is first come, first served.
// Taking and adding cost O(log n). Pure: no thread, no clock. Not thread-safe: belongs to whoever holds it
// under a lock.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "base/clock.h"

namespace sessmtp::operator_ {

class LoginQueue {
 public:
  static constexpr std::size_t kPlaces = 8;  // under way at once
  static constexpr std::size_t kRefusedPlaces = 3;
  static constexpr std::size_t kSlowPlaces = 3;
  static constexpr std::size_t kPerEndpoint = 4;
  static constexpr std::size_t kRefusedPerEndpoint = 2;
  // A token bucket of each endpoint: ten at once, then ten in a second.
  static constexpr int kBurst = 10;
  static constexpr std::chrono::milliseconds kRefill{100};
  static constexpr std::chrono::seconds kSlow{5};
  // While others wait, each kOthersTurn-th taken is not a new one.
  static constexpr unsigned kOthersTurn = 4;

  using Ticket = std::uint64_t;  // of one login; given by the caller, each once and in rising order
  struct Login {
    std::string namespace_;
    std::string endpoint;  // "host:port"
    bool refused = false;
  };

  void add(Ticket ticket, Login login, SteadyTime now);
  // Of those that wait; of all others it does nothing.
  void remove(Ticket ticket, SteadyTime now);
  // To be begun now, and to be given back with done().
  [[nodiscard]] std::optional<Ticket> take(SteadyTime now);
  // `finished`: it came to an end by itself.
  void done(Ticket ticket, SteadyTime now, bool finished);

  // When take() may have one though nothing else has happened.
  [[nodiscard]] std::optional<SteadyTime> next() const;
  [[nodiscard]] std::size_t waiting() const { return waiting_.size(); }
  // What is remembered of endpoints and namespaces.
  [[nodiscard]] std::size_t remembered() const { return endpoints_.size() + namespaces_.size(); }

 private:
  enum Kind : std::uint8_t { kNew, kRefused, kAtSlow };
  static constexpr std::size_t kKinds = 3;

  using Turn = std::uint64_t;
  struct Line {
    std::set<Ticket> tickets;
    Turn turn = 0;  // its namespace's, or an older one: they only grow, and are looked up at the front
  };
  // What waits at one endpoint, new or refused.
  struct Lines {
    std::map<std::string, Line> by_namespace;
    std::set<std::pair<Turn, std::string>> order;
  };
  struct Endpoint {
    std::array<Lines, 2> lines;  // kNew, kRefused
    std::array<std::optional<Turn>, kKinds> ready{};
    std::optional<SteadyTime> refill;
    std::size_t under_way = 0;
    std::size_t refused_under_way = 0;
    SteadyTime full_at{};  // when its bucket is full again, which says how many tokens are in it now
    bool slow = true;

    [[nodiscard]] bool idle(SteadyTime now) const;
  };
  struct Namespace {
    Turn turn = 0;
    std::size_t waiting = 0;
  };
  struct UnderWay {
    std::string endpoint;
    Kind kind;
    bool refused;
    SteadyTime since;
  };

  // Finds out anew what may begin there.
  void place(const std::string& name, Endpoint& endpoint, SteadyTime now);
  void unplace(const std::string& name, Endpoint& endpoint);
  [[nodiscard]] std::optional<Turn> head(Lines& lines);
  [[nodiscard]] std::optional<std::string> first_ready(Kind kind, SteadyTime now);
  [[nodiscard]] std::array<Kind, kKinds> next_kinds() const;
  Ticket begin(const std::string& name, Kind kind, SteadyTime now);
  void take_out(Ticket ticket);
  void forget_idle_endpoints(SteadyTime now);

  std::map<Ticket, Login> waiting_;
  std::map<Ticket, UnderWay> under_way_;
  std::map<std::string, Endpoint> endpoints_;
  std::map<std::string, Namespace> namespaces_;                       // that wait for something
  std::array<std::set<std::pair<Turn, std::string>>, kKinds> ready_;  // endpoints where one may begin
  std::array<std::size_t, kKinds> busy_{};
  std::set<std::pair<SteadyTime, std::string>> refills_;  // endpoints that have to wait for a token
  Turn last_turn_ = 0;
  unsigned taken_ = 0;
  std::size_t forget_at_ = 64;
};

}  // namespace sessmtp::operator_
