"""The fake SES refuses what SES refuses, and misbehaves as it is told; else what is tested with it would
prove little. Its clients here are Python's smtplib and bare sockets."""

import base64
import contextlib
import json
import os
import select
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import time
import warnings
from pathlib import Path

import fake_ses
import pytest
from harness import ROOT
from oracle import EXAMPLE, Key, smtp_password_v2
from process import Server

REGION = "eu-west-1"
PASSWORD = EXAMPLE.password(REGION)
PAIR = base64.b64encode(f"\0{EXAMPLE.id}\0{PASSWORD}".encode())
AUTH = b"AUTH PLAIN " + PAIR + b"\r\n"
SILENCE = 0.3  # seconds without a byte that count as silence; replies take a few milliseconds
MODES = pytest.mark.parametrize("mode", ["starttls", "implicit"])
STEPS = [
    (mode, place)
    for mode in ("starttls", "implicit")
    for place in ("greeting", "ehlo", "starttls", "tls", "login")
    if (mode, place) != ("implicit", "starttls")
]


# ---- clients -------------------------------------------------------------------------------------------


def trusting(server: Server) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=server.ca)


def plain(server: Server) -> smtplib.SMTP:
    return smtplib.SMTP("127.0.0.1", server.starttls_port, timeout=10)


def connect(server: Server, mode: str, host: str = "127.0.0.1") -> smtplib.SMTP:
    tls = trusting(server)
    if mode == "implicit":
        return smtplib.SMTP_SSL(host, server.tls_port, timeout=10, context=tls)
    client = smtplib.SMTP(host, server.starttls_port, timeout=10)
    client.starttls(context=tls)
    return client


def log_in(server: Server, mode: str = "starttls", key: Key = EXAMPLE) -> tuple[int, bytes]:
    """The answer to one AUTH: smtplib's login() tries another mechanism when one is refused."""
    pair = base64.b64encode(f"\0{key.id}\0{key.password(REGION)}".encode())
    with connect(server, mode) as client:
        client.ehlo()
        return client.docmd("AUTH PLAIN", pair.decode())


def read_reply(sock: socket.socket) -> bytes:
    text = b""
    while not (text.endswith(b"\r\n") and text.splitlines()[-1][3:4] == b" "):
        some = sock.recv(65536)
        assert some, f"the end, after {text!r}"
        text += some
    return text


def reach(server: Server, mode: str, place: str) -> socket.socket:
    """All done up to there: what the server does there is next."""
    tls = trusting(server)
    port = server.tls_port if mode == "implicit" else server.starttls_port
    sock = socket.create_connection(("127.0.0.1", port), timeout=10)
    if mode == "implicit":
        if place == "tls":
            return sock
        sock = tls.wrap_socket(sock, server_hostname="localhost")
    if place == "greeting":
        return sock
    read_reply(sock)
    sock.sendall(b"EHLO here\r\n")
    if place == "ehlo":
        return sock
    read_reply(sock)
    if mode == "starttls":
        sock.sendall(b"STARTTLS\r\n")
        if place == "starttls":
            return sock
        read_reply(sock)
        if place == "tls":
            return sock
        sock = tls.wrap_socket(sock, server_hostname="localhost")
        sock.sendall(b"EHLO here\r\n")
        read_reply(sock)
    sock.sendall(AUTH)
    return sock


def hear(server: Server, sock: socket.socket, place: str, seconds: float) -> bytes | None:
    """What comes next; b"" for the end, None for silence. In a handshake: any bytes when it succeeds."""
    sock.settimeout(seconds)
    try:
        if place == "tls":
            return trusting(server).wrap_socket(sock, server_hostname="localhost").version().encode()
        return sock.recv(65536)
    except TimeoutError:
        return None
    except (ssl.SSLError, ConnectionError):
        return b""


# ---- as SES does ---------------------------------------------------------------------------------------


