"""An API server that is away, or seems to be there: the operator says so in one line, waits, and goes on by
itself. Rows 31 and 32."""

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import (
    OPERATOR,
    REGION,
    Cluster,
    Controller,
    World,
    assert_said_once,
    data_of,
    first_complaint,
    wait_for,
)
from oracle import Key, plain, target_data
from proxy import Proxy


@pytest.fixture
def stopped_server(cluster: Cluster) -> Iterator[Cluster]:
    """A cluster whose API server a test may stop; it runs again afterwards."""
    yield cluster
    cluster.start_server()


def test_server_that_is_not_there_yet(
    world: World, stopped_server: Cluster, own_controller: Callable[..., Controller]
) -> None:
    """31, on start: one clear line, no exit, and work as soon as the API server is there."""
    key = Key.new()
    world.write_source(plain(key, region=REGION))
    world.create_credential()
    server = stopped_server.info["server"]
    kubeconfig = stopped_server.kubeconfig_of(OPERATOR, Path(stopped_server.info["folder"]))
    stopped_server.stop_server()
    controller = own_controller("--watch-namespaces", world.namespace, kubeconfig=kubeconfig)
    first_complaint(controller, server.removeprefix("https://"))
    stopped_server.start_server()
    assert data_of(world.wait_synced(seconds=60)[1]) == target_data(key, REGION)
    assert_said_once(controller.complaints())


def test_server_that_goes_away(world: World, controller: Controller, stopped_server: Cluster) -> None:
    """31 | API server away for a while | – | catches up without a restart"""
    old, new = Key.new(), Key.new()
    world.synced(old)
    world.settle()
    log, pid = controller.log_size(), controller.pid
    stopped_server.stop_server()
    wait_for("the log says so", lambda: controller.complaints(log), 30, controller.tail)
    assert controller.health("/healthz") == 200, "a restart would not bring the API server back"
    mark = stopped_server.now()
    stopped_server.start_server()
    world.write_source(plain(new, region=REGION))
    assert data_of(world.wait_synced(seconds=60)[1]) == target_data(new, REGION)
    assert controller.health("/healthz") == controller.health("/readyz") == 200
    assert controller.running and controller.pid == pid
    assert_said_once(controller.complaints(log))
    world.settle()
    calls = Counter((*call.what, call.code) for call in world.all_calls(mark))
    assert calls.total() <= 30, f"a hot loop: {calls}"


def test_end_while_the_server_is_away(
    stopped_server: Cluster, own_controller: Callable[..., Controller]
) -> None:
    kubeconfig = stopped_server.kubeconfig_of(OPERATOR, Path(stopped_server.info["folder"]))
    stopped_server.stop_server()
    controller = own_controller(kubeconfig=kubeconfig)
    first_complaint(controller, stopped_server.info["server"].removeprefix("https://"))
    assert controller.stop(seconds=3) == 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_signal_ends_it_cleanly(
    world: World, own_controller: Callable[..., Controller], how: signal.Signals
) -> None:
    controller = own_controller("--watch-namespaces", world.namespace)
    world.settle()
    assert controller.stop(how, seconds=3) == 0
    assert controller.complaints() == []


def test_watch_that_is_silently_dead(
    world: World, proxy: Proxy, own_controller: Callable[..., Controller]
) -> None:
    """32 | watch silently dead | – | found by the read deadline and watched again, from where it was"""
    old, new = Key.new(), Key.new()
    controller = own_controller("--watch-timeout=2s", *Controller.QUICK_LEASE, kubeconfig=proxy.kubeconfig)
    world.synced(old)
    world.settle()
    pid, mark = controller.pid, world.cluster.now()
    proxy.freeze()
    world.write_source(plain(new, region=REGION))
    # The lease is renewed by calls, which have a deadline of their own.
    controller.wait_logged("lost the lease")
    assert data_of(world.secret()) == target_data(old, REGION)
    proxy.thaw()
    # A watch ends after 4 s at most, and is given up 10 s later; all other connections with it.
    assert data_of(world.wait_synced(seconds=30)[1]) == target_data(new, REGION)
    assert controller.running and controller.pid == pid
    lists = [call for call in world.cluster.calls(mark) if call.verb == "list" and not call.probes]
    assert lists == [], "nothing is listed anew"


def test_connections_that_are_cut(
    world: World, proxy: Proxy, own_controller: Callable[..., Controller]
) -> None:
    """32, the loud way: all connections end at once, as with a load balancer that is replaced."""
    new = Key.new()
    own_controller(kubeconfig=proxy.kubeconfig)
    world.synced(Key.new())
    world.settle()
    proxy.cut()
    world.write_source(plain(new, region=REGION))
    assert data_of(world.wait_synced()[1]) == target_data(new, REGION)
