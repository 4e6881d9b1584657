"""Somebody else has the target's name, or a part in a ring: rows 13, 16 and 17."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from harness import GARBAGE_SECONDS, MANAGER, REGION, World, condition, data_of, encode
from oracle import Key, plain, target_data
from targets import MANAGED_BY, OWNER_UID, assert_is_target_of, assert_no_value, assert_untouched, uid

from kube import ApiException, Object

pytestmark = pytest.mark.usefixtures("controller")


def foreign(world: World, name: str = "mail", **fields: Any) -> Object:
    body = {"metadata": {"name": name}, "data": {"password": encode("not yours")}} | fields
    return world.api.create("Secret", body, world.namespace)


def test_foreign_secret_is_left_alone(world: World) -> None:
    """13 | a Secret of another has the target's name | untouched | Stalled `TargetConflict`; clears by itself
    when it goes"""
    key = Key.new()
    theirs = foreign(world)
    world.write_source(plain(key, region=REGION))
    world.create_credential()
    stalled = world.wait_not_ready("TargetConflict")
    assert "mail" in condition(stalled, "Ready")["message"]
    assert "target" not in stalled["status"]
    assert_no_value(world.wait_event("TargetConflict"), key)
    world.write_source(plain(key, region=REGION, more="x"))
    theirs = world.change_secret(data={"more": encode("x")})
    world.settle()
    assert_untouched(theirs, world.secret())
    world.delete_secret()
    credential, target = world.wait_synced()
    assert data_of(target) == target_data(key, REGION)
    assert_is_target_of(target, credential)


@pytest.mark.parametrize("data", [{}, {"unrelated": "eA=="}], ids=["empty", "with other keys"])
def test_foreign_secret_without_our_keys_is_left_alone(world: World, data: Object) -> None:
    """13, though a server-side apply without force would find no conflict."""
    theirs = foreign(world, data=data)
    world.write_source(plain(Key.new(), region=REGION))
    world.create_credential()
    world.wait_not_ready("TargetConflict")
    assert_untouched(theirs, world.secret())


def test_release_of_helm_is_left_alone(world: World) -> None:
    """13, for a Secret of a type that is never looked at: the attempt to create the target finds it."""
    theirs = foreign(world, type="helm.sh/release.v1")
    world.write_source(plain(Key.new(), region=REGION))
    world.create_credential()
    world.wait_not_ready("TargetConflict")
    assert_untouched(theirs, world.secret())


def test_foreign_secret_in_place_of_a_deleted_target(world: World) -> None:
    """13, for a Secret that took the name while nobody looked."""
    keys = {f"mail-{number}": Key.new() for number in range(10)}
    world.create_many(keys)
    world.wait_all_synced(keys)
    for name in keys:  # who is first after the deletion is a matter of luck
        world.delete_secret(name)
        try:
            theirs = foreign(world, name)
        except ApiException as error:
            assert error.status == 409
            continue
        stalled = world.wait_not_ready("TargetConflict", name)
        assert "target" not in stalled["status"]
        assert_untouched(theirs, world.secret(name))
        world.delete_secret(name)
    world.wait_all_synced(keys)


def test_of_two_credentials_the_older_writes(world: World) -> None:
    """16 | two credentials with one target | the one that owns the target writes, else the older | the other
    is Stalled `TargetConflict`, naming it"""
    mine, yours = Key.new(), Key.new()
    _, target = world.synced(mine, "mine", target={"name": "login"})
    world.write_source(plain(yours, region=REGION), "your-iam")
    world.create_credential("yours", source="your-iam", target={"name": "login"})
    stalled = world.wait_not_ready("TargetConflict", "yours")
    assert "mine" in condition(stalled, "Ready")["message"]
    assert "target" not in stalled["status"]
    world.wait_event("TargetConflict", "yours")
    world.settle()
    assert_untouched(target, world.secret("login"))
    world.wait_synced("mine")


def test_the_target_passes_on_when_its_owner_goes(world: World) -> None:
    """16, when the writing one is deleted: its target is garbage collected, the other makes its own."""
    _, first = world.synced(Key.new(), "mine", target={"name": "login"})
    key = Key.new()
    world.write_source(plain(key, region=REGION), "your-iam")
    world.create_credential("yours", source="your-iam", target={"name": "login"})
    world.wait_not_ready("TargetConflict", "yours")
    world.delete_credential("mine")
    credential, target = world.wait_synced("yours", seconds=GARBAGE_SECONDS)
    assert data_of(target) == target_data(key, REGION)
    assert uid(target) != uid(first)
    assert_is_target_of(target, credential)


def test_of_two_credentials_created_at_once_one_writes(world: World) -> None:
    """16, the race: 30 pairs at the same moment."""
    pairs = 30
    keys = {side: Key.new() for side in ("a", "b")}
    for side, key in keys.items():
        world.write_source(plain(key, region=REGION), f"iam-{side}")

    def create(number: int, side: str) -> None:
        start.wait()
        world.create_credential(f"{side}-{number}", source=f"iam-{side}", target={"name": f"shared-{number}"})

    start = threading.Barrier(2)
    with ThreadPoolExecutor(2) as pool:
        for number in range(pairs):
            list(pool.map(create, [number] * 2, keys))

    def outcome(number: int) -> dict[str, str]:
        return {
            side: condition(world.credential(f"{side}-{number}"), "Ready").get("reason", "") for side in keys
        }

    world.wait_for("every pair is decided", lambda: all(all(outcome(n).values()) for n in range(pairs)), 30)
    world.settle()
    targets = {}
    for number in range(pairs):
        sides = outcome(number)
        assert sorted(sides.values()) == ["Synced", "TargetConflict"], (number, sides)
        winner = next(side for side, reason in sides.items() if reason == "Synced")
        loser = "ab".replace(winner, "")
        assert f"{winner}-{number}" in condition(world.credential(f"{loser}-{number}"), "Ready")["message"]
        credential, targets[number] = world.wait_synced(f"{winner}-{number}")
        assert data_of(targets[number]) == target_data(keys[winner], REGION), number
        assert_is_target_of(targets[number], credential)
    world.settle()
    for number, target in targets.items():
        assert_untouched(target, world.secret(f"shared-{number}"))


def test_foreign_secret_put_in_between(world: World) -> None:
    """13, the race: 30 times a Secret of another is created at the same moment as the credential."""
    key = Key.new()
    world.write_source(plain(key, region=REGION))
    names = [f"mail-{number}" for number in range(30)]
    start = threading.Barrier(2)

    def ours(name: str) -> None:
        start.wait()
        world.create_credential(name)

    def theirs(name: str, after: int) -> Object | None:
        start.wait()
        for _ in range(after):  # a few requests' time
            world.secret(name)
        try:
            return foreign(world, name, data={"theirs": "eA=="})
        except ApiException as error:
            assert error.status == 409
            return None

    first: dict[str, Object | None] = {}
    with ThreadPoolExecutor(2) as pool:
        for number, name in enumerate(names):
            made = pool.submit(ours, name)
            first[name] = pool.submit(theirs, name, number % 6).result()
            made.result()
    for name, foreigner in first.items():
        if foreigner:
            world.wait_not_ready("TargetConflict", name)
            assert_untouched(foreigner, world.secret(name))
        else:
            credential, target = world.wait_synced(name)
            assert data_of(target) == target_data(key, REGION)
            assert_is_target_of(target, credential)


def test_source_that_is_anothers_target(world: World) -> None:
    """17 | source is the target of a credential | none, or untouched | Stalled `SourceIsTarget`"""
    world.synced(Key.new())
    world.create_credential("next", source="mail", region=REGION)
    message = condition(world.wait_not_ready("SourceIsTarget", "next"), "Ready")["message"]
    assert "mail" in message
    world.wait_event("SourceIsTarget", "next")
    assert world.secret("next") is None


def test_source_becomes_a_target(world: World) -> None:
    """17, for a source that gets our owner label later."""
    _, first = world.synced(Key.new())
    world.change_secret("iam", metadata={"labels": {MANAGED_BY: MANAGER, OWNER_UID: "0"}})
    world.wait_not_ready("SourceIsTarget")
    assert_untouched(first, world.secret())
    world.change_secret("iam", metadata={"labels": None})
    _, target = world.wait_synced()
    assert_untouched(first, target)


def test_naming_a_source_as_target_stops_nobody(world: World) -> None:
    """17, the other way round: a credential whose target is another's source."""
    key = Key.new()
    _, target = world.synced(key)
    world.write_source(plain(Key.new(), region=REGION), "other-iam")
    world.create_credential("rude", source="other-iam", target={"name": "iam"})
    world.wait_not_ready("TargetConflict", "rude")
    world.settle()
    world.wait_synced("mail")
    assert_untouched(target, world.secret())


def test_ring_of_two(world: World) -> None:
    """17, for two credentials each of which has the other's target as its source."""
    mark = world.cluster.now()
    world.create_credential("a", source="ring-b", target={"name": "ring-a"}, region=REGION)
    world.create_credential("b", source="ring-a", target={"name": "ring-b"}, region=REGION)
    # Each would create what the other expects its key in; who has looked at what by then is a matter of luck.
    for name in ("a", "b"):
        world.wait_for(
            f"{name} is not ready",
            lambda name=name: (
                condition(world.credential(name), "Ready").get("reason")
                in ("SourceNotFound", "TargetConflict")
            ),
        )
    key = Key.new()
    seed = world.write_source(plain(key), "ring-a")
    world.settle()
    assert_untouched(seed, world.secret("ring-a"))
    writes = world.calls(mark, writes=True)
    assert len([call for call in writes if call.resource != "events"]) <= 8, writes
    world.settle()
    assert world.calls(mark, writes=True) == writes
    world.delete_credential("a")  # whoever breaks the ring makes it one-way
    _, target = world.wait_synced("b")
    assert data_of(target) == target_data(key, REGION)
    world.settle()
    assert_untouched(seed, world.secret("ring-a"))
