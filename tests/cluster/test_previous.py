"""The login before a rotation stays readable for a while: row 26.

How long is at least a minute, which is too long to wait for. The annotation on the target says when it ends
and is the truth, so the tests set a nearer time there.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from harness import REGION, Controller, World, data_of, encode
from oracle import Key, additional_region, mask, plain, target_data
from targets import assert_is_target_of, assert_rests, assert_untouched, rfc3339, wait_until_changed

from kube import Object

pytestmark = pytest.mark.usefixtures("controller")

EXPIRES_AT = "ses-smtp.dev/previous-expires-at"
KEEP = timedelta(hours=2)
KEPT = {"keepPreviousFor": "2h"}


def previous(key: Key, *regions: str) -> dict[str, str]:
    passwords = {f"previous-password.{region}": key.password(region) for region in regions}
    return {"previous-username": key.id, "previous-password": key.password(REGION)} | passwords


def rotate(world: World, key: Key) -> tuple[Object, Object]:
    before = world.secret()
    assert before
    world.write_source(plain(key, region=REGION))
    return wait_until_changed(world, before)


def rotated(world: World, **spec: object) -> tuple[Key, Key, Object]:
    """Old key, new key and the target, after a rotation."""
    old, new = Key.new(), Key.new()
    world.synced(old, **KEPT | spec)
    _, target = rotate(world, new)
    return old, new, target


def end(world: World, seconds: int) -> datetime:
    """Lets the previous login end in so many seconds, or one later, and returns when."""
    moment = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds + 1)
    world.change_secret(metadata={"annotations": {EXPIRES_AT: rfc3339(moment)}})
    return moment


def passed(moment: datetime) -> Callable[[], bool]:
    return lambda: datetime.now(UTC) >= moment


def is_gone(world: World) -> bool:
    secret = world.secret()
    assert secret
    left = [key for key in secret["data"] if key.startswith("previous-")]
    assert left == [] or {"previous-username", "previous-password"} <= set(left), "never half of it"
    return left == []


def wait_gone(world: World, moment: datetime) -> None:
    """To the point: not before, and not much later."""
    world.wait_for("the previous login is gone", lambda: is_gone(world), 20)
    late = datetime.now(UTC) - moment
    assert timedelta(0) <= late < timedelta(seconds=2), late


def assert_nothing_left(world: World, key: Key, by_hand: bool = False) -> None:
    """Of the previous login; the annotation, once set by hand, is its setter's and stays."""
    credential, target = world.wait_synced()
    if by_hand:
        del target["metadata"]["annotations"][EXPIRES_AT]
    assert data_of(target) == target_data(key, REGION)
    assert "previous" not in credential["status"]
    assert_is_target_of(target, credential)


def test_previous_login_stays_for_a_while(world: World) -> None:
    """26 | source rotated, with `keepPreviousFor` | the login before it stands beside the new one, as
    `previous-username` and `previous-password`, until the time is over; the annotation
    `ses-smtp.dev/previous-expires-at` says when | status.previous; event `PreviousExpired`"""
    old, new, began = Key.new(), Key.new(), datetime.now(UTC)
    credential, target = world.synced(old, **KEPT)
    assert data_of(target) == target_data(old, REGION), "before the first rotation there is none"
    assert "previous" not in credential["status"]
    credential, target = rotate(world, new)
    assert data_of(target) == target_data(new, REGION) | previous(old)
    expires_at = target["metadata"]["annotations"][EXPIRES_AT]
    assert rfc3339(began + KEEP) <= expires_at <= rfc3339(datetime.now(UTC) + KEEP + timedelta(seconds=1))
    assert credential["status"]["previous"] == {"accessKeyId": mask(old.id), "expiresAt": expires_at}
    moment = end(world, 2)
    wait_gone(world, moment)
    world.wait_event("PreviousExpired")
    assert_nothing_left(world, new, by_hand=True)


