"""Tests against a real API server.

    python -m pytest tests/cluster

brings a cluster up with tools/local-cluster, installs crds/ and deploy/base/rbac.yaml, and runs
build/release/bin/ses-smtp as a user who has exactly the rights of deploy/base/rbac.yaml.

    SESSMTP_TEST_CLUSTER=NAME   use a cluster that is up (no other controller may run there), and leave it up
    SESSMTP_BIN=PATH            another binary, relative to the repository's root

Each test has a namespace of its own. One controller serves them all; a test that needs one with other flags
asks for `own_controller`, which stops the shared one for as long as the test runs.
"""

import os
import re
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from harness import OPERATOR, Cluster, Controller, World, unique
from oracle import EXAMPLE
from process import Server
from proxy import Proxy

pytest.register_assert_rewrite("targets")


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    name = os.environ.get("SESSMTP_TEST_CLUSTER")
    cluster = Cluster(name) if name else Cluster.up(unique("test"))
    try:
        cluster.install_crd()
        cluster.install_rbac()
        yield cluster
    finally:
        if not name:
            cluster.down()


@pytest.fixture(scope="session")
def shared_controller(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Controller]:
    folder = tmp_path_factory.mktemp("controller")
    controller = Controller(cluster.kubeconfig_of(OPERATOR, folder), folder / "log")
    yield controller
    assert controller.stop() == 0


@pytest.fixture
def controller(shared_controller: Controller) -> Controller:
    """The controller that all tests share, running."""
    shared_controller.ensure_running()
    return shared_controller


@pytest.fixture
def no_controller(shared_controller: Controller) -> None:
    """Nothing reconciles during this test."""
    assert shared_controller.stop() == 0


@pytest.fixture
def own_controller(
    no_controller: None, cluster: Cluster, tmp_path: Path
) -> Iterator[Callable[..., Controller]]:
    """Makes controllers with other flags, for another user or another cluster; the shared one is stopped."""
    made: list[Controller] = []

    def make(
        *args: str, user: str = OPERATOR, of: Cluster = cluster, kubeconfig: Path | None = None
    ) -> Controller:
        kubeconfig = kubeconfig or of.kubeconfig_of(user, tmp_path)
        made.append(Controller(kubeconfig, tmp_path / f"log-{len(made)}", *args))
        return made[-1].start()

    yield make
    assert [controller.stop() for controller in made] == [0] * len(made)


@pytest.fixture
def worlds(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Iterator[World]]:
    """As many namespaces as a test asks for; they go when it ends."""
    test = re.sub("[^a-z0-9]+", "-", request.node.originalname.removeprefix("test_"))[:40].strip("-")
    made: list[str] = []

    def make() -> Iterator[World]:
        while True:
            made.append(unique(test))
            cluster.api.create("Namespace", {"metadata": {"name": made[-1]}})
            yield World(cluster, made[-1])

    yield make()
    for name in made:
        cluster.api.delete("Namespace", name)


@pytest.fixture
def world(worlds: Iterator[World]) -> World:
    return next(worlds)


@pytest.fixture(scope="session")
def second_cluster() -> Iterator[Cluster]:
    cluster = Cluster.up(unique("spare"))
    try:
        cluster.install_rbac()
        yield cluster
    finally:
        cluster.down()


@pytest.fixture
def spare_cluster(second_cluster: Cluster) -> Cluster:
    """A cluster apart, which a test may set back in time, or take the CRD from."""
    second_cluster.install_crd()
    return second_cluster


@pytest.fixture
def spare_world(spare_cluster: Cluster) -> World:
    """A namespace of it, which stays: nobody waits for its end."""
    name = unique("spare")
    spare_cluster.api.create("Namespace", {"metadata": {"name": name}})
    return World(spare_cluster, name)


@pytest.fixture
def proxy(cluster: Cluster, tmp_path: Path) -> Iterator[Proxy]:
    """On the way from a controller to the API server."""
    with Proxy(cluster.info["server"]) as proxy:
        proxy.kubeconfig = proxy.detour(cluster.kubeconfig_of(OPERATOR, tmp_path))
        yield proxy


@pytest.fixture
def reading_proxy(cluster: Cluster, tmp_path: Path) -> Iterator[Proxy]:
    """One that sees the requests."""
    kubeconfig = cluster.kubeconfig_of(OPERATOR, tmp_path)
    with Proxy.reading(kubeconfig, Path(cluster.info["caKeyFile"]).parent) as proxy:
        proxy.kubeconfig = proxy.detour(kubeconfig)
        yield proxy


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What looks back at the whole run comes last."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


log_sizes: dict[Controller, int] = {}


def pytest_runtest_setup(item: pytest.Item) -> None:
    log_sizes.update({controller: controller.log_size() for controller in Controller.all})


@pytest.fixture(scope="module")
def one_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with Server(tmp_path_factory.mktemp("fake-ses")) as server:
        yield server


@pytest.fixture
def server(one_server: Server) -> Server:
    """The fake SES, as if it had just been started."""
    assert one_server.log() == ""
    one_server.conduct()
    one_server.accept(EXAMPLE)
    one_server.forget()
    return one_server


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure shows what the controllers logged during the test."""
    report = yield
    if report.failed:
        for controller in Controller.all:
            since = log_sizes.get(controller, 0)
            if controller.log_size() > since:
                report.sections.append((f"controller log {controller.log_file}", controller.tail(since)))
    return report
