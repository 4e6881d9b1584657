#include "operator/secret_store.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <random>
#include <vector>

#include "../kube/fake_clock.h"

namespace sessmtp::operator_ {
namespace {

using namespace std::chrono_literals;
using kube::NamespacedName;
using kube::ObjectMeta;
using testing::ElementsAre;
using testing::IsEmpty;
using Role = SecretStore::Role;

const NamespacedName kIam{"shop", "iam"};

ObjectMeta meta(const NamespacedName& key, int version, const std::string& uid = "u") {
  ObjectMeta result;
  result.namespace_ = key.namespace_;
  result.name = key.name;
  result.uid = uid;
  result.resource_version = std::to_string(version);
  return result;
}

// "unknown", "absent", "u@10", "unwatched type"
std::string text_of(const Sight& sight) {
  switch (sight.presence) {
    case Presence::kUnknown:
      return "unknown";
    case Presence::kAbsent:
      return "absent";
    case Presence::kKnown:
      return sight.record.version.uid + '@' + sight.record.version.resource_version;
    case Presence::kUnwatched:
      return "unwatched " + sight.type;
    case Presence::kForbidden:
      break;
  }
  return "forbidden";
}

class SecretStoreTest : public testing::Test {
 protected:
  SecretStoreTest() { store.refer(kIam, Role::kSource, "mail"); }

  [[nodiscard]] std::string iam() const { return text_of(store.sight(kIam)); }
  void list(const std::vector<ObjectMeta>& secrets, const std::string& scope = "") {
    store.begin_list(scope);
    for (const ObjectMeta& each : secrets) {
      store.listed(scope, each);
    }
    store.end_list(scope);
  }

