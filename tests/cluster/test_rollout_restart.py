"""Workloads that read the target at their start alone are restarted: rows 39 and 40.

No pod ever runs here; that a Deployment got another ReplicaSet, or a DaemonSet or StatefulSet another
revision, is what a restart is.
"""

import contextlib
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from harness import MANAGER, OPERATOR, REGION, Controller, World, binding, condition, encode, wait_for
from oracle import Key, plain
from targets import assert_rests, wait_until_changed

from kube import ApiException, Object

RIGHTS = f"{MANAGER}-restarts"
DIGEST, RESTARTED_AT = "ses-smtp.dev/secret-digest", "ses-smtp.dev/restarted-at"
KINDS = {"Deployment": "deployments", "StatefulSet": "statefulsets", "DaemonSet": "daemonsets"}
REVISIONS = {
    "Deployment": "ReplicaSet",
    "StatefulSet": "ControllerRevision",
    "DaemonSet": "ControllerRevision",
}
DEBOUNCE = 5

ENV_FROM = {"envFrom": [{"secretRef": {"name": "mail"}}]}
ENV = {"env": [{"name": "P", "valueFrom": {"secretKeyRef": {"name": "mail", "key": "password"}}}]}
NOT_AT_ALL: Object = {"env": [{"name": "P", "value": "mail"}]}


def container(name: str = "app", **fields: object) -> Object:
    return {"name": name, "image": "registry.invalid/app"} | fields


def pod(**fields: object) -> Object:
    return {"containers": [container(**fields)]}


def mounting(volume: Object) -> Object:
    mount = {"name": "login", "mountPath": "/etc/mail/password", "subPath": "password"}
    return pod(volumeMounts=[mount]) | {"volumes": [{"name": "login"} | volume]}


# Each way to use a Secret that a restart is good for.
PODS: dict[str, Object] = {
    "env": pod(**ENV),
    "env-from": pod(**ENV_FROM),
    "init": pod() | {"initContainers": [container("first", **ENV)]},
    "projected": mounting({"projected": {"sources": [{"secret": {"name": "mail"}}]}}),
    "volume": mounting({"secret": {"secretName": "mail"}}),
}


def targets(*workloads: tuple[str, str]) -> Object:
    return {"rolloutRestartTargets": [{"kind": kind, "name": name} for kind, name in workloads]}


WEB = targets(("Deployment", "web"))


def grant(world: World) -> None:
    """What the Helm value rolloutRestart.enabled adds, in this namespace alone."""
    rules = [{"apiGroups": ["apps"], "resources": list(KINDS.values()), "verbs": ["get", "patch"]}]
    world.api.apply("Role", {"metadata": {"name": RIGHTS}, "rules": rules}, world.namespace)
    world.api.apply("RoleBinding", binding("Role", RIGHTS, OPERATOR, name=RIGHTS), world.namespace)


@pytest.fixture
def world(worlds: Iterator[World], controller: Controller) -> World:
    """With the right to restart."""
    world = next(worlds)
    grant(world)
    return world


def create(
    world: World, name: str = "web", spec: Object | None = None, kind: str = "Deployment", **fields: object
) -> Object:
    """Without replicas, since no node would take them; a new template makes a new revision all the same."""
    labels = {"app": name}
    body = {
        "metadata": {"name": name},
        "spec": ({} if kind == "DaemonSet" else {"replicas": 0})
        | ({"serviceName": name} if kind == "StatefulSet" else {})
        | {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec or pod(**ENV_FROM)},
        }
        | fields,
    }
    made = world.api.create(kind, body, world.namespace)
    revisions(world, name, kind)
    return made


def workload(world: World, name: str = "web", kind: str = "Deployment") -> Object:
    found = world.api.get(kind, name, world.namespace)
    assert found is not None
    return found


def annotations(world: World, name: str = "web", kind: str = "Deployment") -> dict[str, str]:
    return workload(world, name, kind)["spec"]["template"]["metadata"].get("annotations", {})


