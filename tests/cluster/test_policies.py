"""What a credential does to Secrets that are not its own, and what it leaves: rows 14, 15, 17, 21, 22, 25."""

from collections.abc import Iterable
from typing import Any

import pytest
from harness import (
    GARBAGE_SECONDS,
    MANAGER,
    REGION,
    Controller,
    World,
    condition,
    data_of,
    encode,
    named_version,
)
from oracle import Key, additional_region, plain, target_data
from targets import (
    MANAGED_BY,
    OWNER_UID,
    assert_is_target_of,
    assert_no_value,
    assert_rests,
    assert_untouched,
    uid,
    wait_until_changed,
)

from kube import Object

pytestmark = pytest.mark.usefixtures("controller")

CONSENT = "ses-smtp.dev/allow-takeover-by"
ADOPT = {"conflictPolicy": "Adopt"}
MERGE = {"conflictPolicy": "Merge", "deletionPolicy": "Retain"}
POLICIES = [ADOPT, MERGE]
THEIRS = {"DATABASE_URL": "postgres://db", "password": "not yours"}


def app_secret(world: World, consent: str = "mail", name: str = "mail", **fields: Any) -> Object:
    """A Secret that somebody else made, with or without consent to a credential of that name."""
    metadata = {"name": name, "labels": {"app": "shop"}, "annotations": {"note": "ours"}}
    metadata["annotations"] |= {CONSENT: consent} if consent else {}
    body = {
        "metadata": metadata | fields.pop("metadata", {}),
        "data": {key: encode(value) for key, value in THEIRS.items()},
    }
    return world.api.create("Secret", body | fields, world.namespace)


def consent(world: World, to: str | None, name: str = "mail") -> Object:
    return world.change_secret(name, metadata={"annotations": {CONSENT: to}})


def start(world: World, key: Key, **spec: Any) -> None:
    world.write_source(plain(key, region=REGION))
    world.create_credential(**spec)


def assert_conflict(world: World, before: Object, name: str = "mail") -> str:
    """Stalled, the Secret is as it was; returns the message."""
    stalled = world.wait_not_ready("TargetConflict", name)
    assert "target" not in stalled["status"]
    world.settle()
    assert_untouched(before, world.secret(before["metadata"]["name"]))
    return condition(stalled, "Ready")["message"]


# ---- consent -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy["conflictPolicy"])
@pytest.mark.parametrize("to", ["", "other", "mail2", "*"])
def test_without_consent(world: World, policy: Object, to: str) -> None:
    """14, 15, without consent, or with consent to another."""
    key = Key.new()
    theirs = app_secret(world, consent=to)
    start(world, key, target=policy)
    message = assert_conflict(world, theirs)
    line = f"kubectl annotate secret mail -n {world.namespace} {CONSENT}=mail" + (
        " --overwrite" if to else ""
    )
    words = message.replace(f"--namespace {world.namespace}", f"-n {world.namespace}").split()
    assert all(word in words for word in line.split()), message
    assert_no_value(world.wait_event("TargetConflict"), key)


def test_the_line_in_the_message_gives_consent(world: World) -> None:
    """14, as a person would go on: the line is copied out of the message."""
    app_secret(world, consent="other")
    start(world, Key.new(), target=ADOPT)
    message = condition(world.wait_not_ready("TargetConflict"), "Ready")["message"]
    line = message[message.index("kubectl annotate") :].split(";")[0].rstrip(".")
    world.cluster.kubectl(*line.replace("`", "").replace("'", "").split()[1:])
    world.wait_synced()


def test_fail_heeds_no_consent(world: World) -> None:
    """13, for policy Fail: consent alone changes nothing."""
    theirs = app_secret(world)
    start(world, Key.new())
    assert_conflict(world, theirs)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy["conflictPolicy"])
