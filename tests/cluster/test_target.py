"""Something happens to the target: rows 9 to 12, 41, 43 and 44."""

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from harness import GARBAGE_SECONDS, MANAGER, REGION, Controller, World, data_of, encode
from oracle import Key, mask, plain, target_data
from targets import (
    MANAGED_BY,
    OWNER_UID,
    age_target,
    assert_is_target_of,
    assert_untouched,
    uid,
    wait_until_changed,
)

from kube import Object

pytestmark = pytest.mark.usefixtures("controller")


@pytest.mark.parametrize(
    "edit, named",
    [
        ({"password": encode("changed")}, ["password"]),
        ({"host": None, "port": encode("25")}, ["host", "port"]),
        (dict.fromkeys(("username", "password", "host", "port", "region", "url")), ["username", "url"]),
    ],
    ids=["changed", "removed and changed", "emptied"],
)
def test_edited_target_is_repaired(world: World, edit: Object, named: list[str]) -> None:
    """9 | target edited by hand | repaired | event `TargetRepaired`, naming the keys"""
    key = Key.new()
    before, first = world.synced(key)
    world.change_secret(data=edit)
    after, target = wait_until_changed(world, first)
    assert data_of(target) == target_data(key, REGION)
    note = world.wait_event("TargetRepaired")["note"]
    assert [name for name in named if name not in note] == [], note
    assert after["status"]["keySince"] == before["status"]["keySince"]
    assert "lastRotationTime" not in after["status"]


def test_keys_of_others_are_left_alone(world: World) -> None:
    """10 | key added to the target by others | left alone | –"""
    old, new = Key.new(), Key.new()
    world.synced(old)
    world.wait_event("Synced")
    mark = world.cluster.now()
    edited = world.change_secret(data={"note": encode("mine")}, metadata={"labels": {"team": "shop"}})
    world.settle()
    assert_untouched(edited, world.secret())
    assert world.calls(mark, "mail", "secrets", writes=True) == []
    assert [event["reason"] for event in world.events()] == ["Synced"]
    world.write_source(plain(new, region=REGION))
    world.wait_event("Rotated")
    _, target = world.wait_synced()
    assert data_of(target) == target_data(new, REGION) | {"note": "mine"}
    assert target["metadata"]["labels"]["team"] == "shop"


def test_deleted_target_is_made_again(world: World) -> None:
    """11 | target deleted | created again | event `TargetRepaired`"""
    key = Key.new()
    before, first = world.synced(key)
    world.delete_secret()
    credential, target = wait_until_changed(world, first)
    assert uid(target) != uid(first)
    assert data_of(target) == target_data(key, REGION)
    assert_is_target_of(target, credential)
    world.wait_event("TargetRepaired")


MARKS = {
    "the managed-by label removed": {"labels": {MANAGED_BY: None}},
    "the owner's label removed": {"labels": {OWNER_UID: None}},
    "the owner's label changed": {"labels": {OWNER_UID: "00000000-0000-0000-0000-000000000000"}},
    "all labels removed": {"labels": None},
    "the owner reference removed": {"ownerReferences": None},
    "everything removed": {"labels": None, "annotations": None, "ownerReferences": None},
    "the region's annotation changed": {"annotations": {"ses-smtp.dev/region": "us-east-1"}},
}


@pytest.mark.parametrize("what", MARKS)
def test_marks_of_the_target_are_repaired(world: World, what: str) -> None:
    """12 | labels, annotations or owner reference of the target removed | repaired: it is known by what
    is left of them, or by its uid in the status | event `TargetRepaired`"""
    key = Key.new()
    _, first = world.synced(key)
    world.change_secret(metadata=MARKS[what])
    credential, target = wait_until_changed(world, first)
    assert uid(target) == uid(first)
    assert data_of(target) == target_data(key, REGION)
    assert_is_target_of(target, credential)
    world.wait_event("TargetRepaired")


def test_repairs_are_told_as_a_series(world: World) -> None:
    """9, several times: one Event says that it happens again."""
    _, target = world.synced(Key.new())
    for number in range(3):
        world.change_secret(data={"password": encode(str(number))})
        _, target = wait_until_changed(world, target)
    world.wait_event("TargetRepaired")
    world.wait_for("a series is told", lambda: world.events(reason="TargetRepaired")[0].get("series"))
    [event] = world.events(reason="TargetRepaired")
    assert event["series"]["count"] >= 2


def test_somebody_who_edits_the_target_all_the_time(world: World, controller: Controller) -> None:
    """9 | two programs fight over a target | repaired ten times, then every other second | others are not
    held up"""
    keys = {"fought-over": Key.new(), "mail": Key.new()}
    world.create_many(keys)
    for name in keys:
        world.wait_synced(name)
    before, mark = controller.metrics(), world.cluster.now()
    began, over = time.monotonic(), threading.Event()

    def edit() -> int:
        for number in itertools.count():
            world.change_secret("fought-over", data={"password": encode(str(number))})
            if over.is_set():
                return number

    def repairs() -> int:
        return len(world.calls(mark, "fought-over", "secrets", writes=True))

    with ThreadPoolExecutor(1) as somebody:
        edits = somebody.submit(edit)
        try:
            world.wait_for("ten repairs are made, and a later one", lambda: repairs() >= 11)
            keys["mail"] = Key.new()
            world.write_source(plain(keys["mail"], region=REGION), "mail-iam")
            world.wait_all_synced({"mail": keys["mail"]}, seconds=2)
        finally:
            over.set()
    assert repairs() <= 10 + (time.monotonic() - began) / 2
    assert edits.result() > 5 * repairs(), "somebody was much faster"
    world.wait_all_synced(keys, seconds=5)
    name = "ses_smtp_hot_loop_throttled_total"
    assert controller.metrics().total(name) > before.total(name)


