"""A credential is created: rows 1 and 2.

A docstring that begins with a number is a row of docs/behaviour.md: number | situation | target Secret |
status and events. "5: …" or "5, …" is one more test of row 5.
"""

from datetime import UTC, datetime

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
from oracle import EXAMPLE, Key, additional_region, aws_env, mask, plain, target_data
from targets import MANAGED_BY, OWNER_UID, assert_is_target_of, assert_no_value, rfc3339, uid

pytestmark = pytest.mark.usefixtures("controller")


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
    assert data_of(target) == (
        target_data(EXAMPLE, REGION, host, 465, "smtps")
        | additional_region(EXAMPLE, "eu-central-1", 465, "smtps")
        | {"sasl_passwd": f"[{host}]:465 {EXAMPLE.id}:{EXAMPLE.password(REGION)}"}
    )
    _, target = world.wait_synced("billing-mail-from-file")
    assert data_of(target) == target_data(EXAMPLE, REGION)


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
