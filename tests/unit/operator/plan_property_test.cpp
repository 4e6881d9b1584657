// What must hold in every world: many small histories of random steps, each with its seed in the failure.
#include <gtest/gtest.h>

#include <array>
#include <random>

#include "api/names.h"
#include "api/reason.h"
#include "base/base64.h"
#include "world.h"

namespace sessmtp::operator_ {
namespace {

using namespace std::chrono_literals;

constexpr int kHistories = 300;
constexpr int kSteps = 25;

const std::vector<Key> kKeys = {kKey, kOldKey, kThirdKey};

bool is_about_the_source(const std::string& reason) {
  if (reason == "SourceNotFound" || reason == "SourceIsTarget") {
    return true;
  }
  for (int i = 0; i <= static_cast<int>(api::Reason::kApiError); ++i) {
    if (reason == to_string(api::Reason(i))) {
      return depends_on_source_only(api::Reason(i));
    }
  }
  return false;
}

class History {
 public:
  explicit History(unsigned seed) : random_(seed) {
    for (const Key& key : kKeys) {
      for (const std::string& value : {key.id, key.secret, password_of(key, "us-east-1")}) {
        sentinels_.push_back(value);
        sentinels_.push_back(base64_encode(value));
      }
    }
    sentinels_.emplace_back("SENTINEL");
    world_.source(kKey).credential("mail", kSpec);
  }

  void run() {
    for (int i = 0; i < kSteps && !testing::Test::HasFailure(); ++i) {
      step();
      look("mail");
      look("rival");
    }
    if (!testing::Test::HasFailure()) {
      settle();
    }
  }
  [[nodiscard]] const std::string& log() const { return log_; }

 private:
  static constexpr const char* kConsent = "ses-smtp.dev/allow-takeover-by";
  inline static const json kSpec = {{"target", {{"name", "login"}}}};

  unsigned below(unsigned limit) { return std::uniform_int_distribution<unsigned>(0, limit - 1)(random_); }
  const Key& any_key() { return kKeys[below(3)]; }
  [[nodiscard]] bool there(const std::string& secret) const {
    return !world_.secret_object(secret).is_null();
  }

  void did(const std::string& what) { log_ += what + "; "; }

  void step() {
    world_.later(1min);
    world_.refuse_write.reset();
    world_.refuse_read.clear();
    world_.lose_write_answers = false;
    world_.meanwhile = nullptr;
    switch (below(26)) {
      case 0:
      case 1:
      case 2:
        did("rotate");
        key_ = any_key();
        world_.source(key_);
        return;
      case 3:
        did("break source");
        break_source();
        return;
      case 4:
        did("delete source");
        world_.remove("iam");
        return;
      case 5:
        if (there("iam")) {
          did("touch source");
          world_.touch("iam");
        }
        return;
      case 6:
      case 7:
        edit_target();
        return;
      case 8:
        did("delete target");
        world_.remove("login");
        return;
      case 9:
        if (!there("login")) {
          did("foreign target");
          world_.secret("login", {{"password", "SENTINEL-theirs"}, {"other", "SENTINEL"}});
        }
        return;
      case 10:
        did("recreate credential");
        world_.remove_credential().credential("mail", kSpec);
        return;
      case 11:
        did("rival comes");
        world_.credential("rival", kSpec);
        return;
      case 12:
        did("rival goes");
        world_.remove_credential("rival");
        return;
      case 13:
        did("port");
        world_.change_spec({{"endpoint", {{"port", below(2) == 0 ? 587 : 465}}}});
        return;
      case 14:
        did("rotate, refused write");
        key_ = any_key();
        world_.source(key_);
        world_.refuse_write = refusal(below(2) == 0 ? 403 : 500, "Forbidden", "SENTINEL " + kKey.secret);
        return;
      case 15:
        did("rotate, lost answer");
        key_ = any_key();
        world_.source(key_);
        world_.lose_write_answers = true;
        return;
      case 16:
        did("refused read");
        world_.refuse_read[below(2) == 0 ? "iam" : "login"] =
            refusal(below(2) == 0 ? 403 : 503, "X", "SENTINEL");
        return;
      case 17:
        did("target replaced while looking");
        world_.meanwhile = [this] {
          world_.remove("login");
          if (below(2) == 0) {
            world_.secret("login", {{"password", "SENTINEL-theirs"}});
          }
        };
        return;
      case 18:
        if (there("login")) {
          did("target immutable");
          world_.edit("login", [](json& o) { o["immutable"] = true; });
        }
        return;
      case 19:
        change_policy();
        return;
      case 20:
        change_consent();
        return;
      case 21:
        did("suspend or resume");
        world_.change_spec({{"suspend", below(2) == 0}});
        return;
      case 22:
        did("keep the pair before, or not");
        world_.change_spec({{"keepPreviousFor", below(2) == 0 ? json("5m") : json()}});
        return;
      case 23:
        did("a long time passes");
        world_.later(1h);
        return;
      case 24:
        did("request a look");
        world_.annotate("ses-smtp.dev/reconcile-requested-at", std::to_string(below(1000)));
        return;
      default:
        did("source changes while looking");
        world_.meanwhile = [this] {
          key_ = any_key();
          world_.source(key_);
        };
        return;
    }
  }

