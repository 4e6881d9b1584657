"""The operator is started again: rows 29 and 30."""

from collections import Counter

import pytest
from harness import REGION, Controller, World, data_of, encode
from oracle import Key, plain, target_data
from targets import assert_is_target_of, assert_untouched

pytestmark = pytest.mark.usefixtures("controller")

READS = {(verb, what) for verb in ("list", "watch") for what in ("sessmtpcredentials", "secrets")}
LEASE_CALLS = {(verb, "leases") for verb in ("get", "create", "update", "watch")}
SCHEMA = ("get", "/openapi/v3/apis/ses-smtp.dev/v1alpha1")


def test_restart_writes_nothing(world: World, controller: Controller) -> None:
    """29 | operator restarted, world unchanged | untouched, no call | –"""
    _, first = world.synced(Key.new())
    world.create_credential("waiting", source="absent")
    world.wait_not_ready("SourceNotFound", "waiting")
    world.write_source({"accessKeyId": "x"}, "bad-iam")
    world.create_credential("stalled", source="bad-iam")
    world.wait_not_ready("SourceKeysNotFound", "stalled")
    world.api.create("Secret", {"metadata": {"name": "taken"}}, world.namespace)
    world.create_credential("taken")
    world.wait_not_ready("TargetConflict", "taken")
    world.settle()
    mark = world.cluster.now()
    controller.restart()
    world.settle()
    calls = Counter(call.what for call in world.all_calls(mark))
    assert set(calls) - READS - LEASE_CALLS - {SCHEMA} == set()
    assert calls["list", "sessmtpcredentials"] == calls["list", "secrets"] == 1
    assert calls[SCHEMA] <= 1
    assert_untouched(first, world.secret())


def test_idle_operator_only_watches(world: World) -> None:
    """29, without a restart: the operator's own writes wake nothing up, and nothing is asked for in turns."""
    world.synced(Key.new())
    world.wait_event("Synced")
    mark = world.cluster.now()
    world.settle()
    assert world.calls(mark) == []
    mark = world.cluster.now()

    def renewals() -> int:
        return sum(call.what == ("update", "leases") for call in world.all_calls(mark))

    world.wait_for("the lease is renewed twice", lambda: renewals() >= 2)
    # A watch stands in the log when it ends.
    watches = {("watch", what) for what in ("sessmtpcredentials", "secrets", "leases")}
    assert {call.what for call in world.all_calls(mark)} - watches == {("update", "leases")}


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
