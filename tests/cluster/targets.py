"""What a target looks like, what happened to it, and what people do to it."""

from datetime import datetime

from harness import MANAGER, REGION, Controller, World, encode, named_version, version
from oracle import Key

from kube import Object

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


def assert_rests(world: World, controller: Controller) -> None:
    """Neither another look nor a restart of the controller makes it read or write anything."""
    world.settle()
    mark = world.cluster.now()
    world.settle()
    controller.restart()
    world.settle()
    assert world.calls(mark) == []


def assert_no_value(thing: Object, *keys: Key) -> None:
    text = str(thing)
    for key in keys:
        for value in (key.id, "ASIA" + key.id[4:], key.secret, key.password(REGION)):
            assert value not in text
            assert encode(value) not in text


def age_target(world: World, since: str = "2026-01-02T03:04:05Z") -> None:
    """Makes the key look older than it is. The annotation is the truth, so status follows."""
    world.change_secret(metadata={"annotations": {"ses-smtp.dev/key-since": since}})
    world.wait_for("status has the new time", lambda: world.credential()["status"]["keySince"] == since)


def wait_until_changed(world: World, first: Object, name: str = "mail") -> tuple[Object, Object]:
    """Once more in sync, with a target that is not the one of before."""

    def probe() -> Object | None:
        target = world.credential(name)["status"].get("target", {})
        same = target | {"merged": True} == named_version(first) | {"merged": True}
        return None if same else target

    world.wait_for("status names another version of the target", probe)
    return world.wait_synced(name)