def test_target_of_an_earlier_life_is_taken_back(world: World) -> None:
    """41 | target from an earlier life of the credential: ours by its labels, of the same name, its owner no
    longer there | taken back | event `Adopted`; keySince as the target says"""
    key = Key.new()
    before, first = world.synced(key)
    age_target(world)
    world.delete_credential(propagationPolicy="Orphan")
    world.wait_for(
        "the garbage collector has let the target go, and then the credential",
        lambda: not world.api.get("SesSmtpCredential", "mail", world.namespace),
        GARBAGE_SECONDS,
    )
    orphan = world.secret()
    assert orphan and not orphan["metadata"].get("ownerReferences")
    world.create_credential()
    credential, target = world.wait_synced()
    assert uid(credential) != uid(before) and uid(target) == uid(first)
    assert data_of(target) == target_data(key, REGION)
    assert credential["status"]["keySince"] == "2026-01-02T03:04:05Z"
    assert_is_target_of(target, credential)
    world.wait_event("Adopted")


def restored(world: World, **metadata: Any) -> Object:
    """A target as a backup tool would put it back: with labels, without owner."""
    labels = {MANAGED_BY: MANAGER, OWNER_UID: "6e7a2c4e-0000-4000-8000-000000000000"}
    annotations = {"ses-smtp.dev/credential": "mail", "ses-smtp.dev/region": REGION}
    body = {
        "metadata": {"name": "mail", "labels": labels, "annotations": annotations} | metadata,
        "data": {name: encode(value) for name, value in target_data(Key.new(), REGION).items()},
    }
    return world.api.create("Secret", body, world.namespace)


def test_restored_target_is_taken_back(world: World) -> None:
    """41, for a backup of an older key."""
    key, first = Key.new(), restored(world)
    credential, target = world.synced(key)
    assert uid(target) == uid(first)
    assert data_of(target) == target_data(key, REGION)
    assert_is_target_of(target, credential)
    world.wait_event("Adopted")


@pytest.mark.parametrize(
    "metadata",
    [
        {"labels": {OWNER_UID: "6e7a2c4e-0000-4000-8000-000000000000"}},
        {"annotations": {"ses-smtp.dev/credential": "other"}},
        {"labels": {MANAGED_BY: "helm", OWNER_UID: "6e7a2c4e-0000-4000-8000-000000000000"}},
    ],
    ids=["not ours by label", "another name", "another manager"],
)
def test_target_that_is_not_from_an_earlier_life(world: World, metadata: Object) -> None:
    """13, for a Secret that looks a little like one of row 41."""
    theirs = restored(world, **metadata)
    world.write_source(plain(Key.new(), region=REGION))
    world.create_credential()
    world.wait_not_ready("TargetConflict")
    assert_untouched(theirs, world.secret())


def test_target_of_an_earlier_life_with_another_type(world: World) -> None:
    """41, when the type is another: a Secret's type is fixed, and nothing is ever deleted."""
    world.write_source(plain(Key.new(), region=REGION))
    theirs = restored(world)
    world.create_credential(target={"type": "kubernetes.io/basic-auth"})
    world.wait_not_ready("TargetTypeImmutable")
    assert_untouched(theirs, world.secret())
    world.delete_secret()
    _, target = world.wait_synced()
    assert target["type"] == "kubernetes.io/basic-auth"


def test_terminating_target(world: World) -> None:
    """43 | target terminating | created again when it is gone | Ready False `TargetTerminating`,
    Reconciling"""
    old, new = Key.new(), Key.new()
    _, first = world.synced(old)
    world.change_secret(metadata={"finalizers": ["example.com/hold"]})
    world.delete_secret()
    world.wait_not_ready("TargetTerminating")
    held = world.secret()
    world.write_source(plain(new, region=REGION))
    world.settle()
    assert_untouched(held, world.secret())
    world.change_secret(metadata={"finalizers": None})
    credential, target = world.wait_synced()
    assert uid(target) != uid(first)
    assert data_of(target) == target_data(new, REGION)
    assert_is_target_of(target, credential)


def test_immutable_target(world: World) -> None:
    """44 | target made immutable by someone | untouched | Stalled `TargetImmutable` when it has to be
    written"""
    old, new = Key.new(), Key.new()
    world.synced(old)
    fixed = world.change_secret(immutable=True)
    world.write_source(plain(new, region=REGION))
    credential = world.wait_not_ready("TargetImmutable")
    world.wait_event("TargetImmutable")
    assert_untouched(fixed, world.secret())
    assert credential["status"]["accessKeyId"] == mask(old.id), "always the id that the target holds"
    world.delete_secret()
    _, target = world.wait_synced()
    assert data_of(target) == target_data(new, REGION)