  FakeClock clock;
  SecretStore store{clock};
};

TEST_F(SecretStoreTest, ANameIsUnknownUntilAListOrAnEventOrAnAnswerTells) {
  EXPECT_EQ(iam(), "unknown");
  list({});
  EXPECT_EQ(iam(), "absent");
  EXPECT_TRUE(store.put(meta(kIam, 10)));
  EXPECT_EQ(iam(), "u@10");
  EXPECT_TRUE(store.remove(meta(kIam, 11)));
  EXPECT_EQ(iam(), "absent");
  EXPECT_TRUE(store.answered(meta(kIam, 12, "v")));
  EXPECT_EQ(iam(), "v@12");
}

TEST_F(SecretStoreTest, AListThatBeganBeforeTheNameWasKnownDoesNotMakeItAbsent) {
  const NamespacedName late{"shop", "late"};
  store.begin_list("");
  store.listed("", meta(late, 10));
  store.refer(late, Role::kSource, "news");
  store.end_list("");
  EXPECT_EQ(text_of(store.sight(late)), "unknown");
  EXPECT_EQ(iam(), "absent");
  list({});
  EXPECT_EQ(text_of(store.sight(late)), "absent");
}

TEST_F(SecretStoreTest, AListCountsWhateverItsVersions) {
  list({meta(kIam, 1000)});
  list({meta(kIam, 7)});
  EXPECT_EQ(iam(), "u@7") << "etcd was restored";
  EXPECT_TRUE(store.put(meta(kIam, 8)));
  EXPECT_EQ(iam(), "u@8");
}

TEST_F(SecretStoreTest, AfterARestoredEtcdADeletionOfBeforeHidesNothing) {
  list({meta(kIam, 1000)});
  EXPECT_TRUE(store.remove(meta(kIam, 1001)));
  list({});
  EXPECT_TRUE(store.put(meta(kIam, 8)));
  EXPECT_EQ(iam(), "u@8");
}

TEST_F(SecretStoreTest, AListThatWasAbortedLeavesNoTrace) {
  store.begin_list("");
  store.listed("", meta(kIam, 10));
  EXPECT_EQ(iam(), "unknown");
  list({});
  EXPECT_EQ(iam(), "absent");
}

TEST_F(SecretStoreTest, AnAnswerDuringAListIsNotOverwrittenByWhatIsOlder) {
  for (const auto& listed : {std::vector<ObjectMeta>{}, {meta(kIam, 10)}}) {
    list({meta(kIam, 10)});
    store.begin_list("");
    for (const ObjectMeta& each : listed) {
      store.listed("", each);
    }
    EXPECT_TRUE(store.answered(meta(kIam, 12)));
    store.end_list("");
    EXPECT_EQ(iam(), "u@12");
    list({});
    EXPECT_EQ(iam(), "absent") << "the next list counts again";
  }
}

TEST_F(SecretStoreTest, WhatIsOlderOrTheSameIsNoNews) {
  EXPECT_TRUE(store.answered(meta(kIam, 10)));
  EXPECT_FALSE(store.put(meta(kIam, 10))) << "the echo of our own write";
  EXPECT_FALSE(store.put(meta(kIam, 9)));
  EXPECT_FALSE(store.answered(meta(kIam, 9)));
  EXPECT_FALSE(store.remove(meta(kIam, 9)));
  EXPECT_FALSE(store.remove(meta(kIam, 9, "the one before"))) << "which ours has replaced";
  EXPECT_EQ(iam(), "u@10");
}

TEST_F(SecretStoreTest, AnAnswerOlderThanADeletionDoesNotUndoIt) {
  list({meta(kIam, 10)});
  EXPECT_TRUE(store.remove(meta(kIam, 12)));
  EXPECT_FALSE(store.answered(meta(kIam, 11))) << "no event would ever correct it";
  EXPECT_EQ(iam(), "absent");
  EXPECT_TRUE(store.answered(meta(kIam, 13, "made anew")));
  EXPECT_EQ(iam(), "made anew@13");
}

TEST_F(SecretStoreTest, AMissingOneIsAbsentUnlessTheWatchKnowsBetter) {
  store.answered_missing(kIam);
  EXPECT_EQ(iam(), "absent");
  EXPECT_TRUE(store.put(meta(kIam, 10)));
  store.answered_missing(kIam);
  EXPECT_EQ(iam(), "u@10");
}

TEST_F(SecretStoreTest, OneOfAnUnwatchedTypeIsRememberedUntilItIsDoubted) {
  store.answered_unwatched(kIam, "helm.sh/release.v1");
  EXPECT_EQ(iam(), "unwatched helm.sh/release.v1");
  store.doubt("elsewhere");
  EXPECT_EQ(iam(), "unwatched helm.sh/release.v1");
  store.doubt("");
  EXPECT_EQ(iam(), "unknown");
  store.answered_unwatched(kIam, "helm.sh/release.v1");
  EXPECT_TRUE(store.put(meta(kIam, 10))) << "made anew with another type";
  EXPECT_EQ(iam(), "u@10");
  store.answered_unwatched(kIam, "helm.sh/release.v1");
  EXPECT_EQ(iam(), "u@10") << "an answer from before that";
}

TEST_F(SecretStoreTest, DoubtIsAboutWhatNoEventTells) {
  const NamespacedName gone{"shop", "gone"};
  store.refer(gone, Role::kTarget, "mail");
  list({meta(kIam, 10)});
  store.doubt("shop");
  EXPECT_EQ(iam(), "u@10");
  EXPECT_EQ(text_of(store.sight(gone)), "unknown");
}

TEST_F(SecretStoreTest, ForgettingIsAboutOneScope) {
  const NamespacedName bank{"bank", "iam"};
  store.refer(bank, Role::kSource, "mail");
  list({meta(kIam, 10)}, "shop");
  list({meta(bank, 11)}, "bank");
  store.forget("bank");
  EXPECT_EQ(iam(), "u@10");
  EXPECT_EQ(text_of(store.sight(bank)), "unknown");
  list({}, "bank");
  EXPECT_EQ(iam(), "u@10");
  EXPECT_EQ(text_of(store.sight(bank)), "absent");
}

TEST_F(SecretStoreTest, OnlyWhatIsReferredToIsRemembered) {
  const NamespacedName other{"shop", "other"};
  list({meta(kIam, 10), meta(other, 10)});
  EXPECT_FALSE(store.put(meta(other, 11)));
  EXPECT_FALSE(store.answered(meta(other, 11)));
  EXPECT_FALSE(store.remove(meta(other, 12)));
  store.answered_missing(other);
  store.answered_unwatched(other, "t");
  store.refer(other, Role::kTarget, "news");
  EXPECT_EQ(text_of(store.sight(other)), "unknown");
}

TEST_F(SecretStoreTest, TheLastReferenceTakesWhatIsKnownWithIt) {
  store.refer(kIam, Role::kTarget, "mail");
  store.refer(kIam, Role::kSource, "news");
  list({meta(kIam, 10)});
  EXPECT_THAT(store.referrers(kIam, Role::kSource), ElementsAre("mail", "news"));
  EXPECT_THAT(store.referrers(kIam, Role::kTarget), ElementsAre("mail"));
  store.unrefer(kIam, Role::kSource, "mail");
  store.unrefer(kIam, Role::kSource, "news");
  EXPECT_EQ(iam(), "u@10");
  EXPECT_THAT(store.referrers(kIam, Role::kSource), IsEmpty());
  store.unrefer(kIam, Role::kTarget, "mail");
  EXPECT_EQ(iam(), "unknown");
  store.unrefer(kIam, Role::kTarget, "mail");
}

TEST_F(SecretStoreTest, OnlyAnEventTellsWhenSomethingChanged) {
  list({meta(kIam, 10)});
  EXPECT_EQ(store.sight(kIam).changed, std::nullopt);
  clock.advance(5s);
  EXPECT_TRUE(store.put(meta(kIam, 11)));
  EXPECT_EQ(store.sight(kIam).changed, clock.steady());
  EXPECT_TRUE(store.answered(meta(kIam, 12)));
  EXPECT_EQ(store.sight(kIam).changed, std::nullopt);
}

// A cluster with one true history, and everything a store may hear of it, in any order that lists, one
// watch and live reads can produce. Once the store has heard all, what it says has to be true.
//
// Two things are left out that are rare, and that heal with the next event of that name: an answer that is
// on its way while a list begins, and one that is while its name is dropped and referred to anew.
class History {
 public:
  explicit History(unsigned seed) : random_(seed) {}

