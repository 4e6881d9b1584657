#include "base/process_hardening.h"

#include <sys/prctl.h>
#include <sys/resource.h>

namespace sessmtp {

void forbid_core_dumps() noexcept {
  const rlimit none{.rlim_cur = 0, .rlim_max = 0};
  (void)setrlimit(RLIMIT_CORE, &none);
  (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);  // also for a core_pattern that pipes to a program
}

}  // namespace sessmtp
