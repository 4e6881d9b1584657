"""Logins that prove a password: rows 27, 28 and 47. The server is the fake SES of tests/fake_ses."""

import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from harness import REGION, Cluster, Controller, World, condition, data_of, encode
from oracle import Key, mask, plain, target_data
from process import Server
from targets import assert_untouched

from kube import Object

REQUEST = "ses-smtp.dev/reconcile-requested-at"
STANDBY = "ses-smtp-operator-standby"
Says = tuple[str, str]


@pytest.fixture
def ses(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "ses") as server:
        yield server
        assert server.records("plaintext") == [], "nothing of a login was readable on the way"
        assert {one["tls"] for one in server.logins()} <= {"starttls", "implicit"}


@dataclass
class Mail:
    """A credential in a namespace, and the server that it is for."""

    world: World
    ses: Server
    controller: Controller

    def spec(self, mode: str, **more: object) -> Object:
        endpoint = {"host": "localhost", "port": self.ses.starttls_port}
        return {"verify": {"mode": mode}, "endpoint": endpoint} | more

    def create(self, mode: str, key: Key, name: str = "mail", **more: object) -> None:
        self.world.write_source(plain(key, region=REGION), f"{name}-iam")
        self.world.create_credential(name, source=f"{name}-iam", **self.spec(mode, **more))

    def rotate(self, key: Key, name: str = "mail") -> None:
        self.world.write_source(plain(key, region=REGION), f"{name}-iam")

    def proved(self, key: Key, mode: str = "Enforce", **more: object) -> Object:
        """With an active key, as it is after a while. Returns its target."""
        self.ses.accept(key)
        self.create(mode, key, **more)
        return self.wait_proved(key)

    def expected(self, key: Key) -> dict[str, str]:
        return target_data(key, REGION, "localhost", self.ses.starttls_port)

    def wait(self, ready: Says, verified: Says | None, name: str = "mail", seconds: float = 15) -> Object:
        """The credential once Ready and Verified say so, each by status and reason, about the live spec."""

        def says(credential: Object, kind: str) -> Says | None:
            found = condition(credential, kind)
            return (found["status"], found["reason"]) if found else None

        def probe() -> Object | None:
            credential = self.world.credential(name)
            current = credential["status"]["observedGeneration"] == credential["metadata"]["generation"]
            hit = (says(credential, "Ready"), says(credential, "Verified")) == (ready, verified)
            return credential if hit and current else None

        return self.world.wait_for(f"{name} says {ready}, {verified}", probe, seconds)

    def wait_proved(self, key: Key, name: str = "mail", seconds: float = 15) -> Object:
        """The target, once it holds that key's pair and status says that it is proved."""

        def probe() -> Object | None:
            target = self.world.secret(name)
            return target if target and data_of(target) == self.expected(key) else None

        target = self.world.wait_for(f"{name} holds the pair of {mask(key.id)}", probe, seconds)
        credential = self.wait(("True", "Synced"), ("True", "Authenticated"), name, seconds)
        assert mask(key.id) in condition(credential, "Verified")["message"]
        assert credential["status"]["accessKeyId"] == mask(key.id)
        return target

    def assert_always_proved(self, *keys: Key, since: str = "0") -> None:
        """No version of the target ever held another pair than these."""
        pairs = {key.id: key.password(REGION) for key in keys}
        versions = [
            secret
            for secret in self.world.api.changes("Secret", self.world.namespace, since)
            if secret["metadata"]["name"] == "mail"
        ]
        assert versions
        for secret in versions:
            data = data_of(secret)
            assert pairs.get(data["username"]) == data["password"], secret["metadata"]["resourceVersion"]

    def refusals(self, key: Key) -> int:
        return len([one for one in self.ses.records("refused") if one["user"] == key.id])


@pytest.fixture
def flags(ses: Server) -> list[str]:
    endpoints = f"localhost:{ses.starttls_port},localhost:{ses.tls_port}"
    return [f"--smtp-ca-file={ses.ca}", f"--verify-allowed-endpoints={endpoints}"]


@pytest.fixture
def mail(world: World, ses: Server, own_controller: Callable[..., Controller], flags: list[str]) -> Mail:
    return Mail(world, ses, own_controller(*flags))


VERIFYING = ("False", "Verifying")
SYNCED = ("True", "Synced")
REFUSED = ("False", "CredentialsInvalid")
ACCEPTED = ("True", "Authenticated")


# ---- Enforce -------------------------------------------------------------------------------------------


