// AWS regions, as far as SMTP is concerned. Pure; thread-safe.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sessmtp::ses {

// The date of the list behind is_known_smtp_region; new regions appear without notice.
inline constexpr std::string_view kKnownRegionsAsOf = "2026-11";

// ^[a-z]{2,4}(-[a-z]+)+-[0-9]+$, at most 32 characters: "eu-west-1", but not the zone "eu-west-1a".
[[nodiscard]] bool has_region_syntax(std::string_view region);

// In our dated list. Grounds for a warning, never for a refusal: AWS publishes no complete list.
[[nodiscard]] bool is_known_smtp_region(std::string_view region);

// That list, sorted.
[[nodiscard]] std::span<const std::string_view> known_smtp_regions();

// False in the partitions cn-, eusc-, us-iso* and eu-iso*, where no public SMTP host name is known, and for
// text that has not a region's syntax.
[[nodiscard]] bool has_default_endpoint(std::string_view region);

// What was probably meant by text that is not a region: "eu-west-1" for the zone "eu-west-1a", for
// "EU-WEST-1" and for " eu-west-1\n". Always has a region's syntax, so that a message may show it.
[[nodiscard]] std::optional<std::string> suggest_region(std::string_view text);

}  // namespace sessmtp::ses