def test_the_shortest_time(world: World) -> None:
    """26, from beginning to end with nobody's hand in it: a minute."""
    old, new, target = rotated(world, keepPreviousFor="1m")
    expires_at = datetime.fromisoformat(target["metadata"]["annotations"][EXPIRES_AT])
    world.wait_for("the previous login is gone", lambda: is_gone(world), 70)
    late = datetime.now(UTC) - expires_at
    assert timedelta(0) <= late < timedelta(seconds=2), late
    world.wait_event("PreviousExpired")
    assert_nothing_left(world, new)


def test_nothing_is_written_until_then(world: World, controller: Controller) -> None:
    """29, while there is a previous login."""
    rotated(world)
    world.wait_event("Rotated")
    assert_rests(world, controller)


def test_status_follows_the_annotation(world: World) -> None:
    """26: the annotation is the truth, status repeats it."""
    old, _, _ = rotated(world)
    moment = end(world, 3600)
    expected = {"accessKeyId": mask(old.id), "expiresAt": rfc3339(moment)}
    world.wait_for("status follows", lambda: world.credential()["status"]["previous"] == expected)
    credential, target = world.wait_synced()
    assert target["metadata"]["annotations"][EXPIRES_AT] == rfc3339(moment)


def test_of_the_secret_alone(world: World) -> None:
    """26, when the id is the same."""
    old = Key.new()
    new = Key(old.id, Key.new().secret)
    world.synced(old, **KEPT)
    _, target = rotate(world, new)
    assert data_of(target) == target_data(new, REGION) | previous(old)


@pytest.mark.parametrize("kind", ["BasicAuth", "ServiceBinding"])
def test_formats(world: World, kind: str) -> None:
    """26, with other formats."""
    old, _, target = rotated(world, target={"format": kind})
    assert previous(old).items() <= data_of(target).items()
    wait_gone(world, end(world, 1))


def test_templates(world: World) -> None:
    """26, in a template: empty without a previous login."""
    old, new = Key.new(), Key.new()
    templates = {"pair": "$(previousUsername):$(previousPassword)"}
    _, target = world.synced(old, **KEPT, target={"data": templates})
    assert data_of(target)["pair"] == ":"
    _, target = rotate(world, new)
    assert data_of(target)["pair"] == f"{old.id}:{old.password(REGION)}"
    end(world, 1)
    world.wait_for("it is empty again", lambda: data_of(world.secret() or {}).get("pair") == ":")
    _, target = world.wait_synced()
    assert data_of(target) == target_data(new, REGION) | {"pair": ":"}


def test_additional_regions(world: World) -> None:
    """26, for additional regions: each has a previous password."""
    regions = ["eu-central-1", "us-east-1"]
    old, new, target = rotated(world, additionalRegions=regions)
    expected = target_data(new, REGION) | previous(old, *regions)
    for region in regions:
        expected |= additional_region(new, region)
    assert data_of(target) == expected
    wait_gone(world, end(world, 1))


def test_of_a_region_that_came_with_the_rotation(world: World) -> None:
    """26, for a region that had no password before the rotation: there is no previous one."""
    old, new = Key.new(), Key.new()
    world.synced(old, **KEPT, additionalRegions=["eu-central-1"])
    world.change_credential(additionalRegions=["us-east-1"])
    world.wait_synced()
    _, target = rotate(world, new)
    world.change_credential(additionalRegions=["us-east-1", "eu-central-1"])
    _, target = world.wait_synced()
    assert data_of(target) == (
        target_data(new, REGION)
        | additional_region(new, "us-east-1")
        | additional_region(new, "eu-central-1")
        | previous(old, "us-east-1")
    )


def test_rotated_twice(world: World) -> None:
    """26, for a second rotation before the time is over: the later login is kept, the time starts anew."""
    _, second, _ = rotated(world)
    end(world, 3600)
    world.wait_synced()
    third, began = Key.new(), datetime.now(UTC)
    credential, target = rotate(world, third)
    assert data_of(target) == target_data(third, REGION) | previous(second)
    assert target["metadata"]["annotations"][EXPIRES_AT] >= rfc3339(began + KEEP)
    assert credential["status"]["previous"]["accessKeyId"] == mask(second.id)


