"""`ses-smtp verify` as a person uses it: against a server that behaves as Amazon SES does, or does not, and
with pairs that stand in a real cluster."""

import json
import os
import pty
import re
import signal
import subprocess
import termios
from pathlib import Path

import pytest
from harness import BINARY, REGION, Cluster, World, binding, encode, wait_for
from oracle import EXAMPLE, Key, format_data, plain, template_values
from process import Server

HOST = "localhost"


def verify(
    server: Server,
    *args: str | Path,
    password: str = EXAMPLE.password(REGION),
    env: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """With the server's authority. Holds nothing of the pair, whatever happened."""
    done = subprocess.run(
        [BINARY, "verify", "--ca-file", server.ca, *args],
        input=password,
        env={"HOME": "/nonexistent"} | (env or {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    for value in (EXAMPLE.id, EXAMPLE.secret, EXAMPLE.password(REGION), encode(EXAMPLE.password(REGION))):
        assert value not in done.stdout + done.stderr
    return done


def by_hand(server: Server, *args: str, **how: str) -> subprocess.CompletedProcess[str]:
    where = "--host", HOST, "--port", str(server.starttls_port), "--username", EXAMPLE.id
    return verify(server, *where, *args, **how)


# ---- what a person sees ----------------------------------------------------------------------------------


def test_a_login_that_works(server: Server) -> None:
    done = by_hand(server, password=EXAMPLE.password(REGION) + "\n")
    assert (done.returncode, done.stderr) == (0, "")
    for words in (
        f"Login at {HOST}:{server.starttls_port} (STARTTLS) as AKIA************MPLE",
        "127.0.0.1",
        "TLSv1.3, TLS_",
        "CN = email-smtp.eu-west-1.amazonaws.com",
        "CN = Fake SES test CA",
        "8BITMIME",
        "AUTH PLAIN",
        "235 Authentication successful.",
        "The login works.",
    ):
        assert words in done.stdout
    assert "\x1b" not in done.stdout, "colours are for terminals"
    [login] = server.logins()
    assert (login["user"], login["code"], login["tls"]) == (EXAMPLE.id, 235, "starttls")
    assert server.records("mail") == []


def test_tls_from_the_first_byte(server: Server) -> None:
    where = "--host", HOST, "--port", str(server.tls_port), "--tls", "implicit", "--username", EXAMPLE.id
    done = verify(server, *where, "-o", "json")
    assert done.returncode == 0, done.stdout
    assert server.logins()[0]["tls"] == "implicit"
    assert json.loads(done.stdout)["endpoint"] == {"host": HOST, "port": server.tls_port, "tls": "implicit"}


CONDUCTS = {
    # what: (conduct, verdict, words)
    "refused": ({"login": "535 Authentication Credentials Invalid"}, "CredentialsInvalid", "likeliest first"),
    "not subscribed": ({"login": "535 Account not subscribed to SES"}, "NotSubscribed", "SES console"),
    "busy": ({"login": "454 Temporary authentication failure"}, "TemporaryFailure", "Try again later"),
    "too many connections": ({"greeting": "421 Too many connections"}, "TemporaryFailure", "421 Too many"),
    "no STARTTLS": ({"starttls": False}, "StartTlsNotOffered", "takes STARTTLS out"),
    "no AUTH": ({"auth": False}, "AuthNotOffered", "the password was not sent"),
    "other mechanisms": ({"auth": ["CRAM-MD5"]}, "AuthNotOffered", "CRAM-MD5"),
    "expired": ({"certificate": "expired"}, "CertificateInvalid", "(expired)"),
    "of another host": ({"certificate": "other-host"}, "CertificateInvalid", "not for localhost but for"),
    "self-signed": ({"certificate": "self-signed"}, "CertificateInvalid", "--ca-file FILE"),
    "of an unknown CA": ({"certificate": "unknown-ca"}, "CertificateInvalid", "--ca-file FILE"),
    "old TLS": (
        {"tls": "1.1"},
        "TemporaryFailure",
        "check: openssl s_client -starttls smtp -connect localhost:",
    ),
    "no SMTP": ({"garbage": "greeting"}, "ProtocolError", "does not speak SMTP"),
    "cut": ({"cut": "login"}, "TemporaryFailure", "cut before"),
    "silent": ({"hang": "greeting"}, "EndpointUnreachable", "--tls implicit"),
}


@pytest.mark.parametrize("what", CONDUCTS)
def test_a_login_that_does_not(server: Server, what: str) -> None:
    conduct, verdict, words = CONDUCTS[what]
    server.conduct(**conduct)
    done = by_hand(server, "--timeout", "1s")
    assert done.returncode == 1, done.stdout
    assert f"({verdict})" in done.stdout
    assert words in done.stdout
    if verdict not in ("CredentialsInvalid", "NotSubscribed"):
        assert [login["code"] for login in server.logins()] != [235]


def test_the_other_kind_of_tls(server: Server) -> None:
    implicit = by_hand(server, "--tls", "implicit")
    assert implicit.returncode == 1
    assert "check: --tls starttls" in implicit.stdout
    where = "--host", HOST, "--port", str(server.tls_port), "--username", EXAMPLE.id
    starttls = verify(server, *where, "--tls", "starttls", "--timeout", "1s")
    assert starttls.returncode == 1
    assert "check: --tls implicit" in starttls.stdout


def test_no_server_at_all(server: Server) -> None:
    with_nobody = verify(server, "--host", HOST, "--port", "1", "--username", EXAMPLE.id)
    assert with_nobody.returncode == 1
    assert "(EndpointUnreachable): connection refused" in with_nobody.stdout
    nowhere = verify(server, "--host", "nowhere.invalid", "--username", EXAMPLE.id)
    assert nowhere.returncode == 1
    assert "getent hosts nowhere.invalid" in nowhere.stdout


def test_json_for_programs(server: Server) -> None:
    done = by_hand(server, "-o", "json", password=EXAMPLE.password("us-east-1"))
    assert (done.returncode, done.stderr) == (1, "")
    result = json.loads(done.stdout)
    assert result["verdict"] == "CredentialsInvalid"
    assert (result["authenticated"], result["refused"]) == (False, True)
    assert result["reply"] == {"code": 535, "text": "Authentication Credentials Invalid"}
    assert result["certificate"]["names"] == ["email-smtp.eu-west-1.amazonaws.com", HOST]
    assert result["causes"][0]["cause"].startswith("the password was derived for another region")


def test_a_password_at_the_prompt(server: Server) -> None:
    """Nothing of it is shown, and the page is coloured."""
    parent, child = pty.openpty()
    command = [BINARY, "verify", "--ca-file", server.ca, "--host", HOST, "--username", EXAMPLE.id]
    command += ["--port", str(server.starttls_port)]
    with subprocess.Popen(
        command, stdin=child, stdout=child, stderr=child, env={"TERM": "xterm"}, close_fds=True
    ) as process:
        shown = b""
        while b"(not shown): " not in shown:
            shown += os.read(parent, 4096)
        wait_for("no echo", lambda: not termios.tcgetattr(child)[3] & termios.ECHO)
        os.write(parent, EXAMPLE.password(REGION).encode() + b"\n")
        while b"ses:SendRawEmail" not in shown:
            shown += os.read(parent, 4096)
        assert process.wait(10) == 0
    os.close(child)
    os.close(parent)
    assert EXAMPLE.password(REGION).encode() not in shown
    assert b"\x1b[32mThe login works." in shown


def test_control_c_ends_it_at_once(server: Server) -> None:
    server.conduct(hang="login")
    command = [BINARY, "verify", "--ca-file", server.ca, "--host", HOST, "--username", EXAMPLE.id]
    command += ["--port", str(server.starttls_port), "--timeout", "10m"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        process.stdin.write(EXAMPLE.password(REGION).encode())
        process.stdin.close()
        server.wait_for_record("connected")
        assert b"Login at" in process.stdout.readline(), "the page begins before the login ends"
        process.send_signal(signal.SIGINT)
        assert process.wait(5) == -signal.SIGINT


# ---- pairs in the cluster --------------------------------------------------------------------------------


def in_cluster(
    server: Server, cluster: Cluster, *args: str | Path, kubeconfig: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """The host is named, since it is none of SES."""
    env = {"KUBECONFIG": str(kubeconfig or cluster.kubeconfig)}
    return verify(server, "--host", HOST, *args, env=env, password="")


def test_a_host_that_nobody_named(server: Server, world: World, no_controller: None) -> None:
    """Whoever may write a SesSmtpCredential, but not read Secrets, cannot have a password sent to a server of
    theirs by somebody who may."""
    world.write_source(plain(EXAMPLE, region=REGION))
    world.create_credential(endpoint={"host": HOST, "port": server.starttls_port})
    env = {"KUBECONFIG": str(world.cluster.kubeconfig)}
    done = verify(server, "--from-credential", f"{world.namespace}/mail", env=env)
    assert done.returncode == 1
    assert "(EndpointNotAllowed)" in done.stdout and f"add --host {HOST}." in " ".join(done.stdout.split())
    assert server.connections() == []


@pytest.mark.parametrize("name", ["Default", "BasicAuth", "Env", "ServiceBinding"])
def test_the_secret_of_a_format(server: Server, world: World, controller: object, name: str) -> None:
    key = Key.new()
    server.accept(key)
    endpoint = {"host": HOST, "port": server.starttls_port}
    world.synced(key, endpoint=endpoint, target={"format": name})
    where = () if name != "BasicAuth" else ("--port", str(server.starttls_port))
    done = in_cluster(server, world.cluster, "--from-secret", f"{world.namespace}/mail", *where)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Secret {world.namespace}/mail, key" in done.stdout
    assert f"region        {REGION}" in done.stdout
    assert key.password(REGION) not in done.stdout and key.id not in done.stdout
    assert [login["user"] for login in server.logins()] == [key.id]


def test_a_secret_with_nothing_but_a_url(server: Server, world: World, no_controller: None) -> None:
    key = Key.new()
    server.accept(key)
    url = format_data("Env", template_values(key, REGION))["SMTP_URL"]
    url = url.replace(f"email-smtp.{REGION}.amazonaws.com:587", f"{HOST}:{server.starttls_port}")
    assert f"{HOST}:" in url
    world.write_source({"SMTP_URL": url}, "login")
    done = in_cluster(server, world.cluster, "--from-secret", "login", "-n", world.namespace)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_secret_that_is_none(server: Server, world: World, no_controller: None) -> None:
    world.write_source({"token": EXAMPLE.password(REGION), "user": EXAMPLE.id}, "login")
    done = in_cluster(server, world.cluster, "--from-secret", f"{world.namespace}/login")
    assert (done.returncode, done.stdout) == (1, "")
    assert "SMTP_USERNAME" in done.stderr and "found: token, user" in done.stderr
    absent = in_cluster(server, world.cluster, "--from-secret", f"{world.namespace}/lost")
    assert absent.returncode == 1
    assert f"there is no Secret {world.namespace}/lost" in absent.stderr
    assert server.connections() == []


def test_a_target_that_somebody_changed(server: Server, world: World, no_controller: None) -> None:
    """The source of its credential tells what the password really is."""
    key = Key.new()
    server.accept(key)
    world.write_source(plain(key, region=REGION))
    world.create_credential(endpoint={"host": HOST, "port": server.starttls_port})
    annotations = {"ses-smtp.dev/credential": "mail", "ses-smtp.dev/region": REGION}
    data = {"username": key.id, "password": key.password("us-east-1"), "host": HOST}
    world.write_source(data | {"port": str(server.starttls_port)}, "mail", annotations=annotations)
    done = in_cluster(server, world.cluster, "--from-secret", f"{world.namespace}/mail")
    assert done.returncode == 1
    assert "it is this key's password in us-east-1" in " ".join(done.stdout.split())
    assert key.password("us-east-1") not in done.stdout and key.secret not in done.stdout
    assert f"ses-smtp doctor mail --namespace {world.namespace}" in done.stdout


def test_what_a_credential_would_publish(server: Server, world: World, no_controller: None) -> None:
    key = Key.new()
    server.accept(key)
    world.write_source(plain(key, region=REGION))
    world.create_credential(endpoint={"host": HOST, "port": server.starttls_port})
    done = in_cluster(server, world.cluster, "--from-credential", "mail", "-n", world.namespace)
    assert done.returncode == 0, done.stdout + done.stderr
    assert world.secret() is None, "it only looked"
    other = "--region", "us-east-1", "--port", str(server.starttls_port)
    wrong = in_cluster(server, world.cluster, "--from-credential", f"{world.namespace}/mail", *other)
    assert wrong.returncode == 1, "a password of another region"
    assert [login["region"] for login in server.logins()] == [REGION, REGION]


def test_a_credential_that_gives_no_pair(server: Server, world: World, no_controller: None) -> None:
    world.write_source({"accessKeyId": "ASIAIOSFODNN7EXAMPLE", "secretAccessKey": EXAMPLE.secret})
    world.create_credential(region=REGION)
    done = in_cluster(server, world.cluster, "--from-credential", f"{world.namespace}/mail")
    assert (done.returncode, done.stdout) == (1, "")
    assert "gives no pair to log in with" in done.stderr and "ASIA" in done.stderr
    lost = in_cluster(server, world.cluster, "--from-credential", f"{world.namespace}/mial")
    assert lost.returncode == 1
    assert 'there is "mail"' in lost.stderr or "there is mail" in lost.stderr


def test_somebody_without_the_right_to_read_secrets(
    server: Server, world: World, no_controller: None, tmp_path: Path
) -> None:
    user = "mail-viewer"
    world.write_source(plain(EXAMPLE, region=REGION))
    world.create_credential()
    world.api.apply("RoleBinding", binding("ClusterRole", "view", user), world.namespace)
    kubeconfig = world.cluster.kubeconfig_of(user, tmp_path)
    for flag, secret in (("--from-secret", "iam"), ("--from-credential", "iam")):
        name = f"{world.namespace}/{secret if flag == '--from-secret' else 'mail'}"
        done = in_cluster(server, world.cluster, flag, name, kubeconfig=kubeconfig)
        assert (done.returncode, done.stdout) == (1, "")
        assert re.search(r"error: .* may not do that|cannot be read: you may not", done.stderr), done.stderr
    assert f"auth can-i get secrets/iam --namespace {world.namespace}" in done.stderr
    assert server.connections() == []


def test_no_cluster(server: Server) -> None:
    done = verify(server, "--from-secret", "shop/mail", env={"KUBECONFIG": "/nonexistent/kubeconfig"})
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no usable cluster configuration" in done.stderr
    odd = verify(server, "--from-secret", "shop/mail/x", env={"KUBECONFIG": "/nonexistent/kubeconfig"})
    assert odd.returncode == 2
