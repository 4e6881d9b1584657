// What a password at hand is: the right one for a key and a region, or which other thing. For a person whose
// mail is refused with 535. Pure; thread-safe.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret_bytes.h"

namespace sessmtp::cli {

// Empty when `given` is exactly the SMTP password of the key in that region; a single newline at its end does
// not count, since mail software leaves it out. Otherwise a sentence that says what `given` is, without a
// value: "it is this key's password in us-east-1; every region needs its own". Fails when OpenSSL does.
[[nodiscard]] Result<std::string> what_is_wrong_with(const SecretBytes& given,
                                                     const SecretBytes& secret_access_key,
                                                     std::string_view region);

}  // namespace sessmtp::cli
