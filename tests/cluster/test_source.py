"""The source changes: rows 3 to 8."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from harness import REGION, World, condition, data_of, encode, named_version, version
from oracle import Key, SourceData, mask, plain, target_data
from refusals import REFUSALS, TEMPORARY, Refusal
from targets import age_target, assert_is_target_of, assert_no_value, assert_untouched, rfc3339, uid

from kube import Object

pytestmark = pytest.mark.usefixtures("controller")


def test_rotation(world: World) -> None:
    """3 | source rotated (id and secret) | all keys replaced in one write | event `Rotated`; lastRotationTime
    and keySince are now"""
    rotate(world, Key.new(), Key.new())


def test_rotation_of_the_secret_alone(world: World) -> None:
    """4 | only the secret changed, same id | replaced | event `Rotated`; lastRotationTime and keySince
    are now"""
    key = Key.new()
    rotate(world, key, Key(key.id, Key.new().secret))


def rotate(world: World, old: Key, new: Key) -> None:
    before, first = world.synced(old)
    age_target(world)
    mark, began = world.cluster.now(), datetime.now(UTC)
    world.write_source(plain(new, region=REGION))
    credential, target = world.wait_synced()
    assert data_of(target) == target_data(new, REGION)
    assert uid(target) == uid(first)
    world.wait_event("Rotated")
    assert [call.verb for call in world.calls(mark, "mail", "secrets", writes=True)] == ["patch"]
    status = credential["status"]
    assert status["accessKeyId"] == mask(new.id)
    assert rfc3339(began) <= status["lastRotationTime"] == status["keySince"] <= rfc3339(datetime.now(UTC))
    assert_is_target_of(target, credential)
    transition = condition(before, "Ready")["lastTransitionTime"]
    assert condition(credential, "Ready")["lastTransitionTime"] == transition, "it was ready all the time"


READ_SOURCE = READ_TARGET = ("get", "secrets")
WRITE_TARGET, WRITE_STATUS = ("patch", "secrets"), ("patch", "sessmtpcredentials/status")


@pytest.mark.parametrize(
    "change, costs",
    [
        (lambda key: plain(Key.new(), region=REGION), [READ_SOURCE, WRITE_TARGET, WRITE_STATUS]),
        # The masked id in status is the same: only the target can tell.
        (
            lambda key: plain(Key(key.id, Key.new().secret), region=REGION),
            [READ_SOURCE, READ_TARGET, WRITE_TARGET, WRITE_STATUS],
        ),
        (lambda key: plain(key, region=REGION, note="new"), [READ_SOURCE, READ_TARGET, WRITE_STATUS]),
    ],
    ids=["another key", "another secret of the same id", "another note"],
)
def test_what_a_change_of_the_source_costs(
    world: World, change: Callable[[Key], SourceData], costs: list[tuple[str, str]]
) -> None:
    """3, 4, 5: no call more than it takes."""
    key = Key.new()
    world.synced(key)
    world.wait_event("Synced")
    world.settle()
    mark = world.cluster.now()
    world.write_source(change(key))
    world.wait_synced()
    world.settle()
    assert world.counted_calls(mark) == Counter(costs)


def test_touched_source_changes_nothing(world: World) -> None:
    """5 | metadata of the source touched, data the same | untouched | only source.resourceVersion, at most
    once in 10 s"""
    before, first = world.synced(Key.new())
    world.wait_event("Synced")
    mark = world.cluster.now()
    for number in range(5):
        source = world.change_secret("iam", metadata={"labels": {"touched": str(number)}})
        world.settle()
    after, target = world.wait_synced(seconds=20)
    assert_untouched(first, target)
    assert after["status"] == before["status"] | {"source": version(source)}
    writes = world.calls(mark, writes=True)
    assert {call.resource for call in writes} == {"sessmtpcredentials/status"}
    assert len(writes) <= 2


def test_source_of_an_excluded_type(world: World) -> None:
    """2, for a Secret in which Helm keeps a release: those are never looked at, and the message says so."""
    kind = "helm.sh/release.v1"
    data = {field: encode(value) for field, value in plain(Key.new(), region=REGION).items()}
    world.api.create("Secret", {"metadata": {"name": "iam"}, "type": kind, "data": data}, world.namespace)
    world.create_credential()
    message = condition(world.wait_not_ready("SourceNotFound"), "Ready")["message"]
    assert kind in message and "iam" in message
    assert world.secret() is None


def test_target_outlives_its_source(world: World) -> None:
    """6 | source deleted | untouched | Ready False `SourceNotFound`, Reconciling"""
    key = Key.new()
    _, first = world.synced(key)
    world.delete_secret("iam")
    credential = world.wait_not_ready("SourceNotFound")
    assert credential["status"]["target"] == named_version(first)
    world.write_source(plain(key, region=REGION))
    _, target = world.wait_synced()
    assert_untouched(first, target)


def refuse(world: World, refusal: Refusal, credential: Callable[[], Any] = lambda: None) -> Object:
    """Turns a good source into a bad one and back. Returns the credential as it was in between."""
    key, bad = Key.new(), Key.new()
    _, first = world.synced(key)
    mark = world.cluster.now()
    world.write_source(refusal.data(bad))
    stalled = world.wait_not_ready(refusal.reason)
    event = world.wait_event(refusal.reason)
    message = condition(stalled, "Ready")["message"]
    assert [word for word in refusal.says if word not in message] == [], message
    assert_no_value(stalled, key, bad)
    assert_no_value(event, key, bad)
    assert_untouched(first, world.secret())
    assert world.calls(mark, "mail", "secrets", writes=True) == []
    world.write_source(plain(key, region=REGION))
    _, target = world.wait_synced()
    assert_untouched(first, target)
    return stalled


@pytest.mark.parametrize("what", REFUSALS)
def test_bad_source_is_refused(world: World, what: str) -> None:
    """7 | source invalid | untouched | Ready False and Stalled with the reason of that mistake, and a warning
    event; clears when it is corrected"""
    refuse(world, REFUSALS[what])


@pytest.mark.parametrize("what", TEMPORARY)
def test_temporary_credentials_are_refused(world: World, what: str) -> None:
    """8 | temporary credentials: an id that begins `ASIA`, or a session token | untouched | Stalled
    `TemporaryCredentials`"""
    refuse(world, TEMPORARY[what])


@pytest.mark.parametrize("what", REFUSALS)
def test_bad_source_from_the_start(world: World, what: str) -> None:
    """7, for a new credential: no target is made."""
    refusal, bad = REFUSALS[what], Key.new()
    world.write_source(refusal.data(bad))
    world.create_credential()
    stalled = world.wait_not_ready(refusal.reason)
    assert_no_value(stalled, bad)
    assert "target" not in stalled["status"] and world.secret() is None


def test_named_keys_that_are_absent(world: World) -> None:
    """7, with spec.source.keys that the source does not have, though it has others."""
    world.write_source(plain(Key.new(), region=REGION))
    world.create_credential(source_keys={"keys": {"accessKeyId": "theId", "secretAccessKey": "theSecret"}})
    message = condition(world.wait_not_ready("SourceKeysNotFound"), "Ready")["message"]
    assert "theId" in message and "theSecret" in message
    world.change_credential(source={"keys": None})
    world.wait_synced()


def test_named_session_token(world: World) -> None:
    """8, with a token under a name of its own."""
    world.write_source(plain(Key.new(), region=REGION, token="IQoJb3JpZ2luX2VjEXAMPLE"))
    world.create_credential(source_keys={"keys": {"sessionToken": "token"}})
    message = condition(world.wait_not_ready("TemporaryCredentials"), "Ready")["message"]
    assert "token" in message and "IQoJb3" not in message


def test_source_changed(world: World) -> None:
    """3, when the spec names another source."""
    key = Key.new()
    world.synced(Key.new())
    world.write_source(plain(key, region=REGION), "other-iam")
    world.change_credential(source={"secretName": "other-iam"})
    _, target = world.wait_synced()
    assert data_of(target) == target_data(key, REGION)
    world.wait_event("Rotated")