@MODES
def test_takes_mail_from_who_has_the_password(server: Server, mode: str) -> None:
    with connect(server, mode) as client:
        client.login(EXAMPLE.id, PASSWORD)
        client.sendmail("a@example.com", ["b@example.com"], "Subject: Hello\r\n\r\nYou.\r\n")
    [mail] = server.records("mail")
    assert mail.pop("id")
    assert mail == {
        "user": EXAMPLE.id,
        "region": REGION,
        "tls": mode,
        "from": "a@example.com",
        "to": ["b@example.com"],
        "subject": "Hello",
    }
    assert server.logins() == [{"user": EXAMPLE.id, "region": REGION, "tls": mode, "code": 235}]
    assert server.records("refused") == []


def test_asks_for_a_login_in_the_words_of_ses(server: Server) -> None:
    """Alertmanager, for one, reads them."""
    with connect(server, "implicit") as client:
        client.ehlo()
        assert client.docmd("AUTH LOGIN") == (334, base64.b64encode(b"Username:"))
        assert client.docmd(base64.b64encode(EXAMPLE.id.encode()).decode()) == (
            334,
            base64.b64encode(b"Password:"),
        )
        assert client.docmd(base64.b64encode(PASSWORD.encode()).decode())[0] == 235


def test_passwords_are_those_that_others_publish() -> None:
    vectors = json.loads((ROOT / "tests/vectors.json").read_text())
    for vector in vectors["v4"]:
        assert fake_ses.smtp_password(vector["secret"], vector["region"]) == vector["password"]


@MODES
@pytest.mark.parametrize(
    "password",
    [EXAMPLE.password("eu-west-2"), EXAMPLE.secret, smtp_password_v2(EXAMPLE.secret), ""],
    ids=["of another region", "the secret access key", "version 2", "none"],
)
def test_refuses_what_ses_refuses(server: Server, mode: str, password: str) -> None:
    with connect(server, mode) as client:
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            client.login(EXAMPLE.id, password)
        assert (refused.value.smtp_code, refused.value.smtp_error) == (
            535,
            b"Authentication Credentials Invalid",
        )
        assert client.docmd("MAIL FROM:<a@example.com>")[0] == 530


def test_wants_tls_first(server: Server) -> None:
    with plain(server) as client:
        client.ehlo()
        assert "auth" not in client.esmtp_features
        assert client.docmd("AUTH PLAIN AAAA")[0] == 530
        assert client.docmd("MAIL FROM:<a@example.com>")[0] == 530
    assert server.logins() == []


def test_revoked_key_is_refused_at_once(server: Server) -> None:
    key = Key.new()
    server.accept(key)
    assert log_in(server, key=key)[0] == 235
    server.accept(EXAMPLE)
    assert log_in(server, key=key)[0] == 535
    refused = {"user": key.id, "region": REGION, "tls": "starttls", "code": 535}
    assert server.records("refused") == [refused]
    assert server.logins() == [refused | {"code": 235}, refused]


# ---- which region, which names -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("localhost", "us-east-2"),
        ("email-smtp.us-east-2.amazonaws.com", "eu-north-1"),
        ("email-smtp-fips.us-east-2.amazonaws.com", "eu-north-1"),
    ],
)
def test_region_is_that_of_the_host_or_the_one_it_is_told(tmp_path: Path, host: str, region: str) -> None:
    with Server(tmp_path, host, region=region) as server:
        server.accept(EXAMPLE)
        with connect(server, "implicit") as client:
            assert client.login(EXAMPLE.id, EXAMPLE.password("us-east-2"))[0] == 235
        assert server.logins()[-1]["region"] == "us-east-2"
        certificate_is_for = {host, "localhost", "127.0.0.1", "email-smtp.us-east-2.amazonaws.com", "::1"}
        for name in certificate_is_for:
            sock = socket.create_connection(("127.0.0.1", server.tls_port), timeout=10)
            with trusting(server).wrap_socket(sock, server_hostname=name):
                pass


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--host=localhost", "--make-certificates=."], "say --region"),
        (["--host=localhost", "--region=eu-west-1"], "say --make-certificates"),
    ],
)
def test_says_what_it_lacks(options: list[str], message: str) -> None:
    command = [sys.executable, fake_ses.__file__, "--keys=keys", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, message in done.stderr) == (2, True), done.stderr


