"""Logins by the operator's pod: its image, its way to names, and what users see of a pair that is refused."""

import json
from collections.abc import Iterator

import pytest
from harness import World, data_of
from node import HOST, NAME, NAMESPACE, Mail, Node
from oracle import Key, mask, plain, target_data

from kube import Object

REGION = "eu-west-1"


@pytest.fixture(scope="module")
def operator(node: Node, mail: Mail) -> Iterator[Node]:
    """Of the SMTP servers it may log in to those of SES alone, and finds them by the cluster's DNS."""
    authority = {"metadata": {"name": "smtp-ca"}, "stringData": {"ca.crt": mail.ca}}
    node.api.apply("Secret", authority, NAMESPACE)
    values = "verify.enabled=true", "networkPolicy.enabled=true", "verify.caBundleSecret.name=smtp-ca"
    with mail.in_dns(), node.operator(1, *(f"--set={value}" for value in values)):
        yield node


def shown(world: World, *columns: str) -> list[str]:
    """What kubectl prints for the credential in these columns of its widest table."""
    table = world.cluster.kubectl("get", "sesc", f"--namespace={world.namespace}", "--output=wide").stdout
    header, row = table.splitlines()
    begins = {title: header.index(f" {title} ") + 1 for title in columns}
    return [row[begin:].split()[0] for begin in begins.values()]


def wait_condition(world: World, kind: str, status: str, reason: str) -> Object:
    def probe() -> Object | None:
        one = world.conditions().get(kind, {})
        return one if (one.get("status"), one.get("reason")) == (status, reason) else None

    return world.wait_for(f"{kind} is {status} because of {reason}", probe, 30)


def mails(mail: Mail, key: Key) -> int:
    return sum(one["user"] == key.id for one in mail.log("mail"))


def test_pair_is_written_when_ses_accepts_it(operator: Node, world: World, mail: Mail) -> None:
    """Enforce, through a rotation to a key that is not active yet: pods go on with the one that works."""
    old, new = Key.new(), Key.new()
    mail.accept(old)
    world.write_source(plain(old, region=REGION))
    world.create_credential(verify={"mode": "Enforce"})
    here = f"--namespace={world.namespace}", "--timeout=30s", "sesc/mail"
    operator.kubectl("wait", *here, "--for=condition=Verified")
    operator.kubectl("wait", *here, "--for=condition=Ready")
    logins = [one for one in mail.log("login") if one["user"] == old.id]
    assert logins == [{"user": old.id, "region": REGION, "tls": "starttls", "code": 235}]
    verified = wait_condition(world, "Verified", "True", "Authenticated")
    assert HOST in verified["message"] and mask(old.id) in verified["message"]
    assert shown(world, "READY", "REASON", "VERIFIED") == ["True", "Synced", "True"]
    mail.start_client(world, "mail")
    world.wait_for("a mail with the old pair", lambda: mails(mail, old), 30)

    world.write_source(plain(new, region=REGION))
    operator.kubectl("wait", *here, "--for=condition=Verified=False")
    operator.kubectl("wait", *here, "--for=condition=Ready=False")
    refused = wait_condition(world, "Verified", "False", "CredentialsInvalid")
    assert "535" in refused["message"] and mask(new.id) in refused["message"]
    assert "stays as it is" in wait_condition(world, "Ready", "False", "Verifying")["message"]
    assert shown(world, "READY", "REASON", "VERIFIED") == ["False", "Verifying", "False"]
    assert data_of(world.secret()) == target_data(old, REGION)
    before = mails(mail, old)
    world.wait_for("more mails with the old pair", lambda: mails(mail, old) >= before + 2, 30)
    assert {one["user"] for one in mail.log("refused")} & {old.id, new.id} == {new.id}

    mail.accept(old, new)
    operator.kubectl("wait", *here, "--for=condition=Verified")
    operator.kubectl("wait", *here, "--for=condition=Ready")
    assert data_of(world.secret()) == target_data(new, REGION)
    world.wait_for("a mail with the new pair", lambda: mails(mail, new), 60)
    assert world.events(reason="Rotated")
    said = operator.pod_log("send-mail", world.namespace)
    assert [line for line in said if "failed" in line] == []


def test_verify_in_the_pod_says_how_the_login_went(operator: Node, world: World, mail: Mail) -> None:
    """For whoever asks what the operator's pod sees: it has the program, its network and its authorities."""
    key = Key.new()
    mail.accept(key)
    world.synced(key)
    pod = f"--namespace={NAMESPACE}", f"deployment/{NAME}"
    flags = f"--from-secret={world.namespace}/mail", "--ca-file=/smtp-ca/ca.crt", "--output=json"

    def verdict() -> str:
        done = operator.kubectl("exec", *pod, "--", "/ses-smtp", "verify", *flags, check=False)
        return json.loads(done.stdout)["verdict"]

    assert verdict() == "Authenticated"
    mail.accept()
    assert verdict() == "CredentialsInvalid"


def test_network_policy_lets_logins_out(operator: Node) -> None:
    """As written. Nothing on this node enforces it."""
    [policy] = operator.objects("networkpolicies", namespace=NAMESPACE)
    ports = {port["port"] for rule in policy["spec"]["egress"] for port in rule["ports"]}
    assert {53, 25, 465, 587, 2465, 2587} <= ports
