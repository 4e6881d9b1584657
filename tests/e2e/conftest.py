"""The operator as users run it: its image and its chart, on a node with real pods. Needs root.

    make e2e

SESSMTP_TEST_CLUSTER=NAME uses a cluster with a node that is up, and leaves it up; SESSMTP_IMAGE=PATH uses
another image.
What a failed run leaves to be read is in build/e2e: logs of all pods, events, objects, logs of the node.
"""

import os
import re
import shutil
from collections.abc import Callable, Generator, Iterator

import pytest
from harness import World, unique
from node import EVIDENCE, IMAGE, NAMESPACE, Mail, Node, python_image

running: list[Node] = []


@pytest.fixture(scope="session")
def node() -> Iterator[Node]:
    name = os.environ.get("SESSMTP_TEST_CLUSTER")
    shutil.rmtree(EVIDENCE, ignore_errors=True)
    python = python_image()
    node = Node(name) if name else Node.up(unique("e2e"))
    running.append(node)
    try:
        node.load(python, IMAGE)
        node.namespace(NAMESPACE)
        yield node
    finally:
        running.remove(node)
        if name:
            node.logs.stop()
        else:
            node.down()


@pytest.fixture(scope="session")
def mail(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Mail:
    return Mail(node, tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def operator(node: Node) -> Iterator[Node]:
    """The chart as it is, with two replicas, for the tests of one file."""
    with node.operator(2, "--set=networkPolicy.enabled=true"):
        yield node


@pytest.fixture
def worlds(node: Node, request: pytest.FixtureRequest) -> Iterator[Iterator[World]]:
    """As many namespaces as a test asks for, which enforce "restricted"; they go when it ends."""
    test = re.sub("[^a-z0-9]+", "-", request.node.originalname.removeprefix("test_"))[:40].strip("-")
    made: list[str] = []

    def make() -> Iterator[World]:
        while True:
            made.append(unique(test))
            node.namespace(made[-1])
            yield World(node, made[-1])

    yield make()
    for name in made:
        node.api.delete("Namespace", name)


@pytest.fixture
def world(worlds: Iterator[World]) -> World:
    return next(worlds)


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Figures that are worth reading when all went well."""

    def say(text: str) -> None:
        with capsys.disabled():
            print(f"\n  {text}", end="", flush=True)

    return say


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What looks back at the whole run comes last."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for node in running:
            try:
                node.keep_evidence()
            except Exception as problem:  # one that left here would end the whole run
                report.sections.append(("not all could be kept", repr(problem)))
        report.sections.append(("what is left to be read", str(EVIDENCE)))
    return report