def test_a_key_that_is_refused(mail: Mail) -> None:
    """27 | `verify.mode: Enforce`, and the server refuses the new key's login (535) | untouched; replaced
    once the login is accepted, which may take a young key some seconds | Verified=False `CredentialsInvalid`,
    Ready=False `Verifying`, after ten minutes Stalled `VerificationFailed`; event `VerifyFailed` after half a
    minute; the login is tried again, at last every 20 minutes"""
    old, new = Key.new(), Key.new()
    first = mail.proved(old)
    began = first["metadata"]["resourceVersion"]
    assert [one["user"] for one in mail.ses.logins()] == [old.id], "one login is enough"
    mail.rotate(new)
    credential = mail.wait(VERIFYING, REFUSED)
    assert condition(credential, "Reconciling")["status"] == "True"
    assert credential["status"]["accessKeyId"] == mask(old.id), "that of the target"
    message = condition(credential, "Verified")["message"]
    assert "535" in message and mask(new.id) in message and "localhost" in message
    mail.world.wait_for("it is tried again", lambda: mail.refusals(new) >= 3)
    assert mail.world.events(reason="VerifyFailed") == [], "any new key is refused for a moment"
    mail.world.wait_for("a warning", lambda: mail.world.events(reason="VerifyFailed"), 45)
    assert_untouched(first, mail.world.secret())
    mail.ses.accept(old, new)
    mail.wait_proved(new)
    mail.world.wait_event("Rotated")
    mail.assert_always_proved(old, new)
    assert began != mail.world.secret()["metadata"]["resourceVersion"]


def put_back(mail: Mail, minutes: int) -> None:
    """As if it had failed for so long."""
    conditions = mail.world.credential()["status"]["conditions"]
    then = datetime.now(UTC) - timedelta(minutes=minutes)
    for one in conditions:
        if one["type"] == "Verified":
            one["lastTransitionTime"] = then.strftime("%Y-%m-%dT%H:%M:%SZ")
    status = {"status": {"conditions": conditions}}
    mail.world.api.patch("SesSmtpCredential", "mail", status, mail.world.namespace, sub="status")


def test_a_key_that_is_refused_for_ten_minutes(mail: Mail) -> None:
    """27: then it is for a person; the target is what it was, until the key works."""
    old, new = Key.new(), Key.new()
    first = mail.proved(old)
    mail.rotate(new)
    mail.wait(VERIFYING, REFUSED)
    assert mail.controller.stop() == 0
    put_back(mail, 11)
    before = mail.refusals(new)
    mail.controller.start()
    credential = mail.wait(("False", "VerificationFailed"), REFUSED)
    assert condition(credential, "Stalled")["reason"] == "VerificationFailed"
    mail.world.wait_event("VerificationFailed")
    mail.world.settle()
    assert mail.refusals(new) <= before + 1, "it goes on slowly after a restart, too"
    assert_untouched(first, mail.world.secret())
    mail.ses.accept(old, new)
    mail.world.api.patch(
        "SesSmtpCredential", "mail", {"metadata": {"annotations": {REQUEST: "now"}}}, mail.world.namespace
    )
    mail.wait_proved(new)
    mail.assert_always_proved(old, new)


UNCERTAIN = {
    "454": ({"login": "454 Temporary authentication failure"}, "TemporaryFailure"),
    "421": ({"greeting": "421 Too many concurrent SMTP connections"}, "TemporaryFailure"),
    "silent": ({"hang": "greeting"}, "EndpointUnreachable"),
    "gone": ({}, "EndpointUnreachable"),
}


@pytest.mark.parametrize("how", UNCERTAIN)
def test_a_server_that_says_nothing_about_the_key(mail: Mail, how: str) -> None:
    """28 | `verify.mode: Enforce`, and the server is away, silent, or asks for patience (421, 451, 454) |
    untouched until the login is accepted | Verified=Unknown `EndpointUnreachable` or `TemporaryFailure`,
    Ready=False `Verifying`; tried again after 5 s, then less often"""
    old, new = Key.new(), Key.new()
    first = mail.proved(old)
    mail.ses.accept(old, new)
    conduct, reason = UNCERTAIN[how]
    mail.ses.conduct(**conduct)
    if how == "gone":
        mail.ses.stop()
    mail.rotate(new)
    mail.wait(VERIFYING, ("Unknown", reason), seconds=30)
    assert_untouched(first, mail.world.secret())
    mail.ses.conduct()
    if how == "gone":
        mail.ses.start()
    mail.wait_proved(new, seconds=30)
    assert mail.world.events(reason="VerifyFailed") == []
    mail.assert_always_proved(old, new)