def test_consent_comes_later(world: World, policy: Object) -> None:
    """14, 15: at once, by the annotation alone."""
    key = Key.new()
    app_secret(world, consent="")
    start(world, key, target=policy)
    world.wait_not_ready("TargetConflict")
    consent(world, "mail")
    _, target = world.wait_synced()
    assert data_of(target) == THEIRS | target_data(key, REGION)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy["conflictPolicy"])
def test_secret_with_another_controller(world: World, policy: Object) -> None:
    """14, 15, for a Secret that another controller looks after: never, whatever the consent."""
    owner = world.api.create("ConfigMap", {"metadata": {"name": "owner"}}, world.namespace)
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid(owner)}
    theirs = app_secret(world, metadata={"ownerReferences": [reference | {"controller": True}]})
    start(world, Key.new(), target=policy)
    message = assert_conflict(world, theirs)
    assert "ConfigMap" in message and "owner" in message


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy["conflictPolicy"])
def test_secret_with_an_owner_that_is_no_controller(world: World, policy: Object) -> None:
    """14, 15, for a Secret that somebody owns without looking after it."""
    key = Key.new()
    owner = world.api.create("ConfigMap", {"metadata": {"name": "owner"}}, world.namespace)
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid(owner)}
    app_secret(world, metadata={"ownerReferences": [reference]})
    start(world, key, target=policy)
    _, target = world.wait_synced()
    assert data_of(target) == THEIRS | target_data(key, REGION)
    assert reference in [
        {field: one[field] for field in reference} for one in target["metadata"]["ownerReferences"]
    ]


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy["conflictPolicy"])
def test_immutable_secret(world: World, policy: Object) -> None:
    """14, 15, for a Secret that cannot be changed."""
    theirs = app_secret(world, immutable=True)
    start(world, Key.new(), target=policy)
    stalled = world.wait_not_ready("TargetConflict" if policy == ADOPT else "TargetImmutable")
    assert "immutable" in condition(stalled, "Ready")["message"]
    assert "target" not in stalled["status"]
    world.settle()
    assert_untouched(theirs, world.secret())


# ---- Adopt ---------------------------------------------------------------------------------------------


def test_adopt(world: World) -> None:
    """14 | a Secret of another has the target's name, `conflictPolicy: Adopt`, and its annotation
    `ses-smtp.dev/allow-takeover-by` names the credential | taken over: our keys, labels and owner reference;
    keys of others stay | event `Adopted`; without the annotation Stalled `TargetConflict`, whose message has
    the line that sets it"""
    key, new = Key.new(), Key.new()
    theirs = app_secret(world)
    start(world, key, target=ADOPT)
    credential, target = world.wait_synced()
    assert uid(target) == uid(theirs)
    assert data_of(target) == THEIRS | target_data(key, REGION)
    metadata = target["metadata"]
    assert metadata["labels"] == {"app": "shop", MANAGED_BY: MANAGER, OWNER_UID: uid(credential)}
    [owner] = metadata["ownerReferences"]
    assert (owner["uid"], owner["controller"]) == (uid(credential), True)
    assert "merged" not in credential["status"]["target"]
    world.wait_event("Adopted")
    consent(world, None)  # it is ours by now
    world.write_source(plain(new, region=REGION))
    world.wait_event("Rotated")
    _, target = world.wait_synced()
    assert data_of(target) == THEIRS | target_data(new, REGION)
    world.delete_credential()
    world.wait_for("the target is gone", lambda: world.secret() is None, GARBAGE_SECONDS)


def test_adopt_finds_nothing(world: World) -> None:
    """1, with Adopt: where there is nothing to adopt the target is created."""
    credential, target = world.synced(Key.new(), target=ADOPT)
    assert_is_target_of(target, credential)


def test_adopt_and_retain(world: World) -> None:
    """14, with Retain: the Secret is taken over without an owner reference."""
    app_secret(world)
    start(world, Key.new(), target=ADOPT | {"deletionPolicy": "Retain"})
    credential, target = world.wait_synced()
    assert target["metadata"]["labels"][OWNER_UID] == uid(credential)
    assert "ownerReferences" not in target["metadata"]


