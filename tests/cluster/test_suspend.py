"""Work is suspended, or asked for: rows 24 and 38."""

from collections import Counter

import pytest
from harness import GARBAGE_SECONDS, REGION, Controller, World, condition, data_of, encode
from oracle import Key, plain, target_data
from targets import assert_is_target_of, assert_untouched, uid

from kube import Object

pytestmark = pytest.mark.usefixtures("controller")

REQUEST = "ses-smtp.dev/reconcile-requested-at"
WRITE_STATUS = ("patch", "sessmtpcredentials/status")


def suspend(world: World, suspended: bool = True, **spec: object) -> Object:
    """Returns the credential once the operator has taken note of it."""
    changed = world.change_credential(suspend=suspended, **spec)

    def probe() -> Object | None:
        credential = world.credential()
        seen = credential["status"]["observedGeneration"] == changed["metadata"]["generation"]
        return credential if seen and bool(condition(credential, "Suspended")) == suspended else None

    return world.wait_for(f"it is {'suspended' if suspended else 'resumed'}", probe)


def assert_suspended(credential: Object) -> None:
    found = condition(credential, "Suspended")
    generation = credential["metadata"]["generation"]
    assert (found["status"], found["observedGeneration"]) == ("True", generation)
    assert found["reason"] and found["message"]
    assert credential["status"]["observedGeneration"] == generation
    assert condition(credential, "Reconciling") == {}


# ---- suspend -------------------------------------------------------------------------------------------


def test_suspend_and_resume(world: World) -> None:
    """24 | `suspend: true` | untouched, source ignored; everything is caught up with when it is over |
    condition Suspended True, Ready keeps its value, observedGeneration advances; events `Suspended`,
    `Resumed`"""
    new = Key.new()
    before, first = world.synced(Key.new())
    world.wait_event("Synced")
    world.settle()
    mark = world.cluster.now()
    credential = suspend(world)
    assert_suspended(credential)
    world.wait_event("Suspended")
    for field in ("status", "reason", "message", "lastTransitionTime"):
        assert condition(credential, "Ready")[field] == condition(before, "Ready")[field]
    world.write_source(plain(new, region=REGION))
    edited = world.change_secret(data={"host": encode("elsewhere")}, metadata={"labels": None})
    world.settle()
    assert_untouched(edited, world.secret())
    assert world.counted_calls(mark) == Counter([WRITE_STATUS])
    assert credential["status"] == world.credential()["status"], "not even the versions read"
    suspend(world, False)
    credential, target = world.wait_synced()
    assert uid(target) == uid(first)
    assert data_of(target) == target_data(new, REGION)
    assert_is_target_of(target, credential)
    world.wait_event("Resumed")
    world.wait_event("Rotated")


def test_suspended_target_is_not_made_again(world: World) -> None:
    """24, for a target that is deleted meanwhile."""
    key = Key.new()
    world.synced(key)
    suspend(world)
    world.delete_secret()
    world.settle()
    assert world.secret() is None
    suspend(world, False)
    _, target = world.wait_synced()
    assert data_of(target) == target_data(key, REGION)


def test_created_suspended(world: World) -> None:
    """24, from the beginning: Ready is Unknown, for nobody has looked."""
    key = Key.new()
    world.write_source(plain(key, region=REGION))
    world.create_credential(suspend=True)
    credential = world.wait_for(
        "it is suspended", lambda: condition(world.credential(), "Suspended") and world.credential()
    )
    assert_suspended(credential)
    world.settle()
    said = world.credential()["status"]["conditions"]
    assert [(one["type"], one["status"], one["reason"]) for one in said] == [
        ("Ready", "Unknown", "Suspended"),
        ("Suspended", "True", "Suspended"),
    ]
    assert world.secret() is None
    suspend(world, False)
    _, target = world.wait_synced()
    assert data_of(target) == target_data(key, REGION)


def test_changed_while_suspended(world: World) -> None:
    """24, for a spec that goes on changing."""
    key = Key.new()
    _, first = world.synced(key)
    suspend(world)
    credential = suspend(world, region="us-east-1")
    assert_suspended(credential)
    assert credential["status"]["region"] == REGION, "what the target holds"
    world.settle()
    assert_untouched(first, world.secret())
    suspend(world, False)
    _, target = world.wait_synced()
    assert data_of(target) == target_data(key, "us-east-1")


@pytest.mark.parametrize("reason", ["SourceNotFound", "SourceKeysNotFound"])
def test_suspended_while_not_ready(world: World, reason: str) -> None:
    """24, for a credential that is not ready: it does not get ready, and nobody is told that it goes on."""
    if reason == "SourceKeysNotFound":
        world.write_source({"x": "y"})
    world.create_credential()
    world.wait_not_ready(reason)
    credential = suspend(world)
    assert_suspended(credential)
    ready = condition(credential, "Ready")
    assert (ready["status"], ready["reason"]) == ("False", reason)
    world.write_source(plain(Key.new(), region=REGION))
    world.settle()
    assert world.secret() is None
    suspend(world, False)
    world.wait_synced()


def test_restart_while_suspended(world: World, controller: Controller) -> None:
    """24, 29: another controller keeps to it, and has nothing to write."""
    _, first = world.synced(Key.new())
    suspend(world)
    world.write_source(plain(Key.new(), region=REGION))
    world.settle()
    mark = world.cluster.now()
    controller.restart()
    world.settle()
    assert world.calls(mark) == []
    assert_untouched(first, world.secret())