def test_rotated_back(world: World) -> None:
    """26, for a rotation that is taken back."""
    old, new, _ = rotated(world)
    _, target = rotate(world, old)
    assert data_of(target) == target_data(old, REGION) | previous(new)


def test_time_is_over_while_the_operator_is_down(world: World, controller: Controller) -> None:
    """26 | that time is over while the operator is down | the previous login is removed on start | event
    `PreviousExpired`"""
    _, new, _ = rotated(world)
    assert controller.stop() == 0
    moment = end(world, 1)
    world.wait_for("the time is over", passed(moment))
    assert not is_gone(world)
    controller.start()
    world.wait_for("the previous login is gone", lambda: is_gone(world))
    world.wait_event("PreviousExpired")
    assert world.events(reason="TargetRepaired") == []
    assert_nothing_left(world, new, by_hand=True)


def test_time_is_over_after_a_restart(world: World, controller: Controller) -> None:
    """26, for a time that ends under the next controller."""
    _, new, _ = rotated(world)
    assert controller.stop() == 0
    moment = end(world, 5)
    controller.start()
    controller.wait_logged("serving", what="metrics")
    assert not is_gone(world)
    wait_gone(world, moment)
    assert_nothing_left(world, new, by_hand=True)


def test_rotated_twice_while_the_operator_is_down(world: World, controller: Controller) -> None:
    """26, 30: the previous login is what the target holds, not what the source held in between."""
    first, last = Key.new(), Key.new()
    world.synced(first, **KEPT)
    assert controller.stop() == 0
    world.write_source(plain(Key.new(), region=REGION))
    world.write_source(plain(last, region=REGION))
    controller.start()
    world.wait_event("Rotated")
    _, target = world.wait_synced()
    assert data_of(target) == target_data(last, REGION) | previous(first)


@pytest.mark.parametrize("text", ["soon", "", None, "2026-13-01T00:00:00Z"])
def test_unreadable_time_is_over(world: World, text: str | None) -> None:
    """26, when nobody can tell how long: it is over."""
    _, new, target = rotated(world)
    world.change_secret(metadata={"annotations": {EXPIRES_AT: text}})
    world.wait_for("the previous login is gone", lambda: is_gone(world))
    assert_nothing_left(world, new, by_hand=text is not None)


@pytest.mark.parametrize(
    "edit",
    [{"previous-username": None}, {"previous-password": None}],
    ids=["without a user name", "without a password"],
)
def test_damaged_previous_login(world: World, edit: Object) -> None:
    """26, for a previous login that somebody damaged: it cannot be made again, so the rest of it goes."""
    _, new, _ = rotated(world)
    world.change_secret(data=edit)
    world.wait_for(
        "nothing is left of it",
        lambda: not [key for key in (world.secret() or {}).get("data", {}) if key.startswith("previous-")],
    )
    assert_nothing_left(world, new)


def test_overwritten_previous_login(world: World) -> None:
    """26, 10: ours goes; what somebody wrote in its place is theirs and stays."""
    _, new, _ = rotated(world)
    world.change_secret(data={"previous-password": encode("theirs")})
    world.wait_for("ours is gone", lambda: "previous" not in world.credential()["status"])
    _, target = world.wait_synced()
    assert data_of(target) == target_data(new, REGION) | {"previous-password": "theirs"}


def test_deleted_target(world: World) -> None:
    """26, 11: with the target its previous login is lost."""
    _, new, target = rotated(world)
    world.delete_secret()
    wait_until_changed(world, target)
    assert_nothing_left(world, new)


def test_no_longer_wanted(world: World) -> None:
    """26, when `keepPreviousFor` is removed."""
    _, new, _ = rotated(world)
    world.change_credential(keepPreviousFor=None)
    assert_nothing_left(world, new)


