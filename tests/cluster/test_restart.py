"""The operator is started again: rows 29 and 30."""

import pytest
from harness import REGION, Controller, World, data_of, encode
from oracle import Key, plain, target_data
from targets import assert_is_target_of, assert_untouched

pytestmark = pytest.mark.usefixtures("controller")


def test_restart_writes_nothing(world: World, controller: Controller) -> None:
    """29 | operator restarted, world unchanged | untouched, no call | –"""
    _, first = world.synced(Key.new())
    world.wait_event("Synced")
    world.settle()
    mark = world.cluster.now()
    controller.restart()
    world.settle()
    assert world.calls(mark) == []
    assert_untouched(first, world.secret())


def test_synced_world_is_quiet(world: World) -> None:
    """29, without a restart: the operator's own writes wake nothing up."""
    world.synced(Key.new())
    world.wait_event("Synced")
    mark = world.cluster.now()
    world.settle()
    assert world.calls(mark) == []


def test_rotation_while_the_operator_is_down(world: World, controller: Controller) -> None:
    """30 | source rotated while the operator was down | replaced on start | event `Rotated`"""
    new = Key.new()
    world.synced(Key.new())
    assert controller.stop() == 0
    world.write_source(plain(new, region=REGION))
    controller.start()
    _, target = world.wait_synced()
    assert data_of(target) == target_data(new, REGION)
    world.wait_event("Rotated")


def test_target_changed_while_the_operator_is_down(world: World, controller: Controller) -> None:
    """9, 11, 30: what happened meanwhile is seen on start."""
    keys = {name: Key.new() for name in ("edited", "deleted", "unmarked")}
    for name, key in keys.items():
        world.write_source(plain(key, region=REGION), f"iam-{name}")
        world.create_credential(name, source=f"iam-{name}")
        world.wait_synced(name)
    assert controller.stop() == 0
    world.change_secret("edited", data={"password": encode("changed")})
    world.delete_secret("deleted")
    world.change_secret("unmarked", metadata={"labels": None, "ownerReferences": None, "annotations": None})
    controller.start()
    for name, key in keys.items():
        world.wait_event("TargetRepaired", name)
        credential, target = world.wait_synced(name)
        assert data_of(target) == target_data(key, REGION)
        assert_is_target_of(target, credential)
