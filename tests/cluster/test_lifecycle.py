"""A credential changes and ends: rows 18 to 23."""

from collections.abc import Iterator

import pytest
from harness import GARBAGE_SECONDS, REGION, Controller, World, data_of
from oracle import Key, plain, target_data
from targets import assert_is_target_of, assert_untouched

pytestmark = pytest.mark.usefixtures("controller")


def test_region_changed(world: World) -> None:
    """18 | region changed | replaced | Ready `Synced` for the new spec"""
    key = Key.new()
    world.synced(key)
    world.change_credential(region="us-east-1")
    credential, target = world.wait_synced()
    assert data_of(target) == target_data(key, "us-east-1")
    assert credential["status"]["region"] == "us-east-1"
    assert credential["status"]["observedGeneration"] == 2
    assert_is_target_of(target, credential)
    world.write_source(plain(key, region="eu-central-1"))
    world.change_credential(region=None)
    _, target = world.wait_synced()
    assert data_of(target) == target_data(key, "eu-central-1")


def test_endpoint_changed(world: World) -> None:
    """18, for the endpoint."""
    key = Key.new()
    world.synced(key)
    world.change_credential(endpoint={"port": 465})
    _, target = world.wait_synced()
    assert data_of(target) == target_data(key, REGION, port=465, scheme="smtps")


def test_target_goes_with_its_credential(world: World) -> None:
    """20 | credential deleted | garbage collected | –"""
    world.synced(Key.new())
    world.delete_credential()
    world.wait_for("the target is gone", lambda: world.secret() is None, GARBAGE_SECONDS)
    world.settle()
    assert world.secret() is None
    assert world.secret("iam") is not None


def test_terminating_credential(world: World, controller: Controller) -> None:
    """23 | credential or namespace terminating | nothing is done | nothing is counted as an error"""
    old = Key.new()
    world.write_source(plain(old, region=REGION))
    world.create_credential(finalizers=["example.com/hold"])
    _, first = world.wait_synced()
    world.wait_event("Synced")
    log = controller.log_size()
    world.delete_credential()
    world.settle()  # now it knows; before, it may still follow the source
    mark = world.cluster.now()
    world.write_source(plain(Key.new(), region=REGION))
    world.settle()
    assert_untouched(first, world.secret())
    world.delete_secret()
    world.settle()
    assert world.secret() is None
    assert world.calls(mark) == []
    assert controller.complaints(log, about=world.namespace) == []
    world.api.patch("SesSmtpCredential", "mail", {"metadata": {"finalizers": None}}, world.namespace)


def test_terminating_namespace(worlds: Iterator[World], controller: Controller) -> None:
    """23, for the namespace."""
    world, elsewhere = next(worlds), next(worlds)
    for number in range(10):
        world.write_source(plain(Key.new(), region=REGION), f"iam-{number}")
        world.create_credential(f"mail-{number}", source=f"iam-{number}")
    for number in range(10):
        world.wait_synced(f"mail-{number}")
    world.settle()
    log = controller.log_size()
    world.api.delete("Namespace", world.namespace)
    world.wait_for("the namespace is gone", lambda: world.api.get("Namespace", world.namespace) is None, 30)
    elsewhere.settle()
    assert controller.complaints(log, about=world.namespace) == []