def revisions(world: World, name: str = "web", kind: str = "Deployment") -> int:
    """How many templates the workload's own controller has seen, once it has seen the one of now."""

    def seen() -> bool:
        one = workload(world, name, kind)
        return one.get("status", {}).get("observedGeneration") == one["metadata"]["generation"]

    world.wait_for(f"the controller of {kind} {name} has seen it", seen)
    uid = workload(world, name, kind)["metadata"]["uid"]
    found = world.api.list(REVISIONS[kind], world.namespace)
    return sum(one["metadata"]["ownerReferences"][0]["uid"] == uid for one in found)


def rollouts(world: World, name: str = "mail") -> dict[str, Object]:
    return {one["name"]: one for one in world.credential(name)["status"].get("rollouts", [])}


def rotate(world: World) -> None:
    before = world.secret()
    assert before
    world.write_source(plain(Key.new(), region=REGION))
    wait_until_changed(world, before)


def wait_restarted(
    world: World, digest: str, *names: str, credential: str = "mail", seconds: float = 20
) -> None:
    """Until status says of all of them (default: web) that they were restarted for another digest."""

    def done() -> bool:
        found = rollouts(world, credential)
        return all(
            found[one]["digest"] != digest and "reason" not in found[one] and "restartedAt" in found[one]
            for one in names or ("web",)
        )

    world.wait_for("the workloads are restarted", done, seconds)


def wait_reason(world: World, reason: str, name: str = "web", seconds: float = 20) -> None:
    world.wait_for(
        f"{name} is not restarted because of {reason}",
        lambda: rollouts(world).get(name, {}).get("reason") == reason,
        seconds,
    )


def synced(world: World, **spec: object) -> str:
    """The digest that all workloads begin with."""
    credential, _ = world.synced(Key.new(), **(WEB | spec))
    [digest] = {one["digest"] for one in credential["status"]["rollouts"]}
    return digest


def apps_calls(world: World, since: int | None = None) -> Counter[tuple[str, str]]:
    """Without the patches that came too late, and were tried anew."""
    found = world.calls(since)
    return Counter(call.what for call in found if call.resource in KINDS.values() and call.code != 409)


def test_each_workload_is_restarted(world: World, controller: Controller) -> None:
    """39 | target's data changed, with `rolloutRestartTargets` | replaced | five seconds after the last
    change each workload is restarted, once; status.rollouts; event `RestartTriggered`"""
    names = [("Deployment", name) for name in PODS] + [("StatefulSet", "set"), ("DaemonSet", "daemon")]
    for name, spec in PODS.items():
        create(world, name, spec)
    create(world, "set", kind="StatefulSet")
    create(world, "daemon", kind="DaemonSet")
    first = synced(world, **targets(*names))
    world.settle()
    assert apps_calls(world) == {}, "never at the first sync"
    failed = controller.metrics().total("ses_smtp_restarts_total", result="failed")
    rotate(world)
    assert {one["reason"] for one in rollouts(world).values()} == {"RestartPending"}
    wait_restarted(world, first, *(name for _, name in names))
    for kind, name in names:
        assert revisions(world, name, kind) == 2, name
        rollout = rollouts(world)[name]
        assert annotations(world, name, kind) == {
            DIGEST: rollout["digest"],
            RESTARTED_AT: rollout["restartedAt"],
        }
    world.settle()
    notes = [
        event["note"].partition(" was restarted")[0] for event in world.events(reason="RestartTriggered")
    ]
    assert sorted(notes) == sorted(f'{kind} "{name}"' for kind, name in names)
    assert apps_calls(world) == Counter(
        {
            (verb, KINDS[kind]): Counter(k for k, _ in names)[kind]
            for kind in KINDS
            for verb in ("get", "patch")
        }
    )
    assert controller.metrics().total("ses_smtp_restarts_total", result="failed") == failed
    assert_rests(world, controller)


def test_what_a_rotation_costs(world: World) -> None:
    """39: beside the rotation itself, a second look with one read and one patch of the workload."""
    create(world)
    first = synced(world)
    world.settle()
    mark = world.cluster.now()
    rotate(world)
    wait_restarted(world, first)
    world.settle()
    assert world.counted_calls(mark) == {
        ("get", "secrets"): 3,  # the source at the rotation, and both when the restart is due
        ("patch", "secrets"): 1,
        ("get", "deployments"): 1,
        ("patch", "deployments"): 1,
        ("patch", "sessmtpcredentials/status"): 2,
    }