FAILURES = {
    "expired certificate": ({"certificate": "expired"}, "CertificateInvalid"),
    "certificate of another host": ({"certificate": "other-host"}, "CertificateInvalid"),
    "unknown authority": ({"certificate": "unknown-ca"}, "CertificateInvalid"),
    "no STARTTLS": ({"starttls": False}, "StartTlsNotOffered"),
    "no STARTTLS but AUTH": ({"starttls": False, "auth_before_tls": True}, "StartTlsNotOffered"),
    "no AUTH": ({"auth": False}, "AuthNotOffered"),
    "no AUTH that we know": ({"auth": ["CRAM-MD5"]}, "AuthNotOffered"),
    "garbage": ({"garbage": "greeting"}, "ProtocolError"),
}


@pytest.mark.parametrize("how", FAILURES)
def test_a_server_that_is_not_as_it_should_be(mail: Mail, how: str) -> None:
    """27: nothing is sent to log in, and Verified tells why."""
    conduct, reason = FAILURES[how]
    mail.ses.conduct(**conduct)
    mail.create("Enforce", Key.new())
    credential = mail.wait(VERIFYING, ("False", reason), seconds=30)
    assert f"localhost:{mail.ses.starttls_port}" in condition(credential, "Verified")["message"]
    assert mail.world.secret() is None
    assert mail.ses.logins() == []


def test_tls_from_the_first_byte(mail: Mail) -> None:
    key = Key.new()
    mail.ses.accept(key)
    endpoint = {"host": "localhost", "port": mail.ses.tls_port, "tls": "Implicit"}
    mail.create("Enforce", key, endpoint=endpoint)
    mail.wait(SYNCED, ACCEPTED)
    assert {one["tls"] for one in mail.ses.logins()} == {"implicit"}
    assert data_of(mail.world.secret())["url"].startswith("smtps://")


# ---- Report --------------------------------------------------------------------------------------------


def test_report_writes_at_once(mail: Mail) -> None:
    """27: with Report the target does not wait, and Ready does not depend on the login."""
    old, new = Key.new(), Key.new()
    mail.proved(old, "Report")
    mail.rotate(new)
    mail.wait(SYNCED, REFUSED)
    assert data_of(mail.world.secret()) == mail.expected(new)
    mail.ses.accept(old, new)
    mail.wait_proved(new)


@pytest.mark.parametrize("mode", ["Enforce", "Report"])
def test_an_endpoint_that_is_not_allowed(mail: Mail, mode: str) -> None:
    """47 | `verify`, and the endpoint is neither of Amazon SES nor in `--verify-allowed-endpoints` | Enforce:
    untouched; Report: written | Verified=False `EndpointNotAllowed`, with Enforce Stalled with that reason;
    nobody connects to it"""
    with socket.create_server(("127.0.0.1", 0)) as theirs:
        endpoint = {"host": "localhost", "port": theirs.getsockname()[1]}
        mail.create(mode, key := Key.new(), endpoint=endpoint)
        ready = ("False", "EndpointNotAllowed") if mode == "Enforce" else SYNCED
        mail.wait(ready, ("False", "EndpointNotAllowed"))
        mail.world.settle()
        target = mail.world.secret()
        if mode == "Enforce":
            mail.world.wait_event("EndpointNotAllowed")
            assert target is None
        else:
            assert data_of(target) == target_data(key, REGION, "localhost", endpoint["port"])
        theirs.setblocking(False)
        with pytest.raises(BlockingIOError):
            theirs.accept()


# ---- from one mode to another, and back ----------------------------------------------------------------


def test_disabled_publishes_at_once(mail: Mail) -> None:
    """27, 28: who gives up on proofs gets the new password."""
    old, new = Key.new(), Key.new()
    mail.proved(old)
    mail.rotate(new)
    mail.wait(VERIFYING, REFUSED)
    mail.world.change_credential(verify={"mode": "Disabled"})
    mail.wait(SYNCED, None)
    assert data_of(mail.world.secret()) == mail.expected(new)
    tries = len(mail.ses.connections())
    mail.world.settle()
    assert len(mail.ses.connections()) == tries, "the young key is not tried any more"


def test_enforce_for_a_target_that_is_there(mail: Mail) -> None:
    """27: it is not touched, neither before nor after the proof."""
    key = Key.new()
    mail.create("Disabled", key)
    mail.wait(SYNCED, None)
    first = mail.world.secret()
    mail.world.change_credential(verify={"mode": "Enforce"})
    mail.wait(VERIFYING, REFUSED)
    mail.ses.accept(key)
    mail.wait_proved(key)
    assert_untouched(first, mail.world.secret())