def test_listens_on_ipv6(tmp_path: Path) -> None:
    with Server(tmp_path, "localhost", "--address=::1") as server:
        server.accept(EXAMPLE)
        with connect(server, "starttls", "::1") as client:
            assert client.login(EXAMPLE.id, PASSWORD)[0] == 235


# ---- what it saw ---------------------------------------------------------------------------------------


def test_counts_connections_that_say_nothing(server: Server) -> None:
    for port in (server.starttls_port, server.tls_port):
        socket.create_connection(("127.0.0.1", port), timeout=10).close()
        server.wait_for_record("connected", port=port)
    [first, second] = server.connections()
    assert (first["port"], second["port"]) == (server.starttls_port, server.tls_port)
    assert second["n"] == first["n"] + 1


USER = base64.b64encode(EXAMPLE.id.encode()) + b"\r\n"
SECRET = base64.b64encode(PASSWORD.encode()) + b"\r\n"


@pytest.mark.parametrize(
    ("said", "noted"),
    [
        (b"EHLO here\r\n" + AUTH, ["AUTH PLAIN"]),
        (b"EHLO here\r\nauth login\r\n" + USER + SECRET, ["AUTH LOGIN", "other", "other"]),
        (b"STARTTLS\r\n" + AUTH, ["AUTH PLAIN"]),
        (AUTH.rstrip(), ["AUTH PLAIN"]),
        (SECRET, ["other"]),
        (b"AUTH " + PASSWORD.encode() + b"\r\n", ["AUTH"]),
        (b"EHLO here\r\nNOOP\r\nMAIL FROM:<a@example.com>\r\nRSET\r\nQUIT\r\n", []),
    ],
    ids=["plain", "login", "after STARTTLS in one go", "unfinished", "password", "no mechanism", "harmless"],
)
def test_notes_logins_without_tls(server: Server, said: bytes, noted: list[str]) -> None:
    with socket.create_connection(("127.0.0.1", server.starttls_port), timeout=10) as sock:
        read_reply(sock)
        for byte in (said[:7], said[7:]):  # lines do not arrive in one piece
            sock.sendall(byte)
        sock.shutdown(socket.SHUT_WR)
        while hear(server, sock, "", 10):
            pass
    assert server.records("plaintext") == [
        {"port": server.starttls_port, "command": command} for command in noted
    ]


@MODES
def test_notes_nothing_of_logins_with_tls(server: Server, mode: str) -> None:
    assert log_in(server, mode)[0] == 235
    assert server.records("plaintext") == []


def test_never_tells_a_password(server: Server) -> None:
    for members in ({}, {"login": "454 Later"}, {"auth_before_tls": True}, {"starttls": "plaintext"}):
        server.conduct(**members)
        with socket.create_connection(("127.0.0.1", server.starttls_port), timeout=10) as sock:
            read_reply(sock)
            sock.sendall(b"EHLO here\r\n" + AUTH + b"AUTH LOGIN\r\n" + USER + SECRET + b"STARTTLS\r\n" + AUTH)
            sock.shutdown(socket.SHUT_WR)
            while hear(server, sock, "", 10):
                pass
    written = server.record.read_text() + server.log()
    assert '"plaintext"' in written
    for secret in (PASSWORD, EXAMPLE.secret, PAIR.decode(), SECRET.decode().strip()):
        assert secret not in written


# ---- replies -------------------------------------------------------------------------------------------


@MODES
@pytest.mark.parametrize(
    "reply",
    [
        "535 Authentication Credentials Invalid",
        "535 Account not subscribed to SES",
        "454 Temporary authentication failure",
        "421 Too many concurrent SMTP connections",
    ],
)
def test_answers_every_login_as_told(server: Server, mode: str, reply: str) -> None:
    server.conduct(login=reply)
    assert log_in(server, mode) == (int(reply[:3]), reply[4:].encode())
    record = {"user": EXAMPLE.id, "region": REGION, "tls": mode, "code": int(reply[:3])}
    assert server.logins() == server.records("refused") == [record]


