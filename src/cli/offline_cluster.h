// A cluster of some Secrets and SesSmtpCredentials and nothing else, in which the operator's own decisions
// (operator_::plan) are carried out: what would come of these objects. No network, no threads.
//
// What only an API server can know is made up inside, and left out of everything that is handed out: uids,
// resource versions, and with them the owner reference and the owner label of a target whose credential has
// no uid yet.
#pragma once

#include <cstddef>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "api/ses_smtp_credential.h"
#include "base/clock.h"
#include "base/result.h"
#include "kube/event.h"
#include "kube/object.h"
#include "operator/observation.h"

namespace sessmtp::cli {

class OfflineCluster {
 public:
  // Objects that do not say when they were made were made at `now`. Those that name no namespace are in the
  // one that is given; else in "default", and nothing that is handed out names it.
  OfflineCluster(WallTime now, std::string objects_namespace)
      : now_(now), namespace_(std::move(objects_namespace)) {}

  // As a manifest or `kubectl get` has them. kInvalidInput with the field's path: the API server would not
  // take it, or there is one of that name already. In messages stand names of fields and keys, no values.
  Result<void> add_secret(nlohmann::json object);
  Result<void> add_credential(nlohmann::json object);

  struct Outcome {
    kube::NamespacedName name;  // the namespace is empty where nothing names one
    api::Status status;
    nlohmann::json credential;             // apiVersion, kind, metadata and status
    std::optional<nlohmann::json> target;  // the Secret as it then stands, if it is in sync
    std::vector<kube::Event> events;
  };
  // Looks at every credential until nothing changes any more. In the order in which they were added.
  // kInternal when it never ends.
  [[nodiscard]] Result<std::vector<Outcome>> settle();

 private:
  struct Held {
    api::SesSmtpCredential credential;
    bool in_a_namespace;  // that somebody has named
    bool seen = false;
    std::vector<kube::Event> events = {};
  };

  [[nodiscard]] Result<kube::ObjectMeta> place(nlohmann::json& object);
  void recognise_targets();
  [[nodiscard]] Result<bool> look_at_all();
  [[nodiscard]] Result<bool> look_at(Held& held, operator_::Observation observation);
  class Access;
  [[nodiscard]] operator_::LiveRead read(const kube::NamespacedName& name) const;
  [[nodiscard]] Result<operator_::WriteAnswer> apply(const kube::Secret& intent);
  [[nodiscard]] Outcome outcome_of(Held& held) const;
  [[nodiscard]] std::string make_up();

  const WallTime now_;
  const std::string namespace_;
  std::size_t made_up_ = 0;
  std::vector<Held> credentials_;
  std::map<kube::NamespacedName, nlohmann::json> secrets_;
};

}  // namespace sessmtp::cli
