"""The fake SES refuses what SES refuses; else the tests that send mail would prove little."""

import base64
import json
import smtplib
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fake_ses
import pytest
from local_cluster.credentials import certificate
from oracle import EXAMPLE, Key, smtp_password_v2

HOST = "email-smtp.eu-west-1.amazonaws.com"


class Server:
    def __init__(self, folder: Path):
        self.keys, self.record = folder / "keys.json", folder / "record"
        certificate(folder, "ca", "ca", ca=True)
        certificate(folder, "server", HOST, hosts=f"DNS:{HOST},IP:127.0.0.1")
        self.tls = ssl.create_default_context(cafile=folder / "ca.crt")
        self.accept(EXAMPLE)
        command = [sys.executable, fake_ses.__file__, f"--host={HOST}", f"--keys={self.keys}"]
        command += [
            f"--certificate={folder}/server.crt",
            f"--key={folder}/server.key",
            f"--record={self.record}",
        ]
        self.process = subprocess.Popen(
            [*command, "--starttls-port=0", "--tls-port=0"], stdout=subprocess.PIPE, text=True
        )
        listening = json.loads(self.process.stdout.readline())["listening"]
        [self.starttls_port], [self.tls_port] = listening["starttls"], listening["tls"]

    def accept(self, *keys: Key) -> None:
        self.keys.write_text(json.dumps({key.id: key.secret for key in keys}))

    def plain(self) -> smtplib.SMTP:
        return smtplib.SMTP("127.0.0.1", self.starttls_port, timeout=10)

    def starttls(self) -> smtplib.SMTP:
        client = self.plain()
        client.starttls(context=self.tls)
        return client

    def implicit(self) -> smtplib.SMTP:
        return smtplib.SMTP_SSL("127.0.0.1", self.tls_port, timeout=10, context=self.tls)

    def records(self) -> list[dict]:
        return [json.loads(line) for line in self.record.read_text().splitlines()]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.process.terminate()
    server.process.wait(10)


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
def test_takes_mail_from_who_has_the_password(server: Server, mode: str) -> None:
    with getattr(server, mode)() as client:
        client.login(EXAMPLE.id, EXAMPLE.password("eu-west-1"))
        client.sendmail("a@example.com", ["b@example.com"], "Subject: Hello\r\n\r\nYou.\r\n")
    [record] = server.records()
    assert record["mail"].pop("id")
    assert record == {
        "mail": {
            "user": EXAMPLE.id,
            "region": "eu-west-1",
            "tls": mode,
            "from": "a@example.com",
            "to": ["b@example.com"],
            "subject": "Hello",
        }
    }


def test_asks_for_a_login_in_the_words_of_ses(server: Server) -> None:
    """Alertmanager, for one, reads them."""
    with server.implicit() as client:
        client.ehlo()
        assert client.docmd("AUTH LOGIN") == (334, base64.b64encode(b"Username:"))
        assert client.docmd(base64.b64encode(EXAMPLE.id.encode()).decode()) == (
            334,
            base64.b64encode(b"Password:"),
        )
        password = base64.b64encode(EXAMPLE.password("eu-west-1").encode()).decode()
        assert client.docmd(password)[0] == 235


def test_passwords_are_those_that_others_publish() -> None:
    vectors = json.loads((Path(__file__).resolve().parents[1] / "vectors.json").read_text())
    for vector in vectors["v4"]:
        assert fake_ses.smtp_password(vector["secret"], vector["region"]) == vector["password"]


@pytest.mark.parametrize("mode", ["starttls", "implicit"])
@pytest.mark.parametrize(
    "password",
    [EXAMPLE.password("eu-west-2"), EXAMPLE.secret, smtp_password_v2(EXAMPLE.secret), ""],
    ids=["of another region", "the secret access key", "version 2", "none"],
)
def test_refuses_what_ses_refuses(server: Server, mode: str, password: str) -> None:
    with getattr(server, mode)() as client:
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            client.login(EXAMPLE.id, password)
        assert (refused.value.smtp_code, refused.value.smtp_error) == (
            535,
            b"Authentication Credentials Invalid",
        )
        assert client.docmd("MAIL FROM:<a@example.com>")[0] == 530


def test_wants_tls_first(server: Server) -> None:
    with server.plain() as client:
        client.ehlo()
        assert "auth" not in client.esmtp_features
        assert client.docmd("AUTH PLAIN AAAA")[0] == 530
        assert client.docmd("MAIL FROM:<a@example.com>")[0] == 530


def test_revoked_key_is_refused_at_once(server: Server) -> None:
    key = Key.new()
    server.accept(key)
    with server.starttls() as client:
        client.login(key.id, key.password("eu-west-1"))
    server.accept(EXAMPLE)
    with server.starttls() as client, pytest.raises(smtplib.SMTPAuthenticationError):
        client.login(key.id, key.password("eu-west-1"))
    assert server.records()[-1] == {
        "refused": {"user": key.id, "region": "eu-west-1", "tls": "starttls", "code": 535}
    }