def test_lets_anyone_in_when_told(server: Server) -> None:
    server.conduct(login="235 Welcome")
    key = Key.new()
    assert log_in(server, key=key) == (235, b"Welcome")
    assert [one["code"] for one in server.logins()] == [235]


def test_answers_a_user_as_told(server: Server) -> None:
    other = Key.new()
    server.accept(EXAMPLE, other)
    server.conduct(logins={other.id: "454 Temporary authentication failure"})
    assert (log_in(server)[0], log_in(server, key=other)[0]) == (235, 454)
    server.conduct(logins={other.id: "235 Fine"}, login="535 No")
    assert (log_in(server)[0], log_in(server, key=other)[0]) == (535, 235)


@MODES
def test_replies_have_any_bytes_and_lines(server: Server, mode: str) -> None:
    server.conduct(login="535 One\n\x1b[31mTwo\0\xff\n" + "x" * 100_000)
    expected = b"535-One\r\n535-\x1b[31mTwo\0\xff\r\n535 " + b"x" * 100_000 + b"\r\n"
    with reach(server, mode, "login") as sock:
        heard = b""
        while len(heard) < len(expected) and (some := hear(server, sock, "", 10)):
            heard += some
    assert heard == expected
    assert server.logins()[-1]["code"] == 535


def test_waits_before_it_answers_a_login(server: Server) -> None:
    server.conduct(delay=0.5)
    with reach(server, "implicit", "login") as sock:
        began = time.monotonic()
        assert read_reply(sock).startswith(b"235 ")
        assert time.monotonic() - began > 0.4


@MODES
def test_greets_with_a_refusal(server: Server, mode: str) -> None:
    server.conduct(greeting="421 Too many concurrent SMTP connections")
    with reach(server, mode, "greeting") as sock:
        assert read_reply(sock) == b"421 Too many concurrent SMTP connections\r\n"
        assert hear(server, sock, "", 10) == b""


def test_another_conduct_is_for_other_connections(server: Server) -> None:
    with connect(server, "starttls") as client:
        server.conduct(login="454 Later")
        assert client.login(EXAMPLE.id, PASSWORD)[0] == 235
    assert log_in(server)[0] == 454
    server.conduct()
    assert log_in(server)[0] == 235


def test_closes_when_it_does_not_understand_its_conduct(tmp_path: Path) -> None:
    with Server(tmp_path) as server:
        with pytest.raises(ValueError, match="hang: 'somewhere'"):
            server.conduct(hang="somewhere")
        (tmp_path / "conduct").write_text('{"hang": "somewhere"}')
        with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)):
            plain(server)
        assert "hang: 'somewhere' is none of" in server.log()


# ---- silence, ends, noise ------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "place"), STEPS)
def test_hangs_where_it_is_told(server: Server, mode: str, place: str) -> None:
    server.conduct(hang=place)
    with reach(server, mode, place) as sock:
        assert hear(server, sock, place, SILENCE) is None
    assert server.logins() == server.records("plaintext") == []
    server.conduct()
    assert log_in(server, mode)[0] == 235


@pytest.mark.parametrize(("mode", "place"), STEPS)
def test_cuts_where_it_is_told(server: Server, mode: str, place: str) -> None:
    server.conduct(cut=place)
    with reach(server, mode, place) as sock:
        assert hear(server, sock, place, 10) == b""
    assert server.logins() == []


@MODES
@pytest.mark.parametrize("place", ["greeting", "ehlo", "login"])
def test_talks_garbage(server: Server, mode: str, place: str) -> None:
    server.conduct(garbage=place)
    with reach(server, mode, place) as sock:
        assert hear(server, sock, place, 10) == bytes(range(256)) + b"\r\n"
        assert hear(server, sock, place, SILENCE) is None


