"""What the operator does in each situation.

A test's docstring begins with the row it proves: number | situation | target Secret | status and events.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pytest
from harness import (
    MANAGER,
    REGION,
    ROOT,
    Controller,
    World,
    condition,
    data_of,
    encode,
    named_version,
    version,
)
from oracle import EXAMPLE, Key, aws_env, mask, plain, target_data
from refusals import REFUSALS, TEMPORARY, Refusal

from kube import ApiException, Object

pytestmark = pytest.mark.usefixtures("controller")

OWNER_UID = "ses-smtp.dev/owner-uid"
MANAGED_BY = "app.kubernetes.io/managed-by"


def rfc3339(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def uid(thing: Object) -> str:
    return thing["metadata"]["uid"]


def assert_is_target_of(secret: Object, credential: Object) -> None:
    """Labels, annotations and owner reference are exactly these."""
    metadata, name = secret["metadata"], credential["metadata"]["name"]
    assert metadata["labels"] == {MANAGED_BY: MANAGER, OWNER_UID: uid(credential)}
    assert metadata["annotations"] == {
        "ses-smtp.dev/credential": name,
        "ses-smtp.dev/region": credential["status"]["region"],
        "ses-smtp.dev/key-since": credential["status"]["keySince"],
    }
    [owner] = metadata["ownerReferences"]
    assert owner.pop("blockOwnerDeletion", False) is False
    assert owner == {
        "apiVersion": "ses-smtp.dev/v1alpha1",
        "kind": "SesSmtpCredential",
        "name": name,
        "uid": uid(credential),
        "controller": True,
    }


def assert_untouched(before: Object | None, after: Object | None) -> None:
    assert before and after and version(before) == version(after)


# ---- 1, 2: creation ------------------------------------------------------------------------------------


def test_target_is_created(world: World) -> None:
    """1 | credential created, source there | created | Ready `Synced`; event `Synced`"""
    key, began = Key.new(), datetime.now(UTC)
    credential, target = world.synced(key)
    assert data_of(target) == target_data(key, REGION)
    assert target["type"] == "Opaque"
    assert_is_target_of(target, credential)
    assert {(entry["manager"], entry["operation"]) for entry in target["metadata"]["managedFields"]} == {
        (MANAGER, "Apply")
    }

    status, source = credential["status"], world.secret("iam")
    [ready] = status.pop("conditions")
    assert ready["observedGeneration"] == 1 and ready["message"]
    since = status.pop("keySince")
    assert rfc3339(began) <= since <= rfc3339(datetime.now(UTC))
    assert status == {
        "observedGeneration": 1,
        "accessKeyId": mask(key.id),
        "region": REGION,
        "endpoint": {"host": f"email-smtp.{REGION}.amazonaws.com", "port": 587, "tls": "StartTls"},
        "source": version(source),
        "target": named_version(target),
        "renderVersion": 1,
    }
    assert uid(credential) == world.wait_event("Synced")["regarding"]["uid"]


def test_the_documented_password_is_derived(world: World) -> None:
    """1, with the key of the AWS documentation and a password from AWS's own test suite."""
    world.write_source(plain(EXAMPLE))
    world.create_credential(region="us-east-2")
    _, target = world.wait_synced()
    assert data_of(target)["password"] == "BMPPgbAHoFVbze1Ud0oA5uNdXRwUXUZ+qOwphGJbl/cS"


def test_creation_costs_four_calls(world: World) -> None:
    """1: one read of the source, one write each of target, status and event."""
    world.synced(Key.new())
    world.wait_event("Synced")
    world.settle()
    calls = [(call.verb, call.resource, call.name.partition(".")[0]) for call in world.calls()]
    assert sorted(calls) == [
        ("create", "events", "mail"),
        ("get", "secrets", "iam"),
        ("patch", "secrets", "mail"),
        ("patch", "sessmtpcredentials/status", "mail"),
    ]


