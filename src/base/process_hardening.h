// Keeps what is in memory out of files: no core dumps, no attaching by other processes of the user.
#pragma once

namespace sessmtp {

// Call first in main. Best effort: a kernel that refuses leaves the process as it was.
void forbid_core_dumps() noexcept;

}  // namespace sessmtp
