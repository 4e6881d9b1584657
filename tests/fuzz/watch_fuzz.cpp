// What the API server answers to a list and then to a watch, in pieces of any size, through client and
// reflector to a handler: the cuts do not matter, and where the next watch begins neither. The two answers
// stand one after the other, with a line "watch" between them.
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "api/ses_smtp_credential.h"
#include "base/json.h"
#include "base/log.h"
#include "fuzz.h"
#include "kube/client.h"
#include "kube/object.h"
#include "kube/reflector.h"

namespace {

using namespace sessmtp;
using fuzz::Pieces;
using fuzz::require;

class Replay final : public kube::Transport {
 public:
  Replay(std::string_view list, std::string_view watch, Pieces pieces)
      : list_(list), watch_(watch), pieces_(pieces) {}

  Result<kube::Response, kube::TransportError> send(const kube::Request& /*request*/,
                                                    std::chrono::milliseconds /*deadline*/,
                                                    std::stop_token /*stop*/) override {
    return kube::Response{.status = 404, .body = {}, .retry_after = {}};
  }
  Result<kube::Response, kube::TransportError> stream(const kube::Request& request,
                                                      std::chrono::milliseconds /*idle*/,
                                                      std::stop_token /*stop*/,
                                                      const OnBytes& on_bytes) override {
    const std::size_t random = request.target.find("timeoutSeconds");
    asked.push_back(request.target.substr(0, random));
    if (random != std::string::npos) {
      asked.push_back(
          request.target.substr(std::min(request.target.find('&', random), request.target.size())));
    }
    fuzz::in_pieces(request.target.contains("watch=true") ? watch_ : list_, pieces_, on_bytes);
    return kube::Response{.status = 200, .body = {}, .retry_after = {}};
  }

  std::vector<std::string> asked;

 private:
  const std::string_view list_;
  const std::string_view watch_;
  const Pieces pieces_;
};

// Decodes as the readers of the operator do, and keeps it.
class Keeper final : public kube::ReflectorHandler {
 public:
  void list_begins() override { told.emplace_back("list"); }
  Result<void> listed(std::string_view object) override { return keep("listed", object); }
  void list_ends() override { told.emplace_back("listed all"); }
  Result<std::string> put(std::string_view object) override {
    return version_of(keep("put", object), object);
  }
  Result<std::string> remove(std::string_view object) override {
    return version_of(keep("remove", object), object);
  }
  void lost() override { told.emplace_back("lost"); }
  void refused(const kube::ApiError& error) override { told.push_back("refused " + error.summary()); }
  void missing() override { told.emplace_back("missing"); }

  std::vector<std::string> told;

 private:
  static Result<std::string> version_of(Result<void> kept, std::string_view object) {
    return kept ? Result<std::string>(kube::resource_version_of(object)) : std::unexpected(kept.error());
  }
  Result<void> keep(const char* what, std::string_view object) {
    const auto meta = kube::parse_meta(object);
    told.push_back(std::string(what) + ' ' + (meta ? meta->name : meta.error().message));
    if (const auto parsed = kube::parse_object(object)) {
      const auto credential = api::decode_credential(*parsed);
      told.push_back(credential ? to_json_text(api::encode_status(credential->status))
                                : credential.error().message);
    }
    return meta ? Result<void>() : std::unexpected(meta.error());
  }
};

struct Seen {
  std::vector<std::string> told;
  std::vector<std::string> asked;

  friend bool operator==(const Seen&, const Seen&) = default;
};

Seen reflect(std::string_view list, std::string_view watch, Pieces pieces) {
  static const SystemClock kClock;
  constexpr int kRounds = 4;
  Replay transport(list, watch, pieces);
  kube::TokenSource tokens(kube::ClusterConfig{}, kClock);
  kube::Client client(transport, tokens);
  prometheus::Registry metrics;
  Keeper keeper;
  kube::Reflector reflector(
      client, kClock, metrics,
      {.resource = "secrets",
       .namespace_ = {},
       .path = "/api/v1/secrets",
       .field_selector = {},
       .hint_when_missing = {}},
      keeper,
      [rounds = kRounds](std::chrono::milliseconds, const std::stop_token&) mutable { return rounds-- > 0; });
  reflector.run({});
  return {std::move(keeper.told), std::move(transport.asked)};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::string_view kBetween = "\nwatch\n";
  const std::string_view input = fuzz::text_of_input(data, size);
  const std::size_t between = input.find(kBetween);
  const std::string_view list = input.substr(0, between);
  const std::string_view watch =
      between == std::string_view::npos ? std::string_view() : input.substr(between + kBetween.size());
  const Seen whole = reflect(list, watch, Pieces::kWhole);
  require(whole == reflect(list, watch, Pieces::kSingleBytes), "the picture survives single bytes");
  require(whole == reflect(list, watch, Pieces::kMixed), "the picture does not depend on the cuts");
  return 0;
}