SOURCES = {
    # what: (source, spec)
    "plain names": (lambda key: plain(key, region=REGION), {}),
    "environment variables": (lambda key: aws_env(key, AWS_REGION=REGION), {}),
    "environment variables with the default region": (
        lambda key: aws_env(key, AWS_DEFAULT_REGION=REGION),
        {},
    ),
    "environment variables with the plain region": (lambda key: aws_env(key, region=REGION), {}),
    "environment variables in lower case": (
        lambda key: {"aws_access_key_id": key.id, "aws_secret_access_key": key.secret, "region": REGION},
        {},
    ),
    "the region in the spec": (plain, {"region": REGION}),
    "an empty session token": (lambda key: plain(key, sessionToken="", region=REGION), {}),
    "half of another set": (lambda key: plain(key, region=REGION, AWS_ACCESS_KEY_ID="x"), {}),
    "names of its own": (
        lambda key: {"user.id": key.id, "user.key": key.secret, "where": REGION},
        {
            "source_keys": {
                "keys": {"accessKeyId": "user.id", "secretAccessKey": "user.key", "region": "where"}
            }
        },
    ),
    "a choice between two sets": (
        lambda key: aws_env(key, region=REGION) | plain(Key.new()),
        {
            "source_keys": {
                "keys": {"accessKeyId": "AWS_ACCESS_KEY_ID", "secretAccessKey": "AWS_SECRET_ACCESS_KEY"},
            },
            "region": REGION,
        },
    ),
    "other keys beside": (lambda key: plain(key, region=REGION) | {"README": "x", "binary": b"\xff\x00"}, {}),
}


@pytest.mark.parametrize("what", SOURCES)
def test_source_is_understood(world: World, what: str) -> None:
    """1, for each form of source."""
    source, spec = SOURCES[what]
    key = Key.new()
    world.write_source(source(key))
    world.create_credential(**spec)
    _, target = world.wait_synced()
    assert data_of(target) == target_data(key, REGION)


VPC = "vpce-0a1b2c3d4e5f6a7b8-abcdefgh.email-smtp.eu-west-1.vpce.amazonaws.com"
ENDPOINTS = {
    # what: (spec.endpoint, region, expected host, port, tls)
    "nothing": ({}, REGION, "", 587, "StartTls"),
    "port 25": ({"port": 25}, REGION, "", 25, "StartTls"),
    "port 465": ({"port": 465}, REGION, "", 465, "Implicit"),
    "port 587 and StartTls": ({"port": 587, "tls": "StartTls"}, REGION, "", 587, "StartTls"),
    "port 2465 and Implicit": ({"port": 2465, "tls": "Implicit"}, REGION, "", 2465, "Implicit"),
    "port 2587": ({"port": 2587}, REGION, "", 2587, "StartTls"),
    "fips": ({"fips": True}, "us-gov-west-1", "email-smtp-fips.us-gov-west-1.amazonaws.com", 587, "StartTls"),
    "a host": ({"host": VPC}, REGION, VPC, 587, "StartTls"),
    "a host and fips off": ({"host": VPC, "fips": False}, REGION, VPC, 587, "StartTls"),
    "a host and a port": ({"host": "relay.example", "port": 8025}, REGION, "relay.example", 8025, "StartTls"),
    "a host, a port and Implicit": (
        {"host": "relay.example", "port": 8465, "tls": "Implicit"},
        REGION,
        "relay.example",
        8465,
        "Implicit",
    ),
    "a host where none is known": (
        {"host": "smtp.example.cn"},
        "cn-north-1",
        "smtp.example.cn",
        587,
        "StartTls",
    ),
}