def test_changes_in_a_row_are_one_restart(world: World) -> None:
    """39, with three rotations within the five seconds."""
    create(world)
    first = synced(world)
    for _ in range(3):
        rotate(world)
    wait_restarted(world, first)
    assert revisions(world) == 2
    assert apps_calls(world)["patch", "deployments"] == 1


def test_what_is_no_reason_to_restart(world: World, controller: Controller) -> None:
    """39 | target repaired, the login before removed, or the operator restarted | as without
    `rolloutRestartTargets` | no workload is restarted"""
    create(world)
    synced(world, keepPreviousFor="2h")
    world.change_secret(data={"password": encode("changed")})
    world.wait_event("TargetRepaired")
    world.delete_secret()
    world.wait_for("the target is made anew", world.secret)
    world.wait_synced()
    controller.restart()
    world.settle()
    assert apps_calls(world) == {}
    first = rollouts(world)["web"]["digest"]
    rotate(world)
    wait_restarted(world, first)
    past = {"ses-smtp.dev/previous-expires-at": "2026-01-01T00:00:00Z"}
    world.change_secret(metadata={"annotations": past})
    world.wait_for("the login before is gone", lambda: "previous" not in world.credential()["status"])
    world.settle()
    assert apps_calls(world)["patch", "deployments"] == 1
    assert revisions(world) == 2


@pytest.mark.usefixtures("controller")
def test_restarts_that_cannot_be(worlds: Iterator[World]) -> None:
    """39 | a workload of `rolloutRestartTargets` is missing, does not refer to the target, or must not be
    patched | replaced | status.rollouts has the reason: `WorkloadNotFound`, `TargetNotReferenced`,
    `Forbidden`; event `RestartFailed`; tried again, the others are restarted"""
    world = next(worlds)
    create(world, "good")
    create(world, "other", pod(**NOT_AT_ALL) | {"imagePullSecrets": [{"name": "mail"}]})
    names = ("good", "other", "missing")
    first = synced(world, **targets(*(("Deployment", name) for name in names)))
    rotate(world)
    for name in names:
        wait_reason(world, "Forbidden", name)
    failures = world.wait_for(
        "an event for each", lambda: (found := world.events(reason="RestartFailed"))[2:] and found
    )
    [note] = {event["note"].partition(": ")[2] for event in failures}
    assert "right to get" in note
    assert "rolloutRestart.enabled=true" in note
    grant(world)
    request = {"metadata": {"annotations": {"ses-smtp.dev/reconcile-requested-at": "now"}}}
    world.api.patch("SesSmtpCredential", "mail", request, world.namespace)
    wait_restarted(world, first, "good")
    wait_reason(world, "WorkloadNotFound", "missing")
    wait_reason(world, "TargetNotReferenced", "other")
    assert rollouts(world)["other"]["digest"] == first
    assert annotations(world, "other") == {}
    assert revisions(world, "other") == 1
    assert condition(world.credential(), "Ready")["status"] == "True"
    world.settle()
    create(world, "missing")
    world.api.patch("Deployment", "other", {"spec": {"template": {"spec": pod(**ENV)}}}, world.namespace)
    request["metadata"]["annotations"]["ses-smtp.dev/reconcile-requested-at"] = "again"
    world.api.patch("SesSmtpCredential", "mail", request, world.namespace)
    wait_restarted(world, first, "missing", "other")
    world.settle()
    told = Counter(event["note"].split('"')[1] for event in world.events(reason="RestartFailed"))
    assert told == {"good": 1, "other": 2, "missing": 2}, "each reason once"


@pytest.mark.usefixtures("controller")
def test_only_a_patch_is_missing(worlds: Iterator[World]) -> None:
    """39: the message names the verb."""
    world = next(worlds)
    grant(world)
    rules = [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]}]
    world.api.apply("Role", {"metadata": {"name": RIGHTS}, "rules": rules}, world.namespace)
    create(world)
    synced(world)
    rotate(world)
    wait_reason(world, "Forbidden")
    assert "right to patch" in world.wait_event("RestartFailed")["note"]