@MODES
@pytest.mark.parametrize(("place", "status"), [("greeting", b"220-"), ("ehlo", b"250-")])
@pytest.mark.parametrize("form", ["endless", "endless_line"])
def test_does_not_end(server: Server, mode: str, place: str, status: bytes, form: str) -> None:
    server.conduct(**{form: place})
    heard = b""
    with reach(server, mode, place) as sock:
        while len(heard) < 300_000:
            some = hear(server, sock, place, 10)
            assert some
            heard += some
    lines = heard.split(b"\r\n")
    assert (len(lines) > 200) == (form == "endless")
    assert all(line.startswith(status) for line in lines[:-1])
    assert heard.startswith(status)


# ---- TLS -----------------------------------------------------------------------------------------------


def test_offers_no_starttls(server: Server) -> None:
    server.conduct(starttls=False)
    with plain(server) as client:
        client.ehlo()
        assert not client.has_extn("starttls")
        assert not client.has_extn("auth")
        assert client.docmd("STARTTLS")[0] == 454


def test_refuses_starttls(server: Server) -> None:
    server.conduct(starttls="refused")
    with plain(server) as client:
        client.ehlo()
        assert client.has_extn("starttls")
        assert client.docmd("STARTTLS")[0] == 454
        assert client.docmd("AUTH PLAIN AAAA")[0] == 530


def test_pretends_to_start_tls(server: Server) -> None:
    server.conduct(starttls="plaintext")
    with pytest.raises(ssl.SSLError):
        connect(server, "starttls")
    with plain(server) as client:
        client.ehlo()
        assert not client.has_extn("auth")
        assert client.docmd("STARTTLS")[0] == 220
        client.ehlo()
        assert (client.has_extn("starttls"), client.has_extn("auth")) == (False, True)
        assert client.login(EXAMPLE.id, PASSWORD)[0] == 235
    assert [one["tls"] for one in server.logins()] == ["none"]
    assert server.records("plaintext")[0] == {"port": server.starttls_port, "command": "AUTH PLAIN"}


@pytest.mark.parametrize("starttls", [True, "plaintext"])
def test_a_handshake_is_no_login(server: Server, starttls: bool | str) -> None:
    """Though by chance a line of text may be in it. Who pretends to start TLS answers it at once."""
    server.conduct(starttls=starttls)
    with socket.create_connection(("127.0.0.1", server.starttls_port), timeout=10) as sock:
        read_reply(sock)
        if starttls == "plaintext":
            sock.sendall(b"STARTTLS\r\n")
            read_reply(sock)
        sock.sendall(b"\x16\x03\x01\x00\x06\nBlah")
        if starttls == "plaintext":
            assert read_reply(sock).startswith(b"500 ")
        sock.shutdown(socket.SHUT_WR)
        while hear(server, sock, "", 10):
            pass
    assert server.records("plaintext") == []


def test_takes_logins_before_tls(server: Server) -> None:
    server.conduct(auth_before_tls=True)
    with plain(server) as client:
        client.ehlo()
        assert client.has_extn("starttls")
        assert client.login(EXAMPLE.id, PASSWORD)[0] == 235
    assert [one["tls"] for one in server.logins()] == ["none"]
    assert server.records("plaintext")[0] == {"port": server.starttls_port, "command": "AUTH PLAIN"}
    assert log_in(server)[0] == 235


@MODES
@pytest.mark.parametrize(
    ("kind", "complaint"),
    [
        ("expired", "has expired"),
        ("not-yet-valid", "not yet valid"),
        ("other-host", "Hostname mismatch"),
        ("unknown-ca", "unable to get local issuer"),
        ("self-signed", "self-signed certificate"),
    ],
)
def test_has_a_bad_certificate(server: Server, mode: str, kind: str, complaint: str) -> None:
    """And nothing else is wrong with it: the client's first complaint is the only one."""
    server.conduct(certificate=kind)
    with pytest.raises(ssl.SSLCertVerificationError, match=complaint):
        connect(server, mode, "localhost")
    server.conduct()
    assert log_in(server, mode)[0] == 235