@pytest.mark.parametrize("what", ENDPOINTS)
def test_endpoint(world: World, what: str) -> None:
    """1, for each way to name the server."""
    endpoint, region, host, port, tls = ENDPOINTS[what]
    key = Key.new()
    world.write_source(plain(key, region=region))
    world.create_credential(endpoint=endpoint)
    credential, target = world.wait_synced()
    expected = target_data(key, region, host, port, "smtps" if tls == "Implicit" else "smtp")
    assert data_of(target) == expected
    assert credential["status"]["endpoint"] == {"host": expected["host"], "port": port, "tls": tls}


@pytest.mark.parametrize("kind", ["Opaque", "kubernetes.io/basic-auth", "servicebinding.io/smtp"])
def test_target_of_a_type_and_a_name(world: World, kind: str) -> None:
    """1, with spec.target."""
    key = Key.new()
    credential, target = world.synced(key, target={"name": "login", "type": kind})
    assert target["metadata"]["name"] == "login"
    assert target["type"] == kind
    assert data_of(target) == target_data(key, REGION)
    assert_is_target_of(target, credential)
    assert world.secret("mail") is None


def test_samples_work(world: World) -> None:
    """1, with deploy/samples."""
    for sample in ("source-secret", "minimal", "all-options"):
        world.cluster.kubectl("apply", "-n", world.namespace, "-f", ROOT / f"deploy/samples/{sample}.yaml")
    _, target = world.wait_synced("shop-mail")
    assert data_of(target) == target_data(EXAMPLE, REGION)
    _, target = world.wait_synced("billing-mail")
    host = "vpce-0a1b2c3d4e5f6a7b8-abcdefgh.email-smtp.eu-west-1.vpce.amazonaws.com"
    assert data_of(target) == target_data(EXAMPLE, REGION, host, 465, "smtps")


WARNINGS = {
    # event: (source, spec, region of the password)
    "WhitespaceTrimmed": (
        lambda key: plain(Key(f"{key.id}\n", f" {key.secret}\r\n"), region=REGION),
        {},
        REGION,
    ),
    "UnusualKeyLength": (lambda key: plain(key, region=REGION), {}, REGION),
    "RegionUnknown": (lambda key: plain(key, region="eu-nowhere-7"), {}, "eu-nowhere-7"),
    "RegionDiffers": (lambda key: plain(key, region="us-east-1"), {"region": REGION}, REGION),
    "PortThrottled": (lambda key: plain(key, region=REGION), {"endpoint": {"port": 25}}, REGION),
}


@pytest.mark.parametrize("reason", WARNINGS)
def test_warning(world: World, reason: str) -> None:
    """1, with something odd: it works, and a warning says what is odd."""
    source, spec, region = WARNINGS[reason]
    key = Key.new()
    if reason == "UnusualKeyLength":
        key = Key(key.id, key.secret + "ab")
    world.write_source(source(key))
    world.create_credential(**spec)
    _, target = world.wait_synced()
    assert data_of(target)["password"] == key.password(region)
    assert data_of(target)["username"] == key.id
    assert_no_value(world.wait_event(reason), key)
    world.wait_event("Synced")
    assert {event["reason"] for event in world.events()} == {"Synced", reason}


def test_byte_order_mark_is_trimmed(world: World) -> None:
    """1, with a key that was pasted from a file of another system."""
    key = Key.new()
    world.write_source(plain(Key(key.id, "\ufeff" + key.secret), region=REGION))
    world.create_credential()
    assert data_of(world.wait_synced()[1]) == target_data(key, REGION)
    world.wait_event("WhitespaceTrimmed")


def test_source_may_come_later(world: World) -> None:
    """2 | credential created, source absent | none | Ready False `SourceNotFound`, Reconciling; in sync at
    once when the source appears"""
    key = Key.new()
    world.create_credential()
    credential = world.wait_not_ready("SourceNotFound")
    assert "iam" in condition(credential, "Ready")["message"]
    assert "target" not in credential["status"] and world.secret() is None
    world.write_source(plain(key, region=REGION))
    _, target = world.wait_synced(seconds=3)
    assert data_of(target) == target_data(key, REGION)