def test_deleted_while_suspended(world: World) -> None:
    """24, 20: the target goes with its credential all the same."""
    world.synced(Key.new())
    suspend(world)
    world.delete_credential()
    world.wait_for("the target is gone", lambda: world.secret() is None, GARBAGE_SECONDS)


def test_suspended_credential_keeps_its_target(world: World) -> None:
    """24, 16: another credential cannot take the target of a suspended one."""
    _, target = world.synced(Key.new())
    suspend(world)
    world.write_source(plain(Key.new(), region=REGION), "other-iam")
    world.create_credential("other", source="other-iam", target={"name": "mail"})
    world.wait_not_ready("TargetConflict", "other")
    assert_untouched(target, world.secret())


# ---- a look on request ---------------------------------------------------------------------------------


def request(world: World, text: str | None) -> None:
    world.api.patch(
        "SesSmtpCredential", "mail", {"metadata": {"annotations": {REQUEST: text}}}, world.namespace
    )


def wait_handled(world: World, text: str) -> Object:
    return world.wait_for(
        "the request is handled",
        lambda: world.credential()["status"].get("lastHandledReconcileAt") == text and world.credential(),
    )


def test_a_look_on_request(world: World) -> None:
    """38 | annotation `ses-smtp.dev/reconcile-requested-at` set, or changed | looked at once, written if it
    differs | status.lastHandledReconcileAt repeats the annotation"""
    before, first = world.synced(Key.new())
    world.wait_event("Synced")
    world.settle()
    for text in ("2026-11-22T08:00:00Z", "once more", "ключ " + "x" * 2000):
        mark = world.cluster.now()
        request(world, text)
        credential = wait_handled(world, text)
        world.settle()
        assert_untouched(first, world.secret())
        calls = world.counted_calls(mark)
        assert calls[WRITE_STATUS] == 1 and {verb for verb, what in calls if what == "secrets"} <= {"get"}
        assert calls["get", "secrets"] >= 2, "source and target are read again"
        changed = credential["status"] | {"lastHandledReconcileAt": None}
        assert changed == before["status"] | {"lastHandledReconcileAt": None}


def test_a_request_is_handled_once(world: World, controller: Controller) -> None:
    """38: neither a restart nor another change handles it again."""
    world.synced(Key.new())
    request(world, "now")
    wait_handled(world, "now")
    world.wait_event("Synced")
    world.settle()
    mark = world.cluster.now()
    controller.restart()
    world.settle()
    assert world.calls(mark) == []
    request(world, None)
    world.settle()
    assert [call for call in world.calls(mark) if call.resource == "secrets"] == []


def test_a_request_while_the_operator_is_down(world: World, controller: Controller) -> None:
    """38, for a request that nobody heard: it is handled on start."""
    _, first = world.synced(Key.new())
    assert controller.stop() == 0
    request(world, "meanwhile")
    controller.start()
    wait_handled(world, "meanwhile")
    assert_untouched(first, world.secret())


@pytest.mark.parametrize("reason", ["SourceNotFound", "SourceKeysNotFound", "TargetConflict"])
def test_a_request_while_not_ready(world: World, reason: str) -> None:
    """38, for a credential that is not ready: handled means looked at, not repaired."""
    if reason != "SourceNotFound":
        world.write_source({"x": "y"} if reason == "SourceKeysNotFound" else plain(Key.new(), region=REGION))
    if reason == "TargetConflict":
        world.api.create("Secret", {"metadata": {"name": "mail"}}, world.namespace)
    world.create_credential()
    world.wait_not_ready(reason)
    request(world, "now")
    wait_handled(world, "now")
    world.wait_not_ready(reason)


def test_a_request_together_with_a_rotation(world: World) -> None:
    """38: once the request is handled, the target is as it should be."""
    world.synced(Key.new())
    for number in range(5):
        new = Key.new()
        world.write_source(plain(new, region=REGION))
        request(world, str(number))
        wait_handled(world, str(number))
        target = world.secret()
        assert target and data_of(target) == target_data(new, REGION)


def test_a_request_ends_a_wait(world: World) -> None:
    """38, while a write is tried again only now and then: it is tried at once."""
    key = Key.new()
    world.write_source(plain(key, region=REGION))
    quota = {"metadata": {"name": "few"}, "spec": {"hard": {"secrets": "1"}}}
    world.api.create("ResourceQuota", quota, world.namespace)
    used = {"status": {"hard": {"secrets": "1"}, "used": {"secrets": "1"}}}
    world.api.patch("ResourceQuota", "few", used, world.namespace, sub="status")
    world.create_credential()
    world.wait_not_ready("QuotaExceeded")
    world.api.delete("ResourceQuota", "few", world.namespace)
    request(world, "now")
    wait_handled(world, "now")
    _, target = world.wait_synced(seconds=2)
    assert data_of(target) == target_data(key, REGION)


def test_a_request_while_suspended(world: World) -> None:
    """38, 24: it waits until work is resumed."""
    _, first = world.synced(Key.new())
    suspend(world)
    mark = world.cluster.now()
    request(world, "now")
    world.settle()
    assert world.calls(mark, resource="secrets") == []
    assert_untouched(first, world.secret())
    suspend(world, False)
    wait_handled(world, "now")