  void change_policy() {
    switch (below(3)) {
      case 0:
        did("policy Fail");
        world_.change_spec({{"target", {{"conflictPolicy", nullptr}, {"deletionPolicy", nullptr}}}});
        return;
      case 1:
        did("policy Adopt");
        world_.change_spec(
            {{"target",
              {{"conflictPolicy", "Adopt"}, {"deletionPolicy", below(2) == 0 ? "Delete" : "Retain"}}}});
        return;
      default:
        did("policy Merge");
        world_.change_spec({{"target", {{"conflictPolicy", "Merge"}, {"deletionPolicy", "Retain"}}}});
    }
  }

  void change_consent() {
    if (there("login")) {
      const std::string to = std::array{"mail", "rival", ""}[below(3)];
      did("consent to " + to);
      world_.edit("login", [&to](json& o) { o["metadata"]["annotations"][kConsent] = to; });
    }
  }

  void break_source() {
    Data data = plain(any_key());
    const std::vector<std::pair<std::string, std::string>> faults = {
        {"accessKeyId", "ASIASENTINELEXAMPLE0"}, {"sessionToken", "SENTINEL"},
        {"region", "SENTINEL region"},           {"accessKeyId", ""},
        {"secretAccessKey", "SENTINEL x"},       {"accessKeyId", "AIDASENTINELEXAMPLE0"}};
    const auto& [key, value] = faults[below(6)];
    data[key] = value;
    world_.source(data);
  }

  void edit_target() {
    if (!there("login") || world_.secret_object("login").value("immutable", false)) {
      return;
    }
    did("edit target");
    const unsigned which = below(5);
    world_.edit("login", [which](json& o) {
      switch (which) {
        case 0:
          o["data"]["password"] = base64_encode("SENTINEL-edited");
          break;
        case 1:
          o["data"].erase("username");
          break;
        case 2:
          o["metadata"].erase("labels");
          break;
        case 3:
          o["metadata"].erase("annotations");
          break;
        default:
          o["data"]["theirs"] = base64_encode("SENTINEL");
          o["metadata"].erase("ownerReferences");
      }
    });
  }

  [[nodiscard]] bool exists(const std::string& name) const {
    const Names all = world_.credentials();
    return std::find(all.begin(), all.end(), name) != all.end();
  }

  Turn look(const std::string& name) {
    if (!exists(name)) {
      return {};
    }
    const json before = world_.secret_object("login");
    const bool suspended = world_.spec(name).value("suspend", false);
    const bool replaced_meanwhile = world_.meanwhile != nullptr;
    Turn turn = world_.reconcile(name);
    did(name + ": " + world_.says(name));
    if (!replaced_meanwhile && turn.status_changed) {
      check_that_a_bad_source_leaves_the_target(name, before);
    }
    if (suspended) {
      EXPECT_TRUE(turn.reads.empty() && turn.writes.empty()) << name << " is suspended";
    }
    check_that_merging_leaves_what_is_not_ours(name, turn, before);
    check_that_nothing_leaks(name, turn);
    check_that_status_names_only_our_target(name);
    return turn;
  }

