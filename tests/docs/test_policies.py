"""The admission policies of docs/security.md deny what they say, and let the rest through."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import OPERATOR, Cluster, Controller, World, unique, wait_for
from oracle import Key, plain
from pages import OBJECTS

ACCOUNT = "system:serviceaccount:ses-smtp-system:ses-smtp-operator"


@pytest.fixture
def world(cluster: Cluster) -> Iterator[World]:
    name = unique("policies")
    cluster.api.create("Namespace", {"metadata": {"name": name}})
    yield World(cluster, name)
    cluster.api.delete("Namespace", name)


@pytest.fixture
def policy(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[None]:
    """The policy and its binding, for the user that the tests run the operator as."""
    texts = [
        yaml.safe_dump(each).replace(ACCOUNT, OPERATOR)
        for _, each in OBJECTS
        if each["kind"].startswith("ValidatingAdmissionPolicy") and each["metadata"]["name"] == request.param
    ]
    assert len(texts) == 2
    text = "---\n".join(texts)
    cluster.kubectl("apply", "--filename=-", text=text)
    try:
        yield
    finally:
        cluster.kubectl("delete", "--filename=-", text=text)


def credential(world: World, name: str = "shop-mail", **spec: Any) -> tuple[bool, str]:
    """Whether the API server would take it, and what it says."""
    body = {
        "apiVersion": "ses-smtp.dev/v1alpha1",
        "kind": "SesSmtpCredential",
        "metadata": {"name": name, "namespace": world.namespace},
        "spec": {"source": {"secretName": "iam"}} | spec,
    }
    return asked(world, yaml.safe_dump(body))


def asked(world: World, text: str, *args: str) -> tuple[bool, str]:
    done = world.cluster.kubectl(
        "apply", "--server-side", "--dry-run=server", "-f-", *args, text=text, check=False
    )
    return done.returncode == 0, done.stderr


def denied(answer: tuple[bool, str], message: str) -> bool:
    return not answer[0] and message in answer[1]


@pytest.mark.parametrize("policy", ["ses-smtp-credentials"], indirect=True)
def test_policy_for_credentials(policy: None, world: World) -> None:
    wait_for(
        "the policy is in force",
        lambda: denied(
            credential(world, region="us-east-1"), "spec.region must be eu-west-1 or eu-central-1"
        ),
        30,
    )
    assert denied(credential(world), "spec.region must be eu-west-1 or eu-central-1")
    for host in (
        "smtp.example.com",
        "ec2-203-0-113-7.compute-1.amazonaws.com",  # of AWS, and of whoever rents it
        "email-smtp.eu-west-1.amazonaws.com.example.com",
        "www.example.com.email-smtp.eu-west-1.amazonaws.com",
    ):
        answer = credential(world, region="eu-west-1", endpoint={"host": host})
        assert denied(answer, "must be an SMTP endpoint of SES"), host
    assert denied(credential(world, "shop", region="eu-west-1"), "must end in -mail")
    assert denied(credential(world, region="eu-west-1", target={"name": "login"}), "must end in -mail")

    assert credential(world, region="eu-west-1")[0]
    assert credential(world, "shop", region="eu-central-1", target={"name": "shop-mail"})[0]
    for host in (
        "email-smtp.eu-west-1.amazonaws.com",
        "email-smtp-fips.us-east-1.amazonaws.com",
        "vpce-0a1b-2c3d.email-smtp.eu-west-1.vpce.amazonaws.com",
    ):
        assert credential(world, region="eu-west-1", endpoint={"host": host, "port": 465})[0], host


def secret(
    world: World, name: str, *args: str, labels: dict[str, str] | None = None, kind: str = "Opaque"
) -> tuple[bool, str]:
    """Whether the operator's user could write it."""
    body = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": kind,
        "metadata": {"name": name, "namespace": world.namespace, "labels": labels or {}},
    }
    return asked(world, yaml.safe_dump(body), f"--as={OPERATOR}", "--force-conflicts", *args)


@pytest.mark.parametrize("policy", ["ses-smtp-operator-writes-its-own"], indirect=True)
def test_policy_for_the_operator(policy: None, world: World, tmp_path: Path) -> None:
    ours = {"app.kubernetes.io/managed-by": "ses-smtp-operator"}
    wait_for(
        "the policy is in force",
        lambda: denied(secret(world, "new"), "the operator may write Secrets of its own only"),
        30,
    )
    world.write_source({"password": "x"}, "foreign")
    assert denied(secret(world, "foreign", labels=ours), "the operator may change Secrets of its own only")
    token = "kubernetes.io/service-account-token"
    assert not secret(world, "token", labels=ours, kind=token)[0]
    assert secret(world, "new", labels=ours)[0]
    world.cluster.kubectl("create", "secret", "generic", "by-another", f"--namespace={world.namespace}")

    # The operator itself works under it: it makes a target, and follows a rotation.
    controller = Controller(world.cluster.kubeconfig_of(OPERATOR, tmp_path), tmp_path / "log")
    controller.start()
    try:
        first, second = Key.new(), Key.new()
        world.write_source(plain(first, region="eu-west-1"))
        world.create_credential()
        target = wait_for("the target", lambda: world.api.get("Secret", "mail", world.namespace))
        world.write_source(plain(second, region="eu-west-1"))
        wait_for(
            "the rotation",
            lambda: world.api.get("Secret", "mail", world.namespace)["data"] != target["data"],
            detail=lambda: controller.tail(0),
        )
        # The price that the page names: what has lost its labels is not repaired until it is deleted.
        world.change_secret(metadata={"labels": {"app.kubernetes.io/managed-by": None}})
        world.cluster.kubectl(
            "wait", "--for=jsonpath={.status.conditions[?(@.type=='Ready')].reason}=AdmissionDenied",
            "sesc/mail", f"--namespace={world.namespace}", "--timeout=15s",
        )  # fmt: skip
        world.delete_secret()
        wait_for("the target anew", lambda: world.api.get("Secret", "mail", world.namespace))
    finally:
        assert controller.stop() == 0