def test_region_changed(world: World) -> None:
    """26, 18: a password works in one region only, so with the region the previous login goes."""
    _, new, _ = rotated(world)
    world.change_credential(region="us-east-1")
    credential, target = world.wait_synced()
    assert data_of(target) == target_data(new, "us-east-1")
    assert "previous" not in credential["status"]


def test_shortened(world: World) -> None:
    """26, when `keepPreviousFor` is made shorter: that long from now at most, and never longer again."""
    old, new, _ = rotated(world)
    began = datetime.now(UTC)
    world.change_credential(keepPreviousFor="1h")
    credential, target = world.wait_synced()
    shorter = target["metadata"]["annotations"][EXPIRES_AT]
    assert (
        rfc3339(began + timedelta(minutes=59)) <= shorter <= rfc3339(datetime.now(UTC) + timedelta(hours=1))
    )
    world.change_credential(keepPreviousFor="2h")
    credential, target = world.wait_synced()
    assert data_of(target) == target_data(new, REGION) | previous(old)
    assert target["metadata"]["annotations"][EXPIRES_AT] == shorter
    assert credential["status"]["previous"]["expiresAt"] == shorter


def test_wanted_after_the_rotation(world: World) -> None:
    """26, when `keepPreviousFor` comes later: what is gone is gone, the next rotation keeps one."""
    world.synced(Key.new())
    old, new = Key.new(), Key.new()
    rotate(world, old)
    world.change_credential(**KEPT)
    assert_nothing_left(world, old)
    _, target = rotate(world, new)
    assert data_of(target) == target_data(new, REGION) | previous(old)


def test_edited_key_is_no_previous_login(world: World, controller: Controller) -> None:
    """26, 9: what somebody wrote over the password is never taken for the login before."""
    world.synced(Key.new(), **KEPT)
    assert controller.stop() == 0
    world.change_secret(data={"password": encode("changed")})
    new = Key.new()
    world.write_source(plain(new, region=REGION))
    controller.start()
    _, target = world.wait_synced()
    assert "changed" not in data_of(target).values()
    assert target_data(new, REGION).items() <= data_of(target).items()


def test_other_repairs_keep_it(world: World) -> None:
    """26, 9: a repair leaves the previous login and its time alone."""
    old, new, before = rotated(world)
    world.change_secret(data={"host": encode("elsewhere")})
    _, target = wait_until_changed(world, before)
    assert data_of(target) == target_data(new, REGION) | previous(old)
    assert target["metadata"]["annotations"][EXPIRES_AT] == before["metadata"]["annotations"][EXPIRES_AT]


def test_source_is_gone_when_the_time_is_over(world: World) -> None:
    """26, 6: without a source nothing is written, so the previous login stays until there is one again."""
    _, new, target = rotated(world)
    world.delete_secret("iam")
    world.wait_not_ready("SourceNotFound")
    moment = end(world, 1)
    world.wait_for("the time is over", passed(moment))
    world.settle()
    kept = world.secret()
    assert kept and data_of(kept) == data_of(target)
    world.write_source(plain(new, region=REGION))
    world.wait_for("the previous login is gone", lambda: is_gone(world))
    assert_nothing_left(world, new, by_hand=True)


def test_merged(world: World) -> None:
    """26, 15: in a Secret of others."""
    old, new = Key.new(), Key.new()
    annotations = {"ses-smtp.dev/allow-takeover-by": "mail"}
    theirs = {"metadata": {"name": "mail", "annotations": annotations}, "data": {"mine": encode("x")}}
    world.api.create("Secret", theirs, world.namespace)
    world.synced(old, **KEPT, target={"conflictPolicy": "Merge", "deletionPolicy": "Retain"})
    _, target = rotate(world, new)
    assert data_of(target) == target_data(new, REGION) | previous(old) | {"mine": "x"}
    wait_gone(world, end(world, 1))
    _, target = world.wait_synced()
    assert data_of(target) == target_data(new, REGION) | {"mine": "x"}
    world.settle()
    assert_untouched(target, world.secret())