# ---- 3 to 8: the source --------------------------------------------------------------------------------


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


def age_target(world: World, since: str = "2026-01-02T03:04:05Z") -> None:
    """Makes the key look older than it is. The annotation is the truth, so status follows."""
    world.change_secret(metadata={"annotations": {"ses-smtp.dev/key-since": since}})
    world.wait_for("status has the new time", lambda: world.credential()["status"]["keySince"] == since)


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


def assert_no_value(thing: Object, *keys: Key) -> None:
    text = str(thing)
    for key in keys:
        for value in (key.id, "ASIA" + key.id[4:], key.secret, key.password(REGION)):
            assert value not in text
            assert encode(value) not in text


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


# ---- 9 to 13: the target -------------------------------------------------------------------------------


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


def wait_until_changed(world: World, first: Object, name: str = "mail") -> tuple[Object, Object]:
    """Once more in sync, with a target that is not the one of before."""

    def probe() -> Object | None:
        target = world.credential(name)["status"].get("target", {})
        return target if target != named_version(first) else None

    world.wait_for("status names another version of the target", probe)
    return world.wait_synced(name)


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
    """12 | labels, annotations or owner reference of the target removed | repaired, it is known by its uid
    | event `TargetRepaired`"""
    key = Key.new()
    _, first = world.synced(key)
    world.change_secret(metadata=MARKS[what])
    credential, target = wait_until_changed(world, first)
    assert uid(target) == uid(first)
    assert data_of(target) == target_data(key, REGION)
    assert_is_target_of(target, credential)
    world.wait_event("TargetRepaired")


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


def test_foreign_secret_in_place_of_a_deleted_target(world: World) -> None:
    """13, for a Secret that took the name while nobody looked."""
    key = Key.new()
    world.synced(key, target={"name": "login"})
    for _ in range(10):  # who is first after the deletion is a matter of luck
        world.delete_secret("login")
        try:
            theirs = foreign(world, "login")
        except ApiException as error:
            assert error.status == 409
            world.wait_synced()
            continue
        stalled = world.wait_not_ready("TargetConflict")
        assert "target" not in stalled["status"]
        assert_untouched(theirs, world.secret("login"))
        world.delete_secret("login")
        _, target = world.wait_synced()
        assert data_of(target) == target_data(key, REGION)


# ---- 16, 17: several credentials -----------------------------------------------------------------------


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
    credential, target = world.wait_synced("yours")
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


def test_first_write_whose_answer_was_lost(world: World, controller: Controller) -> None:
    """1, when the target was written but the operator died before it knew: it is recognised by its label,
    though somebody has annotated it since."""
    key = Key.new()
    assert controller.stop() == 0
    world.write_source(plain(key, region=REGION))
    credential = world.create_credential()
    owner = {
        "apiVersion": credential["apiVersion"],
        "kind": credential["kind"],
        "name": "mail",
        "uid": uid(credential),
    }
    body = {
        "metadata": {
            "name": "mail",
            "labels": {MANAGED_BY: MANAGER, OWNER_UID: uid(credential)},
            "annotations": {
                "ses-smtp.dev/credential": "mail",
                "ses-smtp.dev/region": REGION,
                "ses-smtp.dev/key-since": "2026-11-22T08:00:00Z",
            },
            "ownerReferences": [owner | {"controller": True}],
        },
        "data": {name: encode(value) for name, value in target_data(key, REGION).items()},
    }
    first = world.api.apply("Secret", body, world.namespace, manager=MANAGER)
    world.change_secret(metadata={"annotations": {"example.com/seen": "yes"}})
    controller.start()
    credential, target = world.wait_synced()
    assert uid(target) == uid(first)
    assert data_of(target) == target_data(key, REGION)
    assert target["metadata"]["annotations"].pop("example.com/seen") == "yes"
    assert_is_target_of(target, credential)
    world.settle()
    assert world.events(reason="TargetConflict") == []


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
    world.wait_not_ready("SourceNotFound", "a")
    world.wait_not_ready("SourceNotFound", "b")
    key = Key.new()
    seed = world.write_source(plain(key), "ring-a")  # whoever breaks the ring makes it one-way
    _, target = world.wait_synced("b")
    assert data_of(target) == target_data(key, REGION)
    world.wait_for(
        "a is stalled", lambda: condition(world.credential("a"), "Stalled").get("status") == "True"
    )
    assert condition(world.credential("a"), "Ready")["reason"] in ("SourceIsTarget", "TargetConflict")
    world.settle()
    assert_untouched(seed, world.secret("ring-a"))
    writes = world.calls(mark, writes=True)
    assert len([call for call in writes if call.resource != "events"]) <= 8, writes
    world.settle()
    assert world.calls(mark, writes=True) == writes