@MODES
@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2", "1.3"])
def test_speaks_one_version_of_tls(server: Server, mode: str, version: str) -> None:
    server.conduct(tls=version)
    with reach(server, mode, "tls") as sock, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        tls = trusting(server)
        tls.set_ciphers("ALL:@SECLEVEL=0")
        tls.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        with tls.wrap_socket(sock, server_hostname="localhost") as client:
            assert client.version() == "TLSv" + version.removesuffix(".0")
    with reach(server, mode, "tls") as sock:
        tls = trusting(server)  # for 1.2 and newer
        if version == "1.3":
            tls.maximum_version = ssl.TLSVersion.TLSv1_2
        if version == "1.2":
            tls.minimum_version = ssl.TLSVersion.TLSv1_3
        with pytest.raises(ssl.SSLError):
            tls.wrap_socket(sock, server_hostname="localhost")


# ---- AUTH ----------------------------------------------------------------------------------------------


@MODES
@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
def test_offers_one_mechanism(server: Server, mode: str, mechanism: str) -> None:
    server.conduct(auth=[mechanism])
    [other] = {"PLAIN", "LOGIN"} - {mechanism}
    with connect(server, mode) as client:
        client.ehlo()
        assert client.esmtp_features["auth"].split() == [mechanism]
        assert client.docmd(f"AUTH {other}")[0] == 504
        assert client.login(EXAMPLE.id, PASSWORD)[0] == 235


@MODES
def test_offers_what_it_cannot_do(server: Server, mode: str) -> None:
    server.conduct(auth=["CRAM-MD5"])
    with connect(server, mode) as client:
        client.ehlo()
        assert client.esmtp_features["auth"].split() == ["CRAM-MD5"]
        assert client.docmd("AUTH CRAM-MD5")[0] == 504


@MODES
def test_offers_no_auth(server: Server, mode: str) -> None:
    server.conduct(auth=False)
    with connect(server, mode) as client:
        client.ehlo()
        assert not client.has_extn("auth")
        assert client.docmd("AUTH PLAIN")[0] == 504


def test_offers_more(server: Server) -> None:
    server.conduct(capabilities=["XESC \x1b[31m\xff", "XMORE"])
    with reach(server, "implicit", "ehlo") as sock:
        lines = read_reply(sock).splitlines()
    assert [line for line in lines if line.startswith(b"250-X")] == [b"250-XESC \x1b[31m\xff", b"250-XMORE"]
    assert b"250-AUTH LOGIN PLAIN" in lines


# ---- the process ---------------------------------------------------------------------------------------


def test_starts_again_where_it_was(server: Server) -> None:
    log_in(server)
    before = server.starttls_port, server.tls_port, server.ca.read_text()
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        plain(server)
    server.start()
    assert (server.starttls_port, server.tls_port, server.ca.read_text()) == before
    assert log_in(server)[0] == 235
    assert len(server.logins()) == 2


def test_servers_can_share_an_authority(server: Server, tmp_path: Path) -> None:
    with Server(tmp_path / "2", "localhost", region="us-east-1", authority=server.ca.parent) as other:
        assert other.ca == server.ca
        assert log_in(other)[0] == 535
        assert len(server.connections()) == 0


def test_ends_with_who_started_it(tmp_path: Path) -> None:
    program = f"""\
import sys
sys.path[:0] = {sys.path!r}
from pathlib import Path
from process import Server
print(Server(Path({str(tmp_path)!r})).pid, flush=True)
sys.stdin.read()
"""
    runner = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        pidfd = os.pidfd_open(int(runner.stdout.readline()))
    finally:
        runner.kill()
        runner.communicate(timeout=10)
    try:
        assert select.select([pidfd], [], [], 10)[0], "it still runs"
    finally:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.close(pidfd)
