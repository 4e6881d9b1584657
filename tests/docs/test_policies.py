"""The admission policies of docs/security.md deny what they say, and let the rest through."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import OPERATOR, Cluster, Controller, World, unique, wait_for
from oracle import Key, plain
from pages import BLOCKS, OBJECTS

ACCOUNT = "system:serviceaccount:ses-smtp-system:ses-smtp-operator"


@pytest.fixture
def world(cluster: Cluster) -> Iterator[World]:
    name = unique("policies")
    cluster.api.create("Namespace", {"metadata": {"name": name}})
    yield World(cluster, name)
    cluster.api.delete("Namespace", name)


CONSENT = "allowing those that consent"


def with_consent(policy: dict[str, Any]) -> dict[str, Any]:
    """As the page tells to change it for Adopt and Merge."""
    [variable] = [
        yaml.safe_load(block.text)
        for block in BLOCKS
        if block.page == "docs/security.md" and "name: consent" in block.text
    ]
    spec = copy.deepcopy(policy["spec"])
    spec["variables"] += variable
    for rule in spec["validations"][:2]:
        rule["expression"] = "variables.consent || " + rule["expression"]
    return policy | {"spec": spec}


@pytest.fixture
def policy(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[None]:
    """The policy and its binding, for the user that the tests run the operator as."""
    name, _, variant = request.param.partition(", ")
    found = [
        each
        for _, each in OBJECTS
        if each["kind"].startswith("ValidatingAdmissionPolicy") and each["metadata"]["name"] == name
    ]
    assert [each["kind"].removeprefix("ValidatingAdmissionPolicy") for each in found] == ["", "Binding"]
    if variant == CONSENT:
        found[0] = with_consent(found[0])
    text = yaml.safe_dump_all(found).replace(ACCOUNT, OPERATOR)
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

    for regions in (["us-east-1"], ["eu-central-1", "us-east-1"]):
        answer = credential(world, region="eu-west-1", additionalRegions=regions)
        assert denied(answer, "spec.additionalRegions may name"), regions
    for key, value in (
        ("host", "smtp.example.com"),
        ("host.eu-central-1", "smtp.example.com"),
        ("SMTP_HOST", "$(host).example.com"),
        ("SMTP_URL", "smtps://$(username):$(password|urlencode)@smtp.example.com:465"),
        ("url", "smtp.example.com/$(url)"),
        ("uri", "$$(url)"),
    ):
        answer = credential(world, region="eu-west-1", target={"data": {"price": "5", key: value}})
        assert denied(answer, "host and URL in spec.target.data must be"), key

    assert credential(world, region="eu-west-1")[0]
    assert credential(world, region="eu-west-1", additionalRegions=["eu-central-1"])[0]
    data = {
        "host": "$(host)",
        "SMTP_URL": "$(url@eu-central-1)",
        "hostess": "Ada",
        "main.cf": "relayhost = x",
    }
    assert credential(world, region="eu-west-1", target={"format": "None", "data": data})[0]
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


def wait_for_reason(world: World, reason: str) -> None:
    world.cluster.kubectl(
        "wait", f"--for=jsonpath={{.status.conditions[?(@.type=='Ready')].reason}}={reason}",
        "sesc/mail", f"--namespace={world.namespace}", "--timeout=15s",
    )  # fmt: skip


OPERATOR_POLICY = "ses-smtp-operator-writes-its-own"


@pytest.mark.parametrize("policy", [OPERATOR_POLICY], indirect=True)
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
        wait_for_reason(world, "AdmissionDenied")
        world.delete_secret()
        wait_for("the target anew", lambda: world.api.get("Secret", "mail", world.namespace))
    finally:
        assert controller.stop() == 0


TAKEOVERS = [
    pytest.param({"conflictPolicy": "Adopt"}, id="Adopt"),
    pytest.param({"conflictPolicy": "Merge", "deletionPolicy": "Retain"}, id="Merge"),
]


@pytest.fixture
def offered(world: World, policy: None, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A Secret of others that consents, one that does not, and the operator under the policy."""
    for name, annotations in (("mail", {"ses-smtp.dev/allow-takeover-by": "mail"}), ("other", {})):
        metadata = {"name": name, "annotations": annotations}
        world.api.create("Secret", {"metadata": metadata, "stringData": {"theirs": "x"}}, world.namespace)
    variant = request.node.callspec.params["policy"]
    # That of the test before had the same name.
    wait_for(
        "this variant of the policy is in force",
        lambda: not secret(world, "new")[0] and secret(world, "mail")[0] == (CONSENT in variant),
        30,
    )
    world.write_source(plain(Key.new(), region="eu-west-1"))
    controller = Controller(world.cluster.kubeconfig_of(OPERATOR, tmp_path), tmp_path / "log")
    controller.start()
    try:
        yield world
    finally:
        assert controller.stop() == 0


@pytest.mark.parametrize("policy", [OPERATOR_POLICY], indirect=True)
@pytest.mark.parametrize("target", TAKEOVERS)
def test_no_takeover_under_the_policy_for_the_operator(offered: World, target: dict[str, str]) -> None:
    offered.create_credential(target=target)
    wait_for_reason(offered, "AdmissionDenied")
    assert list(offered.api.get("Secret", "mail", offered.namespace)["data"]) == ["theirs"]


@pytest.mark.parametrize("policy", [f"{OPERATOR_POLICY}, {CONSENT}"], indirect=True)
@pytest.mark.parametrize("target", TAKEOVERS)
def test_takeover_under_the_policy_that_knows_consent(offered: World, target: dict[str, str]) -> None:
    offered.create_credential(target=target)
    wait_for_reason(offered, "Synced")
    assert {"theirs", "password"} <= set(offered.api.get("Secret", "mail", offered.namespace)["data"])
    ours = {"app.kubernetes.io/managed-by": "ses-smtp-operator"}
    for labels in ({}, ours):
        assert not secret(offered, "other", labels=labels)[0]
    assert not secret(offered, "new")[0]
    assert secret(offered, "new", labels=ours)[0]
