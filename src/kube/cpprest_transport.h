// Transport over cpprestsdk. The library shows nowhere else: replacing it means replacing this one pair
// of files and running tests/contract against the newcomer.
#pragma once

#include <memory>

#include "base/result.h"
#include "kube/config.h"
#include "kube/exec_plugin.h"
#include "kube/transport.h"

namespace sessmtp::kube {

// Starts the one thread that serves all connections of all transports. First thing in main: the library would
// start 40, and with more than one a call that is cancelled while bytes arrive ends the program now and then:
// a socket of asio is not to be closed on one thread and read on another. One is enough, for it never waits.
// kInternal when the library was in use already.
[[nodiscard]] Result<void> initialize_http_threads();

// Files named in `config` are read again at each new connection, and once here so that a mistake shows
// at the start. When they change, or the client certificate of `plugin` does, connections made before are
// used no more, but for the calls that are on them. kInvalidInput for what cannot work: an IPv6 literal, a
// proxy other than http. The transport must outlive every call; its end waits a moment for what cancelled
// calls left behind. A stream may be silent for at most half an hour, whatever `idle` says.
//
// Over http and through a proxy the library does not show a new connection when it is connected: there is no
// TCP keep-alive then, so a dead peer shows at the deadline, and a request whose new connection breaks before
// the answer is sent twice, as if the connection were an old one.
[[nodiscard]] Result<std::unique_ptr<Transport>> make_cpprest_transport(
    const ClusterConfig& config, const Limits& limits = {},
    const std::shared_ptr<ExecPlugin>& plugin = nullptr);

}  // namespace sessmtp::kube