def test_refused_by_a_policy(world: World) -> None:
    """39: the policy's own words are not shown."""
    create(world)
    first = synced(world)
    rule = {
        "apiGroups": ["apps"],
        "apiVersions": ["v1"],
        "resources": ["deployments"],
        "operations": ["UPDATE"],
    }
    here = {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}}
    policy = {
        "matchConstraints": {"resourceRules": [rule], "namespaceSelector": here},
        "validations": [{"expression": "false", "message": "do not write this"}],
    }
    name = {"metadata": {"name": world.namespace}}
    world.api.create("ValidatingAdmissionPolicy", name | {"spec": policy})
    bound = {"policyName": world.namespace, "validationActions": ["Deny"]}
    world.api.create("ValidatingAdmissionPolicyBinding", name | {"spec": bound})
    count = iter(range(10_000))

    def refused() -> bool:
        label = {"metadata": {"labels": {"probe": str(next(count))}}}
        try:
            world.api.patch("Deployment", "web", label, world.namespace)
        except ApiException:
            return True
        return False

    try:
        world.wait_for("the policy is in force", refused)
        rotate(world)
        wait_reason(world, "AdmissionDenied")
        assert "do not write this" not in str(world.credential()["status"]) + str(world.events())
    finally:
        for kind in ("ValidatingAdmissionPolicyBinding", "ValidatingAdmissionPolicy"):
            world.api.delete(kind, world.namespace)
    world.wait_for("the policy is gone", lambda: not refused())
    request = {"metadata": {"annotations": {"ses-smtp.dev/reconcile-requested-at": "now"}}}
    world.api.patch("SesSmtpCredential", "mail", request, world.namespace)
    wait_restarted(world, first)


def test_paused_deployment(world: World) -> None:
    """40 | the workload is paused, or its update strategy is OnDelete | replaced | its pod template is
    changed all the same; event `RestartTriggered` says what still has to happen"""
    create(world, paused=True)
    create(world, "daemon", kind="DaemonSet", updateStrategy={"type": "OnDelete"})
    first = synced(world, **targets(("Deployment", "web"), ("DaemonSet", "daemon")))
    rotate(world)
    wait_restarted(world, first, "web", "daemon")
    assert annotations(world)[DIGEST] == rollouts(world)["web"]["digest"]
    assert annotations(world, "daemon", "DaemonSet")[DIGEST] == rollouts(world)["daemon"]["digest"]
    world.settle()
    notes = " ".join(event["note"] for event in world.events(reason="RestartTriggered"))
    assert "it is paused" in notes
    assert "OnDelete" in notes
    assert revisions(world) == 0, "no template has been rolled out yet"
    world.api.patch("Deployment", "web", {"spec": {"paused": None}}, world.namespace)
    world.wait_for("it is rolled out", lambda: revisions(world) == 1)


def test_two_credentials_with_one_workload(world: World, controller: Controller) -> None:
    """40 | two credentials restart one workload | both replaced | one restart for each, a minute apart;
    neither wakes the other"""
    both = pod(envFrom=[{"secretRef": {"name": name}} for name in ("mail", "news")])
    create(world, spec=both)
    first = synced(world)
    world.create_credential("news", **WEB)
    world.wait_synced("news")
    other = rollouts(world, "news")["web"]["digest"]
    world.write_source(plain(Key.new(), region=REGION))
    wait_for("one of them has restarted it", lambda: revisions(world) == 2, 20, world.describe)
    one = annotations(world)
    wait_restarted(world, first, seconds=80)
    wait_restarted(world, other, credential="news", seconds=80)
    two = annotations(world)
    assert one[DIGEST] != two[DIGEST]
    moments = [datetime.fromisoformat(found[RESTARTED_AT]) for found in (one, two)]
    assert timedelta(seconds=60) <= moments[1] - moments[0] <= timedelta(seconds=70)
    assert revisions(world) == 3
    assert_rests(world, controller)
    assert apps_calls(world)["patch", "deployments"] == 2