  void check_that_a_bad_source_leaves_the_target(const std::string& name, const json& before) {
    const json conditions = world_.status(name).value("conditions", json::array());
    if (!conditions.empty() && is_about_the_source(conditions[0]["reason"])) {
      EXPECT_EQ(world_.secret_object("login"), before) << name << " is " << world_.says(name);
    }
  }

  // Without consent there is no write, and with it no label or owner of ours.
  void check_that_merging_leaves_what_is_not_ours(const std::string& name, const Turn& turn,
                                                  const json& before) {
    if (world_.spec(name)["target"].value("conflictPolicy", "Fail") != "Merge" || turn.writes.empty()) {
      return;
    }
    for (const json& write : turn.writes) {
      EXPECT_FALSE(write["metadata"].contains("labels") || write["metadata"].contains("ownerReferences"))
          << write;
      EXPECT_TRUE(write["metadata"].contains("resourceVersion")) << write;
    }
    EXPECT_FALSE(before.is_null()) << "nothing was there to merge into";
    EXPECT_EQ(before["metadata"].value("annotations", json::object()).value(kConsent, ""), name);
  }

  void check_that_nothing_leaks(const std::string& name, const Turn& turn) {
    const std::string said = world_.status(name).dump() + testing::PrintToString(turn.notes);
    for (const std::string& sentinel : sentinels_) {
      EXPECT_EQ(said.find(sentinel), std::string::npos) << sentinel << " in " << said;
    }
  }

  void check_that_status_names_only_our_target(const std::string& name) {
    const json target = world_.status(name).value("target", json());
    if (target.is_object() && !target.value("merged", false) && there("login") &&
        target["uid"] == world_.uid("login")) {
      EXPECT_EQ(world_.api.written_for(api::secret_path("shop", "login")), world_.credential_uid(name));
    }
  }

  // Once nothing disturbs, everybody comes to rest, and what they say is true.
  void settle() {
    world_.refuse_write.reset();
    world_.refuse_read.clear();
    world_.lose_write_answers = false;
    world_.meanwhile = nullptr;
    bool quiet = false;
    for (int pass = 0; pass < 6 && !quiet; ++pass) {
      quiet = true;
      for (const std::string& name : world_.credentials()) {
        const Turn turn = look(name);
        quiet = quiet && turn.writes.empty() && !turn.status_changed;
      }
    }
    EXPECT_TRUE(quiet) << "does not come to rest";
    for (const std::string& name : world_.credentials()) {
      const json ready = world_.status(name)["conditions"][0];
      if (ready["status"] == "True" && !world_.spec(name).value("suspend", false)) {
        EXPECT_EQ(look(name).needs, Needs::kNothing) << name;
        check_that_ready_is_true(name);
      }
    }
  }

  void check_that_ready_is_true(const std::string& name) {
    const int port = world_.status(name)["endpoint"]["port"];
    const auto live = world_.data("login");
    ASSERT_TRUE(live);
    EXPECT_EQ(world_.data("iam"), std::optional(plain(key_)));
    for (const auto& [key, value] :
         target_data(key_, "us-east-1", "", port, port == 465 ? "smtps" : "smtp")) {
      EXPECT_TRUE(live->contains(key) && live->at(key) == value) << key << " of the target";
    }
    EXPECT_EQ(world_.status(name)["target"]["uid"], world_.uid("login"));
    EXPECT_EQ(world_.status(name)["source"]["resourceVersion"], world_.version("iam"));
    EXPECT_EQ(world_.status(name)["accessKeyId"].get<std::string>().substr(16), key_.id.substr(16));
  }

  std::mt19937 random_;
  World world_;
  Key key_ = kKey;
  std::vector<std::string> sentinels_;
  std::string log_;
};

TEST(EveryWorld, KeepsTheLastGoodTargetLeaksNothingAndTellsTheTruth) {
  for (unsigned seed = 1; seed <= kHistories; ++seed) {
    History history(seed);
    history.run();
    if (HasFailure()) {
      FAIL() << "seed " << seed << ": " << history.log();
    }
  }
}

}  // namespace
}  // namespace sessmtp::operator_
