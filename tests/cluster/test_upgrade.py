"""The operator, the CRD and what an earlier operator wrote are not of the same version: rows 34 and 45."""

from collections import Counter
from collections.abc import Callable

from harness import (
    REGION,
    Cluster,
    Controller,
    World,
    assert_said_once,
    condition,
    data_of,
    first_complaint,
    wait_for,
)
from oracle import Key, plain, target_data
from targets import assert_untouched

from kube import Object

STATUS = "sessmtpcredentials/status"


def test_missing_crd(
    spare_cluster: Cluster, spare_world: World, own_controller: Callable[..., Controller]
) -> None:
    """34 | CRD missing | – | waits, says so in one clear line, works once it is installed"""
    spare_cluster.remove_crd()
    controller = own_controller(of=spare_cluster)
    line = first_complaint(controller, "ses-smtp.dev/v1alpha1/sessmtpcredentials")
    assert "crds/" in line or "install" in line, "it says what to do"
    assert_waits_for_the_crd(spare_cluster, spare_world, controller)


def test_crd_that_is_older(
    spare_cluster: Cluster, spare_world: World, own_controller: Callable[..., Controller]
) -> None:
    """34 | CRD older than the operator | untouched | waits, not ready, names the missing field in one clear
    line, works once the CRD is upgraded"""

    def forget(crd: Object) -> None:
        schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        del schema["properties"]["status"]["properties"]["renderVersion"]

    spare_cluster.install_crd(forget)
    controller = own_controller(of=spare_cluster)
    line = first_complaint(controller, "renderVersion")
    assert "crds/" in line or "install" in line, "it says what to do"
    spare_world.write_source(plain(Key.new(), region=REGION), "early-iam")
    spare_world.create_credential("early", source="early-iam")
    assert_waits_for_the_crd(spare_cluster, spare_world, controller)
    spare_world.wait_synced("early")


def test_spec_from_before_a_rule(
    spare_cluster: Cluster, spare_world: World, own_controller: Callable[..., Controller]
) -> None:
    """7, for what a CRD with fewer rules let in: Stalled `InvalidSpec`, and the last good target stays."""

    def forget(crd: Object) -> None:
        spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
        del spec["endpoint"]["x-kubernetes-validations"]

    spare_cluster.install_crd(forget)
    own_controller(of=spare_cluster)
    world, key = spare_world, Key.new()
    _, first = world.synced(key)
    world.change_credential(endpoint={"port": 465, "tls": "StartTls"})
    message = condition(world.wait_not_ready("InvalidSpec"), "Ready")["message"]
    assert "spec.endpoint.tls" in message and "465" in message
    world.wait_event("InvalidSpec")
    assert_untouched(first, world.secret())
    spare_cluster.install_crd()
    world.change_credential(endpoint={"port": 465, "tls": None})
    assert data_of(world.wait_synced()[1]) == target_data(key, REGION, port=465, scheme="smtps")


def assert_waits_for_the_crd(cluster: Cluster, world: World, controller: Controller) -> None:
    """And writes nothing meanwhile."""
    assert (controller.health("/healthz"), controller.health("/readyz")) == (200, 503)
    pid, mark = controller.pid, cluster.now()

    def looked_again() -> bool:
        return any(call.resource != "leases" for call in cluster.calls(mark))

    wait_for("it looks again", looked_again, 60, controller.tail)
    assert_said_once(controller.complaints())
    assert world.calls() == []
    cluster.install_crd()
    key = Key.new()
    world.write_source(plain(key, region=REGION))
    world.create_credential()
    assert data_of(world.wait_synced(seconds=60)[1]) == target_data(key, REGION)
    assert controller.running and controller.pid == pid
    wait_for("it is ready", lambda: controller.health("/readyz") == 200, detail=controller.tail)


def test_target_rendered_by_an_earlier_version(world: World, controller: Controller) -> None:
    """45 | operator upgraded, and it renders the same input differently | rewritten once | renderVersion"""
    keys = {f"mail-{number}": Key.new() for number in range(5)}
    world.create_many(keys)
    for name in keys:
        world.wait_synced(name)
        world.wait_event("Synced", name)
    world.settle()
    assert controller.stop() == 0
    for name in keys:
        earlier = {"status": {"renderVersion": 0}}
        world.api.patch("SesSmtpCredential", name, earlier, world.namespace, sub="status")
    mark = world.cluster.now()
    controller.start()

    def rewritten() -> bool:
        found = world.api.list("SesSmtpCredential", world.namespace)
        return {one["status"].get("renderVersion") for one in found} == {1}

    world.wait_for("status names this version", rewritten)
    world.settle()
    once = Counter({("get", "secrets"): 2, ("patch", "secrets"): 1, ("patch", STATUS): 1})
    for name, key in keys.items():
        calls = Counter(call.what for call in world.calls(mark) if call.name in (name, f"{name}-iam"))
        assert calls <= once, name
        assert data_of(world.secret(name)) == target_data(key, REGION)
    mark = world.cluster.now()
    controller.restart()
    world.settle()
    assert world.calls(mark) == []
