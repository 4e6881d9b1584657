"""Upgrade from the chart before, roll back, uninstall and install again: targets stay as they are.

No version was published before this one. The chart before is this one under another version, with another
image tag and one replica."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import CRD, REGION, World
from node import CHART, NAME, NAMESPACE, REPOSITORY, VERSION, Node
from oracle import Key, plain

PREVIOUS, PREVIOUS_TAG = "0.0.1-previous", "v0.0.1-previous"


def versions(world: World) -> dict[str, str]:
    """Of everything that must not be written, by uid."""
    credentials = world.api.list("SesSmtpCredential", world.namespace)
    targets = [world.secret(one["status"]["target"]["name"]) for one in credentials]
    return {one["metadata"]["uid"]: one["metadata"]["resourceVersion"] for one in [*credentials, *targets]}


def images(node: Node) -> set[str]:
    return {one["image"] for pod in node.operator_pods() for one in pod["spec"]["containers"]}


def assert_works(world: World, name: str = "other") -> None:
    """A rotation is followed."""
    key = Key.new()
    world.write_source(plain(key, region=REGION), f"{name}-iam")
    if not world.api.get("SesSmtpCredential", name, world.namespace):
        world.create_credential(name, source=f"{name}-iam")
    world.wait_all_synced({name: key})
    world.wait_synced(name)


@pytest.fixture
def previous(node: Node, tmp_path: Path) -> Iterator[Path]:
    """The packaged chart before; its image is there under its tag."""
    node.tag(f"{REPOSITORY}:v{VERSION}", f"{REPOSITORY}:{PREVIOUS_TAG}")
    node.helm(
        "package",
        CHART,
        f"--version={PREVIOUS}",
        f"--app-version={PREVIOUS_TAG}",
        f"--destination={tmp_path}",
    )
    yield tmp_path / f"{NAME}-{PREVIOUS}.tgz"
    node.helm("uninstall", NAME, f"--namespace={NAMESPACE}", "--ignore-not-found", "--wait", "--timeout=60s")


def test_upgrade_and_rollback_write_no_target(node: Node, previous: Path, worlds: Iterator[World]) -> None:
    world, busy = next(worlds), next(worlds)
    here = f"--namespace={NAMESPACE}", "--wait", "--timeout=90s"
    node.helm("install", NAME, previous, *here)
    assert images(node) == {f"{REPOSITORY}:{PREVIOUS_TAG}"}
    world.synced(Key.new())
    assert_works(busy)
    before = versions(world)

    node.helm("upgrade", NAME, CHART, *here, "--set=replicaCount=2")
    node.wait_operator(2)
    assert images(node) == {f"{REPOSITORY}:v{VERSION}"}
    assert_works(busy)
    assert versions(world) == before

    node.helm("rollback", NAME, *here)
    node.wait_operator(1)
    assert images(node) == {f"{REPOSITORY}:{PREVIOUS_TAG}"}
    assert_works(busy)
    assert versions(world) == before


def test_uninstall_leaves_credentials_and_targets(
    node: Node, previous: Path, worlds: Iterator[World]
) -> None:
    world, busy = next(worlds), next(worlds)
    here = f"--namespace={NAMESPACE}", "--wait", "--timeout=60s"
    node.helm("install", NAME, CHART, *here)
    key = Key.new()
    world.synced(key)
    before = versions(world)

    node.helm("uninstall", NAME, *here)
    assert node.operator_pods() == []
    assert node.api.get("CustomResourceDefinition", CRD) is not None
    assert versions(world) == before

    node.helm("install", NAME, CHART, *here)
    assert_works(busy)  # it has read everything that was there
    assert versions(world) == before
    new = Key.new()
    world.write_source(plain(new, region=REGION))
    world.wait_all_synced({"mail": new})