def test_adopt_with_another_type(world: World) -> None:
    """14, for a Secret of another type, which is fixed."""
    theirs = app_secret(world)
    start(world, Key.new(), target=ADOPT | {"type": "kubernetes.io/basic-auth"})
    world.wait_not_ready("TargetTypeImmutable")
    world.settle()
    assert_untouched(theirs, world.secret())


# ---- Merge ---------------------------------------------------------------------------------------------


def assert_merged(world: World, target: Object, *, annotations: Iterable[str] = ()) -> None:
    """All that is not data is as its owner made it, but for the annotations named."""
    metadata = target["metadata"]
    assert metadata["labels"] == {"app": "shop"}
    assert "ownerReferences" not in metadata
    assert set(metadata["annotations"]) == {"note", CONSENT, "ses-smtp.dev/key-since", *annotations}
    status = world.credential()["status"]
    assert status["target"] == named_version(target) | {"merged": True}
    assert metadata["annotations"]["ses-smtp.dev/key-since"] == status["keySince"]


def test_merge(world: World) -> None:
    """15 | a Secret of another has the target's name, `conflictPolicy: Merge`, and its annotation
    `ses-smtp.dev/allow-takeover-by` names the credential | our keys are written into it, nothing else of it
    is touched; they stay when the credential goes | Ready `Synced`"""
    key, new = Key.new(), Key.new()
    theirs = app_secret(world)
    start(world, key, target=MERGE)
    _, target = world.wait_synced()
    assert uid(target) == uid(theirs)
    assert data_of(target) == THEIRS | target_data(key, REGION)
    assert_merged(world, target)
    assert world.events(reason="Adopted") == []
    world.write_source(plain(new, region=REGION))
    world.wait_event("Rotated")
    _, target = world.wait_synced()
    assert data_of(target) == THEIRS | target_data(new, REGION)
    assert_merged(world, target)
    world.delete_credential()
    world.settle()
    assert_untouched(target, world.secret())


def test_merge_writes_nothing_for_nothing(world: World, controller: Controller) -> None:
    """29, with Merge: neither the next look nor a restart writes."""
    app_secret(world)
    start(world, Key.new(), target=MERGE)
    world.wait_synced()
    world.wait_event("Synced")
    assert_rests(world, controller)


def test_merge_repairs_our_keys_only(world: World) -> None:
    """9, 10, with Merge."""
    key = Key.new()
    app_secret(world)
    start(world, key, target=MERGE)
    _, first = world.wait_synced()
    world.change_secret(data={"host": encode("elsewhere"), "DATABASE_URL": encode("postgres://new")})
    _, target = wait_until_changed(world, first)
    assert data_of(target) == target_data(key, REGION) | {"DATABASE_URL": "postgres://new"}
    assert "host" in world.wait_event("TargetRepaired")["note"]
    assert_merged(world, target)


def test_merge_waits_for_the_secret(world: World) -> None:
    """15 | there is no Secret of the target's name, `conflictPolicy: Merge` | none | Ready False
    `TargetNotFound`, Reconciling; merged at once when it appears"""
    key = Key.new()
    start(world, key, target=MERGE)
    world.wait_not_ready("TargetNotFound")
    world.settle()
    assert world.secret() is None
    app_secret(world)
    _, target = world.wait_synced()
    assert data_of(target) == THEIRS | target_data(key, REGION)
    world.delete_secret()
    credential = world.wait_not_ready("TargetNotFound")
    assert "target" not in credential["status"]
    world.settle()
    assert world.secret() is None
    app_secret(world)
    _, target = world.wait_synced()
    assert data_of(target) == THEIRS | target_data(key, REGION)


