"""The source changes: rows 3 to 8."""

from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

import pytest
from harness import REGION, World, condition, data_of, encode, named_version, version
from oracle import (
    Key,
    SourceData,
    access_keys_csv,
    aws_env,
    create_access_key,
    credentials_file,
    crossplane,
    id_secret,
    mask,
    plain,
    target_data,
    vault,
)
from refusals import REFUSALS, TEMPORARY, Refusal
from targets import age_target, assert_is_target_of, assert_no_value, assert_untouched, rfc3339, uid

from kube import Object

pytestmark = pytest.mark.usefixtures("controller")

T = TypeVar("T")


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


def in_parallel(check: Callable[[str, T], None], cases: Mapping[str, T]) -> None:
    """Each case in its own thread; all failures together, by name."""
    with ThreadPoolExecutor(8) as pool:
        running = {
            what: pool.submit(check, f"case-{n}", case) for n, (what, case) in enumerate(cases.items())
        }
    failures = {what: str(error) for what, done in running.items() if (error := done.exception())}
    assert not failures, "\n".join(f"=== {what}\n{failure}" for what, failure in failures.items())


# Said by what comes after the source's values.
NOT_ABOUT_THE_KEY = ("EndpointUnknown",)


def assert_says(stalled: Object, refusal: Refusal) -> None:
    message = condition(stalled, "Ready")["message"]
    expected = refusal.says if refusal.reason in NOT_ABOUT_THE_KEY else ("535", *refusal.says)
    assert [word for word in expected if word not in message] == [], message


def refuse(world: World, refusals: Mapping[str, Refusal]) -> None:
    """Turns good sources into bad ones and back."""

    def check(name: str, refusal: Refusal) -> None:
        key, bad, source = Key.new(), Key.new(), f"{name}-iam"
        world.write_source(refusal.good(key), source)
        world.create_credential(name, source=source, source_keys=refusal.source)
        _, first = world.wait_synced(name, seconds=45)
        assert data_of(first) == target_data(key, REGION)
        mark = world.cluster.now()
        world.write_source(refusal.data(bad), source)
        stalled = world.wait_not_ready(refusal.reason, name, seconds=45)
        event = world.wait_event(refusal.reason, name)
        assert_says(stalled, refusal)
        assert_no_value(stalled, key, bad)
        assert_no_value(event, key, bad)
        assert_untouched(first, world.secret(name))
        assert world.calls(mark, name, "secrets", writes=True) == []
        world.write_source(refusal.good(key), source)
        _, target = world.wait_synced(name, seconds=45)
        assert_untouched(first, target)

    in_parallel(check, refusals)


def test_bad_sources_are_refused(world: World) -> None:
    """7 | source invalid | untouched | Ready False and Stalled with the reason of that mistake, and a warning
    event; clears when it is corrected"""
    refuse(world, REFUSALS)


def test_temporary_credentials_are_refused(world: World) -> None:
    """8 | temporary credentials: an id that begins `ASIA`, or a session token | untouched | Stalled
    `TemporaryCredentials`"""
    refuse(world, TEMPORARY)


def test_bad_sources_from_the_start(world: World) -> None:
    """7, for new credentials: no target is made."""

    def check(name: str, refusal: Refusal) -> None:
        bad, source = Key.new(), f"{name}-iam"
        world.write_source(refusal.data(bad), source)
        world.create_credential(name, source=source, source_keys=refusal.source)
        stalled = world.wait_not_ready(refusal.reason, name, seconds=45)
        assert_says(stalled, refusal)
        assert_no_value(stalled, bad)
        assert "target" not in stalled["status"] and world.secret(name) is None

    in_parallel(check, REFUSALS | TEMPORARY)


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


ELSEWHERE = "eu-central-1"  # the region that the sources below name


class Good(NamedTuple):
    source: dict[str, Any]  # spec.source, next to the name
    data: Callable[[Key], SourceData]


def also(*presets: str, data: Callable[[Key], SourceData]) -> dict[str, Good]:
    """The same source with each of these presets, and with none."""
    return {
        preset or "no preset": Good({"preset": preset} if preset else {}, data) for preset in ("", *presets)
    }


