#include "ses/region.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "ses/iam_key.h"

namespace sessmtp::ses {
namespace {

// Every region that at least one of three lists gives an SMTP endpoint: the AWS code library's SMTP password
// sample, nodemailer's list of well-known services, and pepperize/cdk-ses-smtp-credentials. They disagree
// about us-west-1, eu-west-3, eu-south-1, ap-northeast-3 and us-gov-east-1; a wrong entry costs one missing
// warning, a missing entry costs one needless warning.
constexpr std::array<std::string_view, 20> kKnownSmtpRegions = {
    "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1",
    "ap-southeast-2", "ca-central-1",   "eu-central-1",   "eu-north-1", "eu-south-1",
    "eu-west-1",      "eu-west-2",      "eu-west-3",      "sa-east-1",  "us-east-1",
    "us-east-2",      "us-gov-east-1",  "us-gov-west-1",  "us-west-1",  "us-west-2",
};
static_assert(std::ranges::is_sorted(kKnownSmtpRegions));

constexpr std::size_t kMaxLength = 32;

constexpr bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
constexpr bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// How long the region is that the text begins with, 0 when it begins with none.
std::size_t region_prefix(std::string_view text) {
  std::size_t words = 0;
  std::size_t i = 0;
  while (true) {
    const std::size_t begin = i;
    while (i < text.size() && is_lower(text[i])) {
      ++i;
    }
    const std::size_t length = i - begin;
    if (length == 0) {
      break;
    }
    if ((words == 0 && (length < 2 || length > 4)) || i == text.size() || text[i] != '-') {
      return 0;
    }
    ++words;
    ++i;  // the hyphen
  }
  const std::size_t digits = i;
  while (i < text.size() && is_digit(text[i])) {
    ++i;
  }
  return words >= 2 && i > digits && i <= kMaxLength ? i : 0;
}

}  // namespace

bool has_region_syntax(std::string_view region) {
  return !region.empty() && region_prefix(region) == region.size();
}

bool is_known_smtp_region(std::string_view region) {
  return std::ranges::binary_search(kKnownSmtpRegions, region);
}

std::span<const std::string_view> known_smtp_regions() {
  return kKnownSmtpRegions;
}

bool has_default_endpoint(std::string_view region) {
  constexpr std::array<std::string_view, 4> kOtherPartitions = {"cn-", "eusc-", "us-iso", "eu-iso"};
  return has_region_syntax(region) &&
         std::ranges::none_of(kOtherPartitions,
                              [region](std::string_view prefix) { return region.starts_with(prefix); });
}

std::optional<std::string> suggest_region(std::string_view text) {
  std::string meant(trimmed(text));
  std::ranges::transform(meant, meant.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  const std::size_t length = region_prefix(meant);
  // After the region of a zone: a letter ("eu-west-1a"), or a place ("us-west-2-lax-1a").
  if (length == 0 || (length < meant.size() && !is_lower(meant[length]) && meant[length] != '-')) {
    return std::nullopt;
  }
  meant.resize(length);
  return meant;
}

}  // namespace sessmtp::ses
