#include "operator/crd_check.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "api/crd_schema.h"
#include "base/log.h"
#include "base/text.h"

namespace sessmtp::operator_ {
namespace {

using namespace std::chrono_literals;

// A person is about to apply a CRD; the API server shows its schema a moment later.
constexpr auto kPause = 2s;
constexpr int kMaxLooksInVain = 15;

}  // namespace

bool CrdCheck::wait_until_usable(std::stop_token stop) {
  while (!stop.stop_requested()) {
    Finding found = look(stop);
    const CrdState state = found.state;
    note(std::move(found));
    if (state == CrdState::kCurrent || state == CrdState::kUnreadable) {
      return true;
    }
    (void)wait_(kPause, stop);
  }
  return false;
}

CrdCheck::Finding CrdCheck::finding() const {
  const std::scoped_lock lock(mutex_);
  return finding_;
}

CrdCheck::Finding CrdCheck::look(std::stop_token stop) {
  const auto document = client_.get(api::kSchemaPath, stop);
  if (!document) {
    const kube::ApiErrorKind kind = document.error().kind;
    if (kind == kube::ApiErrorKind::kCancelled || kind == kube::ApiErrorKind::kNoAnswer) {
      return finding();  // said elsewhere
    }
    if (kind == kube::ApiErrorKind::kForbidden) {
      return {.state = CrdState::kUnreadable, .lacks = {}};
    }
    const bool missing = kind == kube::ApiErrorKind::kNotFound;
    return no_schema(document.error().summary(),
                     missing ? Finding{.state = CrdState::kMissing, .lacks = {}} : finding());
  }
  auto missing = api::missing_fields(*document);
  if (!missing) {
    return no_schema(missing.error().message, {.state = CrdState::kMissing, .lacks = {}});
  }
  if (missing->empty()) {
    return {.state = CrdState::kCurrent, .lacks = {}};
  }
  return {.state = CrdState::kOutdated, .lacks = std::move(*missing)};
}

// A schema is shown a moment after the resource is served. If it never is, something in between hides it.
CrdCheck::Finding CrdCheck::no_schema(const std::string& why, Finding otherwise) {
  const bool served = served_();  // else who lists says what is wrong
  if (served && std::exchange(trouble_, why) != why) {
    log::warn("schema of the CRD not had, trying again", {{"path", api::kSchemaPath}, {"error", why}});
  }
  looks_in_vain_ = served ? looks_in_vain_ + 1 : 0;
  if (looks_in_vain_ < kMaxLooksInVain) {
    return otherwise;
  }
  return {.state = CrdState::kUnreadable, .lacks = {}};
}

void CrdCheck::note(Finding found) {
  const Finding before = finding();
  if (found.state == CrdState::kOutdated && found.lacks != before.lacks) {
    log::error("CRD is older than this program, waiting for a newer one",
               {{"missing", joined(found.lacks)},
                {"hint", "apply the CRD of this version: kubectl apply -f crds/"}});
  } else if (found.state == CrdState::kCurrent && before.state == CrdState::kOutdated) {
    log::info("CRD is current now");
  } else if (found.state == CrdState::kUnreadable) {
    log::warn("CRD not compared with this program: its schema may not be read",
              {{"path", api::kSchemaPath}, {"hint", "bind the ClusterRole system:discovery"}});
  }
  const std::scoped_lock lock(mutex_);
  finding_ = std::move(found);
}

}  // namespace sessmtp::operator_