def test_consent_to_merge_is_withdrawn(world: World) -> None:
    """15 | the annotation that allows a merge is removed | our keys stay as they are | Stalled
    `TargetConflict`; goes on when it is back"""
    old, new = Key.new(), Key.new()
    app_secret(world)
    start(world, old, target=MERGE)
    world.wait_synced()
    withdrawn = consent(world, None)
    assert_conflict(world, withdrawn)
    world.write_source(plain(new, region=REGION))
    assert_conflict(world, withdrawn)
    assert data_of(withdrawn) == THEIRS | target_data(old, REGION)
    consent(world, "mail")
    _, target = world.wait_synced()
    assert data_of(target) == THEIRS | target_data(new, REGION)
    assert_merged(world, target)


def test_consent_withdrawn_while_the_operator_is_down(world: World, controller: Controller) -> None:
    """15, for consent and source that changed while nobody looked: the source is not followed."""
    app_secret(world)
    start(world, Key.new(), target=MERGE)
    world.wait_synced()
    assert controller.stop() == 0
    withdrawn = consent(world, None)
    world.write_source(plain(Key.new(), region=REGION))
    controller.start()
    assert_conflict(world, withdrawn)


def test_another_credential_merges_after_the_first(world: World) -> None:
    """15: what a credential that went has left behind makes room for the next one's keys."""
    app_secret(world)
    start(world, Key.new(), target=MERGE)
    _, first = world.wait_synced()
    world.delete_credential()
    world.settle()
    assert_untouched(first, world.secret())
    key = Key.new()
    world.write_source(plain(key, region=REGION))
    world.create_credential(
        "next", target={"name": "mail", "format": "None", "data": {"SMTP_PASSWORD": "$(password)"}} | MERGE
    )
    assert_conflict(world, first, "next")
    consent(world, "next")
    _, target = world.wait_synced("next")
    assert data_of(target) == {
        "DATABASE_URL": THEIRS["DATABASE_URL"],
        "SMTP_PASSWORD": key.password(REGION),
    }, "password was taken over from its owner, and goes with us"


def test_two_credentials_merge_into_one_secret(world: World) -> None:
    """16, with Merge: consent decides, and consent to one is none to the other."""
    mine, yours = Key.new(), Key.new()
    app_secret(world, consent="mine", name="login")
    for name, key in (("mine", mine), ("yours", yours)):
        world.write_source(plain(key, region=REGION), f"{name}-iam")
        world.create_credential(name, source=f"{name}-iam", target={"name": "login"} | MERGE)
    world.wait_not_ready("TargetConflict", "yours")
    _, target = world.wait_synced("mine")
    world.settle()
    assert_untouched(target, world.secret("login"))
    assert data_of(target) == THEIRS | target_data(mine, REGION)


# ---- a source that is written --------------------------------------------------------------------------


def test_source_that_another_merges_into(world: World) -> None:
    """17, for a source that another credential merges into with consent."""
    app_secret(world, consent="mail", name="shared")
    start(world, Key.new(), target={"name": "shared"} | MERGE)
    world.wait_synced()
    world.create_credential("next", source="shared", region=REGION)
    message = condition(world.wait_not_ready("SourceIsTarget", "next"), "Ready")["message"]
    assert "mail" in message
    world.settle()
    assert world.secret("next") is None


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy["conflictPolicy"])
def test_naming_a_source_without_consent_stops_nobody(world: World, policy: Object) -> None:
    """17, the other way round: whoever names another's source as a target stops nobody."""
    key = Key.new()
    _, target = world.synced(key)
    world.write_source(plain(Key.new(), region=REGION), "other-iam")
    world.create_credential("rude", source="other-iam", target={"name": "iam"} | policy)
    world.wait_not_ready("TargetConflict", "rude")
    world.settle()
    world.wait_synced("mail")
    assert_untouched(target, world.secret())


