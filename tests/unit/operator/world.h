// A namespace "shop" in which the pure functions needs() and plan() are tried: the loop
// "needs → read → plan → write → plan → status" without threads, HTTP and memory of earlier turns, so
// that every turn is also the first one after a restart.
//
//   World world;
//   world.source(kKey).credential();
//   EXPECT_EQ(world.reconcile().events, ...);
#pragma once

#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "../kube/fake_clock.h"
#include "fake_api.h"
#include "operator/cache.h"
#include "operator/look.h"

namespace sessmtp::operator_ {

using Data = std::map<std::string, std::string>;
using Names = std::vector<std::string>;

struct Key {
  std::string id;
  std::string secret;
};

// The examples of the AWS documentation, and keys of tests/vectors.json with an unusual length, so that
// there are several with a known password in one region. Masked, all ids look different.
inline const Key kKey{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};
inline const Key kOldKey{"AKIAI44QH8DHBEXOLD01", "7kSJoISq+H7OAfQs6zT2eB8epZ1eqkUuVyhZMkr"};
inline const Key kThirdKey{"AKIAJ3THIRD3EXAMPLE3", "8P/IPObMx3U3bpo9bfJ/6RiyB11++BSf6UNRNwInY"};

// From tests/vectors.json, never from the code under test.
[[nodiscard]] std::string password_of(const Key& key, const std::string& region);

[[nodiscard]] Data plain(const Key& key, const std::string& region = "us-east-1");

// What the target has to hold.
[[nodiscard]] Data target_data(const Key& key, const std::string& region = "us-east-1",
                               const std::string& host = "", int port = 587,
                               const std::string& scheme = "smtp");

// What happened in one look at one credential.
struct Turn {
  Needs needs = Needs::kNothing;
  Names reads;               // names of the Secrets read live, in order
  std::vector<json> writes;  // intents
  Names logins;              // "host:port user password"
  Names restarts;            // "Deployment/web 0123456789abcdef"
  bool status_changed = false;
  Names events;  // "Rotated", "Warning TargetConflict"
  Names notes;   // their texts
  Retry retry = Retry::kNo;
  std::optional<std::chrono::milliseconds> look_again;

  // Nothing was read, written or said.
  [[nodiscard]] bool quiet() const;
};
void PrintTo(const Turn& turn, std::ostream* out);

class World {
 public:
  // Secret "iam".
  World& source(const Key& key, const std::string& region = "us-east-1") {
    return source(plain(key, region));
  }
  World& source(const Data& data);
  World& touch(const std::string& secret);  // a new resourceVersion, nothing else
  World& secret(const std::string& name, const Data& data, const json& metadata = json::object());
  // A credential that reads "iam"; `spec` is merged into that.
  World& credential(const std::string& name = "mail", const json& spec = json::object());
  World& annotate(const std::string& key, const std::string& value, const std::string& name = "mail");
  World& change_spec(const json& patch, const std::string& name = "mail");
  World& edit(const std::string& secret, const std::function<void(json&)>& change);
  World& remove(const std::string& secret);
  World& remove_credential(const std::string& name = "mail");
  World& later(std::chrono::microseconds by);

  Turn reconcile(const std::string& name = "mail");
  // Lists everything into it, as the reflectors do.
  void show(Cache& cache) const;

  [[nodiscard]] json secret_object(const std::string& name) const;  // null: there is none
  [[nodiscard]] std::optional<Data> data(const std::string& secret = "mail") const;
  [[nodiscard]] std::string version(const std::string& secret = "mail") const;
  [[nodiscard]] std::string uid(const std::string& secret = "mail") const;
  [[nodiscard]] std::string credential_uid(const std::string& name = "mail") const;
  [[nodiscard]] json spec(const std::string& name = "mail") const;
  [[nodiscard]] json status(const std::string& name = "mail") const;
  // "Ready=False SourceNotFound, Reconciling=True SourceNotFound"
  [[nodiscard]] std::string says(const std::string& name = "mail") const;
  [[nodiscard]] std::string message(const std::string& name = "mail") const;
  [[nodiscard]] Names credentials() const;

  FakeClock clock;
  FakeApi api{clock};

  // Injected trouble, until it is reset.
  std::map<std::string, Answer> refuse_read;  // by name of the Secret
  std::optional<Answer> refuse_write;
  bool lose_write_answers = false;  // written, but nobody hears of it
  bool may_not_list_secrets = false;
  Login login;                                      // what is known of any login that is asked for
  bool login_news = false;                          // before the next turn
  std::map<api::Workload, RestartAnswer> restarts;  // of those that are not simply restarted
  unsigned failed_looks = 0;                        // in a row, before the next turn
  std::function<void()> meanwhile;  // between observing and the first call of the next turn; once

 private:
  class Access;
  [[nodiscard]] LiveRead read(const std::string& name, Turn& turn);
  [[nodiscard]] WriteAnswer write(const kube::Secret& intent, Turn& turn);
};

// Where the target was written from `key` at 8:00, and now it is 9:00.
struct SyncedWorld : World {
  explicit SyncedWorld(const Key& key = kKey);
};

}  // namespace sessmtp::operator_
