// A Lease, as another candidate or anybody else wrote it: what is written back holds our fields and keeps all
// others, and the election never leads on what another one holds. The first line is the order of things that
// happen, a letter each; the rest is the Lease.
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/json.h"
#include "fuzz.h"
#include "kube/election_state.h"
#include "kube/lease.h"

namespace {

using namespace sessmtp;
using namespace std::chrono_literals;
using fuzz::require;
using kube::ElectionRole;
using nlohmann::json;

constexpr const char* kUs = "us";
const WallTime kNow = std::chrono::sys_days(std::chrono::year(2026) / 11 / 23);

json without_ours(json lease) {
  if (json& spec = lease["spec"]; spec.is_object()) {
    for (const char* name :
         {"holderIdentity", "leaseTransitions", "acquireTime", "renewTime", "leaseDurationSeconds"}) {
      spec.erase(name);
    }
  } else {
    spec = json::object();
  }
  return lease;
}

void check_bodies(const json& lease) {
  const kube::LeaseClaim claim{.identity = kUs, .duration = 15s, .now = kNow};
  const json held = kube::held_lease(lease, claim);
  const auto record = kube::decode_lease(held);
  require(record && record->holder == kUs && record->duration == 15s, "a lease that we hold is ours");
  require(parse_rfc3339(text_of(held.at("spec"), "renewTime")) == kNow, "it was renewed now");
  require(member_of(held.at("spec"), "leaseTransitions").is_null() ||
              text_of(member_of(lease, "spec"), "holderIdentity") == kUs ||
              held.at("spec").at("leaseTransitions") >= 0,
          "transitions are a count");
  const json released = kube::released_lease(held, kNow);
  const auto free = kube::decode_lease(released);
  require(free && free->holder.empty() && free->duration == 1s, "a lease that was released is nobody's");
  require(without_ours(held) == without_ours(lease) && without_ours(released) == without_ours(lease),
          "fields of others stay");
  require(kube::held_lease(held, claim) == held, "renewing at the same moment changes nothing");
}

kube::ElectionInput input_of(char letter, const std::optional<kube::LeaseRecord>& record, SteadyTime now) {
  const auto failed = [](kube::ApiErrorKind kind) {
    kube::ApiError error;
    error.kind = kind;
    return kube::LeaseRequestFailed{error};
  };
  const kube::LeaseRecord ours{
      .resource_version = "7", .holder = kUs, .duration = 15s, .raw = std::string(1, letter)};
  switch (letter) {
    case 'o':
      return record ? kube::ElectionInput(kube::LeaseObserved{*record}) : kube::LeaseAbsent{};
    case 'm':
      return kube::LeaseObserved{ours};
    case 'a':
      return kube::LeaseAbsent{};
    case 'w':
      return kube::LeaseWritten{.record = ours, .sent = now};
    case 'c':
      return failed(kube::ApiErrorKind::kConflict);
    case 'n':
      return failed(kube::ApiErrorKind::kNoAnswer);
    case 'e':
      return kube::LeaseWatchEnded{.lasted = 1s};
    case 's':
      return kube::StopRequested{};
    case 'd':
      return kube::LeadEnded{};
    default:
      return kube::TimePassed{};
  }
}

void check_election(std::string_view order, const std::optional<kube::LeaseRecord>& record) {
  const kube::ElectionOptions options{.namespace_ = "ses", .name = "ses-smtp", .identity = kUs};
  kube::ElectionState state;
  SteadyTime now{1h};
  for (const char letter : order.substr(0, 200)) {
    const bool led = state.role == ElectionRole::kLeading;
    const kube::ElectionInput input = input_of(letter, record, now);
    state = kube::next(std::move(state), input, now, 0.5, options);
    require(state.wait >= 0ms && state.wait <= 24h, "a wait ends");
    require(led || state.role != ElectionRole::kLeading || std::holds_alternative<kube::LeaseWritten>(input),
            "nobody leads who has not written it");
    const auto* seen = std::get_if<kube::LeaseObserved>(&input);
    require(state.role != ElectionRole::kLeading || seen == nullptr || seen->record.holder.empty() ||
                seen->record.holder == kUs,
            "nobody leads on what another one holds");
    require(state.role != ElectionRole::kLeading || now <= state.renewed + options.renew_deadline,
            "nobody leads past the deadline");
    require(kube::watch_timeout(state, now, options) >= 1s, "a watch is asked for whole seconds");
    now += state.wait > 1h ? 1s : state.wait;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text = fuzz::text_of_input(data, size);
  const std::string_view order = fuzz::take_line(text);
  const auto lease = parse_json(text);
  const auto record = lease ? kube::decode_lease(*lease) : std::nullopt;
  if (record) {
    require(!record->resource_version.empty(), "a lease can be written back");
    require(!record->duration || *record->duration > 0s, "a duration is one");
    check_bodies(*lease);
  }
  check_election(order, record);
  return 0;
}