  void run(int steps) {
    for (int i = 0; i < steps && !testing::Test::HasFailure(); ++i) {
      step();
    }
    hear_all();
  }
  int known = 0;
  int absent = 0;

 private:
  struct Object {
    std::string uid;
    int version = 0;
    bool watched = true;
  };
  struct Event {
    int version;
    bool removed;
    ObjectMeta meta;
  };
  struct Answer {
    NamespacedName key;
    std::optional<Object> object;
  };
  struct Cluster {
    int version = 100;
    std::map<NamespacedName, Object> objects;
  };
  struct List {
    int version;
    std::vector<ObjectMeta> items;  // not brought yet
  };

  int pick(int below) { return std::uniform_int_distribution(0, below - 1)(random_); }
  NamespacedName any_name() {
    return {pick(2) == 0 ? "shop" : "bank", std::string(1, static_cast<char>('a' + pick(3)))};
  }

  void step() {
    switch (pick(14)) {
      case 0:
      case 1:
      case 2:
        return change();
      case 3:
      case 4:
      case 5:
        return hear_event();
      case 6:
        return ask();
      case 7:
      case 8:
        return hear_answer();
      case 9:
        return refer();
      case 10:
        return pick(5) == 0 ? begin_list() : hear_of_list();
      case 11:
        return hear_of_list();
      case 12:
        return pick(8) == 0 ? trouble() : refer();
      default:
        return pick(10) == 0 ? hear_all() : hear_event();
    }
  }

  void change() {
    const NamespacedName key = any_name();
    const auto found = cluster_.objects.find(key);
    ++cluster_.version;
    if (found == cluster_.objects.end()) {
      const Object made{
          .uid = "u" + std::to_string(++uids_), .version = cluster_.version, .watched = pick(5) > 0};
      tell(key, cluster_.objects[key] = made, false);
    } else if (found->second.version = cluster_.version; pick(2) == 0) {
      tell(key, found->second, true);
      cluster_.objects.erase(found);
    } else {
      tell(key, found->second, false);
    }
  }
  void tell(const NamespacedName& key, const Object& object, bool removed) {
    if (object.watched) {
      events_.push_back(
          {.version = object.version, .removed = removed, .meta = meta(key, object.version, object.uid)});
    }
  }

  // The watch goes on from where the last list ended; while a list is under way there is none.
  void hear_event() {
    if (!listed_ || list_) {
      return;
    }
    const auto next = std::ranges::find_if(events_, [&](const Event& each) { return each.version > heard_; });
    if (next != events_.end()) {
      heard_ = next->version;
      (void)(next->removed ? store_.remove(next->meta) : store_.put(next->meta));
    }
  }

  void ask() {
    const NamespacedName key = any_name();
    if (referred_.contains(key)) {
      const auto found = cluster_.objects.find(key);
      answers_.push_back(
          {key, found == cluster_.objects.end() ? std::nullopt : std::optional(found->second)});
    }
  }
  void hear_answer() {
    if (answers_.empty()) {
      return;
    }
    const auto which = answers_.begin() + pick(static_cast<int>(answers_.size()));
    const Answer answer = *which;
    answers_.erase(which);
    if (!answer.object) {
      store_.answered_missing(answer.key);
    } else if (answer.object->watched) {
      (void)store_.answered(meta(answer.key, answer.object->version, answer.object->uid));
    } else {
      store_.answered_unwatched(answer.key, "t");
    }
  }