@pytest.mark.parametrize("policy", POLICIES, ids=lambda policy: policy["conflictPolicy"])
def test_ring_of_two_with_consent(world: World, policy: Object) -> None:
    """17 | two credentials, each of which has the other's target as its source, both allowed | at most one
    write each | settles with a bounded number of writes, whatever their templates make of it"""
    mark = world.cluster.now()
    # Each would take what the other writes for an IAM key, and every turn would give another password.
    turn = {
        "format": "None",
        "data": {"accessKeyId": "$(username)", "secretAccessKey": "$(password|base64)"},
    } | policy
    for name, other in (("a", "b"), ("b", "a")):
        app_secret(world, consent=name, name=f"ring-{name}")
        world.create_credential(
            name, source=f"ring-{other}", target={"name": f"ring-{name}"} | turn, region=REGION
        )
    for name in ("ring-a", "ring-b"):
        world.change_secret(name, data={key: encode(value) for key, value in plain(Key.new()).items()})

    def stalled() -> bool:
        found = [condition(world.credential(name), "Stalled").get("reason") for name in ("a", "b")]
        return "SourceIsTarget" in found

    world.wait_for("the ring is noticed", stalled)
    world.settle()
    tried = world.calls(mark, resource="secrets", writes=True)
    writes = [
        call for call in tried if call.code != 409
    ]  # one that came between reading and writing wrote nothing
    assert len(writes) <= 2, tried
    everything = world.calls(mark, writes=True)
    assert len([call for call in everything if call.resource != "events"]) <= 12, everything
    world.settle()
    assert world.calls(mark, writes=True) == everything


# ---- what stays ----------------------------------------------------------------------------------------


def test_retained_target_stays(world: World) -> None:
    """21 | credential deleted, `deletionPolicy: Retain` | stays as it is | –"""
    world.write_source(plain(Key.new(), region=REGION))
    world.create_credential(target={"deletionPolicy": "Retain"})
    world.create_credential("goes")
    credential, target = world.wait_synced()
    world.wait_synced("goes")
    assert "ownerReferences" not in target["metadata"]
    assert target["metadata"]["labels"] == {MANAGED_BY: MANAGER, OWNER_UID: uid(credential)}
    world.delete_credential()
    world.delete_credential("goes")
    world.wait_for("the other is collected", lambda: world.secret("goes") is None, GARBAGE_SECONDS)
    world.settle()
    assert_untouched(target, world.secret())


def test_retained_target_is_taken_back(world: World) -> None:
    """41, for a target that was retained, whatever the policy of its next life."""
    old, new = Key.new(), Key.new()
    _, first = world.synced(old, target={"deletionPolicy": "Retain"})
    for policy in ({}, {"deletionPolicy": "Retain"}, ADOPT):
        world.delete_credential()
        world.settle()
        world.write_source(plain(new, region=REGION))
        world.create_credential(target=policy)
        credential, target = world.wait_synced()
        assert uid(target) == uid(first)
        assert data_of(target) == target_data(new, REGION)
        assert target["metadata"]["labels"][OWNER_UID] == uid(credential)
        if policy == {}:
            world.change_credential(target={"deletionPolicy": "Retain"})
            world.wait_synced()
    world.wait_event("Adopted")


def test_deletion_policy_is_flipped(world: World) -> None:
    """22 | `deletionPolicy` changed | owner reference removed, or added | –"""
    key = Key.new()
    _, first = world.synced(key)
    world.change_credential(target={"deletionPolicy": "Retain"})
    credential, target = world.wait_synced()
    assert uid(target) == uid(first) and data_of(target) == target_data(key, REGION)
    assert "ownerReferences" not in target["metadata"]
    world.change_credential(target={"deletionPolicy": "Delete"})
    credential, target = world.wait_synced()
    assert uid(target) == uid(first)
    assert_is_target_of(target, credential)
    world.delete_credential()
    world.wait_for("the target is gone", lambda: world.secret() is None, GARBAGE_SECONDS)


def test_flip_to_retain_just_before_the_end(world: World) -> None:
    """22, once status says that the new policy is in force."""
    world.synced(Key.new())
    world.write_source(plain(Key.new(), region=REGION))
    world.create_credential("goes")
    world.wait_synced("goes")
    world.change_credential(target={"deletionPolicy": "Retain"})
    _, target = world.wait_synced()
    world.delete_credential()
    world.delete_credential("goes")
    world.wait_for("the other is collected", lambda: world.secret("goes") is None, GARBAGE_SECONDS)
    assert_untouched(target, world.secret())


