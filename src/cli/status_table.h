// The table of `ses-smtp status`. Pure; thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/clock.h"
#include "cli/credential_view.h"
#include "cli/terminal.h"

namespace sessmtp::cli {

struct TableStyle {
  bool namespaces = false;  // a column for them
  std::size_t columns = 0;  // lines below a row are broken to fit; 0: they are not
  WallTime now{};
};

// A line for each credential, and below those that are not as they should be what to do. There is a column
// for logins when one of them is verified.
[[nodiscard]] std::string status_table(const std::vector<CredentialView>& credentials,
                                       const TableStyle& style, const Paint& paint);

}  // namespace sessmtp::cli