# ---- 18 to 30: changes, ends, restarts -----------------------------------------------------------------


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


def test_source_changed(world: World) -> None:
    """3, when the spec names another source."""
    key = Key.new()
    world.synced(Key.new())
    world.write_source(plain(key, region=REGION), "other-iam")
    world.change_credential(source={"secretName": "other-iam"})
    _, target = world.wait_synced()
    assert data_of(target) == target_data(key, REGION)
    world.wait_event("Rotated")


def test_target_goes_with_its_credential(world: World) -> None:
    """20 | credential deleted | garbage collected | –"""
    world.synced(Key.new())
    world.delete_credential()
    world.wait_for("the target is gone", lambda: world.secret() is None)
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


def test_each_repair_is_told(world: World) -> None:
    """9, several times: each repair has its event, however fast they follow each other."""
    _, target = world.synced(Key.new())
    for number in range(3):
        world.change_secret(data={"password": encode(str(number))})
        _, target = wait_until_changed(world, target)
    world.wait_for("three repairs are told", lambda: len(world.events(reason="TargetRepaired")) == 3)


# ---- 41 to 44 ------------------------------------------------------------------------------------------


def test_target_of_an_earlier_life_is_taken_back(world: World) -> None:
    """41 | target from an earlier life of the credential: ours by its labels, of the same name, its owner no
    longer there | taken back | event `Adopted`; keySince as the target says"""
    key = Key.new()
    before, first = world.synced(key)
    age_target(world)
    world.delete_credential(propagationPolicy="Orphan")
    world.wait_for(
        "the credential is gone", lambda: not world.api.get("SesSmtpCredential", "mail", world.namespace)
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


def test_quota_exceeded(world: World) -> None:
    """42 | quota exceeded, or the write denied by an admission policy | untouched | Ready False
    `QuotaExceeded` or `AdmissionDenied`, Reconciling; tried again now and then, the server's message is
    not shown"""
    key = Key.new()
    world.write_source(plain(key, region=REGION))
    quota = {"metadata": {"name": "few"}, "spec": {"hard": {"secrets": "1"}}}
    world.api.create("ResourceQuota", quota, world.namespace)
    used = {"status": {"hard": {"secrets": "1"}, "used": {"secrets": "1"}}}
    world.api.patch("ResourceQuota", "few", used, world.namespace, sub="status")
    world.wait_for("the quota is in force", lambda: is_refused(world, {}))
    world.create_credential()
    credential = world.wait_not_ready("QuotaExceeded")
    assert "few" not in str(credential["status"]), "the server's message is not passed on"
    assert world.secret() is None
    world.api.delete("ResourceQuota", "few", world.namespace)
    world.change_credential(region=REGION)
    world.wait_synced()


def is_refused(world: World, data: Object) -> str:
    """What the API server says to a Secret with this data, or nothing when it would take it."""
    try:
        probe = {"metadata": {"name": "probe"}, "data": data}
        world.api.create("Secret", probe, world.namespace, dryRun="All")
        return ""
    except ApiException as error:
        assert error.status in (403, 422)
        return error.body


@pytest.fixture
def policy(world: World) -> Iterator[Callable[..., None]]:
    """Puts an admission policy on every Secret of the world that has a password."""

    def make(reason: str, message: str) -> None:
        rules = {
            "apiGroups": [""],
            "apiVersions": ["v1"],
            "operations": ["CREATE", "UPDATE"],
            "resources": ["secrets"],
        }
        validation = {
            "expression": "!has(object.data) || !('password' in object.data)",
            "messageExpression": message,
            "reason": reason,
        }
        spec = {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [rules],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}},
            },
            "validations": [validation],
        }
        name = {"metadata": {"name": world.namespace}}
        world.api.create("ValidatingAdmissionPolicy", name | {"spec": spec})
        bound = {"policyName": world.namespace, "validationActions": ["Deny"]}
        world.api.create("ValidatingAdmissionPolicyBinding", name | {"spec": bound})
        world.wait_for("the policy is in force", lambda: is_refused(world, {"password": encode("probe")}))

    yield make
    for kind in ("ValidatingAdmissionPolicyBinding", "ValidatingAdmissionPolicy"):
        world.api.delete(kind, world.namespace)