def test_merge_becomes_ownership(world: World) -> None:
    """14, 15, for a policy that is changed from Merge to Adopt and back to Fail."""
    key = Key.new()
    app_secret(world)
    start(world, key, target=MERGE)
    world.wait_synced()
    world.change_credential(target={"conflictPolicy": "Adopt", "deletionPolicy": None})
    credential, target = world.wait_synced()
    assert target["metadata"]["labels"][OWNER_UID] == uid(credential)
    assert "merged" not in credential["status"]["target"]
    assert data_of(target) == THEIRS | target_data(key, REGION)
    world.wait_event("Adopted")
    world.change_credential(target={"conflictPolicy": None})
    _, target = world.wait_synced()
    assert data_of(target) == THEIRS | target_data(key, REGION)


# ---- labels and annotations ----------------------------------------------------------------------------


def test_labels_and_annotations(world: World) -> None:
    """25 | `target.labels` or `target.annotations` changed | ours follow the spec, those of others stay
    | –"""
    own = {
        "labels": {"team": "shop", "example.com/tier": "back"},
        "annotations": {"reloader.stakater.com/match": "true", "text": "$(password)"},
    }
    credential, target = world.synced(Key.new(), target=own)
    for where, expected in own.items():
        assert expected.items() <= target["metadata"][where].items(), "literal text, no template"
    world.change_secret(metadata={"labels": {"others": "x"}, "annotations": {"others": "y"}})
    world.change_credential(
        target={"labels": {"team": "mail", "example.com/tier": None}, "annotations": None}
    )
    credential, target = world.wait_synced()
    metadata = target["metadata"]
    assert metadata["labels"] == {
        MANAGED_BY: MANAGER,
        OWNER_UID: uid(credential),
        "team": "mail",
        "others": "x",
    }
    assert {name for name in metadata["annotations"] if "/" not in name or "reloader" in name} == {"others"}


def test_labels_and_annotations_are_repaired(world: World) -> None:
    """12, for those of the spec."""
    own = {"labels": {"team": "shop"}, "annotations": {"note": "mine"}}
    _, first = world.synced(Key.new(), target=own)
    world.change_secret(metadata={"labels": {"team": "other"}, "annotations": {"note": None}})
    _, target = wait_until_changed(world, first)
    assert target["metadata"]["labels"]["team"] == "shop"
    assert target["metadata"]["annotations"]["note"] == "mine"
    world.wait_event("TargetRepaired")


def test_nothing_is_copied_from_the_credential(world: World) -> None:
    """1: labels and annotations of the credential stay where they are."""
    _, first = world.synced(Key.new())
    own = {"labels": {"team": "shop"}, "annotations": {"note": "mine"}}
    world.api.patch("SesSmtpCredential", "mail", {"metadata": own}, world.namespace)
    world.settle()
    assert_untouched(first, world.secret())


# ---- other keys ----------------------------------------------------------------------------------------

ENV = {
    "SMTP_HOST": "host",
    "SMTP_PORT": "port",
    "SMTP_USERNAME": "username",
    "SMTP_PASSWORD": "password",
    "SMTP_URL": "url",
}


def env(key: Key) -> dict[str, str]:
    values = target_data(key, REGION)
    return {name: values[source] for name, source in ENV.items()} | {"SMTP_TLS": "starttls"}


def test_obsolete_keys_are_removed(world: World) -> None:
    """25 | format or templates changed | keys of ours that are no longer asked for are removed, those of
    others stay | –"""
    key = Key.new()
    world.synced(key, target={"data": {"extra": "x"}})
    world.change_secret(data={"note": encode("mine")})
    for change, expected in (
        ({"format": "Env", "data": None}, env(key)),
        (
            {"format": "BasicAuth"},
            {name: target_data(key, REGION)[name] for name in ("username", "password")},
        ),
        (
            {"format": "None", "data": {"SMTP_HOST": "$(host):$(port)"}},
            {"SMTP_HOST": f"email-smtp.{REGION}.amazonaws.com:587"},
        ),
        ({"format": None, "data": None}, target_data(key, REGION)),
    ):
        world.change_credential(target=change)
        _, target = world.wait_synced()
        assert data_of(target) == expected | {"note": "mine"}
    assert world.events(reason="Rotated") == []