def shapes(what: str, *presets: str, data: Callable[[Key], SourceData]) -> dict[str, Good]:
    return {f"{what}, {how}": good for how, good in also(*presets, data=data).items()}


GOOD = {
    **shapes("plain", "Auto", "Plain", data=lambda key: plain(key, region=ELSEWHERE)),
    **shapes("environment", "AwsEnv", data=lambda key: aws_env(key, AWS_REGION=ELSEWHERE)),
    **shapes(
        "environment in lower case",
        "AwsEnv",
        data=lambda key: (
            {name.lower(): value for name, value in aws_env(key).items()} | {"region": ELSEWHERE}
        ),
    ),
    **shapes("Crossplane", "Crossplane", data=lambda key: crossplane(key, region=ELSEWHERE)),
    **shapes("Vault", "Vault", data=lambda key: vault(key, region=ELSEWHERE)),
    **shapes("id and secret", "IdSecret", data=lambda key: id_secret(key, region=ELSEWHERE)),
    **shapes(
        "a credentials file",
        "AwsCredentialsFile",
        data=lambda key: {"credentials": credentials_file(key, region=ELSEWHERE)},
    ),
    **shapes("JSON", "AwsJson", data=lambda key: {"key.json": create_access_key(key, Region=ELSEWHERE)}),
    **shapes(
        "the console's file",
        "AccessKeysCsv",
        data=lambda key: {"ses_accessKeys.csv": access_keys_csv(key), "region": ELSEWHERE},
    ),
    **shapes(
        "as OpenShift mints it: the same key twice",
        "AwsEnv",
        "AwsCredentialsFile",
        data=lambda key: {
            "aws_access_key_id": key.id,
            "aws_secret_access_key": key.secret,
            "credentials": credentials_file(key),
            "region": ELSEWHERE,
        },
    ),
    "a profile": Good(
        {"preset": "AwsCredentialsFile", "profile": "shop"},
        lambda key: {
            "cloud": credentials_file(Key.new()) + credentials_file(key, "shop", region=ELSEWHERE),
        },
    ),
    "a profile with no preset": Good(
        {"profile": "shop"}, lambda key: {"creds": credentials_file(key, "shop", region=ELSEWHERE)}
    ),
    "a document of a name of its own": Good(
        {"preset": "AwsCredentialsFile", "keys": {"file": "aws.ini"}},
        lambda key: {
            "aws.ini": credentials_file(key, region=ELSEWHERE),
            "credentials": credentials_file(Key.new(), region=REGION),
        },
    ),
    "a preset where there are two keys": Good(
        {"preset": "Vault"}, lambda key: vault(key, region=ELSEWHERE) | crossplane(Key.new())
    ),
    "names instead of the preset's": Good(
        {"preset": "Crossplane", "keys": {"secretAccessKey": "attribute.secret", "region": "where"}},
        lambda key: (
            crossplane(Key(key.id, "another"), where=ELSEWHERE, region=REGION)
            | {"attribute.secret": key.secret}
        ),
    ),
    "an id without AKIA, with a preset": Good(
        {"preset": "Plain"},
        lambda key: plain(key, region=ELSEWHERE) | {"accessKeyId": "vendor_" + key.id[4:]},
    ),
}


def test_every_preset(world: World) -> None:
    """1, for each shape in which people have keys."""

    def check(name: str, good: Good) -> None:
        key, source = Key.new(), f"{name}-iam"
        data = good.data(key)
        world.write_source(data, source)
        world.create_credential(name, source=source, source_keys=good.source)
        credential, target = world.wait_synced(name, seconds=45)
        login = Key(str(data.get("accessKeyId", key.id)), key.secret)
        assert data_of(target) == target_data(login, ELSEWHERE)
        assert credential["status"]["accessKeyId"] == mask(login.id)

    in_parallel(check, GOOD)


def test_preset_changed(world: World) -> None:
    """3, when the spec takes another key from the same source."""
    mine, other = Key.new(), Key.new()
    world.write_source(crossplane(mine) | vault(other, region=REGION))
    world.create_credential()
    world.wait_not_ready("SourceKeysAmbiguous")
    for preset, key in (("Crossplane", mine), ("Vault", other)):
        world.change_credential(source={"preset": preset})
        _, target = world.wait_synced()
        assert data_of(target) == target_data(key, REGION)
