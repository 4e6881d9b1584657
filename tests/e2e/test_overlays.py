"""deploy/overlays, applied as they are."""

from collections.abc import Iterator

import pytest
from harness import REGION, ROOT, World
from node import NAME, NAMESPACE, Node
from oracle import Key, plain

ACCOUNT = f"system:serviceaccount:{NAMESPACE}:{NAME}"


@pytest.fixture
def applied(node: Node, request: pytest.FixtureRequest) -> Iterator[str]:
    folder = ROOT / "deploy/overlays" / request.param
    try:
        node.kubectl("apply", "--server-side", "--force-conflicts", "--kustomize", folder)
        node.wait_operator(1)
        node.leader()
        yield request.param
    finally:
        # Not the namespace and the CRD, which others use as well.
        for kind in ("deployments", "roles", "rolebindings", "serviceaccounts", "services"):
            node.kubectl(
                "delete", kind, f"--selector=app.kubernetes.io/name={NAME}", "--all-namespaces", "--wait"
            )
        for kind in ("clusterroles", "clusterrolebindings"):
            node.kubectl("delete", kind, f"--selector=app.kubernetes.io/name={NAME}")


def may(node: Node, verb: str, *where: str) -> bool:
    answer = node.kubectl("auth", "can-i", verb, "secrets", f"--as={ACCOUNT}", *where, check=False)
    return answer.stdout.strip() == "yes"


@pytest.mark.parametrize("applied", ["cluster"], indirect=True)
def test_cluster_overlay_serves_all_namespaces(node: Node, applied: str, world: World) -> None:
    world.synced(Key.new())


@pytest.mark.parametrize("applied", ["namespaced"], indirect=True)
def test_namespaced_overlay_has_no_right_elsewhere(node: Node, applied: str, world: World) -> None:
    assert may(node, "create", "--namespace=default")
    assert not may(node, "list", "--all-namespaces")
    assert not may(node, "get", f"--namespace={world.namespace}")
    world.write_source(plain(Key.new(), region=REGION))
    world.create_credential()
    served = World(node, "default")
    try:
        key = Key.new()
        served.write_source(plain(key, region=REGION))
        served.create_credential()
        served.wait_synced()
        served.settle()
        served.wait_all_synced({"mail": key})
    finally:
        for one in node.api.list("SesSmtpCredential", "default"):
            served.delete_credential(one["metadata"]["name"])
        for one in node.api.list("Secret", "default"):
            served.delete_secret(one["metadata"]["name"])
    assert world.conditions() == {} and world.secret() is None
