"""An API server that is away or lacks the CRD: the operator says so in one line, waits, and goes on by
itself. Rows 31 and 34."""

import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import REGION, Cluster, Controller, World, data_of, first_complaint, unique, wait_for
from oracle import Key, plain, target_data


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
    kubeconfig = stopped_server.kubeconfig_of("ses-smtp-operator-test", Path(stopped_server.info["folder"]))
    stopped_server.stop_server()
    controller = own_controller("--watch-namespaces", world.namespace, kubeconfig=kubeconfig)
    first_complaint(controller, server.removeprefix("https://"))
    stopped_server.start_server()
    assert data_of(world.wait_synced(seconds=60)[1]) == target_data(key, REGION)
    assert_said_once(controller.complaints())


def assert_said_once(lines: list[str]) -> None:
    """However often it was tried, for each thing watched."""
    said = [(line["msg"], line.get("path")) for line in map(json.loads, lines)]
    assert sorted(set(said)) == sorted(said)


def test_server_that_goes_away(world: World, controller: Controller, stopped_server: Cluster) -> None:
    """31 | API server away for a while | – | catches up without a restart"""
    old, new = Key.new(), Key.new()
    world.synced(old)
    world.settle()
    log, pid = controller.log_size(), controller.pid
    stopped_server.stop_server()
    wait_for("the log says so", lambda: controller.complaints(log), 30, controller.tail)
    stopped_server.start_server()
    world.write_source(plain(new, region=REGION))
    assert data_of(world.wait_synced(seconds=60)[1]) == target_data(new, REGION)
    assert controller.running and controller.pid == pid
    assert_said_once(controller.complaints(log))


def test_end_while_the_server_is_away(
    stopped_server: Cluster, own_controller: Callable[..., Controller]
) -> None:
    kubeconfig = stopped_server.kubeconfig_of("ses-smtp-operator-test", Path(stopped_server.info["folder"]))
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


@pytest.fixture
def bare_cluster() -> Iterator[Cluster]:
    """Without the CRD."""
    cluster = Cluster.up(unique("bare"))
    try:
        cluster.install_rbac()
        yield cluster
    finally:
        cluster.down()


def test_missing_crd(bare_cluster: Cluster, own_controller: Callable[..., Controller]) -> None:
    """34 | CRD missing | – | waits, says so in one clear line, works once it is installed"""
    controller = own_controller(of=bare_cluster)
    line = first_complaint(controller, "ses-smtp.dev/v1alpha1/sessmtpcredentials")
    assert "crds/" in line or "install" in line, "it says what to do"
    mark = bare_cluster.now()
    wait_for("it looks again", lambda: bare_cluster.calls(mark), 60, controller.tail)
    assert controller.running
    assert_said_once(controller.complaints())
    bare_cluster.install_crd()
    bare_cluster.api.create("Namespace", {"metadata": {"name": "shop"}})
    world = World(bare_cluster, "shop")
    key = Key.new()
    world.write_source(plain(key, region=REGION))
    world.create_credential()
    assert data_of(world.wait_synced(seconds=60)[1]) == target_data(key, REGION)