@pytest.mark.parametrize("reason", ["Forbidden", "Invalid"])
def test_admission_denied(world: World, policy: Callable[..., None], reason: str) -> None:
    """42, for a policy's answer of either kind."""
    old, new = Key.new(), Key.new()
    _, first = world.synced(old)
    policy(reason, "'do not write this'")
    world.write_source(plain(new, region=REGION))
    credential = world.wait_not_ready("AdmissionDenied")
    assert "do not write this" not in str(credential["status"])
    assert_untouched(first, world.secret())
    assert credential["status"]["accessKeyId"] == mask(old.id), "always the id that the target holds"
    world.api.delete("ValidatingAdmissionPolicyBinding", world.namespace)
    world.wait_for("the policy is gone", lambda: not is_refused(world, {"password": encode("probe")}))
    world.change_credential(region=REGION)
    _, target = world.wait_synced()
    assert data_of(target) == target_data(new, REGION)


@pytest.fixture
def broken_webhook(world: World) -> Iterator[str]:
    """A webhook for the Secrets named shop-mail of the world that nobody answers. Yields its name."""
    rules = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["secrets"],
    }
    webhook = {
        "name": "broken.example.com",
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "failurePolicy": "Fail",
        "clientConfig": {"url": "https://127.0.0.1:1/"},
        "rules": [rules],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}},
        "matchConditions": [
            {"name": "has-a-password", "expression": "has(object.data) && 'password' in object.data"}
        ],
    }
    name = world.namespace
    world.api.create("ValidatingWebhookConfiguration", {"metadata": {"name": name}, "webhooks": [webhook]})
    yield name
    world.api.delete("ValidatingWebhookConfiguration", name)


def test_broken_webhook(world: World, controller: Controller, broken_webhook: str) -> None:
    """42 | the API server fails on writing the target, say for a webhook that is down | untouched | Ready
    False `ApiError`, Reconciling, after a second; tried again at least every 30 s"""

    def write_is_broken() -> bool:
        try:
            probe = {"metadata": {"name": "probe"}, "data": {"password": encode("probe")}}
            world.api.create("Secret", probe, world.namespace, dryRun="All")
        except ApiException as error:
            return error.status == 500
        return False

    world.wait_for("the webhook is in force", write_is_broken)
    key = Key.new()
    world.write_source(plain(key, region=REGION))
    world.create_credential()
    credential = world.wait_not_ready("ApiError")
    assert "HTTP 500" in str(credential["status"])
    world.api.delete("ValidatingWebhookConfiguration", broken_webhook)
    world.wait_for("the webhook is gone", lambda: not write_is_broken())
    _, target = world.wait_synced(seconds=60)
    assert data_of(target) == target_data(key, REGION)


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
