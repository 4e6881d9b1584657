"""Amazon SES as its SMTP clients see it: TLS or nothing, logins that are derived from access keys, and the
replies of its developer guide. Mails go nowhere. It misbehaves when told to: conduct.py says how.

    python3 -m fake_ses --host email-smtp.eu-west-1.amazonaws.com --keys keys.json \\
        (--certificate server.crt --key server.key | --make-certificates FOLDER) [--record mails.jsonl] \\
        [--starttls-port 587 …] [--tls-port 465 …] [--conduct conduct.json]

--keys is a file of access key ids and their secret access keys, {"AKIA…": "…"}, read again for each login; a
key that is no longer in there has been revoked. The region follows from the host, whose part this plays; for
another host than those of SES, such as localhost, --region says it.
Passwords are worked out here, by Python's hmac. A port of 0 is one that is free.
--make-certificates makes an authority in FOLDER, unless there is one, and certificates by it for the host,
localhost, 127.0.0.1, ::1 and the region's host. The conduct "certificate" needs it.

It writes JSON lines, to standard output unless --record says where, and never a password:
    {"listening": {"starttls": [PORT, …], "tls": [PORT, …]}, "ca": FILE}    (always to standard output, too)
    {"connected": {"port", "n"}}                 of a TCP connection, the nth of all
    {"login": {"user", "region", "tls": "starttls" | "implicit" | "none", "code"}}     when it is answered
    {"refused": {"user", "region", "tls", "code"}}             the same again, when the code is not 235
    {"plaintext": {"port", "command": "AUTH LOGIN" | … | "other"}}    said without TLS; maybe part of a login
    {"mail": {"user", "region", "tls", "from", "to", "subject", "id"}}
"ca" is there with --make-certificates.
"""

import argparse
import asyncio
import base64
import email
import functools
import hmac
import json
import logging
import re
import secrets
import socket
import ssl
import sys
import traceback
import warnings
from collections.abc import Callable, Coroutine
from pathlib import Path

import certificates
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session, TLSSetupException, syntax
from conduct import Conduct, code, reply

INVALID = "535 Authentication Credentials Invalid"
SUCCESSFUL = "235 Authentication successful."
# What tells nobody anything when it is readable on the way.
HARMLESS = {b"EHLO", b"HELO", b"STARTTLS", b"QUIT", b"NOOP", b"RSET", b"HELP", b"MAIL", b"RCPT", b"DATA"}
MECHANISMS = {b"PLAIN", b"LOGIN", b"CRAM-MD5", b"XOAUTH2"}
GARBAGE = bytes(range(256)) + b"\r\n"
NEVER_MIND = 86400  # seconds that a connection may be silent


def smtp_password(secret_access_key: str, region: str) -> str:
    """Amazon SES Developer Guide, "Obtaining Amazon SES SMTP credentials"."""
    signature = b"AWS4" + secret_access_key.encode()
    for text in ("11111111", region, "ses", "aws4_request", "SendRawEmail"):
        signature = hmac.digest(signature, text.encode(), "sha256")
    return base64.b64encode(b"\x04" + signature).decode()


def region_of(host: str) -> str | None:
    """None for a host that is no SMTP endpoint of Amazon SES."""
    found = re.fullmatch(r"email-smtp(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com", host)
    return found and found[1]