  void refer() {
    const NamespacedName key = any_name();
    if (referred_.insert(key).second) {
      store_.refer(key, Role::kSource, "mail");
    } else {
      referred_.erase(key);
      must_know_.erase(key);
      referred_at_list_.erase(key);
      store_.unrefer(key, Role::kSource, "mail");
      std::erase_if(answers_, [&](const Answer& each) { return each.key == key; });
    }
  }

  void begin_list() {
    list_ = List{.version = cluster_.version, .items = {}};
    for (const auto& [key, object] : cluster_.objects) {
      if (object.watched) {
        list_->items.push_back(meta(key, object.version, object.uid));
      }
    }
    std::ranges::shuffle(list_->items, random_);
    referred_at_list_ = referred_;
    answers_.clear();
    store_.begin_list("");
  }
  void hear_of_list() {
    if (!list_) {
      return;
    }
    if (!list_->items.empty()) {
      store_.listed("", list_->items.back());
      list_->items.pop_back();
      return;
    }
    heard_ = list_->version;
    list_.reset();
    listed_ = true;
    store_.end_list("");
    std::ranges::set_intersection(referred_, referred_at_list_, std::inserter(must_know_, must_know_.end()));
  }

  void trouble() {
    answers_.clear();
    switch (pick(3)) {
      case 0:  // an event is lost
        if (listed_ && !list_) {
          const auto next =
              std::ranges::find_if(events_, [&](const Event& each) { return each.version > heard_; });
          heard_ = next == events_.end() ? heard_ : next->version;
          must_know_.clear();
          store_.forget("");
        }
        return;
      case 1:
        must_know_.clear();
        referred_at_list_.clear();
        store_.doubt("");
        return;
      default:  // etcd is restored, or a backup of it made
        if (backup_) {
          cluster_ = *std::exchange(backup_, std::nullopt);
          std::erase_if(events_, [&](const Event& each) { return each.version > cluster_.version; });
          begin_list();
        } else {
          backup_ = cluster_;
        }
    }
  }

  void hear_all() {
    if (!listed_ && !list_) {
      begin_list();
    }
    while (list_) {
      hear_of_list();
    }
    // Events and answers still to come, in any order.
    while (!answers_.empty() || (!events_.empty() && heard_ < events_.back().version)) {
      pick(2) == 0 ? hear_answer() : hear_event();
    }
    for (const NamespacedName& key : referred_) {
      check(key);
    }
  }

  void check(const NamespacedName& key) {
    const Sight sight = store_.sight(key);
    const auto found = cluster_.objects.find(key);
    const bool exists = found != cluster_.objects.end() && found->second.watched;
    const std::string truth =
        exists ? found->second.uid + '@' + std::to_string(found->second.version) : "absent";
    const std::string says = text_of(sight);
    switch (sight.presence) {
      case Presence::kKnown:
        ++known;
        EXPECT_EQ(says, truth) << key.namespace_ << '/' << key.name;
        break;
      case Presence::kAbsent:
      case Presence::kUnwatched:  // of which no event tells, nor of its end
        ++absent;
        EXPECT_FALSE(exists) << key.namespace_ << '/' << key.name << " is " << truth << ", and not " << says;
        break;
      default:
        EXPECT_FALSE(must_know_.contains(key)) << key.namespace_ << '/' << key.name << " is " << truth;
    }
  }

  std::minstd_rand random_;
  FakeClock clock_;
  SecretStore store_{clock_};
  Cluster cluster_;
  std::optional<Cluster> backup_;
  int uids_ = 0;
  std::vector<Event> events_;
  std::vector<Answer> answers_;  // on their way
  std::set<NamespacedName> referred_;
  std::set<NamespacedName> referred_at_list_;
  std::set<NamespacedName> must_know_;  // a list told of these, and nothing was forgotten since
  std::optional<List> list_;            // under way
  bool listed_ = false;
  int heard_ = 0;
};

TEST(SecretStoreHistory, WhatItSaysIsTrueOnceAllHasBeenHeard) {
  const unsigned first = std::random_device{}();
  int known = 0;
  int absent = 0;
  for (unsigned seed = first; seed != first + 2000 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    History history(seed);
    history.run(200);
    known += history.known;
    absent += history.absent;
  }
  RecordProperty("seed", static_cast<int>(first));
  EXPECT_GT(known, 1000);
  EXPECT_GT(absent, 1000);
}

}  // namespace
}  // namespace sessmtp::operator_
