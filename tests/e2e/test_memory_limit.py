"""The chart's own memory limit, in force, with as many Secrets of others as it has MiB, each as large as the
API server lets it be."""

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from harness import World, encode
from node import CHART, NAME, NAMESPACE, Node, cgroup_of, memory_of
from oracle import Key

from kube import Object

Tell = Callable[[str], None]
SIZE = 2**20 - 1024  # the API server allows 1 MiB of data
CREDENTIALS = 10


@pytest.fixture(scope="module")
def limit(node: Node) -> int:
    """In MiB, as the chart renders it without values."""
    rendered = yaml.safe_load_all(node.helm("template", NAME, CHART).stdout)
    [memory] = [
        container["resources"]["limits"]["memory"]
        for thing in rendered
        if thing and thing["kind"] == "Deployment"
        for container in thing["spec"]["template"]["spec"]["containers"]
    ]
    found = re.fullmatch(r"(\d+)Mi", memory)
    assert found, memory
    return int(found[1])


@pytest.fixture
def defaults(node: Node) -> Iterator[Node]:
    """The chart as it is, with no values but the number of pods, which is the default's."""
    with node.operator(1):
        yield node


def test_limit_holds_with_as_many_large_secrets_of_others(
    defaults: Node, world: World, limit: int, tell: Tell
) -> None:
    keys = {f"mail-{number}": Key.new() for number in range(CREDENTIALS)}
    world.create_many(keys)
    world.wait_all_synced(keys)
    before = Process(defaults)
    tell(f"limit {limit} MiB, {limit} Secrets of {SIZE / 2**20:.3f} MiB:")
    tell(f"  none yet: {before.figures()}")

    def create(number: int) -> None:
        body = {"metadata": {"name": f"foreign-{number}"}, "data": {"value": filling}}
        world.api.create("Secret", body, world.namespace)

    filling = encode(b"x" * SIZE)
    with ThreadPoolExecutor(4) as pool:
        coming = [pool.submit(create, number) for number in range(limit)]
        follow(world, keys)
        for one in coming:
            one.result()
    follow(world, keys)
    tell(f"  came while it ran: {before.figures()}")
    before.assert_lives(limit)

    defaults.api.delete("Pod", before.pod, NAMESPACE)
    defaults.wait_operator(1)
    after = Process(defaults)
    assert after.pod != before.pod
    follow(world, keys)
    tell(f"  there from its start: {after.figures()}")
    after.assert_lives(limit)


def follow(world: World, keys: dict[str, Key]) -> None:
    """All credentials rotate, and their targets with them."""
    keys.update({name: Key.new() for name in keys})
    world.rotate_many(keys)
    world.wait_all_synced(keys)


class Process:
    """The operator's, in its only pod."""

    def __init__(self, node: Node):
        self._node = node
        [found] = node.wait_operator(1)
        self.pod = found["metadata"]["name"]
        self._group = cgroup_of(node, found)
        self._pid = self._pids()

    def _pids(self) -> list[str]:
        return (self._group / "cgroup.procs").read_text().split()

    def _object(self) -> Object:
        found = self._node.api.get("Pod", self.pod, NAMESPACE)
        assert found, f"{self.pod} is gone\n{self._node.describe()}"
        return found

    def figures(self) -> str:
        sizes = ", ".join(
            f"{what} {mib:.1f} MiB" for what, mib in memory_of(self._node, self._object()).items()
        )
        return f"{sizes}, hit the limit {self._hits()} times"

    def _hits(self) -> int:
        """How often an allocation had to wait for pages to be given back: also for files that were read."""
        return counter(self._group, "memory.failcnt", "memory.events", "max")

    def assert_lives(self, limit: int) -> None:
        """As the same process, with no restart, no kill, and memory to spare."""
        pod = self._object()
        [status] = pod["status"]["containerStatuses"]
        assert (status["restartCount"], status["lastState"]) == (0, {}), self._node.describe()
        assert self._pids() == self._pid, "another process runs"
        assert counter(self._group, "memory.oom_control", "memory.events", "oom_kill") == 0
        sizes = memory_of(self._node, pod)
        assert sizes["limit"] == limit
        assert sizes["peak"] < limit, "it reached its limit"


def counter(group: Path, version_1: str, version_2: str, name: str) -> int:
    """Of a cgroup; version 1 has a file for some of them."""
    path = group / version_1
    if not path.exists():
        path = group / version_2
    text = path.read_text()
    found = re.search(rf"^{name} (\d+)$", text, re.MULTILINE)
    return int(found[1] if found else text)