def test_obsolete_keys_that_somebody_else_owns_too(world: World) -> None:
    """25, for a key that another program applies as well: it stays."""
    key = Key.new()
    world.synced(key)
    host = encode(target_data(key, REGION)["host"])
    world.api.apply(
        "Secret", {"metadata": {"name": "mail"}, "data": {"host": host}}, world.namespace, manager="others"
    )
    world.change_credential(target={"format": "Env"})
    _, target = world.wait_synced()
    assert data_of(target) == env(key) | {"host": target_data(key, REGION)["host"]}


def test_obsolete_keys_are_removed_while_the_operator_is_down(world: World, controller: Controller) -> None:
    """25, 30: for a format that changed while nobody looked."""
    key = Key.new()
    world.synced(key)
    assert controller.stop() == 0
    world.change_credential(target={"format": "Env"})
    controller.start()
    _, target = world.wait_synced()
    assert data_of(target) == env(key)


def test_additional_regions_come_and_go(world: World) -> None:
    """25 | `additionalRegions` changed | their keys are added, or removed | status.additionalRegions"""
    key = Key.new()
    world.synced(key)
    for regions in (["eu-central-1", "us-east-1"], ["us-east-1"], None):
        world.change_credential(additionalRegions=regions)
        credential, target = world.wait_synced()
        expected = target_data(key, REGION)
        for region in regions or []:
            expected |= additional_region(key, region)
        assert data_of(target) == expected
        assert credential["status"].get("additionalRegions") == regions


# ---- size ----------------------------------------------------------------------------------------------

MIB = 1 << 20


def filled(key: Key, size: int) -> Object:
    """A spec.target whose values come to that many bytes, from templates that are far smaller."""
    url = target_data(key, REGION)["url"]
    share, templates = size // 32, {}
    for number in range(32):
        want = size - 31 * share if number == 0 else share
        templates[f"key-{number}"] = "$(url)" * (want // len(url)) + "x" * (want % len(url))
    return {"format": "None", "data": templates}


def test_target_of_one_mebibyte(world: World) -> None:
    """1, for the largest Secret that there can be."""
    key = Key.new()
    _, target = world.synced(key, target=filled(key, MIB))
    assert sum(map(len, data_of(target).values())) == MIB


def test_target_that_would_be_too_large(world: World) -> None:
    """25 | templates that come to more than 1 MiB | untouched | Stalled `TargetTooLarge`"""
    key = Key.new()
    _, first = world.synced(key)
    world.change_credential(target=filled(key, MIB + 1))
    stalled = world.wait_not_ready("TargetTooLarge")
    world.wait_event("TargetTooLarge")
    world.settle()
    assert_untouched(first, world.secret())
    assert_no_value(stalled, key)
    world.change_credential(target={"format": None, "data": None})
    world.wait_synced()


def test_template_of_a_region_that_is_not_listed(world: World) -> None:
    """25 | a template names a region that the spec does not list | untouched | Stalled `TemplateInvalid`,
    naming the key"""
    key = Key.new()
    _, first = world.synced(key)
    world.change_credential(target={"data": {"fine": "$(url)", "sasl": "ab $(password@us-east-1)"}})
    message = condition(world.wait_not_ready("TemplateInvalid"), "Ready")["message"]
    assert "sasl" in message and "us-east-1" in message and "column 15" in message
    world.settle()
    assert_untouched(first, world.secret())
    world.change_credential(additionalRegions=["us-east-1"])
    _, target = world.wait_synced()
    assert data_of(target)["sasl"] == f"ab {key.password('us-east-1')}"