def test_beside_a_tool_that_restarts_too(world: World, controller: Controller) -> None:
    """40 | another tool changes the pod template at each change of the target, too | replaced | both go on:
    one revision of each, no loop"""
    create(world)
    first = synced(world)
    ended = threading.Event()

    def tool() -> None:
        seen = world.secret()
        while not ended.wait(0.1):
            secret = world.secret()
            if secret and seen and secret["data"] != seen["data"]:
                env = [{"name": "TOOL_CHECKSUM", "value": secret["metadata"]["resourceVersion"]}]
                patch = {"spec": {"template": {"spec": pod(**(ENV_FROM | {"env": env}))}}}
                world.api.patch("Deployment", "web", patch, world.namespace)
            seen = secret

    thread = threading.Thread(target=tool)
    thread.start()
    try:
        rotate(world)
        wait_restarted(world, first)
        assert revisions(world) == 3
        assert_rests(world, controller)
        assert revisions(world) == 3
    finally:
        ended.set()
        thread.join()
    assert apps_calls(world)["patch", "deployments"] == 1


def test_rollback_brings_an_old_annotation_back(world: World, controller: Controller) -> None:
    """40 | `kubectl rollout undo` | untouched | the annotations of the revision come back with it, and
    nothing else happens"""
    create(world)
    world.api.patch(
        "Deployment", "web", template_annotations("0" * 16, "2026-01-01T00:00:00Z"), world.namespace
    )
    first = synced(world)
    rotate(world)
    wait_restarted(world, first)
    world.cluster.kubectl("-n", world.namespace, "rollout", "undo", "deployment/web")
    world.wait_for("the old template is back", lambda: annotations(world)[DIGEST] == "0" * 16)
    assert_rests(world, controller)
    assert annotations(world)[DIGEST] == "0" * 16


def template_annotations(digest: str, restarted_at: str) -> Object:
    found = {DIGEST: digest, RESTARTED_AT: restarted_at}
    return {"spec": {"template": {"metadata": {"annotations": found}}}}


@pytest.mark.parametrize("by", ["itself", "another"])
def test_operator_killed_before_the_restart(
    worlds: Iterator[World], own_controller: Callable[..., Controller], by: str
) -> None:
    """39 | operator killed after the target was replaced | replaced | the restart comes all the same, exactly
    once, by whoever leads next"""
    world = next(worlds)
    grant(world)
    killed = own_controller(*Controller.QUICK_LEASE)
    create(world)
    first = synced(world)
    rotate(world)
    assert rollouts(world)["web"]["reason"] == "RestartPending"
    killed.stop(signal.SIGKILL)
    if by == "itself":
        killed.start()
    else:
        own_controller(*Controller.QUICK_LEASE)
    wait_restarted(world, first, seconds=30)
    world.settle()
    assert revisions(world) == 2
    assert apps_calls(world) == {("get", "deployments"): 1, ("patch", "deployments"): 1}


def test_workload_that_changes_all_the_time(world: World) -> None:
    """40: somebody else's writes do not keep it from being restarted once."""
    create(world)
    first = synced(world)
    ended = threading.Event()

    def others() -> None:
        for i in range(100_000):
            if ended.wait(0.05):
                return
            with contextlib.suppress(ApiException):
                label = {"metadata": {"labels": {"turn": str(i)}}}
                world.api.patch("Deployment", "web", label, world.namespace)

    thread = threading.Thread(target=others)
    thread.start()
    try:
        rotate(world)
        wait_restarted(world, first)
    finally:
        ended.set()
        thread.join()
    assert revisions(world) == 2


def test_source_deleted_before_the_restart(world: World) -> None:
    """39 | source deleted after the target was replaced, before the restart | stays as it is | the restart
    stays due and comes when Ready is True again"""
    create(world)
    first = synced(world)
    key = Key.new()
    before = world.secret()
    assert before
    world.write_source(plain(key, region=REGION))
    wait_until_changed(world, before)
    world.delete_secret("iam")
    world.wait_not_ready("SourceNotFound")
    time_is_up = time.monotonic() + DEBOUNCE + 1
    world.wait_for("the restart would have been due", lambda: time.monotonic() > time_is_up)
    assert rollouts(world)["web"]["reason"] == "RestartPending"
    assert apps_calls(world) == {}
    world.write_source(plain(key, region=REGION))
    wait_restarted(world, first)
    assert revisions(world) == 2