def test_what_is_proved_is_not_tried_again(mail: Mail, flags: list[str]) -> None:
    """27: not for a touched source, an edited or deleted target, another format, a restart."""
    key = Key.new()
    target = mail.proved(key)
    mail.world.change_secret("mail-iam", metadata={"labels": {"touched": "yes"}})
    mail.world.change_secret(data={"password": encode("edited")})
    mail.world.wait_event("TargetRepaired")
    mail.wait_proved(key)
    mail.world.delete_secret()
    mail.wait_proved(key)
    mail.world.change_credential(target={"labels": {"team": "a"}})
    mail.wait(SYNCED, ACCEPTED)
    mail.controller.restart()
    mail.world.settle()
    mail.wait(SYNCED, ACCEPTED)
    assert len(mail.ses.logins()) == 1
    assert data_of(mail.world.secret()) == data_of(target)


def test_a_request_logs_in_anew(mail: Mail) -> None:
    """27, 38: the key was switched off meanwhile."""
    key = Key.new()
    first = mail.proved(key)
    mail.ses.accept()
    mail.world.api.patch(
        "SesSmtpCredential", "mail", {"metadata": {"annotations": {REQUEST: "now"}}}, mail.world.namespace
    )
    mail.wait(VERIFYING, REFUSED)
    assert_untouched(first, mail.world.secret())


# ---- restarts and leaders ------------------------------------------------------------------------------


def test_restarts_in_the_middle(
    world: World, ses: Server, own_controller: Callable[..., Controller], flags: list[str]
) -> None:
    """27: at no moment does the target hold a pair that was not proved."""
    mail = Mail(world, ses, own_controller(*flags, *Controller.QUICK_LEASE))
    old, new = Key.new(), Key.new()
    first = mail.proved(old)
    mail.ses.conduct(delay=2)
    mail.rotate(new)
    for logins, how in enumerate((signal.SIGTERM, signal.SIGKILL), start=1):
        mail.ses.wait_for_record("connected", after=logins)
        mail.wait(VERIFYING, ("Unknown", "Verifying"))
        mail.controller.stop(how)
        mail.controller.start()
    assert_untouched(first, mail.world.secret())
    mail.ses.conduct()
    mail.wait(VERIFYING, REFUSED)
    mail.controller.stop(signal.SIGKILL)
    mail.ses.accept(old, new)
    mail.controller.start()
    mail.wait_proved(new, seconds=45)
    mail.assert_always_proved(old, new)


def test_another_leader_in_the_middle(
    world: World,
    cluster: Cluster,
    ses: Server,
    own_controller: Callable[..., Controller],
    flags: list[str],
) -> None:
    """27, 36: the next one logs in for itself."""
    cluster.grant_all(STANDBY)
    old, new = Key.new(), Key.new()
    leader = own_controller(*flags, *Controller.QUICK_LEASE)
    mail = Mail(world, ses, leader)
    mail.proved(old)
    standby = own_controller(*flags, *Controller.QUICK_LEASE, user=STANDBY)
    standby.wait_logged("ready")
    ses.conduct(hang="login")
    mail.rotate(new)
    ses.wait_for_record("connected", after=1)
    mail.wait(VERIFYING, ("Unknown", "Verifying"))
    ses.accept(old, new)
    ses.conduct()
    assert leader.stop() == 0
    standby.wait_logged("became leader")
    mail.wait_proved(new)
    mail.assert_always_proved(old, new)


# ---- many ----------------------------------------------------------------------------------------------


def test_failing_keys_delay_nobody_else(worlds: Iterator[World], mail: Mail) -> None:
    """27: not even fifty of them, in another namespace."""
    theirs = Mail(next(worlds), mail.ses, mail.controller)
    good = Key.new()
    mail.ses.accept(good)
    for number in range(50):
        theirs.create("Enforce", Key.new(), f"bad-{number}")
    theirs.wait(VERIFYING, REFUSED, "bad-0")
    mail.create("Enforce", good)
    mail.wait_proved(good, seconds=5)


def test_metrics_of_logins(mail: Mail) -> None:
    def logins(**labels: str) -> float:
        return mail.controller.metrics().total("ses_smtp_verify_total", **labels)

    mail.proved(Key.new())
    assert logins(code="235", reason="Authenticated") == 1
    mail.rotate(new := Key.new())
    mail.wait(VERIFYING, REFUSED)
    assert logins(code="535", reason="CredentialsInvalid") >= 1
    mail.ses.accept(new)
    mail.wait_proved(new)
    mail.ses.conduct(starttls=False)
    mail.rotate(Key.new())
    mail.wait(VERIFYING, ("False", "StartTlsNotOffered"))
    assert logins(reason="StartTlsNotOffered") >= 1
    assert logins(code="235") == 2

    def none_waits() -> bool:  # of other tests' namespaces, which may still be there
        return mail.controller.metrics().value("ses_smtp_verify_queue_depth") == 0

    mail.world.wait_for("no login waits", none_waits)