class FakeSes:
    """What the connections share. `record` gets each line as a dict, `tls` gives what a certificate and a
    version of TLS need, as in Conduct."""

    def __init__(
        self,
        host: str,
        region: str,
        keys: Path,
        tls: Callable[[str, str], ssl.SSLContext],
        record: Callable[[dict], None],
        conduct: Path | None = None,
    ):
        self.host, self.region, self.keys, self.tls, self.record = host, region, keys, tls, record
        self.conduct, self.connections = conduct, 0
        self.tasks: set[asyncio.Task[None]] = set()  # the event loop keeps no hold of them

    def listen(self, address: str, port: int, implicit: bool) -> int:
        """The port on which it listens, with TLS from the first byte or by STARTTLS."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        listener = socket.create_server((address, port), family=family)
        listener.setblocking(False)
        self.start(self.accept(listener, implicit))
        return listener.getsockname()[1]

    def start(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def accept(self, listener: socket.socket, implicit: bool) -> None:
        while True:
            client, _ = await asyncio.get_running_loop().sock_accept(listener)
            self.start(self.serve(client, implicit))

    async def serve(self, client: socket.socket, implicit: bool) -> None:
        loop = asyncio.get_running_loop()
        self.connections += 1
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # lines of a reply are sent one by one
        port = client.getsockname()[1]
        self.record({"connected": {"port": port, "n": self.connections}})
        try:
            conduct = Conduct.read(self.conduct)
            tls = self.tls(conduct.certificate, conduct.tls)
            if implicit and "tls" in (conduct.hang, conduct.cut):
                while conduct.cut != "tls" and await loop.sock_recv(client, 4096):
                    pass
                client.close()
            else:
                connection = functools.partial(Connection, self, conduct, tls, port, implicit, loop)
                await loop.connect_accepted_socket(connection, client, ssl=tls if implicit else None)
        except OSError:  # the client has gone, or does not want this certificate
            client.close()
        except Exception:
            traceback.print_exc()
            client.close()

    def password_of(self, access_key_id: str) -> str | None:
        secret = json.loads(self.keys.read_text()).get(access_key_id)
        return secret and smtp_password(secret, self.region)


class Connection(SMTP):
    # What SES asks for at AUTH LOGIN, and what clients that read it expect. aiosmtpd has other words.
    AuthLoginUsernameChallenge = "Username:"
    AuthLoginPasswordChallenge = "Password:"

    def __init__(
        self,
        ses: FakeSes,
        conduct: Conduct,
        tls: ssl.SSLContext,
        port: int,
        implicit: bool,
        loop: asyncio.AbstractEventLoop,
    ):
        self.ses, self.conduct, self.port, self.implicit = ses, conduct, port, implicit
        self.plain_line = b""  # what arrived of it
        self.pretends_tls = False
        offered = ["PLAIN", "LOGIN"] if conduct.auth is True else conduct.auth or []
        self.mechanisms = sorted(offered)
        with warnings.catch_warnings():
            # With TLS from the first byte aiosmtpd knows of none, and warns that logins would be readable.
            warnings.simplefilter("ignore")
            super().__init__(
                self,
                hostname=ses.host,
                ident="ESMTP SimpleEmailService-fake",
                tls_context=None if implicit else tls,
                require_starttls=not implicit and not conduct.auth_before_tls,
                auth_require_tls=not implicit and not conduct.auth_before_tls,
                auth_required=True,
                auth_exclude_mechanism={"PLAIN", "LOGIN"} - set(offered),
                authenticator=self.decide,
                timeout=NEVER_MIND,
                loop=loop,
            )

    @property
    def mode(self) -> str:
        return "implicit" if self.implicit else "starttls" if self._tls_protocol else "none"

    # -- the dialogue, in its order

    async def _handle_client(self) -> None:
        await self.misbehave_at("greeting", b"220")
        if self.conduct.greeting:
            await self.push(reply(self.conduct.greeting))
            self.transport.close()
            return
        await super()._handle_client()

    async def handle_EHLO(
        self, _: SMTP, session: Session, envelope: Envelope, host_name: str, lines: list[str]
    ) -> list[str | bytes]:
        await self.misbehave_at("ehlo", b"250")
        session.host_name = host_name
        without = ("250-AUTH",)
        if self.conduct.starttls is False or self.pretends_tls:
            without += ("250-STARTTLS",)
        offers_auth = self.mechanisms and any(line.startswith("250-AUTH") for line in lines)
        first, *more, last = [line for line in lines if not line.startswith(without)]
        more += [f"250-AUTH {' '.join(self.mechanisms)}"] if offers_auth else []
        return [first, *more, *(reply(f"250-{text}") for text in self.conduct.capabilities), last]

    @syntax("STARTTLS", when="tls_context")
    async def smtp_STARTTLS(self, arg: str) -> None:
        await self.misbehave_at("starttls")
        if self.conduct.starttls in (False, "refused"):
            await self.push("454 TLS not available due to temporary reason")
        elif self.conduct.starttls == "plaintext":
            self.pretends_tls = True
            self.require_starttls = self._auth_require_tls = False
            await self.push("220 Ready to start TLS")
        elif "tls" in (self.conduct.hang, self.conduct.cut):
            await self.push("220 Ready to start TLS")
            await self.misbehave_at("tls")
        else:
            await super().smtp_STARTTLS(arg)

    async def auth_PLAIN(self, _: SMTP, args: list[str]) -> AuthResult:
        return await self.answer(await super().auth_PLAIN(_, args))

    async def auth_LOGIN(self, _: SMTP, args: list[str]) -> AuthResult:
        return await self.answer(await super().auth_LOGIN(_, args))

    def decide(
        self, _: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        user = data.login.decode(errors="replace")
        text = self.conduct.logins.get(user, self.conduct.login)
        if not text:
            expected = self.ses.password_of(user)
            right = expected and hmac.compare_digest(expected.encode(), data.password)
            text = SUCCESSFUL if right else INVALID
        message = reply(text)
        return AuthResult(success=code(message) == 235, handled=False, message=message, auth_data=data)

    async def answer(self, result: AuthResult) -> AuthResult:
        if isinstance(result.auth_data, LoginPassword):  # else it was no login, and that has been said
            await self.misbehave_at("login")
            await asyncio.sleep(self.conduct.delay)
            user = result.auth_data.login.decode(errors="replace")
            self.note("login", user, code=code(result.message))
            if not result.success:
                self.note("refused", user, code=code(result.message))
        return result

    async def handle_DATA(self, _: SMTP, session: Session, envelope: Envelope) -> str:
        message_id = secrets.token_hex(20)
        self.note(
            "mail",
            session.auth_data.login.decode(errors="replace"),
            **{"from": envelope.mail_from, "to": envelope.rcpt_tos},
            subject=email.message_from_bytes(envelope.content)["Subject"],
            id=message_id,
        )
        return f"250 Ok {message_id}"

    async def handle_exception(self, error: Exception) -> str:
        if not isinstance(error, TLSSetupException):  # that is the client's business
            traceback.print_exception(error)
        return "451 Temporary service failure"

    # -- what it does beside that

    async def misbehave_at(self, place: str, status: bytes = b"") -> None:
        """Does not return when it does: the end of the connection ends this, too."""
        conduct = self.conduct
        if place in (conduct.endless, conduct.endless_line):
            line = status + b"-" + b"and so on, " * 90
            end = b"\r\n" if place == conduct.endless else b""
            while True:
                self._writer.write(line + end)
                await self._writer.drain()
                await asyncio.sleep(0.001)  # a client that takes it all shall not take the machine
        if place == conduct.garbage:
            self._writer.write(GARBAGE)
        if place == conduct.cut:
            self.transport.close()
        if place in (conduct.garbage, conduct.cut, conduct.hang):
            await asyncio.Event().wait()

    def data_received(self, data: bytes) -> None:
        if self.mode == "none" and data.startswith(b"\x16\x03"):  # a handshake, which has no lines
            if self.pretends_tls:
                self.transport.write(b"500 Error: bad syntax\r\n")
                return
        elif self.mode == "none":
            *lines, self.plain_line = (self.plain_line + data).split(b"\n")
            for line in lines:
                self.watch(line)
        super().data_received(data)

    def connection_lost(self, error: Exception | None) -> None:
        self.watch(self.plain_line)
        self.plain_line = b""
        super().connection_lost(error)

    def watch(self, line: bytes) -> None:
        """All that is neither harmless nor binary might be a login, or part of one."""
        words = line.upper().split()
        if not words or words[0] in HARMLESS or not re.fullmatch(rb"[\t -~]*|AUTH\b.*", line.strip(), re.I):
            return
        said = "AUTH" if words[0] == b"AUTH" else "other"
        if said == "AUTH" and words[1:] and words[1] in MECHANISMS:
            said += " " + words[1].decode()
        self.ses.record({"plaintext": {"port": self.port, "command": said}})

    def note(self, what: str, user: str, **more: object) -> None:
        self.ses.record({what: {"user": user, "region": self.ses.region, "tls": self.mode} | more})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--host", required=True)
    parser.add_argument("--region")
    parser.add_argument("--keys", required=True, type=Path)
    parser.add_argument("--certificate", type=Path)
    parser.add_argument("--key", type=Path)
    parser.add_argument("--make-certificates", type=Path, metavar="FOLDER")
    parser.add_argument("--conduct", type=Path)
    parser.add_argument("--record", type=Path)
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--starttls-port", type=int, action="append", default=[])
    parser.add_argument("--tls-port", type=int, action="append", default=[])
    args = parser.parse_args()
    region = region_of(args.host) or args.region
    if not region:
        parser.error(f"{args.host} is no SMTP endpoint of Amazon SES: say --region")
    hello: dict[str, object] = {}
    if args.make_certificates:
        hello["ca"] = str(certificates.make_authority(args.make_certificates).resolve())
        names = [args.host, "localhost", "127.0.0.1", "::1", f"email-smtp.{region}.amazonaws.com"]
        make = functools.partial(certificates.context, args.make_certificates, list(dict.fromkeys(names)))
    elif args.certificate and args.key:

        def make(kind: str, version: str) -> ssl.SSLContext:
            if kind:
                raise ValueError("--make-certificates was not given")
            return certificates.load(args.certificate, args.key, version)
    else:
        parser.error("say --make-certificates, or --certificate and --key")
    tls = functools.cache(make)
    tls("", "")
    logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd warns of what is meant to be so
    record = args.record.open("a") if args.record else sys.stdout
    write = lambda line: print(json.dumps(line), file=record, flush=True)
    ses = FakeSes(args.host, region, args.keys, tls, write, args.conduct)

    async def serve() -> None:
        hello["listening"] = {
            "starttls": [ses.listen(args.address, port, False) for port in args.starttls_port],
            "tls": [ses.listen(args.address, port, True) for port in args.tls_port],
        }
        print(json.dumps(hello), flush=True)
        await asyncio.Event().wait()

    asyncio.run(serve())


if __name__ == "__main__":
    main()
